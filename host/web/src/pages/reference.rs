//! `/reference`: the description of the API as pages. They are made of the document that programs get, so that both say the same.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use serde_json::Value;

use super::filters;
use super::shell::{Ask, Section, Shell};
use crate::api::openapi::DOCUMENT;
use crate::error::ApiError;
use crate::state::Web;

/// Words of an enumeration that are shown.
const WORDS_MAX: usize = 40;

/// Where the document keeps shapes.
const SCHEMAS: &str = "#/components/schemas/";

#[derive(Template)]
#[template(path = "reference.html")]
struct Index {
    shell: Shell,
    about: String,
    groups: Vec<GroupView>,
}

struct GroupView {
    tag: String,
    title: String,
    paths: Vec<String>,
}

#[derive(Template)]
#[template(path = "referencegroup.html")]
struct Group {
    shell: Shell,
    title: String,
    operations: Vec<OperationView>,
    shapes: Vec<ShapeView>,
}

struct OperationView {
    id: String,
    method: String,
    path: String,
    summary: String,
    /// What it does beyond that, line by line.
    about: Vec<String>,
    parameters: Vec<Row>,
    answers: Vec<Row>,
}

/// A name with what it holds and what it is for.
struct Row {
    name: String,
    holds: String,
    about: String,
}

struct ShapeView {
    name: String,
    fields: Vec<Row>,
}

pub(super) async fn index(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, async { render_index(&web, &ask) }).await
}

pub(super) async fn group(
    State(web): State<Web>,
    Path(tag): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, async { render_group(&web, &ask, &tag) })
        .await
}

fn render_index(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, _, operation) in operations() {
        groups.entry(tag_of(operation)).or_default().insert(path);
    }
    let page = Index {
        shell: Shell::new(web, ask, Section::Other, "REST API"),
        about: text(&DOCUMENT.value["info"]["description"]),
        groups: groups
            .into_iter()
            .map(|(tag, paths)| GroupView {
                title: title_of(tag),
                paths: paths.into_iter().map(ToOwned::to_owned).collect(),
                tag: tag.to_owned(),
            })
            .collect(),
    };
    Ok(page.render()?)
}

fn render_group(web: &Web, ask: &Ask, tag: &str) -> Result<String, ApiError> {
    let of_tag: Vec<_> = operations()
        .filter(|(_, _, operation)| tag_of(operation) == tag)
        .collect();
    if of_tag.is_empty() {
        return Err(ApiError::not_found(format!("part {tag} of the API")));
    }
    let mut wanted: Vec<String> = Vec::new();
    for (_, _, operation) in &of_tag {
        names_in(operation, &mut wanted);
    }
    // Shapes are named by others.
    let mut at = 0;
    while let Some(name) = wanted.get(at).cloned() {
        names_in(&DOCUMENT.value["components"]["schemas"][&name], &mut wanted);
        at += 1;
    }
    wanted.sort();
    let page = Group {
        title: title_of(tag),
        operations: of_tag
            .iter()
            .map(|(path, method, operation)| operation_view(path, method, operation))
            .collect(),
        shapes: wanted.iter().filter_map(|name| shape_view(name)).collect(),
        shell: Shell::new(
            web,
            ask,
            Section::Other,
            format!("REST API: {}", title_of(tag)),
        ),
    };
    Ok(page.render()?)
}

/// Every operation with its path and method.
fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT.value["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn tag_of(operation: &Value) -> &str {
    operation["tags"][0].as_str().unwrap_or("others")
}

fn title_of(tag: &str) -> String {
    tag.trim_start_matches('_').replace('_', " ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The shapes that something refers to, each once.
fn names_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|at| at.strip_prefix(SCHEMAS));
            if let Some(name) = name
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
            members.values().for_each(|value| names_in(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| names_in(value, names)),
        _ => {}
    }
}

fn operation_view(path: &str, method: &str, operation: &Value) -> OperationView {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut parameters: Vec<Row> = parameters
        .map(|parameter| Row {
            name: text(&parameter["name"]),
            holds: format!(
                "{}, in the {}{}",
                said(&parameter["schema"]),
                if parameter["in"] == "path" {
                    "path"
                } else {
                    "query string"
                },
                if parameter["required"] == true {
                    ""
                } else {
                    ", optional"
                },
            ),
            about: text(&parameter["description"]),
        })
        .collect();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        parameters.push(Row {
            name: "body".to_owned(),
            holds: said(body),
            about: text(&operation["requestBody"]["description"]),
        });
    }
    let answers = operation["responses"].as_object().into_iter().flatten();
    let about = text(&operation["description"]);
    OperationView {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        about: about
            .lines()
            .map(|line| line.trim_start_matches("* ").replace('`', ""))
            .collect(),
        parameters,
        answers: answers
            .map(|(status, response)| answer_row(status, response))
            .collect(),
    }
}

fn answer_row(status: &str, response: &Value) -> Row {
    let place = response["$ref"].as_str();
    let response = match place.and_then(|place| place.strip_prefix('#')) {
        Some(place) => DOCUMENT.value.pointer(place).unwrap_or(response),
        None => response,
    };
    let content = response["content"].as_object().into_iter().flatten();
    let content = content.map(|(of, content)| format!("{of}: {}", said(&content["schema"])));
    Row {
        name: status.to_owned(),
        holds: content.collect::<Vec<_>>().join("; "),
        about: text(&response["description"]),
    }
}

/// A shape of which the fields are to be shown.
fn shape_view(name: &str) -> Option<ShapeView> {
    // The same fields, each of which may be missing.
    if name.ends_with(".selected") {
        return None;
    }
    let shape = &DOCUMENT.value["components"]["schemas"][name];
    let fields = shape["properties"].as_object()?.iter();
    Some(ShapeView {
        name: name.to_owned(),
        fields: fields
            .map(|(name, shape)| Row {
                name: name.clone(),
                holds: said(shape),
                about: text(&shape["description"]),
            })
            .collect(),
    })
}

/// A shape in words.
fn said(shape: &Value) -> String {
    if let Some(place) = shape["$ref"].as_str() {
        return place.trim_start_matches(SCHEMAS).to_owned();
    }
    if let Some(words) = shape["enum"].as_array() {
        let shown: Vec<_> = words.iter().take(WORDS_MAX).map(text).collect();
        let more = if words.len() > WORDS_MAX {
            " | …"
        } else {
            ""
        };
        return format!("{}{more}", shown.join(" | "));
    }
    if let Some(either) = shape["anyOf"].as_array() {
        let mut said: Vec<String> = either
            .iter()
            .map(said)
            .filter(|said| !said.ends_with(".selected"))
            .collect();
        said.dedup();
        return said.join(" or ");
    }
    match shape["type"].as_str() {
        Some("array") => format!("list of {}", said(&shape["items"])),
        Some("integer") => "whole number".to_owned(),
        Some("string") if shape["format"] == "binary" => "bytes".to_owned(),
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("object") => object_said(shape),
        Some(other) => other.to_owned(),
        None => "any value".to_owned(),
    }
}

fn object_said(shape: &Value) -> String {
    if let Some(members) = shape["properties"].as_object() {
        let members: Vec<_> = members
            .iter()
            .map(|(name, shape)| format!("{name}: {}", said(shape)))
            .collect();
        return format!("{{ {} }}", members.join(", "));
    }
    match &shape["additionalProperties"] {
        Value::Object(_) => format!("object of {}", said(&shape["additionalProperties"])),
        _ => "object".to_owned(),
    }
}
