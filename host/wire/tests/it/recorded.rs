//! Messages of a stock master and a stock worker, as they were on the line.

use bytes::Bytes;
use toolpost_wire::{Command, Frame, Limits, ToMaster, ToWorker};

/// The messages, and whether they went to the worker.
pub(crate) fn messages() -> Vec<(bool, Bytes)> {
    let lines = include_str!("recorded.txt").lines();
    let messages = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let (direction, hex) = line.split_once(' ').unwrap();
        let pairs = hex.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        });
        (direction == ">", bytes.collect::<Vec<u8>>().into())
    });
    messages.collect()
}

#[test]
fn everything_that_stock_peers_say_is_understood() {
    let limits = Limits::default();
    let mut count = 0;
    for (to_worker, message) in messages() {
        count += 1;
        if to_worker {
            let frame = Frame::<ToWorker>::decode(&message, &limits).unwrap();
            let known = match &frame {
                Frame::Request { request, .. } => match request {
                    ToWorker::Unknown(op) => op == "set_builder_list",
                    ToWorker::StartCommand {
                        command: Command::Unknown(name),
                        ..
                    } => name == "nosuch",
                    _ => true,
                },
                Frame::Response { .. } => true,
            };
            assert!(known, "{frame:?}");
            let again = Frame::<ToWorker>::decode(&frame.encode(), &limits).unwrap();
            assert_eq!(again, frame);
        } else {
            let frame = Frame::<ToMaster>::decode(&message, &limits).unwrap();
            let unknown = matches!(
                &frame,
                Frame::Request {
                    request: ToMaster::Unknown(_),
                    ..
                }
            );
            assert!(!unknown, "{frame:?}");
            let again = Frame::<ToMaster>::decode(&frame.encode(), &limits).unwrap();
            assert_eq!(again, frame);
        }
    }
    assert!(count > 80, "{count} messages");
}
