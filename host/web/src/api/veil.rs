//! What of the API somebody sees who does not see every builder: lists are narrowed, and what is not to be seen is not there.

use toolpost_core::BuilderId;
use toolpost_core::kept::TestResultSet;
use toolpost_core::model::{BuildRequest, Buildset};
use toolpost_master::{FieldKind, ForceForm, FormField};
use toolpost_store::Query;

use super::path::{BuildRef, Endpoint, LogRef, Scope, StepRef};
use super::rows::Row as _;
use super::schema::Resource;
use super::{list, resolve};
use crate::auth::{Caller, Sight};
use crate::error::ApiError;
use crate::state::Web;

/// The same endpoint, narrowed to what may be seen.
pub(super) async fn narrow(
    web: &Web,
    caller: &Caller,
    sight: &Sight,
    mut endpoint: Endpoint,
) -> Result<Endpoint, ApiError> {
    if sight.is_all() {
        return Ok(endpoint);
    }
    if is_whole(&endpoint) {
        return Err(ApiError::forbidden(
            caller,
            "look at what is not of single builders",
        ));
    }
    for (builder, what) in owners(web, &endpoint).await? {
        if !sight.sees(builder) {
            return Err(ApiError::not_found(what));
        }
    }
    match &mut endpoint {
        Endpoint::Collection(_, scopes)
        | Endpoint::Single(_, _, scopes)
        | Endpoint::Builder(_, scopes)
        | Endpoint::Worker(_, scopes) => scopes.push(Scope::Seen(sight.clone())),
        Endpoint::BuildsetProperties(id) | Endpoint::BuildsetPropertyList(id) => {
            let query = Query::new().eq(Buildset::ID, *id);
            let seen = [Scope::Seen(sight.clone())];
            let found = list::within::<Buildset>(&web.store, query, &seen).await?;
            found.ok_or_else(|| ApiError::not_found("buildset"))?;
        }
        _ => {}
    }
    Ok(endpoint)
}

/// Whether something is of the whole farm, and tells of builders that are not named.
fn is_whole(endpoint: &Endpoint) -> bool {
    use Endpoint as E;
    matches!(
        endpoint,
        E::Plugins
            | E::Plugin(_)
            | E::PluginVersions(_)
            | E::PluginEvents(_)
            | E::PluginMetrics(_)
            | E::Component(_)
            | E::Reporters
            | E::Reporter(_)
            | E::Collection(Resource::Delivery, _)
            | E::Single(Resource::Delivery, ..)
    )
}

/// The builders that an endpoint belongs to, with what it is that belongs to them.
async fn owners(
    web: &Web,
    endpoint: &Endpoint,
) -> Result<Vec<(BuilderId, &'static str)>, ApiError> {
    use Endpoint as E;
    let store = &web.store;
    let mut owners = Vec::new();
    let own = match endpoint {
        E::Builder(builder, _) | E::ForceSchedulers(Some(builder)) => {
            (resolve::builder_id(store, builder).await?, "builder")
        }
        E::Build(build)
        | E::BuildProperties(build)
        | E::BuildData(build, _)
        | E::BuildDataValue(build, _) => (of_build(web, build).await?, "build"),
        E::RequestProperties(id) | E::Why(id) => {
            let request = store.find::<BuildRequest>(*id).await?;
            (request.map(|request| request.builder_id), "buildrequest")
        }
        E::BuildPropertyList(id) => (of_build(web, &BuildRef::Id(*id)).await?, "build"),
        E::Step(step) | E::Recording(step) => (of_step(web, step).await?, "step"),
        E::Log(log) | E::Contents(log) | E::Raw { log, .. } | E::Tail(log) | E::Search(log) => {
            (of_log(web, log).await?, "log")
        }
        _ => (None, ""),
    };
    if let (Some(builder), what) = own {
        owners.push((builder, what));
    }
    let scopes = match endpoint {
        E::Collection(_, scopes)
        | E::Single(_, _, scopes)
        | E::Builder(_, scopes)
        | E::Worker(_, scopes) => scopes.as_slice(),
        _ => &[],
    };
    for scope in scopes {
        let (builder, what) = match scope {
            Scope::Builder(builder) => (resolve::builder_id(store, builder).await?, "builder"),
            Scope::Build(build) => (of_build(web, build).await?, "build"),
            Scope::TriggeredBy(id) => (of_build(web, &BuildRef::Id(*id)).await?, "build"),
            Scope::Step(step) => (of_step(web, step).await?, "step"),
            Scope::Request(id) => {
                let request = store.find::<BuildRequest>(*id).await?;
                (request.map(|request| request.builder_id), "buildrequest")
            }
            Scope::TestResultSet(id) => {
                let set = store.find::<TestResultSet>(*id).await?;
                (set.map(|set| set.builder_id), "test_result_set")
            }
            Scope::Master(_)
            | Scope::Worker(_)
            | Scope::Change(_)
            | Scope::SourceStamp(_)
            | Scope::Buildset(_)
            | Scope::Reporter(_)
            | Scope::Project(_)
            | Scope::Codebase(_)
            | Scope::CommitRange(..)
            | Scope::Seen(_) => continue,
        };
        owners.extend(builder.map(|builder| (builder, what)));
    }
    Ok(owners)
}

async fn of_build(web: &Web, build: &BuildRef) -> Result<Option<BuilderId>, ApiError> {
    let build = resolve::build(&web.store, build).await?;
    Ok(build.map(|build| build.builder_id))
}

async fn of_step(web: &Web, step: &StepRef) -> Result<Option<BuilderId>, ApiError> {
    match resolve::step(&web.store, step).await? {
        Some(step) => of_build(web, &BuildRef::Id(step.build_id.0)).await,
        None => Ok(None),
    }
}

/// Whose a log is.
pub(super) async fn of_log(web: &Web, log: &LogRef) -> Result<Option<BuilderId>, ApiError> {
    match resolve::log(&web.store, log).await? {
        Some(log) => of_step(web, &StepRef::Id(log.step_id.0)).await,
        None => Ok(None),
    }
}

/// The forms of builders that may be seen.
pub(crate) async fn forms(web: &Web, sight: &Sight) -> Result<Vec<ForceForm>, ApiError> {
    let mut forms = crate::forms::forms(web).await?;
    if !sight.is_all() {
        for form in &mut forms {
            form.builders.retain(|name| sight.sees_name(name));
            for field in &mut form.fields {
                hide(field, sight);
            }
        }
        forms.retain(|form| !form.builders.is_empty());
    }
    Ok(forms)
}

/// Takes builds out that a field offers and that may not be seen.
fn hide(field: &mut FormField, sight: &Sight) {
    match &mut field.kind {
        FieldKind::Inherit { choices, .. } => choices.retain(|build| {
            let builder = build.rsplit_once('/').map(|(builder, _)| builder);
            builder.is_some_and(|builder| sight.sees_name(builder))
        }),
        kind => {
            for field in kind.fields_mut() {
                hide(field, sight);
            }
        }
    }
}
