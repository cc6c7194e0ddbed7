//! Delivering something with a reporter of a plugin.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::call::{CallContext, Caller, Hider, Home, LineTarget};
use crate::fair::Party;
use crate::host::ReporterHost;
use crate::imports::convert;
use crate::plugin::{CallUsage, PluginVersion, TypeInfo};
use crate::{CallLimits, SandboxError};

pub use crate::bindings::exports::toolpost::plugin::reporter::{Delivery, Event, Outcome};
pub use crate::bindings::toolpost::plugin::reports::{
    BuildReport, BuildsetReport, Link, LogReport, RequestReport, StepReport, WorkerReport,
};
pub use crate::bindings::toolpost::plugin::types::{Change, Results, SourceStamp};

/// A reporter type of a certain version of a plugin, ready to deliver.
#[derive(Debug, Clone)]
pub struct ReporterType {
    plugin: Arc<PluginVersion>,
    info: Arc<TypeInfo>,
}

impl ReporterType {
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

    /// Delivers one thing. Calls of `host` come on the runtime that this was called from. When `cancel` fires, the plugin has
    /// [`CallLimits::cancel_grace`]; when the future is dropped, the call ends at once.
    ///
    /// # Errors
    /// What the plugin returned as an error, or why it had to be ended.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn report(
        &self,
        parameters: &Value,
        delivery: Delivery,
        host: Arc<dyn ReporterHost>,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<(Outcome, CallUsage), SandboxError> {
        self.info
            .check(parameters)
            .map_err(SandboxError::Parameters)?;
        let text_bytes_max = limits.text_bytes_max;
        let listener = host.clone();
        let log: LineTarget = Arc::new(move |level, line| listener.log(level, line));
        let home = Home {
            caller: Caller::Reporter(host),
            runtime: tokio::runtime::Handle::current(),
            wanted: self.plugin.wanted(),
        };
        let hider = Hider::of(Some(&home));
        let context = CallContext {
            party: Party::service(self.plugin.name(), self.info.name()),
            limits: Arc::new(limits),
            entry_wait_max: None,
            home: Some(home),
            at: None,
            log,
            cancel,
        };
        let (name, parameters) = (self.info.name().to_owned(), parameters.to_string());
        let cut = move |text: String| hider.short(&text, text_bytes_max);
        let called = self.plugin.call(
            &self.info,
            context,
            move |plugin, store| {
                Box::pin(async move { plugin.report(store, &name, &parameters, &delivery).await })
            },
            |outcome| {
                Ok(match outcome.map_err(convert::plugin_error)? {
                    Outcome::Sent(text) => Outcome::Sent(cut(text)),
                    Outcome::Skipped(text) => Outcome::Skipped(cut(text)),
                })
            },
        );
        called.await
    }
}
