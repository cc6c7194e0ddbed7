//! What the steps of one build share, and what one step has of its own.

use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use toolpost_config::config::{BuilderConfig, StepConfig, UploadLimits};
use toolpost_core::model::{Build, SourceStampSpec};
use toolpost_core::template::{BuildScope, Scope, WorkerScope};
use toolpost_core::{BuildsetId, Properties, StepId};
use toolpost_sandbox::Wanted;
use toolpost_store::{Store, StoreError};
use toolpost_worker::{CommandSpec, Invocation};
use tracing::warn;

use super::command::{self, Ended, IDLE_TIMEOUT_DEFAULT, OutputPlan};
use super::farm::Farm;
use super::logs::{LogRules, StepLogs};
use super::outcome::Fault;
use super::render::RenderedStep;
use super::secrets;
use super::tally::Tally;
use crate::clock::Clock;
use crate::properties::{GOT_REVISION, SCHEDULER, source_scopes};
use crate::services::Capabilities;
use crate::worker::{LinkFiles, WorkerLink};

/// One running build.
pub(crate) struct BuildContext {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) build: Build,
    pub(crate) builder: Arc<BuilderConfig>,
    /// Where it works, relative to the base directory of its worker.
    pub(crate) build_dir: String,
    pub(crate) worker_name: String,
    pub(crate) worker: Arc<dyn WorkerLink>,
    pub(crate) reason: String,
    pub(crate) sources: Vec<SourceStampSpec>,
    /// Page of the build.
    pub(crate) url: String,
    /// The build set of its request.
    pub(crate) buildset: BuildsetId,
    /// What is around it.
    pub(crate) farm: Arc<dyn Farm>,
    /// Secrets, and what plugins may do.
    pub(crate) capabilities: Arc<Capabilities>,
    /// How logs are written, unless a step says otherwise.
    pub(crate) log_rules: LogRules,
    /// What each of its steps may upload.
    pub(crate) uploads: UploadLimits,
    properties: Mutex<Properties>,
}

/// What a build context is made of, beside its properties.
pub(crate) struct BuildParts {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) build: Build,
    pub(crate) builder: Arc<BuilderConfig>,
    pub(crate) build_dir: String,
    pub(crate) worker_name: String,
    pub(crate) worker: Arc<dyn WorkerLink>,
    pub(crate) reason: String,
    pub(crate) sources: Vec<SourceStampSpec>,
    pub(crate) url: String,
    pub(crate) buildset: BuildsetId,
    pub(crate) farm: Arc<dyn Farm>,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) log_rules: LogRules,
    pub(crate) uploads: UploadLimits,
}

impl BuildContext {
    pub(crate) fn new(parts: BuildParts, properties: Properties) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            build: parts.build,
            builder: parts.builder,
            build_dir: parts.build_dir,
            worker_name: parts.worker_name,
            worker: parts.worker,
            reason: parts.reason,
            sources: parts.sources,
            url: parts.url,
            buildset: parts.buildset,
            farm: parts.farm,
            capabilities: parts.capabilities,
            log_rules: parts.log_rules,
            uploads: parts.uploads,
            properties: Mutex::new(properties),
        }
    }

    /// The scheduler that asked for it, if one did.
    pub(crate) fn scheduler(&self) -> Option<String> {
        let properties = self.lock_properties();
        let mut named = properties.iter().filter(|(name, _)| *name == "scheduler");
        let (_, property) = named.find(|(_, property)| property.source == SCHEDULER)?;
        property.value.as_str().map(str::to_owned)
    }

    /// The properties as they are now.
    pub(crate) fn properties(&self) -> Properties {
        self.lock_properties().clone()
    }

    /// A text without secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.capabilities.mask(text)
    }

    /// Sets a property, here and in the store. Secrets in it are hidden.
    pub(crate) async fn set_property(
        &self,
        name: &str,
        value: Value,
        source: &str,
    ) -> Result<(), StoreError> {
        let masker = self.capabilities.secrets.masker();
        let name = &*masker.mask_text(name);
        let value = masker.mask_value(value);
        self.store
            .set_build_property(self.build.id, name, &value, source)
            .await?;
        self.lock_properties().set(name, value, source);
        Ok(())
    }

    /// Says which revision of a codebase was checked out.
    pub(crate) async fn set_got_revision(
        &self,
        codebase: &str,
        revision: &str,
        source: &str,
    ) -> Result<(), StoreError> {
        let value = if codebase.is_empty() {
            Value::from(revision)
        } else {
            let mut revisions = match self.lock_properties().get(GOT_REVISION) {
                Some(Value::Object(revisions)) => revisions.clone(),
                _ => Map::new(),
            };
            revisions.insert(codebase.into(), revision.into());
            Value::Object(revisions)
        };
        self.set_property(GOT_REVISION, value, source).await
    }

    /// What templates can name now.
    pub(crate) fn scope(&self) -> Scope {
        let properties = self.lock_properties();
        Scope::new()
            .with_properties(&properties)
            .with_sources(source_scopes(&self.sources, &properties))
            .with_build(&BuildScope {
                id: Some(self.build.id.0),
                number: Some(self.build.number),
                builder: self.builder.name.clone(),
                reason: self.reason.clone(),
                url: Some(self.url.clone()),
            })
            .with_worker(&WorkerScope {
                name: self.worker_name.clone(),
                info: self.worker.info(),
            })
    }

    fn lock_properties(&self) -> MutexGuard<'_, Properties> {
        self.properties
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One running step.
pub(crate) struct StepContext {
    pub(crate) build: Arc<BuildContext>,
    pub(crate) id: StepId,
    /// As recorded: unique in the build.
    pub(crate) name: String,
    pub(crate) config: Arc<StepConfig>,
    pub(crate) rendered: RenderedStep,
    /// The plugin whose step it is, and what it asks for.
    pub(crate) plugin: Option<Wanted>,
    pub(crate) logs: StepLogs,
    /// Cancelled when this step is to stop.
    pub(crate) cancel: CancellationToken,
    pub(crate) told: Mutex<Told>,
    /// What its commands have used.
    pub(crate) used: Arc<Tally>,
}

/// What a step says of itself while it runs.
#[derive(Debug, Default)]
pub(crate) struct Told {
    last: Option<String>,
    /// Whether that is still to be shown.
    is_new: bool,
}

/// How long a line of output or a text may wait before everybody can see it.
const SHOW_INTERVAL: Duration = Duration::from_millis(250);

impl StepContext {
    /// A command in the step's directory and environment, without limits.
    pub(crate) fn command(&self, invocation: Invocation) -> CommandSpec {
        let build_dir = &self.build.build_dir;
        let mut spec = match invocation {
            Invocation::Argv(words) => CommandSpec::argv(build_dir, words),
            Invocation::Shell(line) => CommandSpec::shell(build_dir, line),
        };
        spec.dir.clone_from(&self.rendered.workdir);
        spec.env.clone_from(&self.rendered.env);
        spec
    }

    /// How long a command may be silent, by its own wish or that of the configuration.
    pub(crate) fn idle_timeout(&self, own: Option<Duration>) -> Duration {
        let given = own.or(self.config.options.command_timeout);
        given.unwrap_or(IDLE_TIMEOUT_DEFAULT)
    }

    /// How long a command may run, by its own wish or that of the configuration.
    pub(crate) fn total_timeout(&self, own: Option<Duration>) -> Option<Duration> {
        own.or(self.config.options.command_max_time)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(
        &self,
        spec: CommandSpec,
        plan: OutputPlan<'_>,
    ) -> Result<Ended, Fault> {
        let spec = secrets::filled(self, spec).await?;
        let worker = self.build.worker.as_ref();
        command::run(worker, spec, plan, &self.cancel, &self.used).await
    }

    /// The files of the build.
    pub(crate) fn files(&self) -> Arc<dyn LinkFiles> {
        self.build.worker.files(&self.build.build_dir)
    }

    /// A path of the step, relative to the build's directory.
    pub(crate) fn path(&self, relative: &str) -> String {
        join(&self.rendered.workdir, relative)
    }

    /// Shows what the step does now, at the next opportunity: of texts that follow each other faster than
    /// people can read, only the last is shown.
    pub(crate) fn show_soon(&self, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Told {
            last: Some(text.to_owned()),
            is_new: true,
        };
    }

    /// What the step last said of itself.
    pub(crate) fn last_told(&self) -> Option<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.last.clone()
    }

    /// The text that is still to be shown.
    fn text_to_show(&self) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = std::mem::take(&mut told.is_new);
        is_new.then(|| {
            let text = self.rendered.texts.running(told.last.as_deref());
            self.build.mask(&text)
        })
    }

    /// Makes output and texts visible again and again; never returns.
    pub(crate) async fn keep_showing(&self) {
        loop {
            tokio::time::sleep(SHOW_INTERVAL).await;
            self.logs.flush().await;
            let text = self.text_to_show();
            if let Some(text) = text
                && let Err(error) = self.build.store.set_step_state(self.id, &text).await
            {
                warn!(step.id = %self.id, "the text of step {} was not stored: {error}", self.id);
            }
        }
    }
}

/// Joins two paths of the worker. Steps back stay in the text, so that the worker refuses those that lead out.
fn join(dir: &str, relative: &str) -> String {
    let both = Path::new(dir).join(relative);
    let parts = both.components().filter(|part| *part != Component::CurDir);
    parts
        .collect::<std::path::PathBuf>()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_of_steps_are_joined() {
        assert_eq!(join("build", "a/b"), "build/a/b");
        assert_eq!(join("build", "./a"), "build/a");
        assert_eq!(join("", "a"), "a");
        assert_eq!(join("build", ""), "build");
        assert_eq!(join("build", "../../x"), "build/../../x");
        assert_eq!(join("build", "/etc"), "/etc");
    }
}
