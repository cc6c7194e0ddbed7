//! The course of one command from start to end: when it is signalled, killed, given up, reported.
//! Pure: no process, no pipe, no clock; the supervisor feeds it and sends the signals that it asks for.

use std::time::Duration;

use tokio::time::Instant;

use crate::command::exit::StopCause;
use crate::command::spec::InterruptSignal;

/// How soon to look again whether the rest of a process group is gone, once its leader is: at first,
/// then twice as late each time, up to the longest.
const GROUP_POLL_MIN: Duration = Duration::from_millis(10);
const GROUP_POLL_MAX: Duration = Duration::from_millis(320);

/// The times of one command.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) signal: InterruptSignal,
    pub(crate) grace: Duration,
    pub(crate) pipe_close_wait: Duration,
    pub(crate) kill_wait: Duration,
}

/// What the supervisor sees when a deadline has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) now: Instant,
    pub(crate) last_output: Instant,
    /// Output is not read at the moment because nobody takes what was read before.
    pub(crate) reader_waits: bool,
    pub(crate) group_alive: bool,
}

#[derive(Debug)]
pub(crate) struct Course {
    plan: Plan,
    started: Instant,
    leader_ended: Option<Instant>,
    cause: Option<StopCause>,
    group_poll: Duration,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running {
        idle_check_at: Option<Instant>,
    },
    /// Asked to stop.
    Stopping {
        kill_at: Option<Instant>,
        poll_at: Option<Instant>,
    },
    /// Nothing can survive this for long, except in the kernel.
    Killed {
        give_up_at: Option<Instant>,
        poll_at: Option<Instant>,
    },
    /// The process has ended; its pipes may be in other hands.
    Closing {
        until: Option<Instant>,
        group_may_live: bool,
    },
    Over,
}

impl Course {
    pub(crate) fn new(plan: Plan, started: Instant) -> Self {
        let idle_check_at = plan.idle_timeout.and_then(|idle| started.checked_add(idle));
        Self {
            plan,
            started,
            leader_ended: None,
            cause: None,
            group_poll: GROUP_POLL_MIN,
            phase: Phase::Running { idle_check_at },
        }
    }

    pub(crate) fn cause(&self) -> Option<StopCause> {
        self.cause
    }

    /// How long the process ran, seen from `now`.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        self.leader_ended.unwrap_or(now) - self.started
    }

    /// Whether signals to the process group may still be needed.
    pub(crate) fn group_may_live(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Stopping { .. } | Phase::Killed { .. } => true,
            Phase::Closing { group_may_live, .. } => group_may_live && self.cause.is_some(),
            Phase::Over => false,
        }
    }

    /// Nothing more is to come.
    pub(crate) fn over(&self, pipes_closed: bool) -> bool {
        match self.phase {
            Phase::Closing { .. } => pipes_closed,
            Phase::Over => true,
            Phase::Running { .. } | Phase::Stopping { .. } | Phase::Killed { .. } => false,
        }
    }

    /// When to call [`Course::tick`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { idle_check_at } => earlier(self.total_at(), idle_check_at),
            Phase::Stopping { kill_at, poll_at } => earlier(kill_at, poll_at),
            Phase::Killed {
                give_up_at,
                poll_at,
            } => earlier(give_up_at, poll_at),
            Phase::Closing { until, .. } => until,
            Phase::Over => None,
        }
    }

    /// The process itself (not yet its group) has ended.
    pub(crate) fn leader_ended(&mut self, now: Instant) {
        self.leader_ended = Some(now);
        match &mut self.phase {
            Phase::Running { .. } => self.close(now, true),
            Phase::Stopping { poll_at, .. } => *poll_at = Some(now),
            Phase::Killed {
                give_up_at,
                poll_at,
            } => {
                // The others may be dead and only not reaped by whoever inherited them, which looks
                // like life: a short wait has to be enough.
                *give_up_at = earlier(*give_up_at, now.checked_add(self.plan.pipe_close_wait));
                *poll_at = Some(now);
            }
            Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// Asks the command to stop; the signal to send now, if any. Asking again can only shorten the grace.
    pub(crate) fn stop(
        &mut self,
        now: Instant,
        cause: StopCause,
        grace: Option<Duration>,
    ) -> Option<InterruptSignal> {
        let grace = grace.unwrap_or(self.plan.grace);
        let at_once = grace.is_zero() || self.plan.signal == InterruptSignal::Kill;
        match self.phase {
            Phase::Running { .. }
            | Phase::Closing {
                group_may_live: true,
                ..
            } => {
                self.cause.get_or_insert(cause);
                if at_once {
                    return Some(self.kill(now));
                }
                self.phase = Phase::Stopping {
                    kill_at: now.checked_add(grace),
                    poll_at: self.leader_ended.map(|_| now),
                };
                Some(self.plan.signal)
            }
            Phase::Stopping { .. } if at_once => Some(self.kill(now)),
            Phase::Stopping { kill_at, poll_at } => {
                let kill_at = earlier(kill_at, now.checked_add(grace));
                self.phase = Phase::Stopping { kill_at, poll_at };
                None
            }
            Phase::Killed { .. } | Phase::Closing { .. } | Phase::Over => None,
        }
    }

    /// A deadline has come; the signal to send now, if any.
    pub(crate) fn tick(&mut self, view: View) -> Option<InterruptSignal> {
        let now = view.now;
        let group_gone = self.leader_ended.is_some() && !view.group_alive;
        match self.phase {
            Phase::Running { idle_check_at } => self.tick_running(view, idle_check_at),
            Phase::Stopping { .. } | Phase::Killed { .. } if group_gone => {
                self.close(now, false);
                None
            }
            Phase::Stopping { kill_at, .. } if passed(kill_at, now) => Some(self.kill(now)),
            Phase::Killed { give_up_at, .. } if passed(give_up_at, now) => {
                match self.leader_ended {
                    Some(_) => self.close(now, false),
                    None => self.phase = Phase::Over,
                }
                None
            }
            Phase::Closing { until, .. } if passed(until, now) => {
                self.phase = Phase::Over;
                None
            }
            Phase::Stopping { kill_at, .. } => {
                let poll_at = self.next_poll(now);
                self.phase = Phase::Stopping { kill_at, poll_at };
                None
            }
            Phase::Killed { give_up_at, .. } => {
                let poll_at = self.next_poll(now);
                self.phase = Phase::Killed {
                    give_up_at,
                    poll_at,
                };
                None
            }
            Phase::Closing { .. } | Phase::Over => None,
        }
    }

    fn tick_running(
        &mut self,
        view: View,
        idle_check_at: Option<Instant>,
    ) -> Option<InterruptSignal> {
        if let (Some(total), true) = (self.plan.total_timeout, passed(self.total_at(), view.now)) {
            return self.stop(view.now, StopCause::TotalTimeout(total), None);
        }
        let idle = self.plan.idle_timeout?;
        if !passed(idle_check_at, view.now) {
            return None;
        }
        // Silence counts only while somebody listens.
        let silent_since = if view.reader_waits {
            view.now
        } else {
            view.last_output
        };
        let idle_check_at = silent_since.checked_add(idle);
        if passed(idle_check_at, view.now) {
            return self.stop(view.now, StopCause::IdleTimeout(idle), None);
        }
        self.phase = Phase::Running { idle_check_at };
        None
    }

    fn kill(&mut self, now: Instant) -> InterruptSignal {
        let wait = match self.leader_ended {
            Some(_) => self.plan.pipe_close_wait,
            None => self.plan.kill_wait,
        };
        self.group_poll = GROUP_POLL_MIN;
        self.phase = Phase::Killed {
            give_up_at: now.checked_add(wait),
            poll_at: self.leader_ended.map(|_| now),
        };
        InterruptSignal::Kill
    }

    fn next_poll(&mut self, now: Instant) -> Option<Instant> {
        self.leader_ended?;
        let poll_at = now + self.group_poll;
        self.group_poll = (self.group_poll * 2).min(GROUP_POLL_MAX);
        Some(poll_at)
    }

    fn close(&mut self, now: Instant, group_may_live: bool) {
        self.phase = Phase::Closing {
            until: now.checked_add(self.plan.pipe_close_wait),
            group_may_live,
        };
    }

    fn total_at(&self) -> Option<Instant> {
        let total = self.plan.total_timeout?;
        self.started.checked_add(total)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn passed(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| now >= deadline)
}

#[cfg(test)]
mod tests;
