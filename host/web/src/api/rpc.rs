//! Actions: JSON-RPC 2.0 calls posted to the path of the thing that is to act, as Buildbot has them.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use toolpost_core::model::{BuildRequest, Scheduler};
use toolpost_core::{DeliveryId, ReporterId, SchedulerId, WorkerId};
use toolpost_master::{ControlError, ForceError, ForceRequest, Forced, Submitted};

use super::actions::{RELOAD, action_of, actions_of, is_reload, is_whole, whole};
use super::path::{BuildRef, Endpoint, Scope};
use super::schema::Resource;
use super::{list, plugins, resolve};
use crate::auth::{self, Acting, Caller};
use crate::error::{ApiError, rpc_code};
use crate::state::Web;

/// A parsed call.
struct Call {
    id: Value,
    method: String,
    params: Map<String, Value>,
}

/// Does what a body asks for and answers as JSON-RPC does.
pub(super) async fn answer(
    web: &Web,
    caller: &Caller,
    endpoint: Result<Endpoint, ApiError>,
    headers: &HeaderMap,
    body: Result<Bytes, ApiError>,
) -> (Response<Body>, Option<ApiError>) {
    let call = match body {
        Ok(body) if body.is_empty() && endpoint.as_ref().is_ok_and(is_reload) => Ok(Call::reload()),
        body => body.and_then(|body| Call::parse(headers, &body)),
    };
    let call = match call {
        Ok(call) => call,
        Err(error) => {
            let error = unreadable(&endpoint, error);
            return (error_reply(None, &error), Some(error));
        }
    };
    let result = match endpoint {
        Ok(endpoint) => Box::pin(act(web, caller, endpoint, &call)).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(result) => {
            let reply = json!({"id": call.id, "jsonrpc": "2.0", "result": result});
            (reply_with(StatusCode::OK, &reply), None)
        }
        Err(error) => (error_reply(Some(&call.id), &error), Some(error)),
    }
}

/// Why what was sent cannot be read. Where there is nothing to call, whatever it is was not to be sent; a call is told so as a Buildbot
/// master does it.
fn unreadable(endpoint: &Result<Endpoint, ApiError>, error: ApiError) -> ApiError {
    match (endpoint, error) {
        (Ok(endpoint), ApiError::Rpc { .. }) if actions_of(endpoint).is_empty() => {
            ApiError::Method(Method::POST)
        }
        (_, error) => error,
    }
}

fn error_reply(id: Option<&Value>, error: &ApiError) -> Response<Body> {
    let message = match error {
        ApiError::Fields(fields) => json!(fields),
        _ => Value::from(error.to_string()),
    };
    let mut reply = json!({
        "error": {"code": error.rpc_code(), "message": message},
        "id": id,
        "jsonrpc": "2.0",
    });
    if id.is_none()
        && let Some(members) = reply.as_object_mut()
    {
        // Nobody knows the id of a call that could not be read.
        members.shift_remove("id");
    }
    reply_with(error.status(), &reply)
}

fn reply_with(status: StatusCode, reply: &Value) -> Response<Body> {
    let json = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, json, reply.to_string()).into_response()
}

impl Call {
    /// What `POST /api/v2/plugins/reload` without a body asks for.
    fn reload() -> Self {
        Self {
            id: Value::Null,
            method: RELOAD.to_owned(),
            params: Map::new(),
        }
    }

    /// Reads a call. The content type has to be JSON's: no form of another site can send that.
    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        let invalid = |message: String| ApiError::Rpc {
            code: rpc_code::INVALID_REQUEST,
            message,
        };
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default();
        if content_type.trim() != "application/json" {
            return Err(invalid(
                "Invalid content-type (use application/json)".into(),
            ));
        }
        let data: Value = serde_json::from_slice(body).map_err(|error| ApiError::Rpc {
            code: rpc_code::PARSE_ERROR,
            message: format!("JSON parse error: {error}"),
        })?;
        let mut data = match data {
            Value::Object(data) => data,
            Value::Array(_) => {
                return Err(invalid("JSONRPC batch requests are not supported".into()));
            }
            _ => return Err(invalid("JSONRPC root object must be an object".into())),
        };
        let mut take = |name: &str, fits: fn(&Value) -> bool, what: &str| {
            let value = data
                .remove(name)
                .ok_or_else(|| invalid(format!("missing key '{name}'")))?;
            if fits(&value) {
                Ok(value)
            } else {
                Err(invalid(format!("'{name}' must be {what}")))
            }
        };
        let version = take("jsonrpc", Value::is_string, "a string")?;
        let method = take("method", Value::is_string, "a string")?;
        let id_fits = |id: &Value| id.is_string() || is_whole(id) || id.is_null();
        let id = take("id", id_fits, "a string, number, or null")?;
        let params = take("params", Value::is_object, "an object")?;
        if version != "2.0" {
            return Err(invalid("only JSONRPC 2.0 is supported".into()));
        }
        match (method, params) {
            (Value::String(method), Value::Object(params)) => Ok(Self { id, method, params }),
            _ => Err(invalid("JSONRPC root object must be an object".into())),
        }
    }

    /// The parameter `reason`, or Buildbot's default.
    fn reason(&self) -> &str {
        self.params
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or("no reason")
    }

    fn unknown_action(&self) -> ApiError {
        ApiError::UnknownAction(self.method.clone())
    }
}

fn invalid_params(message: String) -> ApiError {
    ApiError::Rpc {
        code: rpc_code::INVALID_PARAMS,
        message,
    }
}

/// Does it; the result is what Buildbot gives.
async fn act(
    web: &Web,
    caller: &Caller,
    endpoint: Endpoint,
    call: &Call,
) -> Result<Value, ApiError> {
    let action = action_of(&endpoint, &call.method).ok_or_else(|| call.unknown_action())?;
    if let Some(message) = action.refusal(&call.params) {
        return Err(invalid_params(message));
    }
    let acting = web.acting(caller);
    match endpoint {
        Endpoint::Build(build) => build_action(web, &acting, &build, call).await,
        Endpoint::Single(Resource::BuildRequest, id, _) => {
            request_action(web, &acting, id, call).await
        }
        Endpoint::Worker(worker, scopes) => {
            let worker = list::worker_within(&web.store_of_actions, &worker, &scopes).await?;
            let worker = worker.ok_or_else(|| ApiError::not_found("worker"))?;
            worker_action(&acting, worker.id, call).await
        }
        Endpoint::Single(Resource::Delivery, id, _) => {
            delivery_action(&acting, DeliveryId(id), call).await
        }
        Endpoint::Single(Resource::Scheduler, id, scopes) => {
            let id = scheduler_within(web, SchedulerId(id), &scopes).await?;
            scheduler_action(&acting, id, call).await
        }
        Endpoint::Reporter(id) => Ok(json!(acting.resend_dead(ReporterId(id)).await?)),
        Endpoint::Plugins => plugins::reload(&acting).await,
        // All of them; as short to say as `POST /api/v2/plugins/reload`.
        Endpoint::Plugin(_) if call.method == RELOAD => plugins::reload(&acting).await,
        Endpoint::Plugin(name) => plugins::rollback(web, &acting, &name, &call.params).await,
        Endpoint::ForceScheduler(name) => force(web, &acting, &name, call).await,
        Endpoint::Tokens => auth::create_token(web, caller, &call.params).await,
        Endpoint::Token(id) => auth::revoke_token(web, caller, id).await,
        _ => Err(call.unknown_action()),
    }
}

async fn build_action(
    web: &Web,
    acting: &Acting<'_>,
    build: &BuildRef,
    call: &Call,
) -> Result<Value, ApiError> {
    let build = list::build(&web.store_of_actions, build).await?;
    match call.method.as_str() {
        "stop" => {
            acting.stop_build(build.id, call.reason()).await?;
            Ok(Value::Null)
        }
        "rebuild" => Ok(submitted(&acting.rebuild(build.id).await?)),
        _ => Err(call.unknown_action()),
    }
}

async fn request_action(
    web: &Web,
    acting: &Acting<'_>,
    id: i64,
    call: &Call,
) -> Result<Value, ApiError> {
    let request = web.store_of_actions.find::<BuildRequest>(id).await?;
    let request = request.ok_or_else(|| ApiError::not_found("buildrequest"))?;
    match call.method.as_str() {
        "cancel" => acting.cancel(request.id, call.reason()).await?,
        "set_priority" => {
            let priority = call.params.get("priority").and_then(whole);
            acting
                .set_priority(request.id, priority.unwrap_or_default())
                .await?;
        }
        _ => return Err(call.unknown_action()),
    }
    Ok(Value::Null)
}

/// The scheduler of an id when it is within the scopes; who has it is the master's to say.
async fn scheduler_within(
    web: &Web,
    id: SchedulerId,
    scopes: &[Scope],
) -> Result<SchedulerId, ApiError> {
    if scopes.is_empty() {
        return Ok(id);
    }
    let schedulers = list::rows_within::<Scheduler>(&web.store_of_actions, scopes).await?;
    match schedulers.iter().any(|scheduler| scheduler.id == id) {
        true => Ok(id),
        false => Err(ApiError::not_found("scheduler")),
    }
}

/// `enable` lets it make build sets, or with `enabled` false lets it take in what happens without making any. `skip` has it pass over the
/// event at which it fails: `event`, if that is given, and no other.
async fn scheduler_action(
    acting: &Acting<'_>,
    id: SchedulerId,
    call: &Call,
) -> Result<Value, ApiError> {
    if call.method == "enable" {
        let enabled = call.params.get("enabled").and_then(Value::as_bool);
        acting
            .enable_scheduler(id, enabled.unwrap_or_default())
            .await?;
        return Ok(Value::Null);
    }
    let event = call.params.get("event").and_then(Value::as_str);
    let event = event.unwrap_or_default();
    let skipped = acting.skip_event(id, event, call.reason()).await?;
    Ok(json!({ "skipped": skipped }))
}

async fn delivery_action(
    acting: &Acting<'_>,
    id: DeliveryId,
    call: &Call,
) -> Result<Value, ApiError> {
    match call.method.as_str() {
        "resend" => acting.resend(id).await?,
        "discard" => acting.discard(id).await?,
        _ => return Err(call.unknown_action()),
    }
    Ok(Value::Null)
}

async fn worker_action(acting: &Acting<'_>, id: WorkerId, call: &Call) -> Result<Value, ApiError> {
    let reason = call.reason();
    match call.method.as_str() {
        "pause" => acting.pause(id, reason).await?,
        "unpause" => acting.unpause(id).await?,
        "stop" => acting.stop_worker(id, reason).await?,
        "kill" => acting.kill_worker(id, reason).await?,
        _ => return Err(call.unknown_action()),
    }
    Ok(Value::Null)
}

async fn force(
    web: &Web,
    acting: &Acting<'_>,
    scheduler: &str,
    call: &Call,
) -> Result<Value, ApiError> {
    let mut fields = call.params.clone();
    let names = fields.shift_remove("builderNames");
    let builder_id = fields.shift_remove("builderid");
    fields.shift_remove("owner");
    let mut builders = match names {
        Some(Value::Array(names)) => Some(
            names
                .iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>(),
        ),
        Some(Value::String(name)) => Some(vec![name]),
        _ => None,
    };
    if let (None, Some(id)) = (&builders, builder_id.filter(|id| !id.is_null())) {
        // Forms send numbers as text.
        let id = id
            .as_i64()
            .or_else(|| id.as_str().and_then(|id| id.parse().ok()));
        let reference = super::path::BuilderRef::Id(id.unwrap_or(-1));
        let builder = resolve::builder(&web.store_of_actions, &reference)
            .await?
            .ok_or_else(|| ApiError::not_found("builder"))?;
        builders = Some(vec![builder.name]);
    }
    let request = ForceRequest {
        owner: None,
        builders,
        fields,
    };
    Ok(match acting.force(scheduler, request).await?? {
        Forced::Made(made) => submitted(&made),
        // What is built is decided later, by a plugin.
        Forced::Queued(_) => json!([null, {}]),
    })
}

/// A build set and its requests by builder, as Buildbot gives them.
fn submitted(submitted: &Submitted) -> Value {
    let requests: Map<String, Value> = submitted
        .requests
        .iter()
        .map(|(builder, request)| (builder.to_string(), Value::from(request.0)))
        .collect();
    json!([submitted.buildset.0, requests])
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::UnknownBuild(_)
            | ControlError::UnknownRequest(_)
            | ControlError::UnknownWorker(_)
            | ControlError::UnknownReporter(_)
            | ControlError::UnknownScheduler(_)
            | ControlError::NoScheduler(_)
            | ControlError::UnknownDelivery(_) => {
                let message = error.to_string();
                let what = message.strip_prefix("there is no ").unwrap_or(&message);
                Self::not_found(what.to_owned())
            }
            ControlError::BuildEnded(_)
            | ControlError::BuilderGone(_)
            | ControlError::BuildElsewhere(_)
            | ControlError::RequestEnded(_)
            | ControlError::DeliveryDone(_)
            | ControlError::NotStuck(..)
            | ControlError::WorkerLocal(_)
            | ControlError::WorkerAway(_)
            | ControlError::WorkerElsewhere(_)
            | ControlError::Plugin(_) => Self::Conflict(error.to_string()),
            ControlError::Store(error) => error.into(),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<ForceError> for ApiError {
    fn from(error: ForceError) -> Self {
        match error {
            ForceError::UnknownScheduler(name) => {
                Self::not_found(format!("force scheduler `{name}`"))
            }
            ForceError::Fields { fields } => Self::Fields(fields),
            ForceError::NoBuilders { .. } | ForceError::Values(_) | ForceError::Properties(_) => {
                Self::Rpc {
                    code: rpc_code::INVALID_PARAMS,
                    message: error.to_string(),
                }
            }
            ForceError::TooMany(_) | ForceError::Disabled(_) => Self::Conflict(error.to_string()),
            ForceError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(content_type: &str, body: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            content_type.parse().expect("a header"),
        );
        match Call::parse(&headers, body.as_bytes()) {
            Ok(call) => format!("{} {} {}", call.id, call.method, Value::Object(call.params)),
            Err(error) => format!("{} {} {error}", error.status().as_u16(), error.rpc_code()),
        }
    }

    #[test]
    fn calls_are_read_as_buildbot_reads_them() {
        let good = r#"{"jsonrpc":"2.0","method":"stop","id":1,"params":{"reason":"x"}}"#;
        let table = [
            (good, "1 stop {\"reason\":\"x\"}"),
            (
                r#"{"jsonrpc":"2.0","method":"stop","id":null,"params":{}}"#,
                "null stop {}",
            ),
            (
                "",
                "400 -32700 JSON parse error: EOF while parsing a value at line 1 column 0",
            ),
            ("[]", "400 -32600 JSONRPC batch requests are not supported"),
            ("3", "400 -32600 JSONRPC root object must be an object"),
            ("{}", "400 -32600 missing key 'jsonrpc'"),
            (r#"{"jsonrpc":2}"#, "400 -32600 'jsonrpc' must be a string"),
            (r#"{"jsonrpc":"2.0"}"#, "400 -32600 missing key 'method'"),
            (
                r#"{"jsonrpc":"2.0","method":"x"}"#,
                "400 -32600 missing key 'id'",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"x","id":[]}"#,
                "400 -32600 'id' must be a string, number, or null",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"stop","id":-7.0,"params":{}}"#,
                "-7.0 stop {}",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"x","id":1.5,"params":{}}"#,
                "400 -32600 'id' must be a string, number, or null",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"x","id":1,"params":[]}"#,
                "400 -32600 'params' must be an object",
            ),
            (
                r#"{"jsonrpc":"1.0","method":"x","id":1,"params":{}}"#,
                "400 -32600 only JSONRPC 2.0 is supported",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(
                parsed("application/json; charset=utf-8", body),
                expected,
                "{body}"
            );
        }
        assert_eq!(
            parsed("text/plain", good),
            "400 -32600 Invalid content-type (use application/json)"
        );
        let deep = "[".repeat(100_000);
        assert!(parsed("application/json", &deep).starts_with("400 -32700"));
    }
}
