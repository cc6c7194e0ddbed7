//! What a step does with its build beyond worker, logs and properties, and with the farm around it: artifacts, builds of
//! other builders, build data, test results. The same for plugins and for native steps.

mod artifacts;
mod plugin;
mod triggers;
mod unpack;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use toolpost_bus::Subscription;
use toolpost_core::{BuildId, BuilderId, RequestId};
use toolpost_sandbox::host::HostError;
use toolpost_store::StoreError;

use crate::builds::Hopeless;
use crate::engine::Engine;
use crate::error::ControlError;

pub(crate) use artifacts::{Artifacts, upload_room};
pub(crate) use plugin::PluginFarm;
pub(crate) use triggers::{Triggered, Triggers};

/// What a build may ask of the farm that it runs on.
#[async_trait]
pub(crate) trait Farm: Send + Sync {
    /// The builder of this name that is configured now.
    fn builder(&self, name: &str) -> Option<BuilderId>;

    /// Where the pages begin, with a `/` at the end.
    fn url(&self) -> String;

    /// What happens from now on.
    fn events(&self) -> Subscription;

    /// Cancels a request, or stops its build.
    async fn cancel(&self, request: RequestId, reason: &str) -> Result<(), ControlError>;

    /// Gives the place of a build on its worker to others until the answer is dropped, because it waits for these requests.
    fn lend_place(&self, build: BuildId, requests: Vec<RequestId>) -> LentPlace;

    /// The builds that wait for ever for builds that they asked for, as that changes.
    fn hopeless(&self) -> watch::Receiver<Hopeless>;
}

/// A running master.
pub(crate) struct EngineFarm(pub(crate) Arc<Engine>);

#[async_trait]
impl Farm for EngineFarm {
    fn builder(&self, name: &str) -> Option<BuilderId> {
        self.0.running().ids.builders.get(name).copied()
    }

    fn url(&self) -> String {
        self.0.config().master.url.clone()
    }

    fn events(&self) -> Subscription {
        self.0.bus.subscribe()
    }

    async fn cancel(&self, request: RequestId, reason: &str) -> Result<(), ControlError> {
        self.0.cancel_request(request, reason, "").await
    }

    fn lend_place(&self, build: BuildId, requests: Vec<RequestId>) -> LentPlace {
        let wait = self.0.builds.lend_place(build, requests);
        self.0.distribute.notify_one();
        LentPlace(Some((Arc::clone(&self.0), build, wait)))
    }

    fn hopeless(&self) -> watch::Receiver<Hopeless> {
        self.0.builds.hopeless()
    }
}

/// The place of a build that waits for others. Dropping it takes the place back, also when somebody else is there by
/// now: so its worker may run one build more than it should, until one of them ends.
pub(crate) struct LentPlace(Option<(Arc<Engine>, BuildId, u64)>);

impl LentPlace {
    /// The place of a build that nobody distributes.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Drop for LentPlace {
    fn drop(&mut self) {
        if let Some((engine, build, wait)) = &self.0 {
            engine.builds.take_back_place(*build, *wait);
        }
    }
}

/// Trouble of the master's own.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so it can be given to `map_err`"
)]
fn internal(error: StoreError) -> HostError {
    HostError::Internal(error.to_string())
}
