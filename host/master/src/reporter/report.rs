//! What a delivery tells, read from the store as it is now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use toolpost_core::journal::{Fact, JournalEntry};
use toolpost_core::model::{Build, BuildRequest, Builder, Buildset, Change, Log, Step, Worker};
use toolpost_core::{
    BuildId, BuildsetId, Properties, RequestId, Results, StepId, Timestamp, WorkerId,
};
use toolpost_sandbox::reporter::{
    BuildReport, BuildsetReport, Event, Link, LogReport, RequestReport, StepReport, WorkerReport,
};
use toolpost_store::{Filter, Op, Query, Store, StoreError};

use super::select::{previous_results, scheduler_of};
use crate::told::{self, last_build, number};

/// Changes of one build that are told: the newest, as the contract says.
const CHANGES_MAX: usize = 100;
/// Steps of one build that are told.
const STEPS_MAX: u32 = 1_000;
/// Logs of one build that are told.
const LOGS_MAX: u32 = 5_000;
/// Builds of one build set that are told.
const BUILDS_MAX: u32 = 500;

/// Why something cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    /// The store failed, or has it no more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The contract has no such event.
    #[error("reporters do not tell of {0}")]
    Untellable(toolpost_core::JournalKind),
}

/// Reads what is told.
pub(super) struct Reports<'a> {
    store: &'a Store,
    /// Address of the pages, with a slash at its end.
    url: &'a str,
}

/// Whether steps and their logs are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    With,
    Without,
}

/// What all builds of a build set have in common.
struct Origin {
    buildset: Buildset,
    scheduler: Option<String>,
    properties: Properties,
    changes: Vec<Change>,
}

impl<'a> Reports<'a> {
    pub(super) fn new(store: &'a Store, url: &'a str) -> Self {
        Self { store, url }
    }

    /// What an entry tells, and the builds that it tells of.
    pub(super) async fn event(
        &self,
        entry: &JournalEntry,
    ) -> Result<(Event, BTreeSet<BuildId>), ReportError> {
        Ok(match entry.fact {
            Fact::ChangeAdded(_) => {
                return Err(ReportError::Untellable(entry.fact.kind()));
            }
            Fact::RequestAdded(request, _) => {
                let report = self.request(request).await?;
                (Event::RequestAdded(report), BTreeSet::new())
            }
            Fact::BuildStarted(build, _) => {
                let report = self.one_build(build).await?;
                (Event::BuildStarted(report), [build].into())
            }
            Fact::BuildFinished(build, ..) => {
                let report = self.one_build(build).await?;
                (Event::BuildFinished(report), [build].into())
            }
            Fact::BuildsetComplete(buildset, results) => {
                let (report, builds) = self.buildset(buildset, results, entry.at).await?;
                (Event::BuildsetComplete(report), builds)
            }
            Fact::WorkerLost(worker) => {
                let report = self.worker(worker, Some(entry.at)).await?;
                (Event::WorkerLost(report), BTreeSet::new())
            }
            Fact::WorkerFound(worker) => {
                let report = self.worker(worker, Some(entry.at)).await?;
                (Event::WorkerFound(report), BTreeSet::new())
            }
            Fact::WorkerMissing(worker) => {
                let report = self.worker(worker, None).await?;
                (Event::WorkerMissing(report), BTreeSet::new())
            }
            Fact::WorkerBack(worker) => {
                let report = self.worker(worker, Some(entry.at)).await?;
                (Event::WorkerBack(report), BTreeSet::new())
            }
        })
    }

    async fn one_build(&self, id: BuildId) -> Result<BuildReport, StoreError> {
        let build: Build = self.store.get(id).await?;
        let request: BuildRequest = self.store.get(build.request_id).await?;
        let origin = self.origin(request.buildset_id).await?;
        self.build(build, &origin, Steps::With).await
    }

    async fn origin(&self, id: BuildsetId) -> Result<Origin, StoreError> {
        let properties = self.store.buildset_properties(id).await?;
        let mut changes = self.store.changes_of_buildset(id).await?;
        changes.drain(..changes.len().saturating_sub(CHANGES_MAX));
        Ok(Origin {
            buildset: self.store.get(id).await?,
            scheduler: scheduler_of(&properties),
            properties,
            changes,
        })
    }

    async fn build(
        &self,
        build: Build,
        origin: &Origin,
        steps: Steps,
    ) -> Result<BuildReport, StoreError> {
        let builder: Builder = self.store.get(build.builder_id).await?;
        let worker: Option<Worker> = match build.worker_id {
            Some(worker) => self.store.find(worker).await?,
            None => None,
        };
        let steps = match steps {
            Steps::With => self.steps(build.id).await?,
            Steps::Without => Vec::new(),
        };
        Ok(BuildReport {
            id: number(build.id),
            builder: builder.name,
            tags: builder.tags,
            number: number(build.number),
            url: format!("{}builds/{}", self.url, build.id),
            worker: worker.map(|worker| worker.name).unwrap_or_default(),
            reason: origin.buildset.reason.clone(),
            previous_results: previous_results(self.store, &build)
                .await?
                .map(told::results),
            properties: told::values(&self.store.build_properties(build.id).await?),
            summary: build.state_string,
            results: build.results.map(told::results),
            started_ms: ms(build.started_at),
            complete_ms: build.complete_at.map(ms),
            request_id: number(build.request_id),
            buildset_id: number(origin.buildset.id),
            scheduler: origin.scheduler.clone(),
            source_stamps: told::stamps(&origin.buildset.sourcestamps),
            changes: origin.changes.iter().cloned().map(told::change).collect(),
            steps,
        })
    }

    async fn steps(&self, build: BuildId) -> Result<Vec<StepReport>, StoreError> {
        let query = Query::new()
            .eq("buildid", build)
            .order("number")
            .limit(STEPS_MAX);
        let steps: Vec<Step> = self.store.list(&query).await?;
        let mut logs = self.logs(&steps).await?;
        Ok(steps
            .into_iter()
            .filter(|step| !step.hidden)
            .map(|step| StepReport {
                number: u32::try_from(step.number).unwrap_or(0),
                logs: logs.remove(&step.id).unwrap_or_default(),
                name: step.name,
                summary: step.state_string,
                results: step.results.map(told::results),
                started_ms: step.started_at.map(ms),
                complete_ms: step.complete_at.map(ms),
                urls: step
                    .urls
                    .into_iter()
                    .map(|link| Link {
                        name: link.name,
                        url: link.url,
                    })
                    .collect(),
            })
            .collect())
    }

    async fn logs(&self, steps: &[Step]) -> Result<BTreeMap<StepId, Vec<LogReport>>, StoreError> {
        let mut reports: BTreeMap<StepId, Vec<LogReport>> = BTreeMap::new();
        if steps.is_empty() {
            return Ok(reports);
        }
        let mut query = Query::new().limit(LOGS_MAX);
        query.filters.push(Filter {
            field: "stepid".to_owned(),
            op: Op::Eq,
            values: steps.iter().map(|step| step.id.to_string()).collect(),
        });
        let logs: Vec<Log> = self.store.list(&query).await?;
        for log in logs {
            reports.entry(log.step_id).or_default().push(LogReport {
                id: number(log.id),
                url: format!("{}logs/{}", self.url, log.id),
                name: log.name,
                lines: number(log.num_lines),
            });
        }
        Ok(reports)
    }

    async fn buildset(
        &self,
        id: BuildsetId,
        results: Results,
        at: Timestamp,
    ) -> Result<(BuildsetReport, BTreeSet<BuildId>), StoreError> {
        let origin = self.origin(id).await?;
        let query = Query::new().eq("buildsetid", id).limit(BUILDS_MAX);
        let requests: Vec<BuildRequest> = self.store.list(&query).await?;
        let mut reported = BTreeSet::new();
        let mut builds = Vec::new();
        for request in requests {
            if let Some(build) = last_build(self.store, &request).await? {
                reported.insert(build.id);
                builds.push(self.build(build, &origin, Steps::Without).await?);
            }
        }
        let report = BuildsetReport {
            id: number(id),
            reason: origin.buildset.reason,
            results: told::results(results),
            submitted_ms: ms(origin.buildset.submitted_at),
            complete_ms: ms(origin.buildset.complete_at.unwrap_or(at)),
            scheduler: origin.scheduler,
            source_stamps: told::stamps(&origin.buildset.sourcestamps),
            properties: told::values(&origin.properties),
            builds,
        };
        Ok((report, reported))
    }

    async fn request(&self, id: RequestId) -> Result<RequestReport, StoreError> {
        let request: BuildRequest = self.store.get(id).await?;
        let builder: Builder = self.store.get(request.builder_id).await?;
        let origin = self.origin(request.buildset_id).await?;
        Ok(RequestReport {
            id: number(id),
            builder: builder.name,
            buildset_id: number(request.buildset_id),
            // The page of a builder shows what is asked of it.
            url: format!("{}builders/{}", self.url, request.builder_id),
            submitted_ms: ms(request.submitted_at),
            source_stamps: told::stamps(&origin.buildset.sourcestamps),
            reason: origin.buildset.reason,
            scheduler: origin.scheduler,
            properties: told::values(&origin.properties),
        })
    }

    /// A worker that was last seen then; by default when its last connection ended.
    async fn worker(
        &self,
        id: WorkerId,
        seen_at: Option<Timestamp>,
    ) -> Result<WorkerReport, StoreError> {
        let worker: Worker = self.store.get(id).await?;
        let seen_at = seen_at.or(worker.gone_at);
        let mut builders = BTreeSet::new();
        for (_, builder) in worker.configured_on {
            let builder: Builder = self.store.get(builder).await?;
            builders.insert(builder.name);
        }
        let info: Map<String, Value> = worker
            .info
            .into_iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (name, text.into())
            })
            .collect();
        Ok(WorkerReport {
            name: worker.name,
            url: format!("{}workers/{id}", self.url),
            builders: builders.into_iter().collect(),
            info: Value::Object(info).to_string(),
            last_seen_ms: seen_at.map(ms),
        })
    }
}

fn ms(at: Timestamp) -> u64 {
    number(at.0)
}
