//! Running a step of a plugin.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;

use crate::call::{CallContext, Caller, Hider, Home, LineTarget};
use crate::fair::Party;
use crate::imports::convert;
use crate::plugin::{CallUsage, PluginVersion, TypeInfo};
use crate::{CallLimits, SandboxError, StepHost};

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Its result.
    pub results: Results,
    /// Its final text; empty keeps what was last set.
    pub summary: String,
    /// What the call took.
    pub usage: CallUsage,
}

/// A step type of a certain version of a plugin, ready to run.
#[derive(Debug)]
pub struct StepType {
    plugin: Arc<PluginVersion>,
    info: Arc<TypeInfo>,
}

impl StepType {
    pub(super) fn new(plugin: Arc<PluginVersion>, info: Arc<TypeInfo>) -> Self {
        Self { plugin, info }
    }

    /// The version that it belongs to.
    #[must_use]
    pub fn plugin(&self) -> &Arc<PluginVersion> {
        &self.plugin
    }

    /// Name, summary, schema.
    #[must_use]
    pub fn info(&self) -> &Arc<TypeInfo> {
        &self.info
    }

    /// Runs one step to its end, on the sandbox's own threads; the caller only waits. `parameters` are rendered.
    /// Calls of `host` come on the runtime that this was called from.
    ///
    /// When `cancel` fires, the step's commands are interrupted and the plugin has
    /// [`CallLimits::cancel_grace`] to come to its end; it may still return an outcome. When the returned future is
    /// dropped, the call is ended at once.
    ///
    /// # Errors
    /// What the plugin returned as an error, or why it had to be ended.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn run(
        &self,
        parameters: &Value,
        host: Arc<dyn StepHost>,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        self.info
            .check(parameters)
            .map_err(SandboxError::Parameters)?;
        let text_bytes_max = limits.text_bytes_max;
        let listener = host.clone();
        let party = Party::new(self.plugin.name(), &host.build_info().builder);
        let log: LineTarget = Arc::new(move |level, line| listener.log(level, line));
        let home = Home {
            caller: Caller::Step(host),
            runtime: tokio::runtime::Handle::current(),
            wanted: self.plugin.wanted(),
        };
        let hider = Hider::of(Some(&home));
        let context = CallContext {
            party,
            limits: Arc::new(limits),
            entry_wait_max: None,
            home: Some(home),
            at: None,
            log,
            cancel,
        };
        let (name, parameters) = (self.info.name().to_owned(), parameters.to_string());
        let called = self.plugin.call(
            &self.info,
            context,
            move |plugin, store| {
                Box::pin(async move { plugin.run(store, &name, &parameters).await })
            },
            |outcome| outcome.map_err(convert::plugin_error),
        );
        let (outcome, usage) = called.await?;
        Ok(StepOutcome {
            results: convert::results(outcome.results),
            summary: hider.short(&outcome.summary, text_bytes_max),
            usage,
        })
    }
}
