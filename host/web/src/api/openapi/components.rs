//! What many answers share: the resources, their envelopes, what is said when something is refused.

use utoipa::openapi::{Components, ComponentsBuilder, ContentBuilder, Response, ResponseBuilder};

use super::nested::{FORM_FIELD, SOURCED_PROPERTIES, form_field, shape_of};
use super::shapes::{
    Shape, any, closed_object, component, either, int, list, loose_object, map, object, one_of,
    only, or_null, text,
};
use crate::api::query::operators;
use crate::api::schema::{Field, Kind, Resource};

/// Where the shape of a resource is.
pub(super) fn item_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Properties => SOURCED_PROPERTIES,
        _ => resource.name(),
    }
}

/// Where the answer with a list of them is.
pub(super) fn list_name(resource: Resource) -> String {
    format!("{}.list", item_name(resource))
}

/// Where the answer with one of them is.
pub(super) fn one_name(resource: Resource) -> String {
    format!("{}.one", item_name(resource))
}

/// Where the filters of a list of them are.
pub(super) fn filters_name(resource: Resource) -> String {
    format!("{}.filters", item_name(resource))
}

fn selected_name(resource: Resource) -> String {
    format!("{}.selected", item_name(resource))
}

/// What is said when a request is refused, by status.
pub(super) const REFUSALS: [(&str, &str); 4] = [
    (
        "400",
        "The query string is wrong: the text says what in it.",
    ),
    ("404", "There is no such thing."),
    ("4XX", "It is refused: the text says why."),
    ("5XX", "The master could not answer; its log says why."),
];

/// The same for a call.
pub(super) const CALL_REFUSALS: [(&str, &str); 7] = [
    (
        "400",
        "The body is no JSON-RPC 2.0 call, or its parameters do not fit.",
    ),
    ("404", "There is no such thing."),
    ("409", "It was possible once, but is no longer."),
    ("413", "The body is too long."),
    ("501", "The resource has no such action."),
    ("4XX", "It is refused: the text says why."),
    ("5XX", "The master could not do it; its log says why."),
];

/// The name of the answer to a refused request, or call, of this status.
pub(super) fn refusal_name(prefix: &str, status: &str) -> String {
    format!("{prefix}.{status}")
}

/// Everything that operations refer to.
pub(super) fn components() -> Components {
    let mut components = super::logins::schemes(ComponentsBuilder::new())
        .schema(SOURCED_PROPERTIES, sourced_properties())
        .schema(FORM_FIELD, form_field())
        .schema("error", object([("error", text())]))
        .schema("call.error", call_error());
    for resource in Resource::ALL {
        if !resource.fields().is_empty() {
            components = components
                .schema(item_name(resource), item(resource, true))
                .schema(selected_name(resource), item(resource, false))
                .schema(filters_name(resource), filters(resource));
        }
        components = components
            .schema(list_name(resource), list_of(resource))
            .schema(one_name(resource), one_of_them(resource));
    }
    let get = REFUSALS.map(|(status, about)| {
        let envelope = match status {
            "4XX" | "5XX" => either([component("error"), component("call.error")]),
            _ => component("error"),
        };
        (refusal_name("refused", status), json(about, envelope))
    });
    let call = CALL_REFUSALS.map(|(status, about)| {
        (
            refusal_name("call", status),
            json(about, component("call.error")),
        )
    });
    let responses = get.into_iter().chain(call);
    responses
        .fold(components, |components, (name, response)| {
            components.response(name, response)
        })
        .build()
}

/// An answer in JSON, in lines and as plain text for who does not ask for JSON.
pub(super) fn json(about: &str, shape: Shape) -> Response {
    let content = ContentBuilder::new().schema(Some(shape)).build();
    let lines = ContentBuilder::new().schema(Some(text())).build();
    ResponseBuilder::new()
        .description(about)
        .content("application/json", content)
        .content("text/plain", lines)
        .build()
}

fn sourced_properties() -> Shape {
    // The value, and the name of its source.
    map(list(any()))
}

/// A resource; whole, or with those fields that were selected.
fn item(resource: Resource, whole: bool) -> Shape {
    let fields = resource.fields().iter();
    let members = fields.map(|field| (field.name, shape_of(resource, field).unwrap_or_else(any)));
    if whole {
        object(members)
    } else {
        loose_object(members)
    }
}

/// A resource as it stands in an envelope.
fn enveloped(resource: Resource) -> Shape {
    if resource.fields().is_empty() {
        return component(item_name(resource));
    }
    either([
        component(item_name(resource)),
        component(selected_name(resource)),
    ])
}

fn list_of(resource: Resource) -> Shape {
    let meta = match resource {
        Resource::LogMatch => object([
            ("complete", super::shapes::truth()),
            ("cursor", or_null(int())),
            ("lines", int()),
        ]),
        _ => object([("total", int())]),
    };
    object([
        (resource.plural(), list(enveloped(resource))),
        ("meta", meta),
    ])
}

fn one_of_them(resource: Resource) -> Shape {
    let meta = map(any());
    object([
        (resource.plural(), only(enveloped(resource))),
        ("meta", meta),
    ])
}

/// `field=value` and `field__op=value`.
fn filters(resource: Resource) -> Shape {
    let simple = resource
        .fields()
        .iter()
        .filter(|field| field.kind != Kind::Nested);
    let filters = simple.flat_map(|field| {
        let plain = (field.name.to_owned(), filter_value(field));
        let compared = operators(field.kind)
            .iter()
            .map(|operator| (format!("{}__{operator}", field.name), filter_value(field)));
        std::iter::once(plain).chain(compared)
    });
    closed_object(filters, [])
}

fn filter_value(field: &Field) -> Shape {
    match field.kind {
        Kind::Int | Kind::Time | Kind::IntList => int(),
        Kind::Bool => one_of(["true", "false", "1", "0", "yes", "no", "on", "off"]),
        Kind::Text | Kind::TextList | Kind::Identifier | Kind::Nested => text(),
    }
}

fn call_error() -> Shape {
    let error = object([("code", int()), ("message", either([text(), map(text())]))]);
    let mut members = vec![("error".to_owned(), error)];
    members.push(("jsonrpc".to_owned(), one_of(["2.0"])));
    members.push(("id".to_owned(), super::operations::call_id()));
    closed_object(members, ["error", "jsonrpc"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_shape() {
        for resource in Resource::ALL {
            for field in resource.fields() {
                let is_described = shape_of(resource, field).is_some();
                assert!(is_described, "{resource:?}: {}", field.name);
            }
        }
    }
}
