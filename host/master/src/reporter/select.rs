//! Which entries of the journal a reporter tells.

use std::collections::HashMap;

use toolpost_core::journal::{Fact, JournalEntry};
use toolpost_core::model::{Build, BuildRequest, Builder, Buildset, Worker};
use toolpost_core::report::{About, Needs, Wants};
use toolpost_core::{BuildId, BuilderId, BuildsetId, Results};
use toolpost_store::{Op, Query, Store, StoreError};

use crate::told::last_build;

/// Requests of a build set that are looked at.
const REQUESTS_MAX: u32 = 1_000;

/// Picks entries, with as few reads as what is wanted allows.
pub(super) struct Selector<'a> {
    store: &'a Store,
    wants: &'a Wants,
    needs: Needs,
    /// Name and tags of the builders of this batch.
    builders: HashMap<BuilderId, (String, Vec<String>)>,
}

impl<'a> Selector<'a> {
    pub(super) fn new(store: &'a Store, wants: &'a Wants) -> Self {
        Self {
            store,
            wants,
            needs: wants.needs(),
            builders: HashMap::new(),
        }
    }

    /// Keeps what is wanted.
    pub(super) async fn select(
        mut self,
        entries: Vec<JournalEntry>,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let mut wanted = Vec::new();
        for entry in entries {
            let kind = entry.fact.kind();
            if !self.wants.events.contains(&kind) {
                continue;
            }
            match self.about(&entry.fact).await {
                Ok(_) if self.is_told_by_others(&entry.fact).await? => {}
                Ok(about) if self.wants.take(kind, &about) => wanted.push(entry),
                // Nobody can tell of what is not on record any more.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(wanted)
    }

    async fn about(&mut self, fact: &Fact) -> Result<Vec<About>, StoreError> {
        Ok(match *fact {
            Fact::ChangeAdded(_) => Vec::new(),
            Fact::RequestAdded(request, builder) => {
                let mut about = self.of_builder(builder).await?;
                if self.needs.origin {
                    let request: BuildRequest = self.store.get(request).await?;
                    self.add_origin(&mut about, request.buildset_id).await?;
                }
                vec![about]
            }
            Fact::BuildStarted(build, builder) => {
                vec![self.of_build(build, builder, None).await?]
            }
            Fact::BuildFinished(build, builder, results) => {
                vec![self.of_build(build, builder, Some(results)).await?]
            }
            Fact::BuildsetComplete(buildset, _) => self.of_buildset(buildset).await?,
            Fact::WorkerLost(worker)
            | Fact::WorkerFound(worker)
            | Fact::WorkerMissing(worker)
            | Fact::WorkerBack(worker) => {
                let worker: Worker = self.store.get(worker).await?;
                let mut about = Vec::new();
                for (_, builder) in worker.configured_on {
                    about.push(self.of_builder(builder).await?);
                }
                about
            }
        })
    }

    /// Whether it is about a worker that has others tell of its absence.
    async fn is_told_by_others(&self, fact: &Fact) -> Result<bool, StoreError> {
        let (Fact::WorkerMissing(worker) | Fact::WorkerBack(worker)) = *fact else {
            return Ok(false);
        };
        if self.wants.silent_about.is_empty() {
            return Ok(false);
        }
        let worker: Worker = self.store.get(worker).await?;
        Ok(!self.wants.take_worker(fact.kind(), &worker.name))
    }

    async fn of_builder(&mut self, builder: BuilderId) -> Result<About, StoreError> {
        if !self.builders.contains_key(&builder) {
            let row: Builder = self.store.get(builder).await?;
            self.builders.insert(builder, (row.name, row.tags));
        }
        let (name, tags) = self.builders.get(&builder).cloned().unwrap_or_default();
        Ok(About {
            builder: name,
            tags,
            ..About::default()
        })
    }

    async fn of_build(
        &mut self,
        build: BuildId,
        builder: BuilderId,
        results: Option<Results>,
    ) -> Result<About, StoreError> {
        let mut about = self.of_builder(builder).await?;
        about.results = results;
        if self.needs.origin || (self.needs.previous && results.is_some()) {
            let build: Build = self.store.get(build).await?;
            if self.needs.previous {
                about.previous = previous_results(self.store, &build).await?;
            }
            if self.needs.origin {
                let request: BuildRequest = self.store.get(build.request_id).await?;
                self.add_origin(&mut about, request.buildset_id).await?;
            }
        }
        Ok(about)
    }

    async fn of_buildset(&mut self, buildset: BuildsetId) -> Result<Vec<About>, StoreError> {
        let query = Query::new().eq("buildsetid", buildset).limit(REQUESTS_MAX);
        let requests: Vec<BuildRequest> = self.store.list(&query).await?;
        let mut all = Vec::with_capacity(requests.len());
        for request in requests {
            let mut about = self.of_builder(request.builder_id).await?;
            about.results = request.results;
            if self.needs.previous
                && let Some(build) = last_build(self.store, &request).await?
            {
                about.previous = previous_results(self.store, &build).await?;
            }
            if self.needs.origin {
                self.add_origin(&mut about, buildset).await?;
            }
            all.push(about);
        }
        Ok(all)
    }

    async fn add_origin(&self, about: &mut About, buildset: BuildsetId) -> Result<(), StoreError> {
        let properties = self.store.buildset_properties(buildset).await?;
        about.scheduler = scheduler_of(&properties);
        let buildset: Buildset = self.store.get(buildset).await?;
        about.branches = buildset
            .sourcestamps
            .into_iter()
            // What Buildbot calls an absent branch.
            .map(|stamp| stamp.spec.branch.unwrap_or_default())
            .collect();
        Ok(())
    }
}

/// The scheduler that asked for a build set with these properties.
pub(super) fn scheduler_of(properties: &toolpost_core::Properties) -> Option<String> {
    let scheduler = properties.get("scheduler")?;
    scheduler.as_str().map(str::to_owned)
}

/// How the build of the builder before this one ended. One that was to be run again does not count: what came of it
/// is in the build that followed.
pub(super) async fn previous_results(
    store: &Store,
    build: &Build,
) -> Result<Option<Results>, StoreError> {
    let query = Query::new()
        .eq("builderid", build.builder_id)
        .filter("number", Op::Lt, build.number)
        .eq("complete", true)
        .filter("results", Op::Ne, Results::Retry.code())
        .order("-number")
        .limit(1);
    let before: Vec<Build> = store.list(&query).await?;
    Ok(before.first().and_then(|build| build.results))
}
