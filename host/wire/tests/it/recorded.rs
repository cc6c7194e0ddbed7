//! Messages of a stock master and a stock worker, as they were on the line.

use toolpost_wire::{Command, Frame, Limits, ToMaster, ToWorker};

use crate::corpus::{Message, recorded, regressions};

#[test]
fn everything_that_stock_peers_say_is_understood() {
    let limits = Limits::default();
    let mut count = 0;
    for Message {
        to_worker,
        bytes: message,
    } in recorded()
    {
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

#[test]
fn what_once_did_harm_is_refused_or_understood_the_same_again() {
    let limits = Limits::default();
    for Message { to_worker, bytes } in regressions() {
        if to_worker {
            if let Ok(frame) = Frame::<ToWorker>::decode(&bytes, &limits) {
                assert_eq!(Frame::decode(&frame.encode(), &limits), Ok(frame));
            }
        } else if let Ok(frame) = Frame::<ToMaster>::decode(&bytes, &limits) {
            assert_eq!(Frame::decode(&frame.encode(), &limits), Ok(frame));
        }
    }
}
