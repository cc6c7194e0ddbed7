//! REST API v2 under `/api/v2`: Buildbot's paths, fields, envelopes, errors and actions.
//!
//! A path is parsed into an [`Endpoint`] (pure), names in it are resolved to rows, rows are written as bytes. Answers of
//! the store are kept while they are true; what lives in the master's memory (plugins, forms) is always asked for.

pub(crate) mod actions;
mod codebases;
pub(crate) mod json;
mod list;
mod logs;
pub(crate) mod memory;
pub(crate) mod openapi;
pub(crate) mod path;
pub(crate) mod patterns;
mod plugins;
pub(crate) mod query;
mod recording;
mod reporters;
pub(crate) mod resolve;
pub(crate) mod rows;
mod rpc;
mod schedulers;
pub(crate) mod schema;
pub(crate) mod search;
mod special;
mod tail;
pub(crate) mod veil;
pub(crate) mod why;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Response, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{any, get as get_only};
use percent_encoding::percent_decode_str;
use serde_json::json;
use toolpost_core::codebase::{Codebase, CodebaseBranch, CodebaseCommit, Project};
use toolpost_core::kept::{Artifact, BuildData, TestResult, TestResultSet};
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, ChangeSource, Log, Master, SourceStamp, Step,
    Worker,
};
use toolpost_core::report::Delivery;
use toolpost_core::{BuildId, BuildsetId};
use toolpost_store::Query;

use self::list::Answer;
use self::path::{BuildRef, Endpoint, LogRef, Scope};
pub(crate) use self::plugins::{plugin_state, wait_word};
use self::schema::Resource;
pub(crate) use self::special::members;
use crate::auth::{self, Caller, Pass, Sight};
use crate::cache::{Blob, Depends, Form};
use crate::caching;
use crate::error::ApiError;
use crate::state::Web;

/// Segments of a path, at most; the longest that is served has eleven.
const SEGMENTS_MAX: usize = 16;

/// The API.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/api", get_only(versions))
        .route("/api/v2", any(handle))
        .route("/api/v2/", any(handle))
        .route("/api/v2/{*path}", any(handle))
}

async fn versions() -> impl IntoResponse {
    axum::Json(json!({"api_versions": {"v2": "/api/v2"}}))
}

async fn handle(State(web): State<Web>, request: Request) -> Response<Body> {
    let uri = request.uri().clone();
    let (mut response, error) = match *request.method() {
        Method::GET | Method::HEAD => {
            let form = form_of(request.headers());
            let (uri, headers) = (request.uri(), request.headers());
            let asking = Asking::of(&web, request.extensions());
            // What is kept is answered at once; only the rest needs the room that reading takes.
            let answer = match kept(&web, &asking.sight, form, uri, headers) {
                Some(response) => Ok(response),
                None => Box::pin(get(&web, &asking, form, uri, headers)).await,
            };
            match answer {
                Ok(response) => return response,
                Err(error) => (error_response(form, &error), error),
            }
        }
        Method::POST => match post(&web, request).await {
            (response, None) => return response,
            (response, Some(error)) => (response, error),
        },
        ref method => {
            let error = match endpoint_of(&uri) {
                Ok(_) => ApiError::Method(method.clone()),
                Err(error) => error,
            };
            (error_response(Form::Compact, &error), error)
        }
    };
    if matches!(error, ApiError::Method(_))
        && let Ok(endpoint) = endpoint_of(&uri)
    {
        let allowed = HeaderValue::from_static(actions::allowed(&endpoint));
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    error.log(uri.path());
    response
}

/// Programs that ask for JSON get it compact; anybody else gets it in lines, as plain text.
fn form_of(headers: &HeaderMap) -> Form {
    let asks_for_json = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/json"));
    if asks_for_json {
        Form::Compact
    } else {
        Form::Indented
    }
}

fn content_type(form: Form) -> &'static str {
    match form {
        Form::Compact => "application/json; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

fn blob(form: Form, compact: Vec<u8>) -> Blob {
    let body = match form {
        Form::Compact => compact,
        _ => json::indented(&compact),
    };
    Blob::new(body, content_type(form))
}

/// The answer to a question that was refused before it was looked at.
pub(crate) fn error_response_to(headers: &HeaderMap, error: &ApiError) -> Response<Body> {
    error_response(form_of(headers), error)
}

fn error_response(form: Form, error: &ApiError) -> Response<Body> {
    let body = json!({"error": error.to_string()}).to_string();
    let headers = [
        (header::CONTENT_TYPE, content_type(form)),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (error.status(), headers, body).into_response()
}

/// The answer to a call that was refused before it was read.
pub(crate) fn error_response_json(error: &ApiError) -> Response<Body> {
    let body = json!({"error": {"code": error.rpc_code(), "message": error.to_string()}, "jsonrpc": "2.0"});
    (error.status(), axum::Json(body)).into_response()
}

async fn post(web: &Web, request: Request) -> (Response<Body>, Option<ApiError>) {
    let (parts, body) = request.into_parts();
    let endpoint = endpoint_of(&parts.uri);
    let bytes_max = web.options.body_bytes_max;
    let body = axum::body::to_bytes(body, bytes_max)
        .await
        .map_err(|_| ApiError::TooLarge { bytes_max });
    let caller = Caller::of(&parts.extensions);
    rpc::answer(web, &caller, endpoint, &parts.headers, body).await
}

fn endpoint_of(uri: &Uri) -> Result<Endpoint, ApiError> {
    let path = uri.path().strip_prefix("/api/v2").unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let unknown = || ApiError::UnknownPath(path.to_owned());
    if path.is_empty() {
        return Ok(Endpoint::Root);
    }
    let segments: Result<Vec<_>, _> = path
        .split('/')
        .take(SEGMENTS_MAX)
        .map(|segment| percent_decode_str(segment).decode_utf8())
        .collect();
    let segments = segments.map_err(|_| unknown())?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    path::parse(&segments).ok_or_else(unknown)
}

/// Why an answer is not kept.
enum NotKept {
    Error(ApiError),
    Stream(Body),
}

impl From<ApiError> for NotKept {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// What an answer is kept under.
fn key_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |path| path.as_str())
}

/// The answer that is kept for a path and query, while it is true.
fn kept(
    web: &Web,
    sight: &Sight,
    form: Form,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let blob = web.cache.hit(form, &sight.key(key_of(uri)), web)?;
    Some(blob.respond(headers))
}

/// Who asks, and what they see.
struct Asking {
    caller: Arc<Caller>,
    sight: Sight,
    /// For what they read for longer.
    pass: Pass,
}

impl Asking {
    fn of(web: &Web, extensions: &Extensions) -> Self {
        Self {
            caller: Caller::of(extensions),
            sight: extensions.get().cloned().unwrap_or_default(),
            pass: Pass::of(web, extensions),
        }
    }
}

async fn get(
    web: &Web,
    asking: &Asking,
    form: Form,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let Asking { caller, sight, .. } = asking;
    let key = &*sight.key(key_of(uri));
    let endpoint = Box::pin(veil::narrow(web, caller, sight, endpoint_of(uri)?)).await?;
    let depends = depends(&endpoint);
    if let Some(answer) = pieces(web, asking, &endpoint, uri.query(), headers).await {
        return answer;
    }
    if let Some(answer) = unkept(web, asking, &endpoint, uri.query()).await {
        return Ok(blob(form, answer?).respond(headers));
    }
    // A list that is too long to be kept is known by the version of what it is made of; what somebody sees of it may change
    // without that.
    let tag = caching::version_tag(web, form, depends).filter(|_| sight.is_all());
    if let Some(tag) = &tag
        && caching::names(headers, tag)
    {
        return Ok(caching::unchanged(tag));
    }
    let read = Box::pin(async {
        match rows(web, endpoint, uri.query()).await? {
            Answer::Whole(compact) => Ok(blob(form, compact)),
            Answer::Stream(body) => Err(NotKept::Stream(body)),
        }
    });
    match web.cache.get(form, key, depends, web, read).await {
        Ok(blob) => Ok(blob.respond(headers)),
        Err(NotKept::Error(error)) => Err(error),
        Err(NotKept::Stream(body)) => {
            let headers = [(header::CONTENT_TYPE, content_type(form))];
            let mut response = (headers, body).into_response();
            if let Some(tag) = tag {
                caching::revalidated(response.headers_mut(), tag);
            }
            Ok(response)
        }
    }
}

/// What is not JSON of resources: mostly long, and sent piece by piece. `None` for what is.
async fn pieces(
    web: &Web,
    asking: &Asking,
    endpoint: &Endpoint,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Option<Result<Response<Body>, ApiError>> {
    let store = &web.store;
    let answer = async {
        Ok(Some(match endpoint {
            Endpoint::OpenApi => openapi::DOCUMENT.blob.respond(headers),
            Endpoint::Raw { log, inline } => {
                let log = resolve::log(store, log).await?;
                logs::raw(store, log, *inline, headers).await?
            }
            Endpoint::Tail(log) => {
                let missing = || ApiError::not_found("log");
                let log = resolve::log(store, log).await?.ok_or_else(missing)?;
                let wake = tail::wake(web, log.id);
                let builder = veil::of_log(web, &LogRef::Id(log.id.0)).await?;
                let reader = tail::Reader::new(asking.pass.clone(), builder);
                let log = store.find::<Log>(log.id.0).await?;
                tail::answer(web, reader, log, wake, query)?
            }
            Endpoint::BuildDataValue(build, name) => {
                special::build_data_value(store, build, name).await?
            }
            Endpoint::Recording(step) => {
                let step = resolve::step(store, step).await?;
                recording::recording(store, step).await?
            }
            Endpoint::Component(digest) => recording::component(store, digest).await?,
            _ => return Ok(None),
        }))
    };
    answer.await.transpose()
}

/// What makes the rows of an endpoint stale. Lists that are asked for all the time depend on little; the others need no
/// such care.
fn depends(endpoint: &Endpoint) -> Depends {
    match endpoint {
        Endpoint::Builder(..) | Endpoint::Collection(Resource::Builder, _) => Depends::Builders,
        Endpoint::Build(_) => Depends::Builds,
        Endpoint::Collection(Resource::Build, scopes) => {
            let of_builds = |scope: &Scope| {
                matches!(
                    scope,
                    Scope::Builder(_) | Scope::Worker(_) | Scope::Request(_)
                )
            };
            if scopes.iter().all(of_builds) {
                Depends::Builds
            } else {
                Depends::Store
            }
        }
        _ => Depends::Store,
    }
}

/// What is not made of rows of the store; `None` for what is.
async fn unkept(
    web: &Web,
    asking: &Asking,
    endpoint: &Endpoint,
    query: Option<&str>,
) -> Option<Result<Vec<u8>, ApiError>> {
    let Asking { caller, sight, .. } = asking;
    Some(match endpoint {
        Endpoint::Root => special::root(query),
        Endpoint::Spec => special::spec(query),
        Endpoint::ForceSchedulers(None) => {
            let forms = veil::forms(web, sight).await;
            forms.and_then(|forms| special::force_schedulers(&forms, None, query))
        }
        Endpoint::ForceSchedulers(Some(builder)) => {
            match resolve::builder(&web.store, builder).await {
                Ok(Some(builder)) => {
                    let forms = veil::forms(web, sight).await;
                    forms.and_then(|forms| {
                        special::force_schedulers(&forms, Some(&builder.name), query)
                    })
                }
                Ok(None) => Err(ApiError::not_found("builder")),
                Err(error) => Err(error),
            }
        }
        Endpoint::ForceScheduler(name) => {
            let forms = veil::forms(web, sight).await;
            forms.and_then(|forms| special::force_scheduler(&forms, name, query))
        }
        Endpoint::Tokens => auth::tokens_json(web, caller, None, query).await,
        Endpoint::Token(id) => auth::tokens_json(web, caller, Some(*id), query).await,
        Endpoint::Audit => auth::audit_json(web, caller, query).await,
        Endpoint::Plugins => plugins::list(&*web.master, query),
        Endpoint::Plugin(_) if actions::is_reload(endpoint) => Err(ApiError::Method(Method::GET)),
        Endpoint::Plugin(name) => plugins::one(&*web.master, name, query),
        Endpoint::PluginVersions(name) => plugins::versions(web, name, query).await,
        Endpoint::PluginEvents(name) => plugins::events(web, name, query).await,
        Endpoint::PluginMetrics(name) => plugins::metrics(&*web.master, name, query),
        Endpoint::Why(id) => why::answer(web, sight, *id, query).await,
        Endpoint::Search(log) => match resolve::log(&web.store, log).await {
            Ok(log) => search::answer(web, log, query).await,
            Err(error) => Err(error),
        },
        Endpoint::Reporters => reporters::list(web, query).await,
        Endpoint::Reporter(id) => reporters::one(web, *id, query).await,
        Endpoint::Collection(Resource::Scheduler, scopes) => {
            schedulers::list(web, scopes, query).await
        }
        Endpoint::Single(Resource::Scheduler, id, scopes) => {
            schedulers::one(web, *id, scopes, query).await
        }
        _ => return None,
    })
}

/// What is made of rows of the store.
async fn rows(web: &Web, endpoint: Endpoint, query: Option<&str>) -> Result<Answer, ApiError> {
    let store = &web.store;
    Ok(match endpoint {
        Endpoint::Collection(resource, scopes) => {
            return collection(web, resource, &scopes, query).await;
        }
        Endpoint::Single(resource, id, scopes) => {
            Answer::Whole(single(web, resource, id, &scopes, query).await?)
        }
        Endpoint::Builder(builder, scopes) => {
            let builder = list::builder_within(store, &builder, &scopes).await?;
            Answer::Whole(list::single(store, builder, query).await?)
        }
        Endpoint::Worker(worker, scopes) => {
            let worker = list::worker_within(store, &worker, &scopes).await?;
            Answer::Whole(list::single(store, worker, query).await?)
        }
        Endpoint::Project(project) => {
            let project = resolve::project(store, &project).await?;
            Answer::Whole(list::single(store, project, query).await?)
        }
        Endpoint::Codebase(project, name) => {
            let named = Query::new().eq("name", name);
            let scopes = [Scope::Project(project)];
            let codebase = list::within::<Codebase>(store, named, &scopes).await?;
            Answer::Whole(list::single(store, codebase, query).await?)
        }
        Endpoint::Commit(codebase, revision) => {
            let named = Query::new()
                .eq("codebaseid", codebase)
                .eq("revision", revision);
            let commit = resolve::first::<CodebaseCommit>(store, named).await?;
            Answer::Whole(list::single(store, commit, query).await?)
        }
        Endpoint::CommonCommit(first, second) => {
            Answer::Whole(codebases::common(store, first, second, query).await?)
        }
        Endpoint::Build(build) => {
            let build = resolve::build(store, &build).await?;
            Answer::Whole(list::single(store, build, query).await?)
        }
        Endpoint::Step(step) => {
            let step = resolve::step(store, &step).await?;
            Answer::Whole(list::single(store, step, query).await?)
        }
        Endpoint::Log(log) => {
            let log = resolve::log(store, &log).await?;
            Answer::Whole(list::single(store, log, query).await?)
        }
        Endpoint::BuildData(build, name) => {
            let build = list::build(store, &build).await?;
            let named = Query::new().eq("buildid", build.id).eq("name", name);
            let data = resolve::first::<BuildData>(store, named).await?;
            Answer::Whole(list::single(store, data, query).await?)
        }
        Endpoint::Contents(log) => {
            let log = resolve::log(store, &log).await?;
            return logs::contents(store, log, query).await;
        }
        endpoint => Answer::Whole(properties(web, &endpoint, query).await?),
    })
}

/// The properties of something, in either form.
async fn properties(
    web: &Web,
    endpoint: &Endpoint,
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let store = &web.store;
    match endpoint {
        Endpoint::BuildProperties(build) => {
            let build = list::build(store, build).await?;
            special::properties(&store.build_properties(build.id).await?, query)
        }
        Endpoint::BuildPropertyList(id) => {
            let build = list::build(store, &BuildRef::Id(*id)).await?;
            special::property_list(&store.build_properties(BuildId(build.id.0)).await?, query)
        }
        Endpoint::BuildsetProperties(id) => {
            special::properties(&store.buildset_properties(BuildsetId(*id)).await?, query)
        }
        Endpoint::RequestProperties(id) => {
            let request = store.get::<BuildRequest>(*id).await?;
            special::properties(
                &store.buildset_properties(request.buildset_id).await?,
                query,
            )
        }
        Endpoint::BuildsetPropertyList(id) => {
            special::property_list(&store.buildset_properties(BuildsetId(*id)).await?, query)
        }
        Endpoint::ChangePropertyList(id) => {
            let change = store.get::<Change>(*id).await?;
            special::property_list(&change.properties, query)
        }
        _ => Err(ApiError::UnknownPath(format!("{endpoint:?}"))),
    }
}

async fn collection(
    web: &Web,
    resource: Resource,
    scopes: &[Scope],
    query: Option<&str>,
) -> Result<Answer, ApiError> {
    let store = &web.store;
    match resource {
        Resource::Master => list::collection::<Master>(store, scopes, query).await,
        Resource::Builder => list::collection::<Builder>(store, scopes, query).await,
        Resource::Worker => list::collection::<Worker>(store, scopes, query).await,
        Resource::ChangeSource => list::collection::<ChangeSource>(store, scopes, query).await,
        Resource::Change => list::collection::<Change>(store, scopes, query).await,
        Resource::SourceStamp => list::collection::<SourceStamp>(store, scopes, query).await,
        Resource::Buildset => list::collection::<Buildset>(store, scopes, query).await,
        Resource::BuildRequest => list::collection::<BuildRequest>(store, scopes, query).await,
        Resource::Build => list::collection::<Build>(store, scopes, query).await,
        Resource::Step => list::collection::<Step>(store, scopes, query).await,
        Resource::Log => list::collection::<Log>(store, scopes, query).await,
        Resource::Artifact => list::collection::<Artifact>(store, scopes, query).await,
        Resource::BuildData => list::collection::<BuildData>(store, scopes, query).await,
        Resource::TestResultSet => list::collection::<TestResultSet>(store, scopes, query).await,
        Resource::TestResult => list::collection::<TestResult>(store, scopes, query).await,
        Resource::Delivery => list::collection::<Delivery>(store, scopes, query).await,
        Resource::Project => list::collection::<Project>(store, scopes, query).await,
        Resource::Codebase => list::collection::<Codebase>(store, scopes, query).await,
        Resource::Branch => list::collection::<CodebaseBranch>(store, scopes, query).await,
        Resource::Commit => list::collection::<CodebaseCommit>(store, scopes, query).await,
        _ => Err(ApiError::UnknownPath(resource.plural().to_owned())),
    }
}

async fn single(
    web: &Web,
    resource: Resource,
    id: i64,
    scopes: &[Scope],
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let store = &web.store;
    match resource {
        Resource::Master => list::single_by_id::<Master>(store, id, scopes, query).await,
        Resource::ChangeSource => {
            list::single_by_id::<ChangeSource>(store, id, scopes, query).await
        }
        Resource::Change => list::single_by_id::<Change>(store, id, scopes, query).await,
        Resource::SourceStamp => list::single_by_id::<SourceStamp>(store, id, scopes, query).await,
        Resource::Buildset => list::single_by_id::<Buildset>(store, id, scopes, query).await,
        Resource::BuildRequest => {
            list::single_by_id::<BuildRequest>(store, id, scopes, query).await
        }
        Resource::TestResultSet => {
            list::single_by_id::<TestResultSet>(store, id, scopes, query).await
        }
        Resource::Delivery => list::single_by_id::<Delivery>(store, id, scopes, query).await,
        Resource::Codebase => list::single_by_id::<Codebase>(store, id, scopes, query).await,
        Resource::Branch => list::single_by_id::<CodebaseBranch>(store, id, scopes, query).await,
        Resource::Commit => list::single_by_id::<CodebaseCommit>(store, id, scopes, query).await,
        _ => Err(ApiError::UnknownPath(resource.plural().to_owned())),
    }
}
