//! What stands in the fields that are objects or lists of them.

use super::shapes::{
    Shape, any, component, int, list, loose_object, map, object, one_of, or_null, text, time,
};
use crate::api::schema::{Field, Kind, Resource};
use crate::api::why::STATES;

/// Properties by name, each with where its value comes from.
pub(super) const SOURCED_PROPERTIES: &str = "sourcedproperties";

/// The shape of a field, null rule included. `None` for an object that nobody has described.
pub(super) fn shape_of(resource: Resource, field: &Field) -> Option<Shape> {
    let shape = match field.kind {
        Kind::Int => int(),
        Kind::Time => time(),
        Kind::Text | Kind::Identifier => word(resource, field.name).unwrap_or_else(text),
        Kind::Bool => super::shapes::truth(),
        Kind::IntList => list(int()),
        Kind::TextList => list(text()),
        Kind::Nested => nested(resource, field.name)?,
    };
    Some(if field.nullable {
        or_null(shape)
    } else {
        shape
    })
}

/// Texts that are one of a few words.
fn word(resource: Resource, field: &str) -> Option<Shape> {
    Some(match (resource, field) {
        (Resource::Log, "type") => one_of(["s", "t", "h"]),
        (Resource::LogMatch, "stream") => one_of(["o", "e", "h"]),
        (Resource::Plugin, "state") => one_of(["loading", "live", "held", "unusable"]),
        (Resource::PluginVersion, "state") => one_of(["live", "draining", "past"]),
        (Resource::Why, "state") => one_of(STATES),
        _ => return None,
    })
}

fn nested(resource: Resource, field: &str) -> Option<Shape> {
    use Resource as R;
    Some(match (resource, field) {
        (R::Worker, "configured_on") => list(object([("builderid", int()), ("masterid", int())])),
        (R::Worker, "connected_to") => list(object([("masterid", int())])),
        (R::Worker, "workerinfo") => map(any()),
        (R::Scheduler | R::ChangeSource, "master") => component(R::Master.name()),
        (R::Scheduler, "skipped") => list(object([
            ("at", time()),
            ("error", or_null(text())),
            ("event", text()),
            ("reason", text()),
            ("who", text()),
        ])),
        (R::Scheduler, "stuck") => {
            object([("attempts", int()), ("event", text()), ("since", time())])
        }
        (R::ForceScheduler, "all_fields") => list(component(FORM_FIELD)),
        (R::Change, "sourcestamp") => or_null(component(R::SourceStamp.name())),
        (R::Buildset, "sourcestamps") => list(component(R::SourceStamp.name())),
        (R::Change | R::BuildRequest | R::Build, "properties") => component(SOURCED_PROPERTIES),
        (R::SourceStamp, "patch") => object([
            ("author", text()),
            ("body", text()),
            ("comment", text()),
            ("level", int()),
            ("patchid", int()),
            ("subdir", text()),
        ]),
        (R::Step, "resources") => object(
            [
                "commands",
                "memory_peak_bytes",
                "read_bytes",
                "system_ms",
                "user_ms",
                "written_bytes",
            ]
            .map(|name| (name, int())),
        ),
        (R::Step, "urls") => list(object([("name", text()), ("url", text())])),
        (R::Artifact, "path") => text(),
        (R::BuildData, "value") => any(),
        (R::Spec, "type_spec") => map(any()),
        (R::PluginMetrics, "calls" | "host_calls") => map(int()),
        (R::Plugin, field) => return plugin(field),
        (R::Why, field) => return why(field),
        _ => return None,
    })
}

fn plugin(field: &str) -> Option<Shape> {
    Some(match field {
        "held" => or_null(object([
            ("digest", text()),
            ("missing", list(text())),
            ("version", text()),
            ("wants", list(text())),
        ])),
        "last_reload" => or_null(object([
            ("at", time()),
            ("digest", or_null(text())),
            ("outcome", one_of(["live", "refused"])),
            ("reason", or_null(text())),
        ])),
        "not_granted" => list(text()),
        "uses" => list(loose_object([
            ("builder", text()),
            ("kind", one_of(["step", "scheduler", "reporter"])),
            ("reporter", text()),
            ("reporter_type", text()),
            ("scheduler", text()),
            ("scheduler_type", text()),
            ("step", text()),
            ("step_type", text()),
        ])),
        "versions" => list(object([
            ("builds", int()),
            ("calls_running", int()),
            ("calls_total", int()),
            ("contract", text()),
            ("description", text()),
            ("digest", text()),
            ("faults_total", int()),
            ("last_fault", or_null(text())),
            ("loaded_at", time()),
            ("size_bytes", int()),
            ("state", one_of(["live", "draining"])),
            ("types", list(plugin_type())),
            ("version", text()),
            ("wants", list(text())),
        ])),
        "waiting" => or_null(list(object([
            ("calls", int()),
            ("longest_ms", int()),
            ("reason", one_of(["calls", "memory"])),
        ]))),
        _ => return None,
    })
}

fn plugin_type() -> Shape {
    object([
        ("force_schema", any()),
        ("kind", one_of(["step", "scheduler", "reporter"])),
        ("name", text()),
        ("schema", any()),
        ("summary", text()),
    ])
}

fn why(field: &str) -> Option<Shape> {
    let user = || {
        object([
            ("builderid", or_null(int())),
            ("buildid", or_null(int())),
            ("mode", text()),
            ("step", or_null(text())),
        ])
    };
    Some(match field {
        "lock" => object([
            ("holders", list(user())),
            ("max", or_null(int())),
            ("name", text()),
            ("queue", list(user())),
            ("worker", or_null(text())),
        ]),
        "workers" => list(object([
            ("builds_max", or_null(int())),
            ("name", text()),
            ("running", int()),
            ("standing", one_of(crate::api::why::STANDINGS)),
            ("text", text()),
            ("workerid", int()),
        ])),
        _ => return None,
    })
}

/// A field of the form of a force scheduler.
pub(super) const FORM_FIELD: &str = "form_field";

/// Its shape: what every field has, and what only some have.
pub(super) fn form_field() -> Shape {
    let always = [
        ("autopopulate", any()),
        ("default", any()),
        ("fullName", or_null(text())),
        ("hide", super::shapes::truth()),
        ("label", text()),
        ("maxsize", or_null(int())),
        ("multiple", super::shapes::truth()),
        ("name", text()),
        ("regex", or_null(text())),
        ("required", super::shapes::truth()),
        ("tablabel", text()),
        ("tooltip", text()),
        ("type", text()),
    ];
    object(always)
}
