//! Inputs that nobody thought of: recorded messages that were damaged, and values that mean nothing. Each goes through the
//! decoder and through a session that has a command running. Nothing may panic, and what a session keeps is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use toolpost_wire::{
    Effect, Former, Frame, Limits, MasterSession, ToMaster, ToWorker, WorkerEffect, WorkerEvent,
    WorkerSession, WorkerSettings,
};

use crate::pair::{EPOCH, PATIENT, info, shell};
use crate::recorded::messages;

/// Cases of each property; `PROPTEST_CASES` sets another number.
const CASES: u32 = 500;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A change to a message.
#[derive(Debug, Clone)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    /// A part of another message.
    Splice(usize, usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0..6_000_usize;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..20_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (at(), 0..200_usize, at(), 1..200_usize)
            .prop_map(|(at, other, from, count)| Damage::Splice(at, other, from, count)),
    ]
}

fn damaged(corpus: &[(bool, Bytes)], which: usize, changes: &[Damage]) -> (bool, Bytes) {
    let (to_worker, message) = &corpus[which % corpus.len()];
    let mut bytes = message.to_vec();
    for change in changes {
        let place = |at: usize| at % (bytes.len() + 1);
        match change {
            Damage::Set(at, byte) => {
                let at = place(*at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Damage::Cut(at) => bytes.truncate(place(*at)),
            Damage::Remove(at, count) => {
                let start = place(*at);
                let end = (start + count).min(bytes.len());
                bytes.drain(start..end);
            }
            Damage::Insert(at, more) => {
                let at = place(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Splice(at, other, from, count) => {
                let at = place(*at);
                let other = &corpus[other % corpus.len()].1;
                let from = from % other.len();
                let end = (from + count).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
    (*to_worker, bytes.into())
}

/// A master's end with an attached worker and a command that runs.
fn busy_master(now: Instant) -> MasterSession {
    let limits = Arc::new(Limits::default());
    let settings = WorkerSettings::default();
    let mut master =
        MasterSession::new(now, Arc::clone(&limits), EPOCH, settings, Former::default());
    let mut worker = WorkerSession::new(now, limits);
    for _ in 0..3 {
        while let Some(effect) = master.poll() {
            if let Effect::Send(frame) = effect {
                worker.handle(now, &frame).unwrap();
            }
        }
        while let Some(effect) = worker.poll() {
            match effect {
                WorkerEffect::Send(frame) => master.handle(now, &frame).unwrap(),
                WorkerEffect::Event(WorkerEvent::InfoWanted(ticket)) => {
                    worker.answer_info(&ticket, &info());
                }
                WorkerEffect::Event(_) => {}
            }
        }
    }
    master.start(now, None, shell("x"), PATIENT).unwrap();
    master
}

fn drain(master: &mut MasterSession) -> usize {
    let mut bytes = 0;
    while let Some(effect) = master.poll() {
        if let Effect::Send(frame) = effect {
            bytes += frame.len();
        }
    }
    bytes
}

/// Puts the ids and numbers of a recording into this session, so that more of it is about something.
fn at_home(message: &Bytes, seq: u64) -> Bytes {
    match Frame::<ToMaster>::decode(message, &Limits::default()) {
        Ok(Frame::Request { mut request, .. }) => {
            let home = MasterSession::command_id(EPOCH, usize::from(seq.is_multiple_of(7)));
            match &mut request {
                ToMaster::Update { id, .. }
                | ToMaster::Complete { id, .. }
                | ToMaster::UploadFileWrite { id, .. }
                | ToMaster::UploadFileClose { id }
                | ToMaster::ReadFile { id, .. } => *id = home,
                _ => {}
            }
            Frame::Request { seq, request }.encode()
        }
        _ => message.clone(),
    }
}

static INPUTS: AtomicU64 = AtomicU64::new(0);

#[test]
fn no_message_panics_or_is_answered_with_more_than_was_sent() {
    let corpus = messages();
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let inputs = prop::collection::vec(
        (0..1_000_usize, prop::collection::vec(damage(), 0..4)),
        1..40,
    );
    let ran = runner.run(&inputs, |inputs| {
        let mut now = Instant::now();
        let mut master = busy_master(now);
        drain(&mut master);
        let mut worker = WorkerSession::new(now, Arc::new(Limits::default()));
        for (index, (which, changes)) in inputs.iter().enumerate() {
            let (to_worker, message) = damaged(&corpus, *which, changes);
            INPUTS.fetch_add(1, Ordering::Relaxed);
            let limits = Limits::default();
            // Whatever it is, each decoder has an opinion.
            let one = Frame::<ToMaster>::decode(&message, &limits);
            let other = Frame::<ToWorker>::decode(&message, &limits);
            prop_assert!(one.is_ok() || one.unwrap_err().to_string().len() < 10_000);
            prop_assert!(other.is_ok() || other.unwrap_err().to_string().len() < 10_000);
            now += Duration::from_millis(100);
            if to_worker {
                if worker.handle(now, &message).is_err() {
                    worker = WorkerSession::new(now, Arc::new(Limits::default()));
                }
                while worker.poll().is_some() {}
                continue;
            }
            let message = at_home(&message, 1_000 + index as u64);
            let alive = master.handle(now, &message).is_ok();
            // An answer, and at most one interrupt.
            let answered = drain(&mut master);
            prop_assert!(answered < 600, "{answered} bytes for {}", message.len());
            if !alive || master.handle_timeout(now).is_err() {
                master = busy_master(now);
                drain(&mut master);
            }
        }
        Ok(())
    });
    ran.unwrap();
    let inputs = INPUTS.load(Ordering::Relaxed);
    assert!(inputs > u64::from(CASES), "{inputs} inputs");
    println!("{inputs} damaged messages");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes_that_mean_nothing_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let limits = Limits::default();
        let _ = Frame::<ToMaster>::decode(&bytes, &limits);
        let _ = Frame::<ToWorker>::decode(&bytes, &limits);
    }
}
