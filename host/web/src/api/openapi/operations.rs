//! What is asked for at a path, and what is answered.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
    ParameterStyle,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{ContentBuilder, Ref, Required, Response, ResponseBuilder};

use toolpost_core::access::Action as Right;

use super::components::{
    CALL_REFUSALS, REFUSALS, filters_name, json, list_name, one_name, refusal_name,
};
use super::logins::in_person;
use super::routes::{DIGEST, Route, example};
use super::shapes::{
    Shape, any, between, bytes, component, count, either, int, int32, label, list, list_of, map,
    null, object, one_of, open_object, or_null, pattern, short_text, some_text, text, truth, whole,
};
use crate::api::actions::{Action, Gives, Holds, actions_of};
use crate::api::path::Endpoint;
use crate::api::schema::{Kind, Resource};
use crate::api::search::Search;
use crate::api::tail::TAIL_LINES;
use crate::auth::{BUILDERS_MAX, DAYS_MAX, LABEL_CHARS_MAX};

/// What a path gives.
enum Answer {
    List(Resource),
    One(Resource),
    Contents,
    Search,
    Tail,
    /// Something that is not JSON of resources: its media types, and what it is.
    Other(&'static [&'static str], &'static str),
    /// Only calls go there.
    Nothing,
}

fn answer_of(route: &Route) -> Answer {
    use Endpoint as E;
    match &route.endpoint {
        E::Collection(resource, _) => Answer::List(*resource),
        E::Root
        | E::Spec
        | E::BuildPropertyList(_)
        | E::BuildsetPropertyList(_)
        | E::ChangePropertyList(_)
        | E::ForceSchedulers(_)
        | E::Plugins
        | E::PluginVersions(_)
        | E::PluginEvents(_)
        | E::PluginMetrics(_)
        | E::Tokens
        | E::Audit
        | E::Reporters => Answer::List(route.gives),
        E::Plugin(_) if route.parameters.is_empty() => Answer::Nothing,
        E::Single(..)
        | E::Builder(..)
        | E::Worker(..)
        | E::Build(_)
        | E::Step(_)
        | E::Log(_)
        | E::BuildData(..)
        | E::BuildProperties(_)
        | E::BuildsetProperties(_)
        | E::RequestProperties(_)
        | E::ForceScheduler(_)
        | E::Project(_)
        | E::Codebase(..)
        | E::Commit(..)
        | E::CommonCommit(..)
        | E::Plugin(_)
        | E::Token(_)
        | E::Why(_)
        | E::Reporter(_) => Answer::One(route.gives),
        E::Contents(_) => Answer::Contents,
        E::Search(_) => Answer::Search,
        E::Tail(_) => Answer::Tail,
        E::Raw { inline: true, .. } => Answer::Other(
            &["text/plain", "text/html"],
            "The whole log, to be looked at.",
        ),
        E::Raw { inline: false, .. } => {
            Answer::Other(&["text/plain", "text/html"], "The whole log, to be kept.")
        }
        E::BuildDataValue(..) => {
            Answer::Other(&["application/octet-stream"], "The bytes of the value.")
        }
        E::Recording(_) => Answer::Other(
            &["application/json"],
            "What the step of a plugin asked of its master, to run it again elsewhere.",
        ),
        E::Component(_) => Answer::Other(&["application/wasm"], "The component with this digest."),
        E::OpenApi => Answer::Other(&["application/json"], "This description."),
    }
}

/// The operations of a path.
pub(super) fn operations(route: &Route) -> Vec<(HttpMethod, Operation)> {
    let mut operations = Vec::new();
    operations.extend(get(route).map(|get| (HttpMethod::Get, get)));
    operations.extend(post(route).map(|post| (HttpMethod::Post, post)));
    operations
}

fn begin(route: &Route, verb: &str, summary: String) -> OperationBuilder {
    let words: Vec<&str> = route
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let id = [&[verb], words.as_slice()].concat().join("_");
    let parameters = route.parameters.iter().map(|(name, shape)| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(shape.clone()))
            .example(Some(example(name)))
            .build()
    });
    OperationBuilder::new()
        .tag(route.gives.plural())
        .operation_id(Some(id))
        .summary(Some(summary))
        .parameters(Some(parameters))
}

fn get(route: &Route) -> Option<Operation> {
    let (summary, parameters, response) = match answer_of(route) {
        Answer::Nothing => return None,
        Answer::List(resource) => (
            format!("A list of {}", said(resource.plural())),
            list_parameters(resource),
            json(
                "So many of them as were asked for; `total` counts all.",
                component(list_name(resource)),
            ),
        ),
        Answer::One(resource) => (
            format!("One {}", said(resource.name())),
            one_parameters(resource),
            json("A list with the one.", component(one_name(resource))),
        ),
        Answer::Contents => (
            "Lines of a log".to_owned(),
            contents_parameters(),
            json(
                "One chunk with all of the lines.",
                component(one_name(Resource::LogChunk)),
            ),
        ),
        Answer::Search => (
            "Lines of a log in which something stands".to_owned(),
            search_parameters(),
            json(
                "The first match of each line, and in `meta` where to go on: `cursor` is null at the end of the log.",
                component(list_name(Resource::LogMatch)),
            ),
        ),
        Answer::Tail => (
            "The end of a log, and what is added to it, until it is complete".to_owned(),
            vec![
                parameter(
                    "lines",
                    "So many of the lines that are there already.",
                    count(u32::MAX),
                )
                .example(Some(TAIL_LINES.into()))
                .build(),
            ],
            body(
                &["text/plain"],
                "Text without an end of its own while the log grows.",
                &text(),
            ),
        ),
        Answer::Other(types, about) => {
            let shape = match types {
                ["application/json"] => map(any()),
                ["application/wasm" | "application/octet-stream"] => bytes(),
                _ => text(),
            };
            (
                about.trim_end_matches('.').to_owned(),
                Vec::new(),
                body(types, about, &shape),
            )
        }
    };
    let operation = begin(route, "get", summary)
        .parameters(Some(parameters))
        .response("200", response)
        .response(
            "304",
            Response::new("What the client has is still true (`If-None-Match`)."),
        );
    let refused = REFUSALS.iter().fold(operation, |operation, (status, _)| {
        operation.response(
            *status,
            Ref::from_response_name(refusal_name("refused", status)),
        )
    });
    Some(refused.build())
}

/// A name as people say it.
fn said(name: &str) -> String {
    name.trim_start_matches('_').replace('_', " ")
}

fn body(types: &[&str], about: &str, shape: &Shape) -> Response {
    let content = || ContentBuilder::new().schema(Some(shape.clone())).build();
    let response = ResponseBuilder::new().description(about);
    let types = types.iter();
    types
        .fold(response, |response, of| response.content(*of, content()))
        .build()
}

/// An optional parameter of a query string.
pub(super) fn parameter(name: &str, about: &str, shape: Shape) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(shape))
}

/// One that may be repeated.
fn repeated(name: &str, about: &str, of: Shape) -> Parameter {
    parameter(name, about, list(of))
        .style(Some(ParameterStyle::Form))
        .explode(Some(true))
        .build()
}

fn fields(resource: Resource) -> Option<Parameter> {
    let names: Vec<&str> = resource.fields().iter().map(|field| field.name).collect();
    let about = "Only these fields; all of them without it. What is filtered or ordered by has to be among them.";
    (!names.is_empty()).then(|| repeated("field", about, one_of(names)))
}

fn properties(resource: Resource) -> Option<Parameter> {
    let has_properties = matches!(resource, Resource::Build | Resource::BuildRequest);
    let about = "Names of properties to give in `properties`; `*` for all.";
    has_properties.then(|| repeated("property", about, text()))
}

fn one_parameters(resource: Resource) -> Vec<Parameter> {
    fields(resource)
        .into_iter()
        .chain(properties(resource))
        .collect()
}

fn list_parameters(resource: Resource) -> Vec<Parameter> {
    let mut parameters = one_parameters(resource);
    let has_order = |kind| !matches!(kind, Kind::Nested | Kind::IntList | Kind::TextList);
    let fields = resource.fields().iter();
    let simple = fields.filter(|field| has_order(field.kind));
    let orders: Vec<String> = simple
        .flat_map(|field| [field.name.to_owned(), format!("-{}", field.name)])
        .collect();
    parameters.push(repeated(
        "order",
        "Sorted by this field, with `-` the largest first; the next one decides between equals.",
        one_of(orders),
    ));
    parameters.extend(page("So many of them.", "Passes over so many."));
    parameters.push(
        parameter(
            "filter",
            "Only those of which this holds. Each is a parameter by itself, such as `complete=false` or `number__gt=10`; one \
             that is repeated holds for any of the values (`eq`, `in`, `contains`) or for none (`ne`, `notin`).",
            component(filters_name(resource)),
        )
        .style(Some(ParameterStyle::Form))
        .explode(Some(true))
        .build(),
    );
    parameters
}

fn page(limit: &str, offset: &str) -> [Parameter; 2] {
    [
        parameter("limit", limit, count(u32::MAX)).build(),
        parameter("offset", offset, count(u32::MAX)).build(),
    ]
}

fn contents_parameters() -> Vec<Parameter> {
    let mut parameters = one_parameters(Resource::LogChunk);
    parameters.extend(page("So many lines.", "The first line, counted from 0."));
    parameters
}

fn search_parameters() -> Vec<Parameter> {
    vec![
        parameter(
            "q",
            "What is looked for.",
            short_text(Search::PATTERN_CHARACTERS_MAX),
        )
        .required(Required::True)
        .build(),
        parameter("regex", "Whether that is a regular expression.", truth()).build(),
        parameter(
            "case",
            "Whether capitals differ from small letters; they do without it.",
            truth(),
        )
        .build(),
        parameter("limit", "So many matches.", count(Search::MATCHES_MAX)).build(),
        parameter(
            "cursor",
            "Where to go on: the `cursor` of the answer before.",
            int(),
        )
        .build(),
    ]
}

/// The id of a call.
pub(super) fn call_id() -> Shape {
    either([whole(), text(), null()])
}

fn post(route: &Route) -> Option<Operation> {
    let actions = actions_of(&route.endpoint);
    if actions.is_empty() {
        return None;
    }
    let names: Vec<&str> = actions.iter().map(|action| action.name).collect();
    let told: Vec<String> = actions.iter().map(told).collect();
    let results = actions.iter().map(|action| result(action.gives));
    let answer = object([
        ("id", call_id()),
        ("jsonrpc", one_of(["2.0"])),
        ("result", either(results)),
    ]);
    // The path of a reload says already what is to be done.
    let needs_body = !route.path.ends_with("/reload");
    let operation = begin(route, "call", format!("Actions: {}", names.join(", ")));
    let operation = match route.endpoint {
        Endpoint::Tokens => in_person(operation),
        _ => operation,
    };
    let operation = operation
        .description(Some(told.join("\n")))
        .request_body(Some(calls(actions, needs_body)))
        .response("200", body(&["application/json"], "It was done.", &answer));
    let refused = CALL_REFUSALS
        .iter()
        .fold(operation, |operation, (status, _)| {
            operation.response(
                *status,
                Ref::from_response_name(refusal_name("call", status)),
            )
        });
    Some(refused.build())
}

/// What an action and its parameters are for, in a line.
fn told(action: &Action) -> String {
    let params = action.params.iter();
    let params = params.map(|param| format!(" `{}`: {}", param.name, param.about));
    let params: String = params.collect();
    let others = match action.is_open {
        true => "",
        false => " Other parameters are overlooked.",
    };
    format!("* `{}`: {}{params}{others}", action.name, action.about)
}

fn calls(actions: &[Action], needs_body: bool) -> RequestBody {
    let shape = either(actions.iter().map(call));
    let content = ContentBuilder::new().schema(Some(shape)).build();
    RequestBodyBuilder::new()
        .description(Some("A JSON-RPC 2.0 call."))
        .content("application/json", content)
        .required(Some(if needs_body {
            Required::True
        } else {
            Required::False
        }))
        .build()
}

fn call(action: &Action) -> Shape {
    object([
        ("id", call_id()),
        ("jsonrpc", one_of(["2.0"])),
        ("method", one_of([action.name])),
        ("params", parameters_of(action)),
    ])
}

fn parameters_of(action: &Action) -> Shape {
    let members = action.params.iter().map(|param| {
        let shape = held(param.holds);
        let shape = match param.is_required {
            true => shape,
            false => or_null(shape),
        };
        (param.name.to_owned(), shape)
    });
    let required = action.params.iter().filter(|param| param.is_required);
    open_object(members, required.map(|param| param.name))
}

/// The shape of what a parameter holds.
fn held(holds: Holds) -> Shape {
    match holds {
        Holds::Text => text(),
        Holds::Truth => truth(),
        Holds::Whole => int32(),
        Holds::Digest => pattern(DIGEST),
        Holds::Builder => either([whole(), text()]),
        Holds::Builders => either([list(text()), text()]),
        Holds::Label => label(LABEL_CHARS_MAX),
        Holds::Scope => {
            let names = Right::ALL.iter().map(|action| action.name());
            let word = one_of(["read", "control"].into_iter().chain(names));
            either([word.clone(), list_of(word, 1..=Right::ALL.len())])
        }
        Holds::Patterns => list_of(some_text(), 0..=BUILDERS_MAX),
        Holds::Days => between(1, DAYS_MAX),
    }
}

fn result(gives: Gives) -> Shape {
    match gives {
        Gives::Nothing => null(),
        Gives::Count => int(),
        Gives::Text(name) => object([(name, text())]),
        Gives::Token => object([
            ("actions", list(text())),
            ("expires_at", either([int(), null()])),
            ("token", text()),
            ("tokenid", int()),
        ]),
        // The id of the build set, or null; and the requests by builder.
        Gives::Requests => list(any()),
        Gives::Reloaded => object([(
            "plugins",
            list(object([
                ("digest", either([text(), null()])),
                ("name", text()),
                ("reason", either([text(), null()])),
                ("state", text()),
            ])),
        )]),
    }
}
