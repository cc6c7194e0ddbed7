//! Plugins: what runs and what becomes of it, their history, what their calls took; and the actions on them.

use serde_json::{Map, Value, json};
use toolpost_sandbox::metrics::TypeMetrics;
use toolpost_sandbox::{PluginStatus, PoolWait, VersionStatus, WaitReason, Want};
use toolpost_store::{PluginEventRow, PluginVersionRow};

use super::memory;
use super::schema::Resource;
use super::special::members;
use crate::auth::Acting;
use crate::control::{Control, Place};
use crate::error::ApiError;
use crate::state::Web;

/// Past events of a plugin that are told.
const EVENTS_MAX: u32 = 1_000;

/// Why a version becomes the live one, when nobody says.
const NO_REASON: &str = "asked for through the API";

/// The plugins.
pub(crate) fn list(master: &dyn Control, raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let plugins = master.plugins();
    let waits = master.plugin_load().waits;
    let items = plugins
        .iter()
        .map(|plugin| plugin_json(master, plugin, &waits))
        .collect();
    memory::collection(Resource::Plugin, items, raw_query)
}

/// One plugin.
pub(crate) fn one(
    master: &dyn Control,
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let plugins = master.plugins();
    let plugin = plugins.iter().find(|plugin| plugin.name == name);
    memory::single(
        Resource::Plugin,
        plugin.map(|plugin| plugin_json(master, plugin, &master.plugin_load().waits)),
        raw_query,
    )
}

/// `live`: its file runs. `held`: its file was refused, an earlier version runs. `unusable`: nothing of it runs.
pub(crate) fn plugin_state(plugin: &PluginStatus) -> &'static str {
    match (&plugin.live, &plugin.problem) {
        (None, _) if plugin.loading => "loading",
        (Some(_), None) => "live",
        (Some(_), Some(_)) => "held",
        (None, _) => "unusable",
    }
}

fn plugin_json(
    master: &dyn Control,
    plugin: &PluginStatus,
    waits: &[PoolWait],
) -> Map<String, Value> {
    let versions: Vec<_> = plugin
        .live
        .iter()
        .map(|version| version_json(version, "live"))
        .chain(
            plugin
                .draining
                .iter()
                .map(|version| version_json(version, "draining")),
        )
        .collect();
    let uses: Vec<_> = plugin
        .live
        .iter()
        .flat_map(|version| &version.types)
        .flat_map(|told| {
            let places = master.uses_of(told.kind, &told.name).into_iter();
            places.map(|place| use_json(&told.name, &place))
        })
        .collect();
    members(json!({
        "held": held(plugin),
        "last_reload": last_reload(plugin),
        "name": plugin.name,
        "not_granted": texts(&plugin.not_granted),
        "refusals": plugin.refusals,
        "reloads": plugin.reloads,
        "rollbacks": plugin.rollbacks,
        "state": plugin_state(plugin),
        "uses": uses,
        "versions": versions,
        "waiting": waiting(waits, &plugin.name),
    }))
}

fn use_json(type_name: &str, place: &Place) -> Value {
    match place {
        Place::Step { builder, step } => json!({
            "builder": builder, "kind": "step", "step": step, "step_type": type_name,
        }),
        Place::Scheduler(name) => json!({
            "kind": "scheduler", "scheduler": name, "scheduler_type": type_name,
        }),
        Place::Reporter(name) => json!({
            "kind": "reporter", "reporter": name, "reporter_type": type_name,
        }),
    }
}

/// The version that waits for grants.
fn held(plugin: &PluginStatus) -> Value {
    let Some(held) = &plugin.held else {
        return Value::Null;
    };
    json!({
        "digest": held.digest,
        "missing": texts(&held.missing),
        "version": held.version,
        "wants": texts(&held.wants),
    })
}

fn texts(wants: &[Want]) -> Vec<String> {
    wants.iter().map(ToString::to_string).collect()
}

/// The newest of: the file was refused, a version went live.
fn last_reload(plugin: &PluginStatus) -> Value {
    if let Some(problem) = &plugin.problem {
        return json!({
            "at": problem.at.seconds(),
            "digest": problem.digest,
            "outcome": "refused",
            "reason": problem.reason,
        });
    }
    match (&plugin.live, plugin.live_since) {
        (Some(live), Some(since)) => json!({
            "at": since.seconds(),
            "digest": live.digest,
            "outcome": "live",
            "reason": null,
        }),
        _ => Value::Null,
    }
}

fn version_json(version: &VersionStatus, state: &str) -> Value {
    let types: Vec<_> = version
        .types
        .iter()
        .map(|told| {
            json!({
                "force_schema": told.force_schema,
                "kind": told.kind.as_str(),
                "name": told.name,
                "schema": told.schema,
                "summary": told.summary,
            })
        })
        .collect();
    let wants: Vec<_> = version.wants.iter().map(ToString::to_string).collect();
    json!({
        "builds": version.pins,
        "calls_running": version.calls_running,
        "calls_total": version.calls_total,
        "contract": version.contract,
        "description": version.description,
        "digest": version.digest,
        "faults_total": version.faults_total,
        "last_fault": version.last_fault,
        "loaded_at": version.loaded_at.seconds(),
        "size_bytes": version.size_bytes,
        "state": state,
        "types": types,
        "version": version.version,
        "wants": wants,
    })
}

/// The calls of a plugin that wait for room, and why; `null` when none does.
fn waiting(waits: &[PoolWait], plugin: &str) -> Value {
    let told: Vec<_> = waits
        .iter()
        .filter(|wait| wait.plugin == plugin)
        .map(|wait| {
            json!({
                "calls": wait.calls,
                "longest_ms": millis(wait.longest),
                "reason": wait_word(wait.reason),
            })
        })
        .collect();
    match told.is_empty() {
        true => Value::Null,
        false => Value::Array(told),
    }
}

/// What calls wait for, in a word.
pub(crate) fn wait_word(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Calls => "calls",
        WaitReason::Memory => "memory",
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Every version of a plugin that was ever good, newest first, also when the plugin is gone.
pub(crate) async fn versions(
    web: &Web,
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let status = web.master.plugins();
    let status = status.iter().find(|plugin| plugin.name == name);
    let rows = web.store.plugin_versions(name).await?;
    let items = rows
        .iter()
        .map(|row| past_version_json(row, status))
        .collect();
    memory::collection(Resource::PluginVersion, items, raw_query)
}

fn past_version_json(row: &PluginVersionRow, status: Option<&PluginStatus>) -> Map<String, Value> {
    let is = |version: &VersionStatus| version.digest == row.digest;
    let state = match status {
        Some(plugin) if plugin.live.as_ref().is_some_and(is) => "live",
        Some(plugin) if plugin.draining.iter().any(is) => "draining",
        _ => "past",
    };
    members(json!({
        "contract": row.contract,
        "digest": row.digest,
        "loaded_at": row.loaded_at.seconds(),
        "plugin": row.name,
        "size_bytes": row.size_bytes,
        "state": state,
        "version": row.version,
    }))
}

/// What happened to a plugin, newest first.
pub(crate) async fn events(
    web: &Web,
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let rows = web.store.plugin_events(name, EVENTS_MAX).await?;
    let items = rows.iter().map(event_json).collect();
    memory::collection(Resource::PluginEvent, items, raw_query)
}

fn event_json(row: &PluginEventRow) -> Map<String, Value> {
    members(json!({
        "at": row.at.seconds(),
        "digest": row.digest,
        "kind": row.kind.name(),
        "plugin": row.name,
        "reason": row.reason,
    }))
}

/// What the calls of a plugin took since the start, by type.
pub(crate) fn metrics(
    master: &dyn Control,
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let types = master.plugin_load().types;
    let of_plugin = types.iter().filter(|of| of.plugin == name);
    let items = of_plugin.map(metrics_json).collect();
    memory::collection(Resource::PluginMetrics, items, raw_query)
}

fn metrics_json(of: &TypeMetrics) -> Map<String, Value> {
    members(json!({
        "calls": of.calls,
        "cpu_ms": millis(of.cpu),
        "host_calls": of.host_calls,
        "kind": of.kind.as_str(),
        "memory_peak_bytes": of.memory_peak_bytes,
        "plugin": of.plugin,
        "queued_longest_ms": millis(of.queued_longest),
        "queued_ms": millis(of.queued),
        "type": of.type_name,
        "wall_ms": millis(of.wall),
    }))
}

/// `reload` looks at the directory now, and tells what became of each plugin.
pub(super) async fn reload(acting: &Acting<'_>) -> Result<Value, ApiError> {
    let plugins = acting.reload_plugins().await?;
    let told = plugins.iter().map(|plugin| {
        json!({
            "digest": plugin.live.as_ref().map(|live| &live.digest),
            "name": plugin.name,
            "reason": plugin.problem.as_ref().map(|problem| &problem.reason),
            "state": plugin_state(plugin),
        })
    });
    Ok(json!({ "plugins": told.collect::<Vec<_>>() }))
}

/// `rollback` makes the version of a `digest` the live one; its first letters will do.
pub(super) async fn rollback(
    web: &Web,
    acting: &Acting<'_>,
    name: &str,
    params: &Map<String, Value>,
) -> Result<Value, ApiError> {
    let text = |key: &str| params.get(key).and_then(Value::as_str);
    let wanted = text("digest").unwrap_or_default();
    let digest = known_digest(web, name, wanted).await?;
    let reason = text("reason").unwrap_or(NO_REASON);
    acting.rollback(name, &digest, reason).await?;
    Ok(json!({ "digest": digest }))
}

/// The digest of the only version that begins so.
async fn known_digest(web: &Web, name: &str, wanted: &str) -> Result<String, ApiError> {
    let refuse = |message: String| ApiError::Rpc {
        code: crate::error::rpc_code::INVALID_PARAMS,
        message,
    };
    let versions = web.store.plugin_versions(name).await?;
    let mut fitting = versions
        .into_iter()
        .filter(|version| version.digest.starts_with(wanted));
    match (fitting.next(), fitting.next()) {
        (Some(version), None) => Ok(version.digest),
        (Some(_), Some(_)) => Err(refuse(format!(
            "several versions of `{name}` begin with {wanted}; say more of the digest"
        ))),
        (None, _) => Err(ApiError::not_found(format!("version {wanted} of `{name}`"))),
    }
}
