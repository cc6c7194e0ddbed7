//! The master's end, with a worker that says anything at any time, a clock that jumps, and connections that are lost anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use toolpost_wire::{
    Command, CommandEvent, CommandId, CommandNumber, Effect, Former, Frame, Limits, MasterEvent,
    MasterSession, Patience, Payload, Ticket, ToMaster, ToWorker, WorkerInfo, WorkerSession,
    WorkerSettings,
};

use crate::clock::Clock;
use crate::damage::{Damage, damage, damaged};
use crate::decoder::messages;
use crate::packing::{pack, plain};
use crate::said::{answer, command, to_master};
use crate::{MEMORY, assert_line, tried};

/// What a session may hold when everything that it said was taken.
const HELD_BYTES_MAX: usize = 1024 * 1024;
/// The longest that a command has to end in these tests, beyond the limits.
const GRACE_MAX: Duration = Duration::from_secs(100);

/// How long commands are kept without a connection.
const KEEP: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A recorded message that is damaged; with the next number and about a command that runs, or as it is.
    Damaged(usize, Vec<Damage>, bool),
    /// The same, packed before it is damaged.
    Packed(usize, Vec<Damage>),
    /// Something that can be said; about which command, and how far the number jumps: 0 is used again.
    Said(ToMaster, About, u8),
    /// To which request, and how: with a worker's information where that is asked for.
    Answer(usize, Option<Result<Payload, String>>),
    Start(Command, Option<u16>, u8),
    Interrupt(usize),
    Abandon(usize),
    Reply(usize, Result<Payload, String>),
    Probe,
    Print,
    ShutDown,
    /// Milliseconds forward or back.
    Pass(i32),
    /// Until something is due.
    Due,
    /// The connection is lost; the worker may come back as the same process or as another.
    Lose(u8),
}

/// Which command something is about.
#[derive(Debug, Clone)]
pub(crate) enum About {
    Known(usize),
    Former(u64),
    Nothing,
}

fn input() -> impl Strategy<Value = Input> {
    let about = prop_oneof![
        8 => any::<usize>().prop_map(About::Known),
        1 => (0..3_u64).prop_map(About::Former),
        1 => Just(About::Nothing),
    ];
    let id = Just(CommandId(String::new()));
    let which = any::<usize>;
    let damaged = prop::collection::vec(damage(), 0..3);
    let packed = (which(), prop::collection::vec(damage(), 0..3));
    prop_oneof![
        1 => packed.prop_map(|(which, changes)| Input::Packed(which, changes)),
        4 => (which(), damaged, any::<bool>())
            .prop_map(|(which, changes, fits)| Input::Damaged(which, changes, fits)),
        8 => (to_master(id), about, prop_oneof![1 => Just(0), 20 => 1..4_u8])
            .prop_map(|(request, about, step)| Input::Said(request, about, step)),
        6 => (which(), prop::option::weighted(0.3, answer()))
            .prop_map(|(which, answer)| Input::Answer(which, answer)),
        5 => (command(), prop::option::of(any::<u16>()), 0..100_u8)
            .prop_map(|(command, within, grace)| Input::Start(command, within, grace)),
        2 => which().prop_map(Input::Interrupt),
        1 => which().prop_map(Input::Abandon),
        4 => (which(), answer()).prop_map(|(which, answer)| Input::Reply(which, answer)),
        1 => Just(Input::Probe),
        1 => Just(Input::Print),
        1 => Just(Input::ShutDown),
        2 => (-5_000..20_000_i32).prop_map(Input::Pass),
        1 => Just(Input::Due),
        1 => (0..3_u8).prop_map(Input::Lose),
    ]
}

/// Whether the worker is attached first, as which process, and what happens then.
pub(crate) fn inputs() -> impl Strategy<Value = (bool, u8, Vec<Input>)> {
    let inputs = prop::collection::vec(input(), 1..60);
    (prop::bool::weighted(0.9), 0..3_u8, inputs)
}

pub(crate) fn test((attached, instance, inputs): (bool, u8, Vec<Input>)) {
    let mut farm = Farm::new(instance);
    if attached {
        farm.attach();
    }
    for input in inputs {
        tried();
        farm.take(input);
    }
    farm.end();
}

/// A master's end, and all that the world around it knows.
struct Farm {
    master: MasterSession,
    limits: Arc<Limits>,
    clock: Clock,
    epoch: u64,
    /// The worker's process; 0 is one that does not offer to go on.
    instance: u8,
    attached: bool,
    /// The last number of the worker.
    seq: u64,
    /// Requests that the worker made and that have no answer yet.
    unanswered: BTreeSet<u64>,
    /// Requests of the master that have no answer yet.
    asked: BTreeMap<u64, ToWorker>,
    /// Ids that were ever started in this session.
    ids: Vec<CommandId>,
    /// Commands that somebody waits for.
    running: Vec<CommandNumber>,
    /// Commands whose end was told.
    over: BTreeSet<CommandNumber>,
    tickets: Vec<Ticket>,
    messages: Vec<Bytes>,
}

impl Farm {
    fn new(instance: u8) -> Self {
        let clock = Clock::new();
        let limits = Arc::new(Limits::default());
        let first = Former {
            keep: Some(KEEP),
            ..Former::default()
        };
        Self {
            master: session(clock.now, &limits, 1, first),
            limits,
            clock,
            epoch: 1,
            instance,
            attached: false,
            seq: 0,
            unanswered: BTreeSet::new(),
            asked: BTreeMap::new(),
            ids: Vec::new(),
            running: Vec::new(),
            over: BTreeSet::new(),
            tickets: Vec::new(),
            messages: messages()
                .into_iter()
                .map(|message| message.bytes)
                .collect(),
        }
    }

    /// Answers everything as a good worker does.
    fn attach(&mut self) {
        for _ in 0..8 {
            self.drain();
            while let Some((seq, request)) = self.asked.pop_first() {
                self.answer(seq, &request, None);
            }
        }
        assert!(self.attached);
    }

    fn take(&mut self, input: Input) {
        let now = self.clock.now;
        match input {
            Input::Damaged(which, changes, fits) => {
                let others: Vec<&[u8]> = self.messages.iter().map(|message| &**message).collect();
                let message = damaged(others[which % others.len()], &changes, &others);
                let message = match fits {
                    true => self.fitting(message.into()),
                    false => message.into(),
                };
                self.hear(&message);
            }
            Input::Packed(which, changes) => {
                let others: Vec<&[u8]> = self.messages.iter().map(|message| &**message).collect();
                let message = pack(others[which % others.len()]);
                self.hear(&damaged(&message, &changes, &others).into());
            }
            Input::Said(mut request, about, step) => {
                self.seq += u64::from(step);
                let id = match about {
                    About::Known(which) => pick(&self.ids, which).cloned(),
                    About::Former(slot) => Some(CommandId(format!("0-{slot}"))),
                    About::Nothing => None,
                };
                set_id(
                    &mut request,
                    id.unwrap_or_else(|| CommandId("nothing".into())),
                );
                let seq = self.seq;
                let message = Frame::Request { seq, request }.encode();
                match self.packs() && seq.is_multiple_of(2) {
                    true => self.hear(&pack(&message)),
                    false => self.hear(&message),
                }
            }
            Input::Answer(which, answer) => {
                let seqs: Vec<u64> = self.asked.keys().copied().collect();
                if let Some(seq) = pick(&seqs, which)
                    && let Some(request) = self.asked.remove(seq)
                {
                    self.answer(*seq, &request, answer);
                }
            }
            Input::Start(command, within, grace) => {
                let patience = Patience {
                    within: within.map(|seconds| match seconds {
                        u16::MAX => Duration::MAX,
                        seconds => Duration::from_secs(seconds.into()),
                    }),
                    grace: Duration::from_secs(grace.into()),
                };
                let started = self.master.start(now, Some("b".into()), command, patience);
                assert!(started.is_none() || self.attached);
                self.running.extend(started);
            }
            Input::Interrupt(which) => {
                if let Some(number) = pick(&self.running, which) {
                    self.master.interrupt(now, *number);
                }
            }
            Input::Abandon(which) => {
                if let Some(number) = pick(&self.running, which).copied() {
                    self.running.retain(|other| *other != number);
                    self.over.insert(number);
                    self.master.abandon(now, number);
                }
            }
            Input::Reply(which, answer) => {
                if !self.tickets.is_empty() {
                    let ticket = self.tickets.swap_remove(which % self.tickets.len());
                    self.master.answer(&ticket, answer);
                }
            }
            Input::Probe => self.master.probe(now, "who is there"),
            Input::Print => self.master.print(now, "a line"),
            Input::ShutDown => self.master.shut_down(now),
            Input::Pass(millis) => self.clock.pass(millis),
            Input::Due => {
                self.clock.wait_until(self.deadline());
                self.due();
            }
            Input::Lose(instance) => {
                self.instance = instance;
                self.lose(true);
            }
        }
        self.drain();
    }

    /// The message with the next number and about a command that there is, as far as it is one.
    fn fitting(&mut self, message: Bytes) -> Bytes {
        match Frame::<ToMaster>::decode(&message, &self.limits) {
            Ok(Frame::Request { mut request, .. }) => {
                self.seq += 1;
                let seq = self.seq;
                if let Some(id) = pick(&self.ids, usize::try_from(seq).unwrap()) {
                    set_id(&mut request, id.clone());
                }
                Frame::Request { seq, request }.encode()
            }
            _ => message,
        }
    }

    /// Whether the worker has offered to pack.
    fn packs(&self) -> bool {
        self.instance == 2
    }

    fn hear(&mut self, message: &Bytes) {
        let said = plain(message);
        if let Ok(Frame::<ToMaster>::Request { seq, .. }) = Frame::decode(&said, &self.limits) {
            self.unanswered.insert(seq);
            self.seq = self.seq.max(seq).min(1 << 40);
        }
        if let Ok(Frame::<ToMaster>::Response { seq, .. }) = Frame::decode(&said, &self.limits) {
            self.asked.remove(&seq);
        }
        if let Err(error) = self.master.handle(self.clock.now, message) {
            assert!(!error.is_silence(), "{error}");
            self.over_with(&error.to_string(), false);
        }
    }

    /// Answers a request of the master; by default as it is meant to be.
    fn answer(&mut self, seq: u64, request: &ToWorker, given: Option<Result<Payload, String>>) {
        let frame = match (request, given) {
            (_, Some(answer)) => Frame::<ToMaster>::Response { seq, answer }.encode(),
            (ToWorker::GetWorkerInfo, None) => self.info(seq),
            (ToWorker::Resume(resume), None) => {
                // It goes on with every second one.
                let known = resume.commands.iter().step_by(2);
                let known: Vec<CommandId> = known.map(|known| known.id.clone()).collect();
                resumed(self.clock.now, seq, &known)
            }
            (_, None) => {
                let answer = Ok(Payload::nothing());
                Frame::<ToMaster>::Response { seq, answer }.encode()
            }
        };
        self.hear(&frame);
    }

    fn info(&self, seq: u64) -> Bytes {
        let instance = (self.instance > 0).then(|| format!("process {}", self.instance));
        let info = WorkerInfo {
            base_dir: "/srv".into(),
            system: "posix".into(),
            instance,
            packs: self.packs(),
            ..WorkerInfo::default()
        };
        as_worker(
            self.clock.now,
            seq,
            &ToWorker::GetWorkerInfo,
            |worker, event| {
                if let toolpost_wire::WorkerEvent::InfoWanted(ticket) = event {
                    worker.answer_info(&ticket, &info);
                }
            },
        )
    }

    fn deadline(&self) -> Instant {
        self.master.deadline().expect("something is waited for")
    }

    fn due(&mut self) {
        match self.master.handle_timeout(self.clock.now) {
            // What was due is not due again.
            Ok(()) => assert!(self.deadline() > self.clock.now),
            Err(error) => {
                assert!(error.is_silence(), "{error}");
                self.over_with(&error.to_string(), true);
            }
        }
    }

    fn over_with(&mut self, reason: &str, may_come_back: bool) {
        assert_line(reason);
        self.drain();
        self.lose(may_come_back);
    }

    /// What the master wants is looked at.
    fn drain(&mut self) {
        let mut effects = 0;
        while let Some(effect) = self.master.poll() {
            effects += 1;
            match effect {
                Effect::Send(frame) => self.sent(&frame),
                Effect::Event(MasterEvent::Attached(_)) => self.attached = true,
                Effect::Event(MasterEvent::Command { number, event }) => {
                    self.happened(number, event);
                }
                Effect::Event(_) => {}
            }
        }
        // An answer, or one word about each command.
        assert!(effects < 3 * 256 + 16, "{effects} effects");
    }

    fn sent(&mut self, frame: &Bytes) {
        match Frame::<ToWorker>::decode(&plain(frame), &self.limits).unwrap() {
            Frame::Request { seq, request } => {
                if let ToWorker::StartCommand { id, .. } = &request
                    && !self.ids.contains(id)
                {
                    self.ids.push(id.clone());
                }
                self.asked.insert(seq, request);
            }
            Frame::Response { seq, .. } => assert!(self.unanswered.remove(&seq), "{seq}"),
        }
    }

    fn happened(&mut self, number: CommandNumber, event: CommandEvent) {
        assert!(!self.over.contains(&number), "{number:?} {event:?}");
        assert!(self.running.contains(&number), "{number:?} {event:?}");
        match event {
            CommandEvent::Updates(_, ticket)
            | CommandEvent::FileData(_, ticket)
            | CommandEvent::FileEnd(ticket)
            | CommandEvent::FileTimes(_, _, ticket)
            | CommandEvent::ReadWanted(_, ticket)
            | CommandEvent::ReadEnd(ticket)
            | CommandEvent::ArchiveData(_, ticket)
            | CommandEvent::ArchiveEnd(ticket) => self.tickets.push(ticket),
            CommandEvent::Started => {}
            _ => {
                self.over.insert(number);
                self.running.retain(|other| *other != number);
            }
        }
    }

    /// The connection is lost, and there is a new one.
    fn lose(&mut self, may_come_back: bool) {
        let unwanted = self.master.running();
        assert!(unwanted.len() <= self.limits.commands_max as usize);
        self.epoch += 1;
        let fresh = session(self.clock.now, &self.limits, self.epoch, Former::default());
        let lost = std::mem::replace(&mut self.master, fresh);
        let suspended = may_come_back.then(|| lost.suspend()).flatten();
        let commands = suspended.iter().flat_map(|(_, commands)| commands);
        let kept: BTreeSet<_> = commands.map(|one| one.number).collect();
        assert!(kept.is_disjoint(&self.over), "{kept:?}");
        // What is not gone on with is told to be gone, and its numbers may be used again.
        self.running.retain(|number| kept.contains(number));
        self.over.clear();
        let unwanted = if suspended.is_some() {
            Vec::new()
        } else {
            unwanted
        };
        let former = Former {
            unwanted,
            suspended,
            keep: Some(KEEP),
        };
        self.master = session(self.clock.now, &self.limits, self.epoch, former);
        self.attached = false;
        self.seq = 0;
        self.unanswered.clear();
        self.asked.clear();
        self.tickets.clear();
    }

    /// Everything ends: commands that are to stop though the worker never ends one, and then a session with a silent worker.
    fn end(mut self) {
        self.drain();
        let stop_by = self.clock.latest + GRACE_MAX + 2 * self.limits.end_wait_max;
        let epoch = self.epoch;
        for number in self.running.clone() {
            self.master.interrupt(self.clock.now, number);
        }
        while self.attached && self.epoch == epoch && !self.running.is_empty() {
            self.drain();
            while let Some((seq, request)) = self.asked.pop_first() {
                self.answer(seq, &request, None);
            }
            self.drain();
            if self.running.is_empty() || self.epoch != epoch {
                break;
            }
            self.clock.wait_until(self.deadline());
            assert!(
                self.clock.now <= stop_by,
                "{} do not end",
                self.running.len()
            );
            self.due();
        }
        let silent_by = self.clock.latest
            + self.limits.attach_wait_max
            + self.limits.quiet_max
            + self.limits.answer_wait_max;
        let epoch = self.epoch;
        while self.epoch == epoch {
            self.clock.wait_until(self.deadline());
            assert!(self.clock.now <= silent_by, "a silent worker stays");
            self.due();
            self.drain();
        }
        let before = MEMORY.current_usage();
        drop(self.master);
        let held = before.saturating_sub(MEMORY.current_usage());
        assert!(held <= HELD_BYTES_MAX, "{held} bytes");
    }
}

fn session(now: Instant, limits: &Arc<Limits>, epoch: u64, former: Former) -> MasterSession {
    let settings = WorkerSettings::default();
    MasterSession::new(now, Arc::clone(limits), epoch, settings, former)
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    (!all.is_empty()).then(|| &all[which % all.len()])
}

/// What a worker's end sends when it is asked this and does that.
fn as_worker(
    now: Instant,
    seq: u64,
    request: &ToWorker,
    act: impl Fn(&mut WorkerSession, toolpost_wire::WorkerEvent),
) -> Bytes {
    let mut worker = WorkerSession::new(now, Arc::default());
    let request = request.clone();
    let frame = Frame::Request { seq, request }.encode();
    worker.handle(now, &frame).unwrap();
    loop {
        match worker.poll().expect("it answers") {
            toolpost_wire::WorkerEffect::Send(frame) => return frame,
            toolpost_wire::WorkerEffect::Event(event) => act(&mut worker, event),
        }
    }
}

fn resumed(now: Instant, seq: u64, ids: &[CommandId]) -> Bytes {
    let request = ToWorker::Resume(toolpost_wire::Resume::default());
    as_worker(now, seq, &request, |worker, event| {
        if let toolpost_wire::WorkerEvent::Resume(_, ticket) = event {
            worker.answer_resume(&ticket, ids.to_vec());
        }
    })
}

fn set_id(request: &mut ToMaster, new: CommandId) {
    match request {
        ToMaster::Update { id, .. }
        | ToMaster::Complete { id, .. }
        | ToMaster::UploadFileWrite { id, .. }
        | ToMaster::UploadFileClose { id }
        | ToMaster::UploadFileTimes { id, .. }
        | ToMaster::ReadFile { id, .. }
        | ToMaster::ReadFileClose { id }
        | ToMaster::UploadDirectoryWrite { id, .. }
        | ToMaster::UploadDirectoryUnpack { id } => *id = new,
        _ => {}
    }
}
