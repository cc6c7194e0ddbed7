//! The alarm clock of a loop that acts on the store: wakes by signal and by timer.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use toolpost_core::Event;

use crate::bus::{Signal, Subscription};

/// How many waiting events one look at the subscription takes, so that a flood of them cannot hold
/// the loop: the rest become one more wake-up.
const BURST_EVENTS_MAX: usize = 4 * 1024;

/// No loop sleeps longer; also keeps the clock from overflowing.
const AT_LEAST_EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells one loop when to look at the store again.
///
/// ```no_run
/// # use std::time::Duration;
/// # use toolpost_bus::{Bus, Wake, Woken};
/// # use toolpost_core::Event;
/// # async fn reconcile() -> Option<tokio::time::Instant> { None }
/// # async fn example(bus: Bus) {
/// let mut wake = Wake::new(bus.subscribe(), Duration::from_secs(10), |event| {
///     matches!(event, Event::RequestAdded(..) | Event::Worker(_))
/// });
/// loop {
///     let deadline = reconcile().await;
///     if wake.next(deadline).await == Woken::Closed {
///         break;
///     }
/// }
/// # }
/// ```
///
/// A burst of events is one wake-up, and an event that arrives while the loop is at work wakes it
/// once more afterwards: a loop that subscribes, then reads, never misses a change. What was missed
/// by lagging counts as an event that the loop wants.
pub struct Wake {
    subscription: Subscription,
    wanted: Box<dyn Fn(&Event) -> bool + Send>,
    at_least_every: Duration,
    gather: Duration,
    /// When the first event of a burst was heard that no wake-up has answered yet. Kept here so
    /// that dropping the future of [`Wake::next`] loses nothing.
    heard_at: Option<Instant>,
    /// When the wait for the next wake-up began, for the same reason.
    waiting_since: Option<Instant>,
    closed: bool,
}

/// Why a loop was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Events that it wants, or it missed some.
    Signal,
    /// The deadline that it gave, or the longest time between two looks, is here.
    Timer,
    /// The bus is closed: end.
    Closed,
}

impl Wake {
    /// Wakes for the events for which `wanted` says yes, and without any `at_least_every` so often (the
    /// price of a lost event is this delay; at most a day).
    #[must_use]
    pub fn new(
        subscription: Subscription,
        at_least_every: Duration,
        wanted: impl Fn(&Event) -> bool + Send + 'static,
    ) -> Self {
        Self {
            subscription,
            wanted: Box::new(wanted),
            at_least_every,
            gather: Duration::ZERO,
            heard_at: None,
            waiting_since: None,
            closed: false,
        }
    }

    /// Waits this long after the first event of a burst for more to join it: fewer looks at the
    /// store for that much more latency. Without it a burst is what is there at the moment of waking.
    #[must_use]
    pub fn gathering(mut self, gather: Duration) -> Self {
        self.gather = gather.min(AT_LEAST_EVERY_MAX);
        self
    }

    /// Waits until there is a reason to look at the store again: an event, the `deadline` or the
    /// longest time between two looks, whichever is first. Nothing is lost when the future is dropped.
    pub async fn next(&mut self, deadline: Option<Instant>) -> Woken {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        let latest = waiting_since + self.at_least_every.min(AT_LEAST_EVERY_MAX);
        let timer = deadline.map_or(latest, |deadline| deadline.min(latest));
        loop {
            self.take_waiting();
            if self.closed {
                return Woken::Closed;
            }
            let due = self.heard_at.map(|heard_at| heard_at + self.gather);
            let until = due.map_or(timer, |due| due.min(timer));
            if Instant::now() >= until {
                self.waiting_since = None;
                return match self.heard_at.take() {
                    Some(_) => Woken::Signal,
                    None => Woken::Timer,
                };
            }
            tokio::select! {
                signal = self.subscription.recv() => self.hear(signal),
                () = sleep_until(until) => {}
            }
        }
    }

    /// Hears everything that is there already, so that a burst becomes one wake-up.
    fn take_waiting(&mut self) {
        for _ in 0..BURST_EVENTS_MAX {
            let Some(signal) = self.subscription.try_recv() else {
                break;
            };
            self.hear(Some(signal));
        }
    }

    fn hear(&mut self, signal: Option<Signal>) {
        let wanted = match signal {
            Some(Signal::Event(event)) => (self.wanted)(&event),
            Some(Signal::Lagged(_)) => true,
            None => {
                self.closed = true;
                false
            }
        };
        if wanted && self.heard_at.is_none() {
            self.heard_at = Some(Instant::now());
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake")
            .field("at_least_every", &self.at_least_every)
            .field("gather", &self.gather)
            .field("heard_at", &self.heard_at)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
