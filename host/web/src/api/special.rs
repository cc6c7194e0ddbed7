//! Resources that are not rows of the store: links, specification, properties, force schedulers.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};
use toolpost_core::Properties;
use toolpost_master::{FieldKind, ForceForm, FormField};
use toolpost_store::Store;

use super::path::BuildRef;
use super::patterns::PATTERNS;
use super::query::Spec;
use super::rows::write_properties;
use super::schema::{Field, Kind, Resource};
use super::{list, memory};
use crate::artifacts::disposition;
use crate::error::ApiError;

/// The members of an object that is written as a literal.
pub(crate) fn members(value: Value) -> Map<String, Value> {
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

/// The bytes of a named value of a build, to be kept.
pub(crate) async fn build_data_value(
    store: &Store,
    build: &BuildRef,
    name: &str,
) -> Result<Response<Body>, ApiError> {
    let build = list::build(store, build).await?;
    let found = store.build_data(build.id, name).await?;
    let (value, _) = found.ok_or_else(|| ApiError::not_found("build_data"))?;
    let mut response = Response::new(Body::from(value));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    let disposition =
        disposition(false, name).map_err(|error| ApiError::Internal(error.to_string()))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
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
        "enabled": form.enabled,
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
        "tablabel": field.tab_label,
        "tooltip": field.tooltip,
        "type": field.kind.name(),
    });
    let own = match &field.kind {
        FieldKind::Text {
            regex,
            size,
            chars_max,
        } => json!({ "regex": regex, "size": size, "maxsize": chars_max }),
        FieldKind::TextArea {
            regex,
            columns,
            rows,
            chars_max,
        } => json!({ "regex": regex, "cols": columns, "rows": rows, "maxsize": chars_max }),
        FieldKind::Int { min, max } => {
            json!({ "size": TEXT_FIELD_COLUMNS, "min": min, "max": max })
        }
        FieldKind::Number { min, max } => {
            json!({ "size": TEXT_FIELD_COLUMNS, "min": min, "max": max })
        }
        FieldKind::Json { columns, rows } => json!({ "cols": columns, "rows": rows }),
        FieldKind::Bool | FieldKind::Fixed => json!({}),
        FieldKind::File { bytes_max } => json!({ "maxsize": bytes_max }),
        FieldKind::Worker { choices } | FieldKind::Inherit { choices, .. } => {
            json!({ "choices": choices, "strict": false })
        }
        FieldKind::List {
            choices,
            multiple,
            strict,
        } => json!({ "choices": choices, "multiple": multiple, "strict": strict }),
        FieldKind::Username { need_email } => {
            json!({ "need_email": need_email, "size": TEXT_FIELD_COLUMNS })
        }
        FieldKind::Nested {
            fields,
            layout,
            columns,
        } => group_json(fields, layout.name(), *columns),
        FieldKind::Codebase { fields, .. } | FieldKind::Any { fields } => {
            group_json(fields, "vertical", None)
        }
    };
    if let (Some(spec), Value::Object(own)) = (spec.as_object_mut(), own) {
        spec.extend(own);
    }
    spec
}

fn group_json(fields: &[FormField], layout: &str, columns: Option<u32>) -> Value {
    let visible = fields.iter().filter(|field| !field.hidden).count();
    let usual = if visible >= 4 { 2 } else { 1 };
    let fields: Vec<_> = fields.iter().map(form_field_json).collect();
    json!({ "columns": columns.unwrap_or(usual), "fields": fields, "layout": layout })
}

/// Width of a field for one line of text.
const TEXT_FIELD_COLUMNS: u32 = 30;
