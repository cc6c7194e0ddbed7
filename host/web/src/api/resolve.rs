//! From the names and numbers in a path to rows of the store. `None` means that there is no such thing.

use toolpost_core::BuilderId;
use toolpost_core::codebase::Project;
use toolpost_core::model::{Build, Builder, Log, Step, Worker};
use toolpost_store::{Query, Store};

use super::path::{BuildRef, BuilderRef, LogRef, ProjectRef, StepKey, StepRef, WorkerRef};
use super::rows::Row;
use crate::error::ApiError;

/// The first row of a query.
pub(crate) async fn first<R: Row>(store: &Store, query: Query) -> Result<Option<R>, ApiError> {
    Ok(store.list::<R>(&query.limit(1)).await?.into_iter().next())
}

/// A builder.
pub(crate) async fn builder(
    store: &Store,
    builder: &BuilderRef,
) -> Result<Option<Builder>, ApiError> {
    match builder {
        BuilderRef::Id(id) => Ok(store.find::<Builder>(*id).await?),
        BuilderRef::Name(name) => first(store, Query::new().eq("name", name)).await,
    }
}

/// The id of a builder; one given by id is not looked up.
pub(crate) async fn builder_id(
    store: &Store,
    reference: &BuilderRef,
) -> Result<Option<BuilderId>, ApiError> {
    match reference {
        BuilderRef::Id(id) => Ok(Some(BuilderId(*id))),
        BuilderRef::Name(_) => Ok(builder(store, reference).await?.map(|builder| builder.id)),
    }
}

/// A project.
pub(crate) async fn project(
    store: &Store,
    project: &ProjectRef,
) -> Result<Option<Project>, ApiError> {
    match project {
        ProjectRef::Id(id) => Ok(store.find::<Project>(*id).await?),
        ProjectRef::Name(name) => first(store, Query::new().eq("name", name)).await,
    }
}

/// A worker.
pub(crate) async fn worker(store: &Store, worker: &WorkerRef) -> Result<Option<Worker>, ApiError> {
    match worker {
        WorkerRef::Id(id) => Ok(store.find::<Worker>(*id).await?),
        WorkerRef::Name(name) => first(store, Query::new().eq("name", name)).await,
    }
}

/// A build.
pub(crate) async fn build(store: &Store, build: &BuildRef) -> Result<Option<Build>, ApiError> {
    match build {
        BuildRef::Id(id) => Ok(store.find::<Build>(*id).await?),
        BuildRef::Numbered(builder, number) => {
            let Some(builder) = builder_id(store, builder).await? else {
                return Ok(None);
            };
            let query = Query::new().eq("builderid", builder).eq("number", number);
            first(store, query).await
        }
    }
}

/// The id of a build; one given by id is not looked up.
pub(crate) async fn build_id(store: &Store, reference: &BuildRef) -> Result<Option<i64>, ApiError> {
    match reference {
        BuildRef::Id(id) => Ok(Some(*id)),
        BuildRef::Numbered(..) => Ok(build(store, reference).await?.map(|build| build.id.0)),
    }
}

/// A step.
pub(crate) async fn step(store: &Store, step: &StepRef) -> Result<Option<Step>, ApiError> {
    match step {
        StepRef::Id(id) => Ok(store.find::<Step>(*id).await?),
        StepRef::Of(build, key) => {
            let Some(build) = build_id(store, build).await? else {
                return Ok(None);
            };
            let query = Query::new().eq("buildid", build);
            let query = match key {
                StepKey::Number(number) => query.eq("number", number),
                StepKey::Name(name) => query.eq("name", name),
            };
            first(store, query).await
        }
    }
}

/// The id of a step; one given by id is not looked up.
pub(crate) async fn step_id(store: &Store, reference: &StepRef) -> Result<Option<i64>, ApiError> {
    match reference {
        StepRef::Id(id) => Ok(Some(*id)),
        StepRef::Of(..) => Ok(step(store, reference).await?.map(|step| step.id.0)),
    }
}

/// A log.
pub(crate) async fn log(store: &Store, log: &LogRef) -> Result<Option<Log>, ApiError> {
    match log {
        LogRef::Id(id) => Ok(store.find::<Log>(*id).await?),
        LogRef::Of(step, slug) => {
            let Some(step) = step_id(store, step).await? else {
                return Ok(None);
            };
            first(store, Query::new().eq("stepid", step).eq("slug", slug)).await
        }
    }
}
