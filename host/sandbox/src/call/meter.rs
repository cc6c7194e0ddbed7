//! How much processor time a call has used.
//!
//! Measured with the clock of the thread while the call is polled: waiting costs nothing, nor does the
//! time in which the system runs somebody else.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Not being polled.
const IDLE: u64 = u64::MAX;

/// Processor time of one call.
pub(crate) struct Meter {
    used_ns: AtomicU64,
    /// Reading of the thread's clock when the current poll began.
    poll_began_ns: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            used_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(IDLE),
        })
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
        let polled = self.inner.as_mut().poll(context);
        let took = thread_clock_ns().saturating_sub(began);
        self.meter.poll_began_ns.store(IDLE, Ordering::Relaxed);
        self.meter.used_ns.fetch_add(took, Ordering::Relaxed);
        polled
    }
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
        let meter = Meter::new();
        let inside = meter.clone();
        let work = async move {
            compute(WORK);
            assert!(inside.used() >= WORK, "readable during the poll");
            tokio::task::yield_now().await;
            compute(WORK);
        };
        let others = async { compute(WORK_OF_OTHERS) };
        tokio::join!(Metered::new(work, meter.clone()), others);
        assert!(meter.used() >= 2 * WORK);
        assert!(meter.used() < WORK_OF_OTHERS);
    }
}
