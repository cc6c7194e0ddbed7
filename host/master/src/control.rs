//! What people ask of builds, requests, reporters and schedulers.

use toolpost_core::model::{Build, BuildRequest, Builder, Buildset};
use toolpost_core::report::Reporter;
use toolpost_core::sourcestamp::for_rebuild;
use toolpost_core::step::Stop;
use toolpost_core::{BuildId, DeliveryId, ReporterId, RequestId, Results, SchedulerId};
use toolpost_store::{Cancel, NewBuildset, StoreError};

use crate::engine::Engine;
use crate::error::ControlError;
use crate::properties::got_revisions;
use crate::status::Submitted;

impl Engine {
    pub(crate) async fn stop_build(
        &self,
        id: BuildId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        let Some(stops) = self.builds.stops_of(id) else {
            let build = self.store.find::<Build>(id.0).await?;
            return Err(match build.ok_or(ControlError::UnknownBuild(id))? {
                build if build.complete => ControlError::BuildEnded(id),
                build if build.master_id == self.master_id => ControlError::BuildEnded(id),
                _ => ControlError::BuildElsewhere(id),
            });
        };
        let stop = Stop {
            results: Results::Cancelled,
            reason: stop_reason(reason, who),
        };
        let sent = stops.send(stop).await;
        sent.map_err(|_| ControlError::BuildEnded(id))
    }

    pub(crate) async fn rebuild(&self, id: BuildId, who: &str) -> Result<Submitted, ControlError> {
        let store = &self.store;
        let build = store.find::<Build>(id.0).await?;
        let build = build.ok_or(ControlError::UnknownBuild(id))?;
        let builder = store.get::<Builder>(build.builder_id.0).await?;
        if !self.running().builders.contains_key(&build.builder_id) {
            return Err(ControlError::BuilderGone(builder.name));
        }
        let request = store.get::<BuildRequest>(build.request_id.0).await?;
        let buildset = store.get::<Buildset>(request.buildset_id.0).await?;
        let stamps: Vec<_> = buildset
            .sourcestamps
            .into_iter()
            .map(|stamp| stamp.spec)
            .collect();
        let found = got_revisions(&store.build_properties(id).await?);
        let new = NewBuildset {
            reason: format!(
                "rebuild of build {} of {} by {who}",
                build.number, builder.name
            ),
            sourcestamps: for_rebuild(&stamps, &found),
            properties: store.buildset_properties(request.buildset_id).await?,
            builders: vec![build.builder_id],
            priority: request.priority,
            rebuilt: Some(id),
            ..NewBuildset::default()
        };
        let added = store.add_buildset(new, self.clock.now()).await?;
        Ok(Submitted {
            buildset: added.id,
            requests: added.requests.into_iter().collect(),
        })
    }

    pub(crate) async fn cancel_request(
        &self,
        id: RequestId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        let request = self.store.find::<BuildRequest>(id.0).await?;
        request.ok_or(ControlError::UnknownRequest(id))?;
        match self.store.cancel_request(id, self.clock.now()).await? {
            Cancel::Cancelled => Ok(()),
            Cancel::Complete => Err(ControlError::RequestEnded(id)),
            Cancel::Claimed(_) => match self.builds.of_request(id) {
                Some(build) => self.stop_build(build, reason, who).await,
                None => Err(ControlError::RequestElsewhere(id)),
            },
        }
    }
}

/// Changes of what is there, as far as they are no more than that.
impl Engine {
    pub(crate) async fn set_priority(
        &self,
        id: RequestId,
        priority: i32,
    ) -> Result<(), ControlError> {
        let request = self.store.find::<BuildRequest>(id.0).await?;
        request.ok_or(ControlError::UnknownRequest(id))?;
        let set = self.store.set_request_priority(id, priority).await;
        set.map_err(|error| match error {
            StoreError::NotFound { .. } => ControlError::RequestEnded(id),
            error => error.into(),
        })
    }

    pub(crate) async fn enable_scheduler(
        &self,
        id: SchedulerId,
        enabled: bool,
    ) -> Result<(), ControlError> {
        let set = self.store.set_scheduler_enabled(id, enabled).await;
        set.map_err(|error| match error {
            StoreError::NotFound { .. } => ControlError::NoScheduler(id),
            error => error.into(),
        })
    }
}

/// One line about who stopped a build and why, as far as that was said.
fn stop_reason(reason: &str, who: &str) -> String {
    match (who.trim(), reason.trim()) {
        ("", "") => "stopped".into(),
        ("", reason) => reason.into(),
        (who, "") => format!("stopped by {who}"),
        (who, reason) => format!("stopped by {who}: {reason}"),
    }
}

/// What people ask of reporters.
impl Engine {
    pub(crate) async fn resend_delivery(&self, id: DeliveryId) -> Result<(), ControlError> {
        let sent = self.store.resend_delivery(id, self.clock.now()).await;
        sent.map_err(|error| unknown_delivery(id, error))
    }

    pub(crate) async fn resend_dead(&self, id: ReporterId) -> Result<u64, ControlError> {
        let reporter = self.store.find::<Reporter>(id).await?;
        reporter.ok_or(ControlError::UnknownReporter(id))?;
        Ok(self.store.resend_dead(id, self.clock.now()).await?)
    }

    pub(crate) async fn discard_delivery(&self, id: DeliveryId) -> Result<(), ControlError> {
        let discarded = self.store.discard_delivery(id, self.clock.now()).await;
        match discarded.map_err(|error| unknown_delivery(id, error))? {
            true => Ok(()),
            false => Err(ControlError::DeliveryDone(id)),
        }
    }
}

/// What people ask of schedulers.
impl Engine {
    /// Has a scheduler pass over the event at which it fails; `event` is that event, or empty for whichever it is. Gives the
    /// event.
    pub(crate) async fn skip_event(
        &self,
        id: SchedulerId,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError> {
        let found = {
            let boards = self.boards();
            boards.skippers.iter().find(|of| of.id == id).cloned()
        };
        let scheduler = found.ok_or(ControlError::UnknownScheduler(id))?;
        scheduler.skip(event, reason, who).await
    }
}

fn unknown_delivery(id: DeliveryId, error: StoreError) -> ControlError {
    match error {
        StoreError::NotFound { .. } => ControlError::UnknownDelivery(id),
        error => error.into(),
    }
}
