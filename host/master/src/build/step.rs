//! One step of a build, from its record to its result.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use encoding_rs::Encoding;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use toolpost_config::config::StepConfig;
use toolpost_core::locks::Holder;
use toolpost_core::resources::Resources;
use toolpost_core::step::{
    Interruption, PlannedStep, ResultFlags, StepAction, StepProgress, StepTexts,
};
use toolpost_core::{Results, StepId, Timestamp};
use toolpost_store::{NewStep, StoreError};
use tracing::warn;

use super::context::{BuildContext, StepContext};
use super::logs::{LogRules, StepLogs};
use super::outcome::{Fault, StepEnd};
use super::plugin::{self, PinnedStep};
use super::render::{self, RenderedStep, Scopes};
use crate::locks::{Granted, LockManager};
use crate::properties::TEMPLATES;
use crate::steps::NativeStep;

/// A step of a build's plan.
#[derive(Clone)]
pub(crate) struct StepPlan {
    pub(crate) config: Arc<StepConfig>,
    /// The plugin version that runs it in this build; `None` for a native step or a missing plugin.
    pub(crate) pinned: Option<PinnedStep>,
}

impl StepPlan {
    /// What the build needs to know beforehand.
    pub(crate) fn planned(&self) -> PlannedStep {
        PlannedStep {
            flags: self.flags(),
            summary_policy: self.config.options.update_build_summary_policy.clone(),
        }
    }

    fn flags(&self) -> ResultFlags {
        let type_default = NativeStep::result_flags(&self.config.step_type);
        self.config.options.result_flags(type_default)
    }
}

/// Everything that one step needs to run.
pub(crate) struct StepRun<'a> {
    pub(crate) build: &'a Arc<BuildContext>,
    pub(crate) plan: &'a StepPlan,
    pub(crate) locks: &'a LockManager,
    pub(crate) holder: Holder,
    /// Unique in the build.
    pub(crate) name: String,
    /// Cancelled when the step is to stop.
    pub(crate) cancel: CancellationToken,
    /// Why, set before it is cancelled.
    pub(crate) interruption: Arc<OnceLock<Interruption>>,
}

/// A step that has ended, as the build sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepRecord {
    pub(crate) results: Results,
    pub(crate) text: String,
}

/// A step that was told to stop is given up after this long. Its parts have shorter limits of their own: the
/// grace of its command, the time that a plugin has to clean up.
const STOP_DEADLINE: Duration = Duration::from_secs(600);

/// Returns when a step that was told to stop should have ended long ago.
async fn overdue(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(STOP_DEADLINE).await;
}

/// What is known once a step did what it does.
struct Outcome {
    results: Results,
    text: String,
    resources: Option<Resources>,
}

impl Outcome {
    fn new(results: Results, text: String) -> Self {
        Self {
            results,
            text,
            resources: None,
        }
    }
}

impl StepRun<'_> {
    /// Runs the step and records it.
    ///
    /// # Errors
    /// The store failed, so that the step may not be recorded as it was.
    pub(crate) async fn run(self) -> Result<StepRecord, StoreError> {
        let store = &self.build.store;
        let id = store.add_step(self.build.build.id, self.new_step()).await?;
        let now = self.now();
        let scope = self.build.scope();
        let options = &self.plan.config.options;
        let rules = self.log_rules();
        let logs = StepLogs::new(
            store.clone(),
            Arc::clone(&self.build.capabilities),
            id,
            rules.clone().unwrap_or(self.build.log_rules),
        );
        let wanted = rules.and_then(|_| {
            let wanted = TEMPLATES.holds(&options.do_step_if, &scope);
            wanted.map_err(|error| format!("`do_step_if`: {error}"))
        });
        let outcome = match wanted {
            Ok(wanted) => {
                let (progress, action) =
                    StepProgress::start(now, wanted, !options.locks.is_empty());
                self.go(id, logs, progress, action).await?
            }
            Err(text) => {
                store.start_step(id, now, Some(now)).await?;
                let fault = Fault::Exception(text);
                let outcome = self.faulted(&logs, &fault, StepTexts::default()).await;
                logs.finish_all(self.now()).await;
                outcome
            }
        };
        self.locks.release(self.holder);
        self.finish(id, outcome).await
    }

    /// Why the step is told to stop.
    fn interruption(&self) -> Interruption {
        let why = self.interruption.get().copied();
        why.unwrap_or(Interruption::Stopped)
    }

    /// How this step's logs are written.
    fn log_rules(&self) -> Result<LogRules, String> {
        let rules = self.build.log_rules;
        let Some(label) = &self.plan.config.options.log_encoding else {
            return Ok(rules);
        };
        let encoding = Encoding::for_label(label.as_bytes());
        let encoding =
            encoding.ok_or_else(|| format!("`log_encoding`: there is no encoding `{label}`"))?;
        Ok(LogRules { encoding, ..rules })
    }

    fn new_step(&self) -> NewStep {
        NewStep {
            name: self.name.clone(),
            plugin_digest: self.plan.pinned.as_ref().map(PinnedStep::digest),
        }
    }

    fn now(&self) -> Timestamp {
        self.build.clock.now()
    }

    /// From the decision to run it to its end.
    async fn go(
        &self,
        id: StepId,
        logs: StepLogs,
        mut progress: StepProgress,
        action: StepAction,
    ) -> Result<Outcome, StoreError> {
        let store = &self.build.store;
        let started_at = progress.started_at();
        store
            .start_step(id, started_at, progress.locks_acquired_at())
            .await?;
        if let StepAction::Finish(results) = action {
            let text = StepTexts::default().finished(None, results, None);
            return Ok(Outcome::new(results, text));
        }
        if action == StepAction::RequestLocks {
            if let Err(fault) = self.acquire(id).await {
                let ended = match fault {
                    Fault::Cancelled => progress.interrupt(self.interruption()),
                    _ => progress.ended(fault.results()),
                };
                let mut outcome = self.faulted(&logs, &fault, StepTexts::default()).await;
                if let StepAction::Finish(results) = ended {
                    outcome.results = results;
                }
                logs.finish_all(self.now()).await;
                return Ok(outcome);
            }
            let _ = progress.locks_granted(self.now());
            store
                .start_step(id, started_at, progress.locks_acquired_at())
                .await?;
            let waited_ms = progress.lock_wait(self.now()).as_millis();
            let waited_ms = i64::try_from(waited_ms).unwrap_or(i64::MAX);
            store
                .add_build_locks_duration(self.build.build.id, waited_ms)
                .await?;
        }
        Ok(self.work(id, logs, progress).await)
    }

    /// Waits for the locks of the step.
    async fn acquire(&self, id: StepId) -> Result<(), Fault> {
        let accesses = &self.plan.config.options.locks;
        let requested = self
            .locks
            .request(self.holder, accesses, &self.build.worker_name);
        match requested.map_err(|error| Fault::Exception(error.to_string()))? {
            Granted::Now => Ok(()),
            Granted::Later { blocked_on, wait } => {
                let text = format!("acquiring lock {blocked_on}");
                self.build.store.set_step_state(id, &text).await?;
                tokio::select! {
                    granted = wait => match granted {
                        Ok(granted) => {
                            granted.map_err(|error| Fault::Exception(error.to_string()))
                        }
                        Err(_) => Err(Fault::Exception("the locks were given up".into())),
                    },
                    () = self.cancel.cancelled() => Err(Fault::Cancelled),
                }
            }
        }
    }

    /// Renders the step and does what it does.
    async fn work(&self, id: StepId, logs: StepLogs, mut progress: StepProgress) -> Outcome {
        let secrets = self.build.capabilities.secrets.names();
        let secrets = secrets
            .iter()
            .map(|(name, stands)| (name.as_str(), stands.as_str()));
        let scope = self.build.scope();
        let secret_scope = scope.clone().with_secrets(secrets);
        let scopes = Scopes {
            plain: &scope,
            with_secrets: &secret_scope,
        };
        let rendered = match render::render(&self.build.builder, &self.plan.config, &scopes) {
            Ok(rendered) => rendered,
            Err(text) => {
                let fault = Fault::Exception(text);
                let outcome = self.faulted(&logs, &fault, StepTexts::default()).await;
                logs.finish_all(self.now()).await;
                return outcome;
            }
        };
        let texts = rendered.texts.clone();
        let step = Arc::new(self.context(id, logs, rendered));
        let running = AssertUnwindSafe(self.act(&step)).catch_unwind();
        let ended = tokio::select! {
            ended = running => ended.unwrap_or_else(|_| {
                let text = "the step was stopped by a defect of the master, whose log tells more";
                Err(Fault::Exception(text.into()))
            }),
            () = step.keep_showing() => Err(Fault::Cancelled),
            () = overdue(&self.cancel) => {
                Err(Fault::Exception("it was told to stop, did not and was given up".into()))
            }
        };
        if self.cancel.is_cancelled() {
            let _ = progress.interrupt(self.interruption());
        }
        let mut outcome = match ended {
            Ok(end) => {
                let text = texts.finished(end.summary.as_deref(), end.results, end.cut_short);
                Outcome::new(end.results, text)
            }
            Err(Fault::Cancelled) => {
                let told = step.last_told();
                let text = texts.finished(told.as_deref(), Results::Cancelled, None);
                Outcome::new(Results::Cancelled, text)
            }
            Err(fault) => self.faulted(&step.logs, &fault, texts.clone()).await,
        };
        if let StepAction::Finish(results) = progress.ended(outcome.results)
            && results != outcome.results
        {
            outcome.results = results;
            outcome.text = texts.finished(step.last_told().as_deref(), results, None);
        }
        outcome.resources = step.used.sum();
        step.logs.finish_all(self.now()).await;
        outcome
    }

    fn context(&self, id: StepId, logs: StepLogs, rendered: RenderedStep) -> StepContext {
        StepContext {
            build: Arc::clone(self.build),
            id,
            name: self.name.clone(),
            config: Arc::clone(&self.plan.config),
            rendered,
            plugin: self.plan.pinned.as_ref().map(PinnedStep::wanted),
            logs,
            cancel: self.cancel.clone(),
            told: Mutex::default(),
            used: Arc::default(),
        }
    }

    /// Runs what the step type is.
    async fn act(&self, step: &Arc<StepContext>) -> Result<StepEnd, Fault> {
        if let Some(pinned) = &self.plan.pinned {
            return plugin::run(step, pinned).await;
        }
        let step_type = &step.config.step_type;
        let parameters = step.rendered.parameters.clone();
        let native = NativeStep::parse(step_type, parameters).ok_or_else(|| {
            let text = format!(
                "there is no step type `{step_type}`: its plugin was not there when the build started"
            );
            Fault::Exception(text)
        })?;
        let native = native.map_err(|error| Fault::Exception(format!("parameters: {error}")))?;
        step.show_soon(&native.describe());
        native.run(step).await
    }

    /// Tells why a step did not come to its end, in its text and, for exceptions, in a log.
    async fn faulted(&self, logs: &StepLogs, fault: &Fault, mut texts: StepTexts) -> Outcome {
        let results = fault.results();
        if results == Results::Exception || results == Results::Retry {
            let report = self.build.mask(&fault.report());
            if let Err(error) = logs.explain(&report).await {
                let step = &self.name;
                warn!(
                    step,
                    "the reason of an exception was not stored ({error}): {report}"
                );
            }
        }
        let text = match fault {
            Fault::Cancelled => texts.finished(None, results, None),
            fault => {
                // A text that was thought of for the good end would hide the reason.
                texts.description_done = None;
                texts.finished(Some(&fault.to_string()), results, None)
            }
        };
        Outcome::new(results, text)
    }

    async fn finish(&self, id: StepId, outcome: Outcome) -> Result<StepRecord, StoreError> {
        let Outcome {
            results,
            text,
            resources,
        } = outcome;
        let text = self.build.mask(&text);
        let scope = self.build.scope().with_results(results);
        let hide = &self.plan.config.options.hide_step_if;
        // A condition that cannot be evaluated hides nothing.
        let hidden = TEMPLATES.holds(hide, &scope).unwrap_or(false);
        self.build
            .store
            .finish_step(id, results, &text, hidden, resources, self.now())
            .await?;
        Ok(StepRecord { results, text })
    }
}
