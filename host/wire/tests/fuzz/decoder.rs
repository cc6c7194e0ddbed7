//! The decoder: no panic, memory in proportion to the input, one opinion about each message.

use bytes::Bytes;
use proptest::prelude::*;
use toolpost_wire::{Frame, Limits, Request, ToMaster, ToWorker, Update};

use crate::corpus::{Message, recorded, regressions};
use crate::damage::{Damage, damage, damaged};
use crate::said::{Said, own};
use crate::{MEMORY, assert_line, peak_of, tried};

/// Bytes that may be allocated for each byte of a message, and for any message.
const PEAK_SHARE: usize = 100;
const PEAK_BASE: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(crate) enum Input {
    Bytes(Vec<u8>),
    Damaged(usize, Vec<Damage>),
}

pub(crate) fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let one = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Input::Bytes),
        9 => (0..1_000_usize, prop::collection::vec(damage(), 0..5))
            .prop_map(|(which, changes)| Input::Damaged(which, changes)),
    ];
    prop::collection::vec(one, 1..20)
}

/// All messages that there are to be damaged.
pub(crate) fn messages() -> Vec<Message> {
    let own = own().into_iter().map(|said| Message {
        to_worker: matches!(said, Said::ToWorker(_)),
        bytes: said.encode(),
    });
    let mut messages = recorded();
    messages.extend(regressions());
    messages.extend(own);
    messages
}

/// Everything as it is, for a beginning.
pub(crate) fn corpus() {
    for Message { to_worker, bytes } in recorded() {
        let limits = Limits::default();
        let read = match to_worker {
            true => Frame::<ToWorker>::decode(&bytes, &limits).map(drop),
            false => Frame::<ToMaster>::decode(&bytes, &limits).map(drop),
        };
        assert!(read.is_ok(), "{read:?} of {bytes:?}");
    }
    for message in messages() {
        decode(&message.bytes);
    }
    one_line_keeps_no_more_than_itself();
}

fn one_line_keeps_no_more_than_itself() {
    const JUNK_BYTES: usize = 1024 * 1024;
    let before = MEMORY.current_usage();
    let mut frame = [
        &b"\x85\xa2op\xa6update\xaaseq_number\x01\xaacommand_id\xa31-0\xa4args"[..],
        b"\x91\x92\xa6stdout\x93\xa2x\n\x91\x01\x91\x01\xa4junk\xc6",
        &u32::try_from(JUNK_BYTES).unwrap().to_be_bytes(),
    ]
    .concat();
    frame.resize(frame.len() + JUNK_BYTES, 0);
    let frame = Bytes::from(frame);
    let said = Frame::<ToMaster>::decode(&frame, &Limits::default()).unwrap();
    drop(frame);
    let kept = MEMORY.current_usage() - before;
    assert!(kept < 4_096, "{kept} bytes for {said:?}");
}

pub(crate) fn test(inputs: Vec<Input>) {
    let messages = messages();
    let others: Vec<&[u8]> = messages.iter().map(|message| &*message.bytes).collect();
    for input in inputs {
        match input {
            Input::Bytes(bytes) => decode(&bytes.into()),
            Input::Damaged(which, changes) => {
                let message = others[which % others.len()];
                decode(&damaged(message, &changes, &others).into());
            }
        }
    }
}

fn decode(bytes: &Bytes) {
    tried();
    one_opinion::<ToMaster>(bytes);
    one_opinion::<ToWorker>(bytes);
}

/// What is read can be written, and is read as the same then.
fn one_opinion<R: Request + Seen>(bytes: &Bytes) {
    let limits = Limits::default();
    let (frame, peak) = peak_of(|| Frame::<R>::decode(bytes, &limits));
    assert!(
        peak <= PEAK_SHARE * bytes.len() + PEAK_BASE,
        "{peak} bytes for {}",
        bytes.len()
    );
    match frame {
        Err(error) => assert_line(&error.to_string()),
        Ok(frame) => {
            let frame = seen(frame);
            let again = Frame::<R>::decode(&frame.encode(), &limits).unwrap();
            assert_eq!(again, frame);
        }
    }
}

/// What was said is what is heard.
pub(crate) fn round_trip(said: Said) {
    tried();
    let limits = Limits::default();
    let bytes = said.encode();
    match said {
        Said::ToMaster(frame) => assert_eq!(Frame::decode(&bytes, &limits), Ok(frame)),
        Said::ToWorker(frame) => assert_eq!(Frame::decode(&bytes, &limits), Ok(frame)),
    }
}

/// Without what a message has no place for.
trait Seen: PartialEq + std::fmt::Debug {
    fn seen(self) -> Self;
}

fn seen<R: Seen>(frame: Frame<R>) -> Frame<R> {
    match frame {
        Frame::Request { seq, request } => Frame::Request {
            seq,
            request: request.seen(),
        },
        answer => answer,
    }
}

impl Seen for ToWorker {
    fn seen(self) -> Self {
        self
    }
}

impl Seen for ToMaster {
    fn seen(mut self) -> Self {
        if let Self::Update { updates, .. } = &mut self {
            for update in updates {
                let (Update::Stdout(text)
                | Update::Stderr(text)
                | Update::Header(text)
                | Update::Log { text, .. }) = update
                else {
                    continue;
                };
                // The time is that of a line, and there is none without its end.
                if !text.bytes.contains(&b'\n') {
                    text.at = 0.0;
                }
            }
        }
        self
    }
}
