//! Resources that are not rows of the store: links, specification, properties, force schedulers, plugins.

use serde_json::{Map, Value, json};
use toolpost_core::{PluginKind, Properties};
use toolpost_master::{FieldKind, ForceForm, FormField};
use toolpost_sandbox::{PluginStatus, VersionStatus};

use super::memory;
use super::patterns::PATTERNS;
use super::query::Spec;
use super::rows::write_properties;
use super::schema::{Field, Kind, Resource};
use crate::control::Control;
use crate::error::ApiError;

/// The members of an object that is written as a literal.
fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The lists that the API begins with.
pub(crate) fn root(raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let links = PATTERNS
        .iter()
        .filter_map(|(pattern, _)| pattern.strip_prefix('/'))
        .filter(|name| !name.is_empty() && !name.contains(['/', '.']))
        .map(|name| members(json!({ "name": name })))
        .collect();
    memory::collection(Resource::RootLink, links, raw_query)
}

/// The paths with the types of what they give.
pub(crate) fn spec(raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let endpoints = PATTERNS
        .iter()
        .map(|(pattern, resource)| {
            let fields: Vec<_> = resource.fields().iter().map(field_spec).collect();
            members(json!({
                "path": pattern.trim_start_matches('/'),
                "plural": resource.plural(),
                "type": resource.name(),
                "type_spec": { "type": resource.name(), "fields": fields },
            }))
        })
        .collect();
    memory::collection(Resource::Spec, endpoints, raw_query)
}

fn field_spec(field: &Field) -> Value {
    let (name, of) = match field.kind {
        Kind::Int => ("integer", None),
        Kind::Time => ("datetime", None),
        Kind::Text => ("string", None),
        Kind::Identifier => ("identifier", None),
        Kind::Bool => ("boolean", None),
        Kind::IntList => ("list", Some("integer")),
        Kind::TextList => ("list", Some("string")),
        Kind::Nested => ("object", None),
    };
    let mut type_spec = json!({ "name": name });
    if let Some(of) = of {
        type_spec = json!({ "type": name, "of": { "name": of } });
    }
    if field.nullable {
        type_spec["can_be_null"] = Value::Bool(true);
    }
    json!({ "name": field.name, "type": name, "type_spec": type_spec })
}

/// Properties as one object.
pub(crate) fn properties(
    properties: &Properties,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    Spec::parse(Resource::Properties, raw_query, false)?;
    let mut out = b"{\"properties\":[".to_vec();
    write_properties(&mut out, properties, &["*".to_owned()]);
    out.extend_from_slice(b"],\"meta\":{}}");
    Ok(out)
}

/// Properties as a list, each value as JSON text.
pub(crate) fn property_list(
    properties: &Properties,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let items = properties
        .iter()
        .map(|(name, property)| {
            members(json!({
                "name": name,
                "source": property.source,
                "value": property.value.to_string(),
            }))
        })
        .collect();
    memory::collection(Resource::PropertyList, items, raw_query)
}

/// The force schedulers, of one builder or all.
pub(crate) fn force_schedulers(
    forms: &[ForceForm],
    builder: Option<&str>,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let items = forms
        .iter()
        .filter(|form| {
            builder.is_none_or(|builder| form.builders.iter().any(|name| name == builder))
        })
        .map(force_scheduler_json)
        .collect();
    memory::collection(Resource::ForceScheduler, items, raw_query)
}

/// One force scheduler.
pub(crate) fn force_scheduler(
    forms: &[ForceForm],
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let form = forms.iter().find(|form| form.name == name);
    memory::single(
        Resource::ForceScheduler,
        form.map(force_scheduler_json),
        raw_query,
    )
}

fn force_scheduler_json(form: &ForceForm) -> Map<String, Value> {
    let fields: Vec<_> = form.fields.iter().map(form_field_json).collect();
    members(json!({
        "all_fields": fields,
        "builder_names": form.builders,
        "button_name": form.button,
        "enabled": true,
        "label": form.label,
        "name": form.name,
    }))
}

/// A field of a form with the attributes that Buildbot's clients read.
fn form_field_json(field: &FormField) -> Value {
    let mut spec = json!({
        "autopopulate": null,
        "default": field.default,
        "fullName": field.full_name,
        "hide": field.hidden,
        "label": field.label,
        "maxsize": null,
        "multiple": false,
        "name": field.name,
        "regex": null,
        "required": field.required,
        "tablabel": field.label,
        "tooltip": field.tooltip,
        "type": field.kind.name(),
    });
    match &field.kind {
        FieldKind::Text { regex } => {
            spec["regex"] = json!(regex);
            spec["size"] = json!(TEXT_FIELD_COLUMNS);
        }
        FieldKind::TextArea {
            regex,
            columns,
            rows,
        } => {
            spec["regex"] = json!(regex);
            spec["cols"] = json!(columns);
            spec["rows"] = json!(rows);
        }
        FieldKind::Int { min, max } => {
            spec["size"] = json!(TEXT_FIELD_COLUMNS);
            spec["min"] = json!(min);
            spec["max"] = json!(max);
        }
        FieldKind::Bool => {}
        FieldKind::List {
            choices,
            multiple,
            strict,
        } => {
            spec["choices"] = json!(choices);
            spec["multiple"] = json!(multiple);
            spec["strict"] = json!(strict);
        }
        FieldKind::Username { need_email } => {
            spec["need_email"] = json!(need_email);
            spec["size"] = json!(TEXT_FIELD_COLUMNS);
        }
        FieldKind::Nested { fields } | FieldKind::Codebase { fields, .. } => {
            let nested: Vec<_> = fields.iter().map(form_field_json).collect();
            let visible = fields.iter().filter(|field| !field.hidden).count();
            spec["columns"] = json!(if visible >= 4 { 2 } else { 1 });
            spec["fields"] = Value::Array(nested);
            spec["layout"] = json!("vertical");
        }
    }
    spec
}

/// Width of a field for one line of text.
const TEXT_FIELD_COLUMNS: u32 = 30;

/// The plugins.
pub(crate) fn plugins(master: &dyn Control, raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let plugins = master.plugins();
    let items = plugins
        .iter()
        .map(|plugin| plugin_json(master, plugin))
        .collect();
    memory::collection(Resource::Plugin, items, raw_query)
}

/// One plugin.
pub(crate) fn plugin(
    master: &dyn Control,
    name: &str,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let plugins = master.plugins();
    let plugin = plugins.iter().find(|plugin| plugin.name == name);
    memory::single(
        Resource::Plugin,
        plugin.map(|plugin| plugin_json(master, plugin)),
        raw_query,
    )
}

/// `live`: its file runs. `held`: its file was refused, an earlier version runs. `unusable`: nothing of it runs.
pub(crate) fn plugin_state(plugin: &PluginStatus) -> &'static str {
    match (&plugin.live, &plugin.problem) {
        (Some(_), None) => "live",
        (Some(_), Some(_)) => "held",
        (None, _) => "unusable",
    }
}

fn plugin_json(master: &dyn Control, plugin: &PluginStatus) -> Map<String, Value> {
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
        .filter(|told| told.kind == PluginKind::Step)
        .flat_map(|step| {
            master.uses_of(&step.name).into_iter().map(|place| {
                json!({"builder": place.builder, "step": place.step, "step_type": step.name})
            })
        })
        .collect();
    members(json!({
        "last_reload": last_reload(plugin),
        "name": plugin.name,
        "state": plugin_state(plugin),
        "uses": uses,
        "versions": versions,
    }))
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
