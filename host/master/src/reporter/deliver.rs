//! Making one delivery: by the live version of the plugin that brings the reporter's type.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_config::config::ReporterConfig;
use toolpost_core::report::{Delivery, Failure};
use toolpost_sandbox::{CallLimits, PluginErrorKind, PluginRegistry, SandboxError, reporter};
use toolpost_store::{Made, Store, StoreError};

use super::host::DeliveryHost;
use super::report::{ReportError, Reports};
use crate::build::plugin::limits;
use crate::services::Capabilities;
use crate::uses::RunningUses;

/// Makes deliveries of one reporter.
#[async_trait]
pub(crate) trait Deliver: Send + Sync + 'static {
    /// Why nothing can be delivered now; `None` when it can.
    fn held(&self) -> Option<String>;

    /// The version of the plugin that delivers now.
    fn version(&self) -> Option<String>;

    /// Tries once. Dropping the future ends the try.
    async fn deliver(&self, delivery: &Delivery) -> Result<Told, Untold>;
}

/// How a delivery was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) made: Made,
    /// For the operator.
    pub(crate) text: String,
}

/// Why a delivery was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Untold {
    /// The try failed.
    Failed(Failure, String),
    /// The plugin crashed, or went past a limit. It may be replaced by a better one before the tries are used up.
    Crashed(String),
    /// It is not the delivery's fault, and no try of it.
    NotNow(String),
}

/// Makes deliveries with a plugin.
pub(crate) struct PluginDeliver {
    pub(crate) store: Store,
    pub(crate) registry: PluginRegistry,
    /// For the address of the pages and the limits of plugins, as of now.
    pub(crate) uses: Arc<RunningUses>,
    pub(crate) config: Arc<ReporterConfig>,
    pub(crate) capabilities: Arc<Capabilities>,
}

#[async_trait]
impl Deliver for PluginDeliver {
    fn held(&self) -> Option<String> {
        let name = &self.config.reporter_type;
        match self.registry.reporter_type(name) {
            Some(_) => None,
            None => Some(format!(
                "no plugin brings the reporter type `{name}` now; see the page of the plugins"
            )),
        }
    }

    fn version(&self) -> Option<String> {
        let live = self.registry.reporter_type(&self.config.reporter_type)?;
        Some(live.plugin().digest().to_owned())
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Told, Untold> {
        let name = &self.config.reporter_type;
        let Some(reporter_type) = self.registry.reporter_type(name) else {
            return Err(Untold::NotNow(format!(
                "no plugin brings the reporter type `{name}` now"
            )));
        };
        let Some(running) = self.uses.config() else {
            return Err(Untold::NotNow("the master has no configuration yet".into()));
        };
        let plugin = reporter_type.plugin().name();
        let configured = running.plugins.get(plugin).map(AsRef::as_ref);
        let limits = limits(CallLimits::report(), configured);
        let reports = Reports::new(&self.store, &running.master.url);
        let (event, builds) = reports.event(&delivery.entry).await?;
        let host = DeliveryHost {
            reporter: self.config.name.clone(),
            delivery: delivery.id,
            store: self.store.clone(),
            builds,
            capabilities: Arc::clone(&self.capabilities),
            wanted: reporter_type.plugin().wanted(),
        };
        let told = reporter::Delivery {
            key: delivery.key.clone(),
            attempt: delivery.attempts.saturating_add(1),
            at_ms: u64::try_from(delivery.entry.at.0).unwrap_or(0),
            event,
        };
        let parameters = Value::Object(self.config.parameters.clone());
        let called = reporter_type
            .report(
                &parameters,
                told,
                Arc::new(host),
                limits,
                CancellationToken::new(),
            )
            .await;
        match called {
            Ok((reporter::Outcome::Sent(text), _)) => Ok(self.told(Made::Delivered, &text)),
            Ok((reporter::Outcome::Skipped(text), _)) => Ok(self.told(Made::Skipped, &text)),
            Err(error) => Err(self.masked(error.into())),
        }
    }
}

/// What a plugin says is kept and shown, so there must be no secrets in it.
impl PluginDeliver {
    fn told(&self, made: Made, text: &str) -> Told {
        Told {
            made,
            text: self.capabilities.mask(text),
        }
    }

    fn masked(&self, untold: Untold) -> Untold {
        match untold {
            Untold::Failed(failure, text) => Untold::Failed(failure, self.capabilities.mask(&text)),
            Untold::Crashed(text) => Untold::Crashed(self.capabilities.mask(&text)),
            Untold::NotNow(text) => Untold::NotNow(self.capabilities.mask(&text)),
        }
    }
}

impl From<SandboxError> for Untold {
    fn from(error: SandboxError) -> Self {
        let failure = match &error {
            SandboxError::Cancelled | SandboxError::Shutdown | SandboxError::Host(_) => {
                return Self::NotNow(error.to_string());
            }
            SandboxError::Plugin {
                kind: PluginErrorKind::Permanent | PluginErrorKind::Config,
                ..
            }
            | SandboxError::Parameters(_) => Failure::Permanent,
            error if error.is_fault() => return Self::Crashed(error.to_string()),
            _ => Failure::Retryable,
        };
        Self::Failed(failure, error.to_string())
    }
}

impl From<ReportError> for Untold {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(StoreError::NotFound { .. }) | ReportError::Untellable(_) => {
                Self::Failed(Failure::Permanent, error.to_string())
            }
            ReportError::Store(_) => Self::NotNow(error.to_string()),
        }
    }
}
