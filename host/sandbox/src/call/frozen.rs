//! Worlds in which chance repeats itself, and time stands still or is somebody else's: what a scheduler sees, and `describe`, so that
//! the same input gives the same answer; and what tests of plugins see.

use std::sync::Arc;
use std::time::Duration;

use toolpost_core::Timestamp;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::host::PluginClock;

/// Any number will do, as long as it stays.
const SEED: [u8; 16] = *b"toolpost schedul";

/// Sets the clocks to this moment and chance to its beginning.
pub(crate) fn freeze(wasi: &mut WasiCtxBuilder, at: Timestamp) {
    follow(wasi, &(Arc::new(Frozen(at)) as Arc<dyn PluginClock>));
}

/// Makes the clocks follow this one, and sets chance to its beginning.
pub(crate) fn follow(wasi: &mut WasiCtxBuilder, clock: &Arc<dyn PluginClock>) {
    wasi.wall_clock(Followed(Arc::clone(clock)))
        .monotonic_clock(Followed(Arc::clone(clock)))
        .secure_random(Deterministic::new(SEED.to_vec()))
        .insecure_random(Deterministic::new(SEED.to_vec()))
        .insecure_random_seed(u128::from_le_bytes(SEED));
}

struct Frozen(Timestamp);

impl PluginClock for Frozen {
    fn since_1970(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.0).unwrap_or(0))
    }
}

struct Followed(Arc<dyn PluginClock>);

impl HostWallClock for Followed {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0.since_1970()
    }
}

impl HostMonotonicClock for Followed {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.since_1970().as_nanos()).unwrap_or(u64::MAX)
    }
}
