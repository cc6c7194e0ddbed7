//! `/force/SCHEDULER`: the form that starts builds, with what is wrong with each field beside it.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::response::{IntoResponse, Redirect};
use serde_json::{Map, Value};
use toolpost_config::FormLayout;
use toolpost_core::model::Builder;
use toolpost_master::{FieldKind, ForceError, ForceForm, ForceRequest, FormField};
use toolpost_store::Query;

use super::shell::{Ask, Section, Shell};
use crate::api::{resolve, veil};
use crate::error::ApiError;
use crate::state::Web;

/// Height of a field for the contents of a file, lines.
const FILE_ROWS: u32 = 4;

/// Deepest nesting of groups that is shown.
const DEPTH_MAX: usize = 8;

#[derive(Template)]
#[template(path = "force.html")]
struct ForcePage {
    shell: Shell,
    form: ForceForm,
    builder: Option<String>,
    groups: Vec<GroupView>,
    /// What is wrong beside the fields.
    problem: Option<String>,
    wrong_fields: usize,
}

/// Fields under one heading.
struct GroupView {
    label: String,
    fields: Vec<FieldView>,
}

/// A field, ready to be shown.
struct FieldView {
    name: String,
    label: String,
    tooltip: String,
    required: bool,
    error: Option<String>,
    input: Input,
}

/// What a field is filled in with.
enum Input {
    Text {
        value: String,
        email: bool,
    },
    Lines {
        value: String,
        rows: u32,
        /// Whether it is the contents of a file, which a script can read.
        is_file: bool,
    },
    Number {
        value: String,
        step: &'static str,
        min: Option<String>,
        max: Option<String>,
    },
    Tick {
        on: bool,
    },
    Choice {
        choices: Vec<(String, bool)>,
        multiple: bool,
    },
    /// Choices are offered, other text is taken.
    Suggest {
        value: String,
        choices: Vec<String>,
    },
}

/// What was sent for a form: names and values, in their order.
type Sent = Vec<(String, String)>;

pub(super) async fn show(
    State(web): State<Web>,
    Path(scheduler): Path<String>,
    ask: Ask,
) -> Response<Body> {
    let page = render(&web, &ask, &scheduler, &Problems::default(), None).await;
    ask.answer_once(&web, StatusCode::OK, page)
}

pub(super) async fn submit(
    State(web): State<Web>,
    Path(scheduler): Path<String>,
    ask: Ask,
    Form(sent): Form<Sent>,
) -> Response<Body> {
    let form = match find(&web, &ask, &scheduler).await {
        Ok(form) => form,
        Err(error) => return ask.fail(&web, &error),
    };
    let builder = ask
        .param("builder")
        .or_else(|| value_of(&sent, "builder").map(ToOwned::to_owned));
    let request = ForceRequest {
        owner: None,
        builders: builder
            .filter(|name| !name.is_empty())
            .map(|name| vec![name]),
        fields: fields_of(&form, &sent),
    };
    let builder = request
        .builders
        .clone()
        .and_then(|names| names.into_iter().next());
    let forced = web.acting(&ask.caller).force(&scheduler, request).await;
    let forced = match forced {
        Ok(forced) => forced,
        Err(refused) => return ask.fail(&web, &refused),
    };
    let problems = match forced {
        Ok(_) => return done(&web, builder.as_deref()).await,
        Err(ForceError::Fields { fields }) => Problems {
            fields,
            general: None,
        },
        Err(
            error @ (ForceError::NoBuilders { .. }
            | ForceError::Values(_)
            | ForceError::TooMany(_)
            | ForceError::Disabled(_)
            | ForceError::Properties(_)),
        ) => Problems {
            general: Some(error.to_string()),
            fields: BTreeMap::new(),
        },
        Err(error) => return ask.fail(&web, &error.into()),
    };
    let page = render(&web, &ask, &scheduler, &problems, Some(&sent)).await;
    ask.answer_once(&web, StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// Leads to where the build can be seen to start.
async fn done(web: &Web, builder: Option<&str>) -> Response<Body> {
    let Some(name) = builder else {
        return Redirect::to("/pending?done=force").into_response();
    };
    let query = Query::new().eq("name", name);
    let to = match resolve::first::<Builder>(&web.store, query).await {
        Ok(Some(builder)) => format!("/builders/{}?done=force", builder.id),
        _ => "/pending?done=force".to_owned(),
    };
    Redirect::to(&to).into_response()
}

/// What is wrong with what was sent.
#[derive(Default)]
struct Problems {
    fields: BTreeMap<String, String>,
    general: Option<String>,
}

async fn find(web: &Web, ask: &Ask, scheduler: &str) -> Result<ForceForm, ApiError> {
    let mut forms = veil::forms(web, &ask.sight).await?.into_iter();
    forms
        .find(|form| form.name == scheduler)
        .ok_or_else(|| ApiError::not_found(format!("force scheduler {scheduler}")))
}

fn value_of<'a>(sent: &'a Sent, name: &str) -> Option<&'a str> {
    sent.iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// The values by full name, in the types that the fields have.
fn fields_of(form: &ForceForm, sent: &Sent) -> Map<String, Value> {
    let mut values = Map::new();
    let mut leaves = Vec::new();
    gather(&form.fields, &mut leaves, 0);
    for field in leaves {
        let of_field = sent.iter().filter(|(key, _)| *key == field.full_name);
        let value = match &field.kind {
            // A tick box that is off sends nothing.
            FieldKind::Bool => Some(Value::Bool(of_field.count() > 0)),
            FieldKind::List { multiple: true, .. } => Some(
                of_field
                    .map(|(_, value)| Value::from(value.as_str()))
                    .collect(),
            ),
            // Browsers end the lines of a form as if each file came from Windows.
            FieldKind::File { .. } => {
                value_of(sent, &field.full_name).map(|text| text.replace("\r\n", "\n").into())
            }
            _ => value_of(sent, &field.full_name).map(Value::from),
        };
        if let Some(value) = value {
            values.insert(field.full_name.clone(), value);
        }
    }
    values
}

/// The fields that are filled in, out of their groups.
fn gather<'a>(fields: &'a [FormField], leaves: &mut Vec<&'a FormField>, depth: usize) {
    for field in fields.iter().filter(|field| !field.hidden) {
        match field.kind.fields() {
            [] => leaves.push(field),
            nested if depth < DEPTH_MAX => gather(nested, leaves, depth + 1),
            _ => {}
        }
    }
}

async fn render(
    web: &Web,
    ask: &Ask,
    scheduler: &str,
    problems: &Problems,
    sent: Option<&Sent>,
) -> Result<String, ApiError> {
    let form = find(web, ask, scheduler).await?;
    let mut shell = Shell::new(web, ask, Section::Builders, form.label.clone());
    shell.notice = None;
    let mut groups = Vec::new();
    group(&form.fields, "", problems, sent, &mut groups, 0);
    let named: usize = groups
        .iter()
        .flat_map(|group| &group.fields)
        .filter(|field| field.error.is_some())
        .count();
    // A message for a field that is not shown must not be lost.
    let elsewhere = problems.fields.len().saturating_sub(named);
    let problem = problems
        .general
        .clone()
        .or_else(|| (elsewhere > 0).then(|| ApiError::Fields(problems.fields.clone()).to_string()));
    let page = ForcePage {
        builder: ask
            .param("builder")
            .filter(|name| form.builders.contains(name)),
        wrong_fields: named,
        problem,
        groups,
        form,
        shell,
    };
    Ok(page.render()?)
}

/// Lays out fields in their order: those that stand side by side in a group of this heading, nested groups between them.
fn group(
    fields: &[FormField],
    label: &str,
    problems: &Problems,
    sent: Option<&Sent>,
    groups: &mut Vec<GroupView>,
    depth: usize,
) {
    let mut is_open = false;
    for field in fields.iter().filter(|field| !field.hidden) {
        let nested = field.kind.fields();
        if nested.is_empty() {
            if !std::mem::replace(&mut is_open, true) {
                groups.push(GroupView {
                    label: label.to_owned(),
                    fields: Vec::new(),
                });
            }
            if let Some(open) = groups.last_mut() {
                open.fields.push(FieldView::new(field, problems, sent));
            }
        } else if depth < DEPTH_MAX {
            let heading = match &field.kind {
                FieldKind::Codebase { codebase, .. } if codebase.is_empty() => "Sources",
                FieldKind::Nested {
                    layout: FormLayout::Simple,
                    ..
                } => "",
                _ => &field.label,
            };
            group(nested, heading, problems, sent, groups, depth + 1);
            is_open = false;
        }
    }
}

impl FieldView {
    fn new(field: &FormField, problems: &Problems, sent: Option<&Sent>) -> Self {
        let value = match sent {
            Some(sent) => value_of(sent, &field.full_name)
                .unwrap_or_default()
                .to_owned(),
            None => match &field.default {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            },
        };
        let is_chosen = |choice: &str| match sent {
            Some(sent) => sent
                .iter()
                .any(|(key, value)| *key == field.full_name && value == choice),
            None => match &field.default {
                Value::Array(chosen) => chosen.iter().any(|value| value == choice),
                chosen => chosen == choice,
            },
        };
        let input = match &field.kind {
            FieldKind::TextArea { rows, .. } | FieldKind::Json { rows, .. } => Input::Lines {
                value,
                rows: *rows,
                is_file: false,
            },
            FieldKind::File { .. } => Input::Lines {
                value,
                rows: FILE_ROWS,
                is_file: true,
            },
            FieldKind::Worker { choices } => Input::Choice {
                choices: choices
                    .iter()
                    .map(|choice| (choice.clone(), is_chosen(choice)))
                    .collect(),
                multiple: false,
            },
            FieldKind::Inherit { choices, .. } => Input::Suggest {
                value,
                choices: choices.clone(),
            },
            FieldKind::Int { min, max } => Input::Number {
                value,
                step: "1",
                min: min.map(|min| min.to_string()),
                max: max.map(|max| max.to_string()),
            },
            FieldKind::Number { min, max } => Input::Number {
                value,
                step: "any",
                min: min.map(|min| min.to_string()),
                max: max.map(|max| max.to_string()),
            },
            FieldKind::Bool => Input::Tick {
                on: match sent {
                    Some(sent) => value_of(sent, &field.full_name).is_some(),
                    None => field.default == Value::Bool(true),
                },
            },
            FieldKind::List {
                choices,
                multiple: false,
                strict: false,
            } => Input::Suggest {
                value,
                choices: choices.clone(),
            },
            FieldKind::List {
                choices, multiple, ..
            } => Input::Choice {
                choices: choices
                    .iter()
                    .map(|choice| (choice.clone(), is_chosen(choice)))
                    .collect(),
                multiple: *multiple,
            },
            FieldKind::Username { need_email } => Input::Text {
                value,
                email: *need_email,
            },
            _ => Input::Text {
                value,
                email: false,
            },
        };
        Self {
            name: field.full_name.clone(),
            label: if field.label.is_empty() {
                field.name.clone()
            } else {
                field.label.clone()
            },
            tooltip: field.tooltip.clone(),
            required: field.required,
            error: problems.fields.get(&field.full_name).cloned(),
            input,
        }
    }
}
