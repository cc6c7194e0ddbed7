//! Builds of other builders that a step asks for, and waits for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use toolpost_bus::{Wake, Woken};
use toolpost_core::model::{Build, BuildRequest, Buildset, SourceStampSpec};
use toolpost_core::sourcestamp::for_rebuild;
use toolpost_core::{BuilderId, BuildsetId, Event, Properties, RequestId};
use toolpost_sandbox::host::{
    HostError, TriggerProgress, TriggerRequest, TriggerSources, TriggeredBuild, TriggeredBuilds,
};
use toolpost_store::{Filter, NewBuildset, Op, ParentBuild, Query};
use tracing::warn;

use super::internal;
use crate::build::StepContext;
use crate::error::ControlError;
use crate::properties::got_revisions;

/// Buildbot's word for what a triggered build is to the one that asked for it.
const RELATIONSHIP: &str = "Triggered from";

/// Builds that may have asked for each other, one after the other. A recipe that triggers itself ends here.
const DEPTH_MAX: u32 = 16;

/// Links that one step gets for builds that it asked for.
const LINKS_MAX: u32 = 100;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What one step has asked for.
pub(crate) struct Triggers {
    step: Arc<StepContext>,
    /// Requests that end with the step if it ends badly.
    waited_for: Mutex<Vec<RequestId>>,
    links: AtomicU32,
}

impl Triggers {
    pub(crate) fn new(step: Arc<StepContext>) -> Arc<Self> {
        Arc::new(Self {
            step,
            waited_for: Mutex::default(),
            links: AtomicU32::new(0),
        })
    }

    /// Asks for builds.
    pub(crate) async fn request(
        self: &Arc<Self>,
        asked: TriggerRequest,
    ) -> Result<Triggered, HostError> {
        self.check_cancelled()?;
        let builders = self.builders(&asked.builders)?;
        self.check_depth().await?;
        let step = &self.step;
        let waited_for = asked.waited_for;
        let new = self.buildset(asked, builders.values().copied().collect());
        let new = new.await?;
        let store = &step.build.store;
        let added = store.add_buildset(new, step.build.clock.now()).await;
        let added = added.map_err(internal)?;
        let requests: BTreeMap<String, RequestId> = builders
            .into_iter()
            .filter_map(|(name, id)| Some((name, *added.requests.get(&id)?)))
            .collect();
        if waited_for {
            self.waited_for().extend(requests.values());
            // It may have been cancelled since, and then nobody else would stop these.
            if let Err(refused) = self.check_cancelled() {
                self.cancel().await;
                return Err(refused);
            }
        }
        for (builder, request) in &requests {
            let name = format!("{builder} (request {request})");
            self.link(&name, &self.request_url(*request)).await?;
        }
        Ok(Triggered {
            triggers: Arc::clone(self),
            buildset: added.id,
            requests,
        })
    }

    fn check_cancelled(&self) -> Result<(), HostError> {
        if self.step.cancel.is_cancelled() {
            return Err(HostError::Permanent("the step was cancelled".into()));
        }
        Ok(())
    }

    fn builders(&self, names: &[String]) -> Result<BTreeMap<String, BuilderId>, HostError> {
        let farm = &self.step.build.farm;
        let ids = names.iter().map(|name| match farm.builder(name) {
            Some(id) => Ok((name.clone(), id)),
            None => Err(HostError::Config(format!("there is no builder `{name}`"))),
        });
        ids.collect()
    }

    /// Refuses a build that is the end of a long chain.
    async fn check_depth(&self) -> Result<(), HostError> {
        let store = &self.step.build.store;
        let mut build = self.step.build.build.clone();
        for _ in 0..DEPTH_MAX {
            let request = store.get::<BuildRequest>(build.request_id.0);
            let set = request.await.map_err(internal)?.buildset_id;
            let set = store.get::<Buildset>(set.0).await.map_err(internal)?;
            let Some(parent) = set.parent_buildid else {
                return Ok(());
            };
            build = store.get::<Build>(parent.0).await.map_err(internal)?;
        }
        Err(HostError::Permanent(format!(
            "this build was triggered through {DEPTH_MAX} others already"
        )))
    }

    async fn buildset(
        &self,
        asked: TriggerRequest,
        builders: Vec<BuilderId>,
    ) -> Result<NewBuildset, HostError> {
        let build = &self.step.build;
        let store = &build.store;
        let request = store.get::<BuildRequest>(build.build.request_id.0);
        let request = request.await.map_err(internal)?;
        let mut changes = Vec::new();
        if asked.sources == TriggerSources::OfThisBuild {
            let found = store.changes_of_buildset(request.buildset_id).await;
            changes = found.map_err(internal)?;
        }
        let mut properties = Properties::new();
        let masker = build.capabilities.secrets.masker();
        for (name, value) in asked.properties {
            let name = masker.mask_text(&name).into_owned();
            properties.set(name, masker.mask_value(value), &self.step.name);
        }
        let (builder, number) = (&build.builder.name, build.build.number);
        Ok(NewBuildset {
            reason: match asked.reason {
                Some(reason) => build.mask(&reason),
                None => {
                    let step = &self.step.name;
                    format!("triggered by step `{step}` of build {number} of {builder}")
                }
            },
            sourcestamps: self.sources(asked.sources).await?,
            changes: changes.into_iter().map(|change| change.id).collect(),
            properties,
            builders,
            priority: asked.priority.unwrap_or(request.priority),
            waited_for: asked.waited_for,
            parent: Some(ParentBuild {
                build: build.build.id,
                relationship: RELATIONSHIP.into(),
            }),
            ..NewBuildset::default()
        })
    }

    async fn sources(&self, asked: TriggerSources) -> Result<Vec<SourceStampSpec>, HostError> {
        let build = &self.step.build;
        Ok(match asked {
            TriggerSources::OfThisBuild => {
                for_rebuild(&build.sources, &got_revisions(&build.properties()))
            }
            TriggerSources::Newest => {
                let newest = build.sources.iter().cloned().map(|stamp| SourceStampSpec {
                    revision: None,
                    ..stamp
                });
                newest.collect()
            }
            TriggerSources::Given(stamps) => {
                let unknown = build.store.unknown_patch(&stamps).await;
                if let Some(unknown) = unknown.map_err(internal)? {
                    return Err(HostError::Permanent(format!(
                        "there is no patch {unknown}: hand on that of a source stamp, or none"
                    )));
                }
                stamps
            }
        })
    }

    /// Stops the builds that the step waits for.
    pub(crate) async fn cancel(&self) {
        let farm = &self.step.build.farm;
        let reason = format!(
            "step `{}` of build {} of {}, which waits for it, was stopped",
            self.step.name, self.step.build.build.number, self.step.build.builder.name
        );
        loop {
            let Some(request) = self.waited_for().last().copied() else {
                return;
            };
            match farm.cancel(request, &reason).await {
                Ok(()) | Err(ControlError::RequestEnded(_) | ControlError::BuildEnded(_)) => {}
                Err(error) => warn!("request {request} was not cancelled: {error}"),
            }
            // Only now, so that nothing is lost when this is dropped meanwhile.
            self.waited_for().retain(|waiting| *waiting != request);
        }
    }

    fn waited_for(&self) -> MutexGuard<'_, Vec<RequestId>> {
        self.waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn link(&self, name: &str, url: &str) -> Result<(), HostError> {
        if self.links.fetch_add(1, Ordering::Relaxed) >= LINKS_MAX {
            return Ok(());
        }
        let store = &self.step.build.store;
        let added = store.add_step_url(self.step.id, name, url).await;
        added.map_err(internal)
    }

    fn request_url(&self, request: RequestId) -> String {
        format!("{}requests/{request}", self.step.build.farm.url())
    }
}

/// Builds that were asked for.
pub(crate) struct Triggered {
    triggers: Arc<Triggers>,
    buildset: BuildsetId,
    requests: BTreeMap<String, RequestId>,
}

#[async_trait]
impl TriggeredBuilds for Triggered {
    async fn progress(&self) -> Result<TriggerProgress, HostError> {
        let build = &self.triggers.step.build;
        let store = &build.store;
        let set = store.get::<Buildset>(self.buildset.0).await;
        let set = set.map_err(internal)?;
        let limit = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let query = Query::new().eq("buildsetid", self.buildset).limit(limit);
        let requests = store.list::<BuildRequest>(&query).await;
        let results: BTreeMap<RequestId, _> = requests
            .map_err(internal)?
            .into_iter()
            .map(|request| (request.id, request.results.filter(|_| request.complete)))
            .collect();
        let newest = self.newest_builds().await?;
        let builds = self.requests.iter().map(|(builder, request)| {
            let started = newest.get(request);
            let url = match started {
                Some(started) => format!("{}builds/{}", build.farm.url(), started.id),
                None => self.triggers.request_url(*request),
            };
            TriggeredBuild {
                builder: builder.clone(),
                request: positive(request.0),
                number: started.map(|started| positive(started.number)),
                url,
                results: results.get(request).copied().flatten(),
            }
        });
        Ok(TriggerProgress {
            buildset: positive(self.buildset.0),
            results: set.results.filter(|_| set.complete),
            builds: builds.collect(),
        })
    }

    async fn wait(&self) -> Result<TriggerProgress, HostError> {
        self.wait_telling(|_| ()).await
    }
}

impl Triggered {
    /// Waits, and tells each time that something may have changed.
    pub(crate) async fn wait_telling(
        &self,
        tell: impl Fn(&TriggerProgress) + Send,
    ) -> Result<TriggerProgress, HostError> {
        let step = &self.triggers.step;
        let mut wake = Wake::new(step.build.farm.events(), LOOK_INTERVAL, self.wanted());
        let id = step.build.build.id;
        let requests = self.requests.values().copied().collect();
        let _place = step.build.farm.lend_place(id, requests);
        let mut hopeless = step.build.farm.hopeless();
        let mut linked: Vec<bool> = vec![false; self.requests.len()];
        loop {
            let progress = self.progress().await?;
            for (build, linked) in progress.builds.iter().zip(&mut linked) {
                if let (Some(number), false) = (build.number, *linked) {
                    *linked = true;
                    let name = format!("{} #{number}", build.builder);
                    self.triggers.link(&name, &build.url).await?;
                }
            }
            tell(&progress);
            if let Some(reason) = hopeless.borrow_and_update().get(&id) {
                step.show_soon(&format!("waiting for ever: {reason}"));
            }
            if progress.results.is_some() || step.cancel.is_cancelled() {
                return Ok(progress);
            }
            tokio::select! {
                woken = wake.next(None) => if woken == Woken::Closed {
                    return Err(HostError::Retryable("the master stops".into()));
                },
                // The sender lives as long as the master.
                Ok(()) = hopeless.changed() => {}
                () = step.cancel.cancelled() => {}
            }
        }
    }

    fn wanted(&self) -> impl Fn(&Event) -> bool + Send + 'static {
        let buildset = self.buildset;
        let farm = &self.triggers.step.build.farm;
        let builders: Vec<BuilderId> = self
            .requests
            .keys()
            .filter_map(|name| farm.builder(name))
            .collect();
        move |event| match event {
            Event::BuildsetComplete(complete) => *complete == buildset,
            Event::BuildStarted(_, builder) | Event::BuildFinished(_, builder) => {
                builders.contains(builder)
            }
            _ => false,
        }
    }

    /// The last build of each request that has one.
    async fn newest_builds(&self) -> Result<BTreeMap<RequestId, Build>, HostError> {
        let query = Query {
            filters: vec![Filter {
                field: "buildrequestid".into(),
                op: Op::Eq,
                values: self.requests.values().map(ToString::to_string).collect(),
            }],
            ..Query::new()
        };
        let store = &self.triggers.step.build.store;
        let builds = store.list::<Build>(&query).await.map_err(internal)?;
        Ok(builds
            .into_iter()
            .map(|build| (build.request_id, build))
            .collect())
    }
}

fn positive(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}
