//! `/api/v2/openapi.json`: the API in the words of OpenAPI 3.1, for programs and for the page that shows it.
//!
//! Made of the tables that answers are made of: paths of `patterns`, fields of `schema`, actions of `actions`; so a path, a field
//! or an action that is there is described. What is only in the code (the insides of objects, what is not JSON) stands in
//! `nested` and `operations`, and a test holds every answer against it.

mod components;
mod logins;
mod nested;
mod operations;
mod others;
mod routes;
mod shapes;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::cache::Blob;

/// The document, and how it is answered.
pub(crate) struct Document {
    /// As JSON.
    pub(crate) value: Value,
    /// As it goes out.
    pub(crate) blob: Blob,
}

/// The document; it is the same as long as the program runs.
pub(crate) static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    // Maps with texts as keys can always be written.
    let value = serde_json::to_value(document()).unwrap_or_default();
    Document {
        blob: Blob::new(value.to_string(), "application/json; charset=utf-8"),
        value,
    }
});

const ABOUT: &str = "Buildbot's REST API v2 with what Toolpost adds to it. Lists take filters, order and page in the query string, \
    and come in an envelope with `meta.total`; actions are JSON-RPC 2.0 calls posted to the path of the thing that is to act. \
    Programs send `Accept: application/json`; whoever does not gets the same in lines, as plain text. Where the farm wants to know who \
    asks, they show a token, or the cookie that `/auth/login` gives for a name and a password.";

fn document() -> OpenApi {
    let mut paths = Paths::new();
    for route in routes::routes() {
        for (method, operation) in operations::operations(&route) {
            let path = format!("/api/v2{}", route.path);
            let operation = logins::guarded(operation);
            add(&mut paths, path, PathItem::new(method, operation));
        }
    }
    for (path, method, operation) in others::others().into_iter().chain(logins::logins()) {
        add(
            &mut paths,
            path.to_owned(),
            PathItem::new(method, logins::guarded(operation)),
        );
    }
    let info = InfoBuilder::new()
        .title("Toolpost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components::components()))
        .build()
}

fn add(paths: &mut Paths, path: String, item: PathItem) {
    match paths.paths.get_mut(&path) {
        Some(known) => known.merge_operations(item),
        None => {
            paths.paths.insert(path, item);
        }
    }
}
