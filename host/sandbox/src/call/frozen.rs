//! A world in which no time passes and chance repeats itself: what a scheduler sees, and `describe`, so that the same input gives the same
//! answer.

use std::time::Duration;

use toolpost_core::Timestamp;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// Any number will do, as long as it stays.
const SEED: [u8; 16] = *b"toolpost schedul";

/// Sets the clocks to this moment and chance to its beginning.
pub(crate) fn freeze(wasi: &mut WasiCtxBuilder, at: Timestamp) {
    wasi.wall_clock(Frozen(at))
        .monotonic_clock(Frozen(at))
        .secure_random(Deterministic::new(SEED.to_vec()))
        .insecure_random(Deterministic::new(SEED.to_vec()))
        .insecure_random_seed(u128::from_le_bytes(SEED));
}

struct Frozen(Timestamp);

impl Frozen {
    fn since_1970(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.0).unwrap_or(0))
    }
}

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.since_1970()
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since_1970().as_nanos()).unwrap_or(u64::MAX)
    }
}
