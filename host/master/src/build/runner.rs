//! One build from its start to its end: a task that drives [`BuildProgress`].

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::OptionFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toolpost_core::backoff::Backoff;
use toolpost_core::locks::Holder;
use toolpost_core::step::{BuildProgress, Interruption, Next, StepNames, Stop};
use toolpost_core::{BuildId, Results};
use toolpost_store::StoreError;
use tracing::{error, info, warn};

use super::context::BuildContext;
use super::render;
use super::step::{StepPlan, StepRecord, StepRun};
use crate::locks::LockManager;

/// A step has to last so long before the build's text is brought up to date for it.
const SHOW_WAIT: Duration = Duration::from_millis(250);

/// Waits between attempts to record the end of a build while the store fails.
const RECORD_WAIT_MIN: Duration = Duration::from_millis(200);
const RECORD_WAIT_MAX: Duration = Duration::from_secs(30);

/// Runs one build.
pub(crate) struct BuildRunner {
    pub(crate) build: Arc<BuildContext>,
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) locks: Arc<LockManager>,
    /// The build's number among the holders of locks.
    pub(crate) holder: u64,
    /// Why the build cannot run at all.
    pub(crate) problem: Option<String>,
    /// Requests to stop.
    pub(crate) stops: mpsc::Receiver<Stop>,
    /// Cancelled when the process ends and nothing more can be waited for.
    pub(crate) abandon: CancellationToken,
    /// What the build last said of itself.
    pub(crate) shown: String,
}

impl BuildRunner {
    /// Runs the build to its end and records that; `None` when it was given up. Never panics.
    pub(crate) async fn run(mut self) -> Option<Results> {
        let id = self.build.build.id;
        let (builder, number) = (self.build.builder.name.clone(), self.build.build.number);
        let worker = self.build.worker_name.clone();
        info!(build.id = %id, worker.name = %worker, "build {number} of `{builder}` started on worker `{worker}`");
        let abandon = self.abandon.clone();
        let driven = AssertUnwindSafe(self.drive()).catch_unwind();
        let ended = tokio::select! {
            ended = driven => ended,
            // Whoever starts next finds the build unfinished and puts its request back.
            () = abandon.cancelled() => {
                self.locks.release(Holder::build(self.holder));
                return None;
            }
        };
        let (results, text) = ended.unwrap_or_else(|_| {
            error!(build.id = %id, "build {number} of `{builder}` was stopped by a defect of this program");
            let text = "exception: the build was stopped by a defect of the master";
            (Results::Exception, text.to_owned())
        });
        self.locks.release(Holder::build(self.holder));
        self.record_end(id, results, &text).await;
        info!(build.id = %id, "build {number} of `{builder}` ended: {results}");
        Some(results)
    }

    async fn drive(&mut self) -> (Results, String) {
        if let Some(problem) = self.problem.take() {
            return (Results::Exception, format!("exception: {problem}"));
        }
        let plans = self.steps.iter().map(StepPlan::planned).collect();
        let mut progress = BuildProgress::new(plans);
        let mut names = StepNames::default();
        loop {
            self.take_stops(&mut progress);
            match progress.next_step() {
                Next::Start(index) => match self.step(index, &mut names, &mut progress).await {
                    Ok(StepRecord { results, text }) => progress.step_finished(results, &text),
                    Err(error) => {
                        let id = self.build.build.id;
                        error!(build.id = %id, "a step of build {id} could not be recorded: {error}");
                        progress.step_finished(Results::Exception, &error.to_string());
                        progress.fail(Results::Exception);
                    }
                },
                // Steps are awaited where they are started.
                Next::Wait(_) => progress.step_finished(Results::Exception, ""),
                Next::Finish(results) => return (results, progress.finished_text()),
            }
        }
    }

    /// Stops that came between two steps.
    fn take_stops(&mut self, progress: &mut BuildProgress) {
        while let Ok(stop) = self.stops.try_recv() {
            let _ = progress.stop(stop);
        }
    }

    /// Runs one step; a request to stop interrupts it.
    async fn step(
        &mut self,
        index: usize,
        names: &mut StepNames,
        progress: &mut BuildProgress,
    ) -> Result<StepRecord, StoreError> {
        let plan = &self.steps[index];
        let cancel = CancellationToken::new();
        let interruption = Arc::new(OnceLock::new());
        let name = render::name(&plan.config, &self.build.scope());
        let run = StepRun {
            build: &self.build,
            plan,
            locks: &self.locks,
            holder: Holder::step(self.holder, u32::try_from(index).unwrap_or(u32::MAX)),
            name: names.unique(&name),
            cancel: cancel.clone(),
            interruption: Arc::clone(&interruption),
        };
        let mut running = std::pin::pin!(run.run());
        let text = Some(progress.running_text()).filter(|text| *text != self.shown);
        // Beside the step, never instead of it: a step has a connection of the store at times, or the next turn for one, and must
        // go on while this waits for its own.
        let showing = OptionFuture::from(text.map(|text| show(&self.build, text)));
        let mut showing = std::pin::pin!(showing.fuse());
        loop {
            tokio::select! {
                record = &mut running => return record,
                Some(shown) = &mut showing => self.shown = shown?,
                Some(stop) = self.stops.recv() => {
                    // A build that is to run again leaves no cancelled step, which would be worse.
                    let why = match stop.results {
                        Results::Retry => Interruption::WorkerLost,
                        _ => Interruption::Stopped,
                    };
                    interruption.get_or_init(|| why);
                    let _ = progress.stop(stop);
                    cancel.cancel();
                }
            }
        }
    }

    /// Records the end, however long the store takes: the request would be lost from sight otherwise.
    async fn record_end(&self, id: BuildId, results: Results, text: &str) {
        let mut backoff = Backoff::new(RECORD_WAIT_MIN, RECORD_WAIT_MAX).with_jitter(0.0);
        let store = &self.build.store;
        loop {
            let now = self.build.clock.now();
            match store.finish_build(id, results, text, now).await {
                Ok(_) => return,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    let wait = backoff.next_wait(0.0);
                    warn!(build.id = %id, "the end of build {id} was not stored, trying again in {} ms: {error}", wait.as_millis());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.abandon.cancelled() => return,
                    }
                }
            }
        }
    }
}

/// Brings the text of a build up to date, if its step lasts, and gives it back.
async fn show(build: &BuildContext, text: String) -> Result<String, StoreError> {
    tokio::time::sleep(SHOW_WAIT).await;
    build.store.set_build_state(build.build.id, &text).await?;
    Ok(text)
}
