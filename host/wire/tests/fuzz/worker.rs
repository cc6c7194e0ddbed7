//! The worker's end, with a master that says anything at any time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;
use toolpost_wire::{
    CommandId, Frame, Limits, Payload, Sent, Ticket, ToMaster, ToWorker, Update, WorkerEffect,
    WorkerEvent, WorkerInfo, WorkerSession,
};

use crate::clock::Clock;
use crate::damage::{Damage, damage, damaged};
use crate::decoder::messages;
use crate::packing::{pack, plain};
use crate::said::{answer, to_worker};
use crate::{MEMORY, assert_line, tried};

/// What a session may hold when everything that it said was taken.
const HELD_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Clone)]
pub(crate) enum Input {
    Damaged(usize, Vec<Damage>),
    /// The same, packed before it is damaged.
    Packed(usize, Vec<Damage>),
    /// How far the number jumps: 0 is used again.
    Said(ToWorker, u8),
    Answer(usize, Result<Payload, String>),
    Reply(usize, bool),
    Update(usize),
    Piece(usize, u8),
    Complete(usize),
    /// Milliseconds forward or back.
    Pass(i32),
    Due,
}

fn input() -> impl Strategy<Value = Input> {
    let which = any::<usize>;
    let damaged = prop::collection::vec(damage(), 0..3);
    let id = "1-[0-3]".prop_map(CommandId);
    let packed = (which(), prop::collection::vec(damage(), 0..3));
    prop_oneof![
        1 => packed.prop_map(|(which, changes)| Input::Packed(which, changes)),
        4 => (which(), damaged).prop_map(|(which, changes)| Input::Damaged(which, changes)),
        8 => (to_worker(id), prop_oneof![1 => Just(0), 20 => 1..4_u8])
            .prop_map(|(request, step)| Input::Said(request, step)),
        4 => (which(), answer()).prop_map(|(which, answer)| Input::Answer(which, answer)),
        4 => (which(), prop::bool::weighted(0.8)).prop_map(|(which, well)| Input::Reply(which, well)),
        3 => which().prop_map(Input::Update),
        3 => (which(), any::<u8>()).prop_map(|(which, kind)| Input::Piece(which, kind)),
        2 => which().prop_map(Input::Complete),
        2 => (-5_000..20_000_i32).prop_map(Input::Pass),
        1 => Just(Input::Due),
    ]
}

pub(crate) fn inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec(input(), 1..60)
}

pub(crate) fn test(inputs: Vec<Input>) {
    let mut end = Farm::new();
    for input in inputs {
        tried();
        end.take(input);
    }
    end.end();
}

/// What is still to be answered by this side.
enum Open {
    Info(Ticket),
    Start(CommandId, Ticket),
    Resume(Vec<CommandId>, Ticket),
}

struct Farm {
    worker: WorkerSession,
    limits: Arc<Limits>,
    clock: Clock,
    seq: u64,
    /// Requests of the master that have no answer yet.
    unanswered: BTreeSet<u64>,
    /// Requests of this side that have no answer yet.
    asked: Vec<u64>,
    sent: BTreeSet<Sent>,
    open: Vec<Open>,
    /// Commands that this end knows.
    known: BTreeSet<CommandId>,
    /// This end has offered to take packed messages.
    packs: bool,
    sessions: u32,
    messages: Vec<Bytes>,
}

impl Farm {
    fn new() -> Self {
        let clock = Clock::new();
        let limits = Arc::new(Limits::default());
        Self {
            worker: WorkerSession::new(clock.now, Arc::clone(&limits)),
            limits,
            clock,
            seq: 0,
            unanswered: BTreeSet::new(),
            asked: Vec::new(),
            sent: BTreeSet::new(),
            open: Vec::new(),
            known: BTreeSet::new(),
            packs: false,
            sessions: 0,
            messages: messages()
                .into_iter()
                .map(|message| message.bytes)
                .collect(),
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.clock.now;
        match input {
            Input::Damaged(which, changes) => {
                let others: Vec<&[u8]> = self.messages.iter().map(|message| &**message).collect();
                let message = damaged(others[which % others.len()], &changes, &others);
                self.hear(&message.into());
            }
            Input::Packed(which, changes) => {
                let others: Vec<&[u8]> = self.messages.iter().map(|message| &**message).collect();
                let message = pack(others[which % others.len()]);
                self.hear(&damaged(&message, &changes, &others).into());
            }
            Input::Said(request, step) => {
                self.seq += u64::from(step);
                let seq = self.seq;
                let message = Frame::Request { seq, request }.encode();
                match self.packs && seq.is_multiple_of(2) {
                    true => self.hear(&pack(&message)),
                    false => self.hear(&message),
                }
            }
            Input::Answer(which, answer) => {
                if !self.asked.is_empty() {
                    let seq = self.asked.swap_remove(which % self.asked.len());
                    self.hear(&Frame::<ToWorker>::Response { seq, answer }.encode());
                }
            }
            Input::Reply(which, well) => self.reply(which, well),
            Input::Update(which) => {
                if let Some(id) = self.one(which) {
                    let sent = self.worker.update(now, &id, vec![Update::Rc(0)]);
                    self.sent.extend(sent);
                }
            }
            Input::Piece(which, kind) => {
                if let Some(id) = self.one(which) {
                    let data = Bytes::from_static(b"piece");
                    let worker = &mut self.worker;
                    let sent = match kind % 5 {
                        0 => worker.upload_file(now, &id, data),
                        1 => worker.close_file(now, &id),
                        2 => worker.file_times(now, &id, 1.0, f64::MAX),
                        3 => worker.read(now, &id, u64::from(kind)),
                        _ => worker.upload_archive(now, &id, data),
                    };
                    self.sent.extend(sent);
                }
            }
            Input::Complete(which) => {
                if let Some(id) = self.one(which) {
                    self.sent.extend(self.worker.complete(now, &id, None));
                    self.known.remove(&id);
                    // Nothing follows.
                    assert_eq!(self.worker.update(now, &id, Vec::new()), None);
                }
            }
            Input::Pass(millis) => self.clock.pass(millis),
            Input::Due => {
                self.clock.wait_until(self.deadline());
                self.due();
            }
        }
        self.drain();
    }

    fn one(&self, which: usize) -> Option<CommandId> {
        let count = self.known.len();
        let id = self.known.iter().nth(which.checked_rem(count)?)?;
        Some(id.clone())
    }

    fn reply(&mut self, which: usize, well: bool) {
        if self.open.is_empty() {
            return;
        }
        match self.open.swap_remove(which % self.open.len()) {
            Open::Info(ticket) => {
                self.packs = well;
                let info = WorkerInfo {
                    packs: well,
                    ..WorkerInfo::default()
                };
                self.worker.answer_info(&ticket, &info);
            }
            Open::Start(id, ticket) if well => {
                self.known.insert(id);
                self.worker.answer(&ticket, Ok(()));
            }
            Open::Start(id, ticket) => {
                self.worker.forget(&id);
                self.known.remove(&id);
                self.worker.answer(&ticket, Err("no room".into()));
            }
            Open::Resume(ids, ticket) => {
                self.known.extend(ids.iter().cloned());
                self.worker.answer_resume(&ticket, ids);
            }
        }
    }

    fn hear(&mut self, message: &Bytes) {
        match Frame::<ToWorker>::decode(&plain(message), &self.limits) {
            Ok(Frame::Request { seq, .. }) => {
                self.unanswered.insert(seq);
                self.seq = self.seq.max(seq).min(1 << 40);
            }
            Ok(Frame::Response { seq, .. }) => self.asked.retain(|asked| *asked != seq),
            Err(_) => {}
        }
        if let Err(error) = self.worker.handle(self.clock.now, message) {
            assert!(!error.is_silence(), "{error}");
            self.again(&error.to_string());
        }
    }

    fn deadline(&self) -> Instant {
        self.worker.deadline().expect("something is waited for")
    }

    fn due(&mut self) {
        match self.worker.handle_timeout(self.clock.now) {
            // What was due is not due again.
            Ok(()) => assert!(self.deadline() > self.clock.now),
            Err(error) => {
                assert!(error.is_silence(), "{error}");
                self.again(&error.to_string());
            }
        }
    }

    /// The session is over, and there is a new one.
    fn again(&mut self, reason: &str) {
        assert_line(reason);
        self.drain();
        self.worker = WorkerSession::new(self.clock.now, Arc::clone(&self.limits));
        self.sessions += 1;
        self.seq = 0;
        self.unanswered.clear();
        self.asked.clear();
        self.sent.clear();
        self.open.clear();
        self.known.clear();
        self.packs = false;
    }

    fn drain(&mut self) {
        let mut effects = 0;
        while let Some(effect) = self.worker.poll() {
            effects += 1;
            match effect {
                WorkerEffect::Send(frame) => {
                    match Frame::<ToMaster>::decode(&plain(&frame), &self.limits).unwrap() {
                        Frame::Request { seq, .. } => self.asked.push(seq),
                        Frame::Response { seq, .. } => {
                            assert!(self.unanswered.remove(&seq), "{seq}");
                        }
                    }
                }
                WorkerEffect::Event(event) => self.happened(event),
            }
        }
        assert!(effects < 16, "{effects} effects");
    }

    fn happened(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::InfoWanted(ticket) => self.open.push(Open::Info(ticket)),
            WorkerEvent::Start { id, ticket, .. } => self.open.push(Open::Start(id, ticket)),
            WorkerEvent::Resume(resume, ticket) => {
                let ids = resume.commands.into_iter().map(|known| known.id).collect();
                self.open.push(Open::Resume(ids, ticket));
            }
            WorkerEvent::Answered { sent, .. } => assert!(self.sent.remove(&sent), "{sent:?}"),
            _ => {}
        }
    }

    /// A silent master is given up.
    fn end(mut self) {
        self.drain();
        let silent_by = self.clock.latest + self.limits.quiet_max + self.limits.answer_wait_max;
        let sessions = self.sessions;
        while self.sessions == sessions {
            self.clock.wait_until(self.deadline());
            assert!(self.clock.now <= silent_by, "a silent master stays");
            self.due();
            self.drain();
        }
        let before = MEMORY.current_usage();
        drop(self.worker);
        let held = before.saturating_sub(MEMORY.current_usage());
        assert!(held <= HELD_BYTES_MAX, "{held} bytes");
    }
}
