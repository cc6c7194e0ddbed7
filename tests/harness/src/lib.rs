//! A Toolpost process in a folder of its own, for end-to-end tests and benchmarks.
//!
//! [`Farm`] hides the process, the folder and the sockets: a test says what is configured, acts through
//! the REST API as any client would, and asks what became true. Waiting is always for a condition,
//! with one generous deadline, never for a time.

mod api;
mod authority;
mod process;
mod receiver;

pub use api::{Api, ApiFailure};
pub use authority::Authority;
/// A driver of browsers. It is here and no dependency of the tests alone, so that programs and tests of the workspace
/// agree on the features of what it depends on and share what is compiled.
pub use fantoccini;
pub use process::{Farm, FarmBuilder, StartFailure};
pub use receiver::{Answer, Received, Receiver};

use std::time::Duration;

/// How long a condition may take to become true on a loaded machine.
pub const CONDITION_DEADLINE: Duration = Duration::from_secs(240);

/// Polls `probe` until it gives a value.
///
/// # Panics
/// After [`CONDITION_DEADLINE`], naming what was waited for.
pub async fn eventually<T, F: AsyncFnMut() -> Option<T>>(what: &str, probe: F) -> T {
    eventually_within(CONDITION_DEADLINE, what, probe).await
}

/// The same, for what takes long by itself.
///
/// # Panics
/// After `limit`, naming what was waited for.
pub async fn eventually_within<T, F: AsyncFnMut() -> Option<T>>(
    limit: Duration,
    what: &str,
    mut probe: F,
) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "gave up after {limit:?} waiting for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
