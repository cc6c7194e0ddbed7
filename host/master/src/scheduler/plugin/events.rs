//! Events as the contract has them, read from the store.

use std::collections::BTreeMap;

use toolpost_core::model::{Build, BuildRequest, Builder, Buildset, Change};
use toolpost_core::schedule::plugin::{Due, Farm};
use toolpost_core::{BuildId, BuildsetId, ForcedId, Results};
use toolpost_sandbox::scheduler as wire;
use toolpost_store::{NewForced, Query, Store, StoreError};

use crate::told::{self, last_build, number};

/// Requests of one build set that are told of: one for each builder.
const REQUESTS_MAX: u32 = 1_000;

/// What is due, with its contents; `None` when it is not there any more.
pub(super) async fn event(
    store: &Store,
    farm: &Farm,
    due: Due,
    forms: &BTreeMap<ForcedId, NewForced>,
) -> Result<Option<wire::Event>, StoreError> {
    Ok(match due {
        Due::Configured { first } => Some(wire::Event::Configured(wire::Configuration {
            first,
            builders: farm.builders.clone(),
        })),
        Due::Timer => Some(wire::Event::Timer),
        Due::Change(id) => {
            let change: Option<Change> = store.find(id).await?;
            change.map(|change| wire::Event::Change(told::change(change)))
        }
        Due::BuildFinished(id) => find_build(store, id).await?.map(wire::Event::BuildFinished),
        Due::BuildsetComplete(id) => find_buildset(store, id)
            .await?
            .map(wire::Event::BuildsetComplete),
        Due::Forced(id) => forms.get(&id).map(|form| {
            wire::Event::Force(wire::ForceRequest {
                owner: form.owner.clone(),
                reason: form.reason.clone(),
                values: form.values.to_string(),
            })
        }),
    })
}

/// What is due, for people.
pub(super) fn describe(due: Due) -> String {
    match due {
        Due::Configured { .. } => "its configuration".into(),
        Due::Timer => "the time that it asked for".into(),
        Due::Change(id) => format!("change {id}"),
        Due::BuildFinished(id) => format!("the end of build {id}"),
        Due::BuildsetComplete(id) => format!("the end of build set {id}"),
        Due::Forced(id) => format!("form {id}"),
    }
}

async fn find_build(store: &Store, id: BuildId) -> Result<Option<wire::Build>, StoreError> {
    let Some(build) = store.find::<Build>(id).await? else {
        return Ok(None);
    };
    let request: BuildRequest = store.get(build.request_id).await?;
    let buildset: Buildset = store.get(request.buildset_id).await?;
    of_build(store, build, &buildset).await.map(Some)
}

async fn find_buildset(
    store: &Store,
    id: BuildsetId,
) -> Result<Option<wire::Buildset>, StoreError> {
    let Some(buildset) = store.find::<Buildset>(id).await? else {
        return Ok(None);
    };
    let query = Query::new().eq("buildsetid", id).limit(REQUESTS_MAX);
    let requests: Vec<BuildRequest> = store.list(&query).await?;
    let mut builds = Vec::with_capacity(requests.len());
    for request in requests {
        if let Some(build) = last_build(store, &request).await? {
            builds.push(of_build(store, build, &buildset).await?);
        }
    }
    Ok(Some(wire::Buildset {
        id: number(id),
        label: buildset.external_idstring.unwrap_or_default(),
        results: told::results(buildset.results.unwrap_or(Results::Success)),
        builds,
    }))
}

async fn of_build(
    store: &Store,
    build: Build,
    buildset: &Buildset,
) -> Result<wire::Build, StoreError> {
    let builder: Builder = store.get(build.builder_id).await?;
    Ok(wire::Build {
        id: number(build.id),
        builder: builder.name,
        number: number(build.number),
        results: told::results(build.results.unwrap_or(Results::Exception)),
        buildset_id: number(buildset.id),
        source_stamps: told::stamps(&buildset.sourcestamps),
        properties: told::values(&store.build_properties(build.id).await?),
    })
}
