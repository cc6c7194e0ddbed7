//! Inputs that nobody thought of, for the decoder and for both ends of a session.
//!
//! One test, because the allocator counts what the whole process has. `TOOLPOST_TEST_FUZZ_SECONDS` has it run for so long
//! instead of a number of cases (`cargo xtask fuzz`). What fails is printed in its smallest form: it goes into
//! `corpus/regressions.txt` or becomes a test in `it`.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod clock;
#[path = "../corpus/mod.rs"]
mod corpus;
mod damage;
mod decoder;
mod master;
mod packing;
mod said;
mod worker;

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Cases of each property in one round.
const CASES: u32 = 300;
/// Rounds where nobody says how long.
const ROUNDS: u32 = 1;

/// What was tried: messages and calls.
static INPUTS: AtomicU64 = AtomicU64::new(0);

fn tried() {
    INPUTS.fetch_add(1, Ordering::Relaxed);
}

/// A reason is one line that a person can read.
fn assert_line(text: &str) {
    assert!(!text.is_empty() && text.chars().count() < 400, "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Bytes that are allocated more after this than before, at most.
fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let done = run();
    (done, MEMORY.peak_usage().saturating_sub(before))
}

fn check<S>(cases: u32, inputs: &S, test: impl Fn(S::Value))
where
    S: Strategy<Value: Debug>,
{
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let ran = TestRunner::new(config).run(inputs, |inputs| {
        test(inputs);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failed) = ran {
        panic!("{failed}");
    }
}

#[test]
fn nothing_panics_grows_or_hangs_whatever_peers_say() {
    let seconds = std::env::var("TOOLPOST_TEST_FUZZ_SECONDS").ok();
    let until =
        seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.parse().unwrap()));
    let began = Instant::now();
    let mut rounds = 0;
    let mut peak = 0;
    loop {
        decoder::corpus();
        MEMORY.reset_peak_usage();
        check(4 * CASES, &decoder::inputs(), decoder::test);
        check(4 * CASES, &said::frames(), decoder::round_trip);
        check(CASES, &master::inputs(), master::test);
        check(CASES, &worker::inputs(), worker::test);
        peak = peak.max(MEMORY.peak_usage());
        rounds += 1;
        match until {
            Some(until) if Instant::now() < until => {}
            None if rounds < ROUNDS => {}
            _ => break,
        }
    }
    let inputs = INPUTS.load(Ordering::Relaxed);
    println!(
        "{inputs} inputs in {} s; never more than {} KB in memory",
        began.elapsed().as_secs(),
        peak / 1024
    );
    assert!(inputs > u64::from(CASES), "{inputs} inputs");
}
