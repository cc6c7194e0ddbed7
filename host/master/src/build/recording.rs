//! Keeps what a plugin's step asked of the master when it did not work, so that its author can run it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use toolpost_core::{Results, Timestamp};
use toolpost_replay::recording::{Recorder, Recording, RecordingLimits, RecordingRoom};
use toolpost_sandbox::{SandboxError, StepHost, StepOutcome};
use tracing::warn;

use super::context::StepContext;
use super::plugin::PinnedStep;

/// Recordings that are kept; older ones go.
const RECORDINGS_MAX: u32 = 500;
/// What running steps may keep in memory together.
const ROOM_BYTES_MAX: usize = 64 << 20;
/// Recordings of one plugin on one builder that are kept however soon they come.
const AT_ONCE_MAX: u32 = 20;
/// How often one more is kept.
const ONE_MORE_EVERY: Duration = Duration::from_secs(10);

/// What the steps of a master share of their recordings.
pub(crate) struct Recordings {
    room: Arc<RecordingRoom>,
    counts: Mutex<Counts>,
}

/// How often recordings were kept lately. Steps that fail at once, and are built again and again, would otherwise
/// replace the recordings of all others, and keep the disk busy.
#[derive(Default)]
struct Counts {
    /// By plugin and builder, since when none would have been kept if they had come [`ONE_MORE_EVERY`] apart.
    settled_at: HashMap<(String, String), Timestamp>,
}

impl Default for Recordings {
    fn default() -> Self {
        Self {
            room: RecordingRoom::new(ROOM_BYTES_MAX),
            counts: Mutex::default(),
        }
    }
}

impl Recordings {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Whether one more may be kept.
    fn allows(&self, of: &(String, String), now: Timestamp) -> bool {
        let settled_at = self.settled_at.get(of).copied().unwrap_or(now);
        settled_at.since(now) <= ONE_MORE_EVERY * (AT_ONCE_MAX - 1)
    }

    /// Counts one, if it may be kept.
    fn take(&mut self, of: (String, String), now: Timestamp) -> bool {
        let allowed = self.allows(&of, now);
        if allowed {
            self.settled_at.retain(|_, at| *at > now);
            let settled_at = self.settled_at.entry(of).or_insert(now);
            *settled_at = settled_at.after(ONE_MORE_EVERY);
        }
        allowed
    }
}

/// Runs a step, and keeps the recording when it failed by the plugin's own judgement or fault, unless that happens all the time.
pub(super) async fn run_recorded(
    step: &StepContext,
    pinned: &PinnedStep,
    host: Arc<dyn StepHost>,
) -> Result<StepOutcome, SandboxError> {
    let build = &step.build;
    let recordings = &build.capabilities.recordings;
    let of = (
        pinned.step_type.plugin().name().to_owned(),
        build.builder.name.clone(),
    );
    let parameters = &step.rendered.parameters;
    let (limits, cancel) = (pinned.limits.clone(), step.cancel.clone());
    let allowed = recordings.counts().allows(&of, build.clock.now());
    if !allowed {
        return pinned.step_type.run(parameters, host, limits, cancel).await;
    }
    let capabilities = Arc::clone(&build.capabilities);
    let masker = Box::new(move || capabilities.secrets.masker());
    let room = Arc::clone(&recordings.room);
    let recorder = Recorder::new(host, RecordingLimits::default(), room, masker);
    let called = recorder
        .run(&pinned.step_type, parameters, limits, cancel)
        .await;
    if is_worth_keeping(&called) && recordings.counts().take(of, build.clock.now()) {
        let recording = recorder
            .finish(&pinned.step_type, parameters, &pinned.limits, &called)
            .await;
        keep(step, &recording).await;
    }
    called
}

fn is_worth_keeping(called: &Result<StepOutcome, SandboxError>) -> bool {
    match called {
        Ok(outcome) => matches!(
            outcome.results,
            Results::Failure | Results::Exception | Results::Retry
        ),
        // The plugin had no part in these.
        Err(SandboxError::Cancelled | SandboxError::Shutdown | SandboxError::Host(_)) => false,
        Err(_) => true,
    }
}

/// A recording that cannot be kept costs nothing but itself.
async fn keep(step: &StepContext, recording: &Recording) {
    let store = &step.build.store;
    let kept = match recording.to_bytes() {
        Ok(bytes) => store
            .add_step_recording(
                step.id,
                bytes.into(),
                step.build.clock.now(),
                RECORDINGS_MAX,
            )
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = kept {
        warn!(step.id = %step.id, "the recording of step `{}` was not kept: {error}", step.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_fail_all_the_time_are_kept_now_and_then() {
        let of = |builder: &str| ("broken".to_owned(), builder.to_owned());
        let mut counts = Counts::default();
        let start = Timestamp::from_seconds(1_000);
        for _ in 0..AT_ONCE_MAX {
            assert!(counts.take(of("busy"), start));
        }
        assert!(!counts.take(of("busy"), start));
        assert!(counts.take(of("other"), start));
        let later = start.after(ONE_MORE_EVERY);
        assert!(counts.take(of("busy"), later));
        assert!(!counts.allows(&of("busy"), later));
        // Who had a rest has all of it again, and what is settled is forgotten.
        let rested = later.after(ONE_MORE_EVERY * AT_ONCE_MAX);
        for _ in 0..AT_ONCE_MAX {
            assert!(counts.take(of("busy"), rested));
        }
        assert!(!counts.take(of("busy"), rested));
        assert_eq!(counts.settled_at.len(), 1);
    }
}
