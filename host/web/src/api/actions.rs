//! What can be asked for with a JSON-RPC call, as a table: nothing else is done, and the description of the API is made of it.

use super::path::Endpoint;
use super::schema::{Kind, Resource};

/// An action on a resource.
#[derive(Debug)]
pub(crate) struct Action {
    /// The method of the call.
    pub(crate) name: &'static str,
    /// What it does, in a sentence.
    pub(crate) about: &'static str,
    /// The parameters that it knows; it overlooks others.
    pub(crate) params: &'static [Param],
    /// Whether there are more parameters, with names of the user's own.
    pub(crate) is_open: bool,
    /// What its result is.
    pub(crate) gives: Gives,
}

/// A parameter of an action.
#[derive(Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Whether the call is refused without it.
    pub(crate) is_required: bool,
}

/// The result of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Null.
    Nothing,
    /// The id of a build set, or null while a plugin decides, and the ids of its requests by builder.
    Requests,
    /// A number of things.
    Count,
    /// An object with this one text.
    Text(&'static str),
    /// What became of each plugin.
    Reloaded,
}

const fn param(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param {
        name,
        kind,
        about,
        is_required: false,
    }
}

const fn action(name: &'static str, about: &'static str, params: &'static [Param]) -> Action {
    Action {
        name,
        about,
        params,
        is_open: false,
        gives: Gives::Nothing,
    }
}

const REASON: &[Param] = &[param("reason", Kind::Text, "Why, for people.")];

/// The action that looks at the plugin directory; a path ends with it, too.
pub(crate) const RELOAD: &str = "reload";

const BUILD: &[Action] = &[
    action("stop", "Stops the build.", REASON),
    Action {
        gives: Gives::Requests,
        ..action(
            "rebuild",
            "Asks for a build with the same sources and properties.",
            &[],
        )
    },
];

const BUILD_REQUEST: &[Action] = &[
    action(
        "cancel",
        "Takes the request from the queue, or stops its build.",
        REASON,
    ),
    action(
        "set_priority",
        "Gives a request that is not complete another priority.",
        &[Param {
            is_required: true,
            ..param(
                "priority",
                Kind::Int,
                "The larger one comes first; a number of 32 bits.",
            )
        }],
    ),
];

const WORKER: &[Action] = &[
    action("pause", "The worker takes no new builds.", REASON),
    action("unpause", "The worker takes builds again.", &[]),
    action(
        "stop",
        "The worker finishes its builds and is then told to end.",
        REASON,
    ),
    action(
        "kill",
        "The worker is told to end; what it ran is built again.",
        REASON,
    ),
];

const DELIVERY: &[Action] = &[
    action("resend", "Sends it again, with the same key.", &[]),
    action("discard", "Says that it need not be sent.", &[]),
];

const SCHEDULER: &[Action] = &[
    action(
        "enable",
        "Lets the scheduler make build sets, or has it take in what happens without making any.",
        &[Param {
            is_required: true,
            ..param("enabled", Kind::Bool, "Whether it makes any.")
        }],
    ),
    Action {
        gives: Gives::Text("skipped"),
        ..action(
            "skip",
            "Has the scheduler of a plugin pass over the event at which it fails.",
            &[
                param(
                    "event",
                    Kind::Text,
                    "That event and no other, as its status names it.",
                ),
                param("reason", Kind::Text, "Why, for people."),
            ],
        )
    },
];

const REPORTER: &[Action] = &[Action {
    gives: Gives::Count,
    ..action(
        "resend",
        "Sends everything again that the reporter has given up.",
        &[],
    )
}];

const RELOADS: &[Action] = &[Action {
    gives: Gives::Reloaded,
    ..action(RELOAD, "Looks at the plugin directory now.", &[])
}];

const PLUGIN: &[Action] = &[Action {
    gives: Gives::Text("digest"),
    ..action(
        "rollback",
        "Makes a former version of the plugin the running one.",
        &[
            Param {
                is_required: true,
                ..param(
                    "digest",
                    Kind::Text,
                    "Which version: the first letters of its digest will do.",
                )
            },
            param("reason", Kind::Text, "Why, for people."),
        ],
    )
}];

const FORCE_SCHEDULER: &[Action] = &[Action {
    gives: Gives::Requests,
    is_open: true,
    ..action(
        "force",
        "Starts builds. The other parameters are the fields of the form by their full names.",
        &[
            param(
                "builderid",
                Kind::Int,
                "The builder, if it is not all of the scheduler's.",
            ),
            param(
                "builderNames",
                Kind::TextList,
                "The builders, if it is not all of the scheduler's.",
            ),
        ],
    )
}];

/// The actions on what a path names; none for most.
pub(crate) fn actions_of(endpoint: &Endpoint) -> &'static [Action] {
    match endpoint {
        Endpoint::Build(_) => BUILD,
        Endpoint::Single(Resource::BuildRequest, ..) => BUILD_REQUEST,
        Endpoint::Worker(..) => WORKER,
        Endpoint::Single(Resource::Delivery, ..) => DELIVERY,
        Endpoint::Single(Resource::Scheduler, ..) => SCHEDULER,
        Endpoint::Reporter(_) => REPORTER,
        Endpoint::Plugins => RELOADS,
        Endpoint::Plugin(name) if name == RELOAD => RELOADS,
        Endpoint::Plugin(_) => PLUGIN,
        Endpoint::ForceScheduler(_) => FORCE_SCHEDULER,
        _ => &[],
    }
}
