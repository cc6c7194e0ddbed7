//! What both ends have to keep in order: numbers, answers that are due, how fast the peer speaks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::packing::{is_packed, pack, unpack};
use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::{Answer, Frame, Request};

/// A request of the peer that has to be answered, exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the peer waits for the answer"]
pub struct Ticket(pub(super) u64);

/// Requests and answers of one connection; `K` says what to do with an answer.
#[derive(Debug)]
pub(super) struct Line<K> {
    limits: Arc<Limits>,
    next_seq: u64,
    /// The number that the peer has to exceed.
    peer_seq: Option<u64>,
    /// By their numbers, which only grow.
    asked: VecDeque<Asked<K>>,
    unanswered: usize,
    heard_at: Instant,
    rate: Rate,
    /// The peer may send packed messages.
    pub(super) unpacks: bool,
    /// The peer takes packed messages.
    pub(super) packs: bool,
}

#[derive(Debug)]
struct Asked<K> {
    seq: u64,
    kind: K,
    op: &'static str,
    wait: Duration,
    until: Instant,
}

/// What came in.
pub(super) enum Heard<R, K> {
    Request(R, Ticket),
    Answer(K, Answer),
}

/// So long after a time; what is further away than a clock can say is as good as never.
pub(super) fn after(time: Instant, wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    time.checked_add(wait).unwrap_or_else(|| time + NEVER)
}

impl<K> Line<K> {
    pub(super) fn new(now: Instant, limits: Arc<Limits>) -> Self {
        let rate = Rate::new(now, &limits);
        Self {
            limits,
            next_seq: 0,
            peer_seq: None,
            asked: VecDeque::new(),
            unanswered: 0,
            heard_at: now,
            rate,
            unpacks: false,
            packs: false,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes a frame in.
    pub(super) fn hear<R: Request>(
        &mut self,
        now: Instant,
        frame: &Bytes,
    ) -> Result<Heard<R, K>, ProtocolError> {
        let heard = match self.unpacks && is_packed(frame) {
            true => {
                let (unpacked, count) = unpack(frame, &self.limits)?;
                self.rate.count(now, &self.limits, count);
                Frame::<R>::decode(&unpacked, &self.limits)?
            }
            false => {
                self.rate.count(now, &self.limits, 1);
                Frame::<R>::decode(frame, &self.limits)?
            }
        };
        self.heard_at = now;
        match heard {
            Frame::Request { seq, request } => {
                if self.peer_seq.is_some_and(|last| seq <= last) {
                    return Err(ProtocolError::SequenceReused(seq));
                }
                self.peer_seq = Some(seq);
                if self.unanswered == self.limits.unanswered_max {
                    return Err(ProtocolError::TooManyRequests(self.unanswered));
                }
                self.unanswered += 1;
                Ok(Heard::Request(request, Ticket(seq)))
            }
            Frame::Response { seq, answer } => {
                let at = self.asked.binary_search_by_key(&seq, |asked| asked.seq);
                let asked = at.ok().and_then(|at| self.asked.remove(at));
                let asked = asked.ok_or(ProtocolError::UnexpectedAnswer(seq))?;
                Ok(Heard::Answer(asked.kind, answer))
            }
        }
    }

    /// Makes the frame of a request whose answer may take as long as any.
    pub(super) fn ask<R: Request>(
        &mut self,
        now: Instant,
        request: R,
        op: &'static str,
        kind: K,
    ) -> Bytes {
        let wait = self.limits.answer_wait_max;
        self.ask_within(now, request, op, kind, wait)
    }

    pub(super) fn ask_within<R: Request>(
        &mut self,
        now: Instant,
        request: R,
        op: &'static str,
        kind: K,
        wait: Duration,
    ) -> Bytes {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.asked.push_back(Asked {
            seq,
            kind,
            op,
            wait,
            until: after(now, wait),
        });
        self.wrap(Frame::Request { seq, request }.encode())
    }

    /// Makes the frame of an answer.
    pub(super) fn answer<R: Request>(&mut self, ticket: &Ticket, answer: Answer) -> Bytes {
        self.unanswered = self.unanswered.saturating_sub(1);
        let seq = ticket.0;
        self.wrap(Frame::<R>::Response { seq, answer }.encode())
    }

    /// The message as the peer takes it.
    fn wrap(&self, frame: Bytes) -> Bytes {
        match self.packs {
            true => pack(frame, &self.limits),
            false => frame,
        }
    }

    /// The number of the next request of this side.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(super) fn waits_for(&self, mut wanted: impl FnMut(&K) -> bool) -> bool {
        self.asked.iter().any(|asked| wanted(&asked.kind))
    }

    pub(super) fn waiting(&self) -> usize {
        self.asked.len()
    }

    /// When the peer is asked whether it is still there, unless something comes before.
    pub(super) fn quiet_until(&self) -> Instant {
        after(self.heard_at, self.limits.quiet_max)
    }

    /// When the first answer is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.iter().map(|asked| asked.until).min()
    }

    /// Ends the session of a peer that did not answer in time.
    pub(super) fn check(&self, now: Instant) -> Result<(), ProtocolError> {
        let late = self.asked.iter().find(|asked| asked.until <= now);
        match late {
            Some(asked) => Err(ProtocolError::NoAnswer {
                op: asked.op,
                wait: asked.wait,
            }),
            None => Ok(()),
        }
    }

    /// Nothing is to be read from the peer before.
    pub(super) fn read_after(&self, now: Instant) -> Option<Instant> {
        self.rate.read_after.filter(|after| *after > now)
    }
}

/// A bucket that frames are taken from and time fills.
#[derive(Debug)]
struct Rate {
    frames: f64,
    filled_at: Instant,
    read_after: Option<Instant>,
}

impl Rate {
    fn new(now: Instant, limits: &Limits) -> Self {
        Self {
            frames: f64::from(limits.burst_frames_max),
            filled_at: now,
            read_after: None,
        }
    }

    fn count(&mut self, now: Instant, limits: &Limits, frames: u32) {
        let per_s = f64::from(limits.frames_per_s_max.max(1));
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let most = f64::from(limits.burst_frames_max);
        self.frames = (self.frames + passed * per_s).min(most) - f64::from(frames);
        self.filled_at = now.max(self.filled_at);
        self.read_after = (self.frames < 0.0).then(|| {
            // No more than a second for each frame, whoever calls without regard to this.
            let wait = (-self.frames / per_s).min(1.0);
            now + Duration::from_secs_f64(wait)
        });
    }
}
