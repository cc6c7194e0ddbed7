//! The clock that makes running plugins look at their limits and give way: a thread that advances the engine's epoch and nudges
//! the threads that compute.
//!
//! It sleeps while no plugin runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use super::Threads;

/// The thread. Dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    ended: AtomicBool,
}

/// While it is kept, the epoch advances.
pub(crate) struct Ticking {
    shared: Arc<Shared>,
}

impl Ticker {
    pub(crate) fn start(
        engine: &Engine,
        threads: Threads,
        tick: Duration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (inside, engine) = (shared.clone(), engine.weak());
        let thread = std::thread::Builder::new()
            .name("plugin-tick".into())
            .spawn(move || advance(&inside, &engine, &threads, tick))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Advances the epoch until the answer is dropped.
    pub(crate) fn tick(&self) -> Ticking {
        if self.shared.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.wake();
        }
        Ticking {
            shared: self.shared.clone(),
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.as_ref().map(JoinHandle::thread) {
            Thread::unpark(thread);
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.wake();
    }
}

fn advance(shared: &Shared, engine: &EngineWeak, threads: &Threads, tick: Duration) {
    while !shared.ended.load(Ordering::SeqCst) {
        // A wake-up between the check and the park is kept by the park token.
        if shared.running.load(Ordering::SeqCst) == 0 {
            std::thread::park();
            continue;
        }
        std::thread::park_timeout(tick);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        threads.nudge();
    }
}
