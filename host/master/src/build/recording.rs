//! Keeps what a plugin's step asked of the master when it did not work, so that its author can run it again.

use std::sync::{Arc, LazyLock};

use toolpost_core::Results;
use toolpost_replay::recording::{Recorder, Recording, RecordingLimits, RecordingRoom};
use toolpost_sandbox::{SandboxError, StepHost, StepOutcome};
use tracing::warn;

use super::context::StepContext;
use super::plugin::PinnedStep;

/// Recordings that are kept; older ones go.
const RECORDINGS_MAX: u32 = 500;
/// What running steps of this process may keep in memory together.
const ROOM_BYTES_MAX: usize = 64 << 20;

static ROOM: LazyLock<Arc<RecordingRoom>> = LazyLock::new(|| RecordingRoom::new(ROOM_BYTES_MAX));

/// Runs a step, and keeps the recording when it failed by the plugin's own judgement or fault.
pub(super) async fn run_recorded(
    step: &StepContext,
    pinned: &PinnedStep,
    host: Arc<dyn StepHost>,
) -> Result<StepOutcome, SandboxError> {
    let capabilities = Arc::clone(&step.build.capabilities);
    let masker = Box::new(move || capabilities.secrets.masker());
    let limits = RecordingLimits::default();
    let recorder = Recorder::new(host, limits, Arc::clone(&ROOM), masker);
    let parameters = &step.rendered.parameters;
    let called = recorder
        .run(
            &pinned.step_type,
            parameters,
            pinned.limits.clone(),
            step.cancel.clone(),
        )
        .await;
    if is_worth_keeping(&called) {
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
