//! How much processor time a call has used.
//!
//! Measured with the clock of the thread while the call is polled: waiting costs nothing, nor does the
//! time in which the system runs somebody else. With each poll ends also the turn of a call that computes for long,
//! and who computes is known to [`Computing`].

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::call::Computing;
use crate::call::turns::Turn;
use crate::engine::Stretch;
use crate::fair::Party;

/// Not being polled.
const IDLE: u64 = u64::MAX;

/// Processor time of one call.
pub(crate) struct Meter {
    used_ns: AtomicU64,
    /// Reading of the thread's clock when the current poll began.
    poll_began_ns: AtomicU64,
    plugin: Arc<str>,
    computing: Computing,
    /// Processor time at the last look.
    looked_ns: AtomicU64,
    /// Leave to compute for another tick, if it needs one.
    turn: Mutex<Option<Turn>>,
}

impl Meter {
    pub(crate) fn new(plugin: Arc<str>, computing: Computing) -> Arc<Self> {
        Arc::new(Self {
            used_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(IDLE),
            plugin,
            computing,
            looked_ns: AtomicU64::new(0),
            turn: Mutex::default(),
        })
    }

    /// Keeps a turn until the end of the poll, or gives back the one that it has.
    pub(crate) fn set_turn(&self, turn: Option<Turn>) {
        let before = {
            let mut kept = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *kept, turn)
        };
        drop(before);
    }

    /// Does something for the plugin outside of its polls, and counts that as well.
    pub(crate) fn charge<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = thread_clock_ns();
        let stretch = Stretch::begin();
        let done = work();
        drop(stretch);
        let took = thread_clock_ns().saturating_sub(began);
        self.used_ns.fetch_add(took, Ordering::Relaxed);
        done
    }

    /// Counts what others did for the plugin.
    pub(crate) fn add(&self, work: Duration) {
        self.used_ns.fetch_add(whole_ns(work), Ordering::Relaxed);
    }

    /// Used so far, and since the last time that this was asked.
    pub(crate) fn look(&self) -> (Duration, Duration) {
        let used = self.used();
        let before = self.looked_ns.swap(whole_ns(used), Ordering::Relaxed);
        (used, used.saturating_sub(Duration::from_nanos(before)))
    }

    /// Used since the last look, without one.
    pub(crate) fn since_look(&self) -> Duration {
        let looked = Duration::from_nanos(self.looked_ns.load(Ordering::Relaxed));
        self.used().saturating_sub(looked)
    }

    /// Used so far. During a poll it is right only on the thread that polls.
    pub(crate) fn used(&self) -> Duration {
        let began = self.poll_began_ns.load(Ordering::Relaxed);
        let current = match began {
            IDLE => 0,
            began => thread_clock_ns().saturating_sub(began),
        };
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed) + current)
    }
}

/// Who pays for what the host computes on behalf of a call, and the threads where it is computed: those of the plugins, which keep
/// nobody else waiting.
#[derive(Clone)]
pub(crate) struct Paying {
    pub(crate) party: Party,
    pub(crate) meter: Arc<Meter>,
    pub(crate) threads: Handle,
}

impl Paying {
    /// Computes something on the plugins' threads; `None` when they are ending.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let meter = self.meter.clone();
        let task = self.threads.spawn(async move { meter.charge(work) });
        AbortOnDropHandle::new(task).await.ok()
    }
}

/// A future whose polls are measured.
pub(crate) struct Metered<F> {
    inner: Pin<Box<F>>,
    meter: Arc<Meter>,
}

impl<F> Metered<F> {
    pub(crate) fn new(inner: F, meter: Arc<Meter>) -> Self {
        Self {
            inner: Box::pin(inner),
            meter,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_clock_ns();
        self.meter.poll_began_ns.store(began, Ordering::Relaxed);
        self.meter.computing.begin(&self.meter.plugin);
        let stretch = Stretch::begin();
        let polled = self.inner.as_mut().poll(context);
        drop(stretch);
        self.meter.computing.end(&self.meter.plugin);
        self.meter.set_turn(None);
        let took = thread_clock_ns().saturating_sub(began);
        self.meter.used_ns.fetch_add(took, Ordering::Relaxed);
        self.meter.poll_began_ns.store(IDLE, Ordering::Relaxed);
        polled
    }
}

fn whole_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn thread_clock_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes until the thread's own clock has moved on by this much.
    fn compute(time: Duration) {
        let end = thread_clock_ns() + u64::try_from(time.as_nanos()).unwrap();
        while thread_clock_ns() < end {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn computing_counts_and_what_others_compute_meanwhile_does_not() {
        const WORK: Duration = Duration::from_millis(20);
        const WORK_OF_OTHERS: Duration = Duration::from_millis(400);
        let computing = Computing::default();
        let meter = Meter::new("greet".into(), computing.clone());
        let inside = meter.clone();
        let work = async move {
            compute(WORK);
            assert!(inside.used() >= WORK, "readable during the poll");
            assert_eq!(inside.computing.names(), ["greet"]);
            tokio::task::yield_now().await;
            compute(WORK);
        };
        let others = async { compute(WORK_OF_OTHERS) };
        tokio::join!(Metered::new(work, meter.clone()), others);
        assert!(meter.used() >= 2 * WORK);
        assert!(meter.used() < WORK_OF_OTHERS);
        assert!(computing.names().is_empty());
        let used = meter.used();
        meter.charge(|| compute(WORK));
        assert!(meter.used() >= used + WORK);
    }
}
