//! What is not beneath `/api/v2`: versions, event streams, uploaded files, figures, and what interfaces ask for beside the API.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::{ContentBuilder, Required, Response, ResponseBuilder};

use super::operations::parameter;
use super::shapes::{
    Shape, any, between, bytes, component, either, int, list, map, object, short_text, text,
};

/// Paths and what is asked for there.
pub(super) fn others() -> [(&'static str, HttpMethod, Operation); 10] {
    let plain = |about: &str| of_type("text/plain", about, text());
    let stream = || {
        of_type(
            "text/event-stream",
            "Events until either side goes.",
            text(),
        )
    };
    let since = || {
        let about =
            "Events after the one with this number, as far as they are kept; `now` without it.";
        parameter("since", about, text())
    };
    let more = || {
        let about = "Listens to these from the beginning, such as `builds/*/new`.";
        parameter("path", about, list(text()))
    };
    let listen = |id, about| {
        events(id, about)
            .parameter(since())
            .parameter(more())
            .response("200", stream())
            .response("400", plain("It listens to too much."))
            .response(
                "410",
                plain("What followed that event is not kept any more."),
            )
            .response("503", plain("As many streams are open as are allowed."))
    };
    let change = |id, about| {
        events(id, about)
            .parameter(in_path(
                "uuid",
                "What the handshake of the stream said.",
                short_text(64),
            ))
            .parameter(pattern())
            .response("200", plain("It was done."))
            .response("400", plain("There is no such stream, or no such path."))
            .response("404", plain("The stream does not listen to that."))
            .response("503", plain("The master is stopping."))
    };
    let versions = object([("api_versions", object([("v2", text())]))]);
    [
        (
            "/api",
            HttpMethod::Get,
            named("get_api", "others", "The versions of the API")
                .response(
                    "200",
                    of_type("application/json", "Each with its path.", versions),
                )
                .build(),
        ),
        (
            "/ws",
            HttpMethod::Get,
            events(
                "get_ws",
                "A WebSocket on which clients say what they want to hear (documented under Events)",
            )
            .parameter(since())
            .parameter(more())
            .response("101", Response::new("The connection is a WebSocket now."))
            .response(
                "400",
                plain("It is no request for a WebSocket, or asks for too much."),
            )
            .response(
                "426",
                plain("It is no request for a WebSocket of a known version."),
            )
            .response("503", plain("As many streams are open as are allowed."))
            .build(),
        ),
        (
            "/sse",
            HttpMethod::Get,
            listen("get_sse", "A stream of events").build(),
        ),
        (
            "/sse/listen/{path}",
            HttpMethod::Get,
            listen("get_sse_listen", "A stream of the events with this path")
                .parameter(pattern())
                .build(),
        ),
        (
            "/sse/add/{uuid}/{path}",
            HttpMethod::Get,
            change("get_sse_add", "Listens to more on an open stream").build(),
        ),
        (
            "/sse/remove/{uuid}/{path}",
            HttpMethod::Get,
            change("get_sse_remove", "Listens to less on an open stream").build(),
        ),
        (
            "/artifacts/{buildid}/{name}",
            HttpMethod::Get,
            named(
                "get_artifact",
                "artifacts",
                "A file that a step has uploaded",
            )
            .parameter(in_path("buildid", "The build.", int()))
            .parameter(in_path(
                "name",
                "Its name, which may have slashes in it.",
                short_text(1_000),
            ))
            .parameter(parameter(
                "download",
                "To keep it, not to look at it.",
                text(),
            ))
            .response("200", of_type("*/*", "The file as it was.", bytes()))
            .response("304", Response::new("What the client has is still true."))
            .response("4XX", refused_file())
            .build(),
        ),
        (
            "/config",
            HttpMethod::Get,
            named(
                "get_config",
                "others",
                "What Buildbot's web interface has to know, for interfaces of one's own",
            )
            .response(
                "200",
                of_type("application/json", "By Buildbot's names.", map(any())),
            )
            .build(),
        ),
        (
            "/avatar",
            HttpMethod::Get,
            named("get_avatar", "others", "A picture for a person")
                .parameter(parameter("username", "The name.", text()))
                .parameter(parameter("email", "The address, without a name.", text()))
                .parameter(parameter(
                    "size",
                    "Width and height, pixels: from 8 to 512, and 32 for anything else.",
                    either([between(8, 512), text()]),
                ))
                .response("200", of_type("image/svg+xml", "The initials.", text()))
                .response("304", Response::new("What the client has is still true."))
                .build(),
        ),
        (
            "/metrics",
            HttpMethod::Get,
            named(
                "get_metrics",
                "others",
                "What the process did and does, for Prometheus",
            )
            .response("200", plain("Prometheus' text format."))
            .build(),
        ),
    ]
}

/// An operation with this id and tag.
pub(super) fn named(id: &str, tag: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(id))
        .summary(Some(summary))
}

/// Tag of what streams events.
fn events(id: &str, summary: &str) -> OperationBuilder {
    named(id, "events", summary)
}

/// A parameter in the path.
pub(super) fn in_path(name: &str, about: &str, shape: Shape) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(shape))
}

/// The path of events; a `*` stands for any one part of it.
fn pattern() -> ParameterBuilder {
    let about = "The path of events, slashes and all, such as `builds/*/new`; `*` is any one part.";
    in_path("path", about, short_text(200))
}

/// As people and as programs are told.
fn refused_file() -> Response {
    let content = |shape| ContentBuilder::new().schema(Some(shape)).build();
    ResponseBuilder::new()
        .description("It is refused: the text says why.")
        .content("text/html", content(text()))
        .content("text/plain", content(text()))
        .content("application/json", content(component("error")))
        .build()
}

fn of_type(media_type: &str, about: &str, shape: Shape) -> Response {
    ResponseBuilder::new()
        .description(about)
        .content(
            media_type,
            ContentBuilder::new().schema(Some(shape)).build(),
        )
        .build()
}
