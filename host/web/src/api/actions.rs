//! What can be asked for with a JSON-RPC call, as a table with what somebody has to be allowed to for each: nothing else is done, and the
//! description of the API is made of it.

use serde_json::{Map, Value};
use toolpost_core::access::Action as Right;

use super::path::{Endpoint, is_digest, parse};
use super::schema::Resource;

/// An action on a resource.
#[derive(Debug)]
pub(crate) struct Action {
    /// The method of the call.
    pub(crate) name: &'static str,
    /// What somebody needs to call it.
    pub(crate) needs: Needs,
    /// What it does, in a sentence.
    pub(crate) about: &'static str,
    /// The parameters that it knows; it overlooks others, as a Buildbot master does.
    pub(crate) params: &'static [Param],
    /// Whether there are more parameters, with names of the user's own.
    pub(crate) is_open: bool,
    /// What its result is.
    pub(crate) gives: Gives,
}

/// What somebody needs to call an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// To be allowed that.
    Action(Right),
    /// To be logged in, not with a token.
    Person,
}

/// A parameter of an action.
#[derive(Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) holds: Holds,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Whether the call is refused without it.
    pub(crate) is_required: bool,
}

/// What a parameter of an action holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Any text.
    Text,
    /// A truth value.
    Truth,
    /// A whole number of 32 bits.
    Whole,
    /// A digest, or the first letters of one.
    Digest,
    /// The id of a builder, which forms send as text.
    Builder,
    /// Names of builders, or one name.
    Builders,
    /// What a token is for.
    Label,
    /// What a token is good for.
    Scope,
    /// Names of builders and patterns of them.
    Patterns,
    /// How long a token is good, or null.
    Days,
}

impl Holds {
    /// Why a value is none of these, after "must be"; `None` when it is one. What tokens take is said where they are made.
    fn refusal(self, value: &Value) -> Option<&'static str> {
        let is_text = Value::is_string;
        let (fits, what) = match self {
            Self::Text => (is_text(value), "a text"),
            Self::Truth => (value.is_boolean(), "true or false"),
            Self::Whole => (whole(value).is_some(), "a whole number of 32 bits"),
            Self::Digest => (
                value.as_str().is_some_and(is_digest),
                "the digest of a version, or its first letters: see `versions`",
            ),
            Self::Builder => (is_text(value) || is_whole(value), "the id of a builder"),
            Self::Builders => {
                let names = value.as_array();
                let fits = is_text(value) || names.is_some_and(|names| names.iter().all(is_text));
                (fits, "a list of names of builders")
            }
            Self::Label | Self::Scope | Self::Patterns | Self::Days => return None,
        };
        (!fits).then_some(what)
    }
}

/// A whole number of 32 bits; `7.0` is one too, as JSON Schema has it.
pub(crate) fn whole(value: &Value) -> Option<i32> {
    let number = value.as_f64().filter(|_| is_whole(value))?;
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and in the range"
    )]
    fits.then_some(number as i32)
}

/// Whether a value is a number without a fraction.
pub(crate) fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

impl Action {
    /// What is wrong with the parameters of a call, for whoever sent it. One that is null is as good as missing.
    pub(crate) fn refusal(&self, params: &Map<String, Value>) -> Option<String> {
        self.params.iter().find_map(|param| {
            let value = params.get(param.name).unwrap_or(&Value::Null);
            if value.is_null() && !param.is_required {
                return None;
            }
            let what = param.holds.refusal(value)?;
            Some(format!("`{}` must be {what}", param.name))
        })
    }
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
    /// The token that was made.
    Token,
}

const fn param(name: &'static str, holds: Holds, about: &'static str) -> Param {
    Param {
        name,
        holds,
        about,
        is_required: false,
    }
}

const fn action(
    name: &'static str,
    right: Right,
    about: &'static str,
    params: &'static [Param],
) -> Action {
    Action {
        name,
        needs: Needs::Action(right),
        about,
        params,
        is_open: false,
        gives: Gives::Nothing,
    }
}

const REASON: &[Param] = &[param("reason", Holds::Text, "Why, for people.")];

/// The action that looks at the plugin directory; a path ends with it, too.
pub(crate) const RELOAD: &str = "reload";

const BUILD: &[Action] = &[
    action("stop", Right::Stop, "Stops the build.", REASON),
    Action {
        gives: Gives::Requests,
        ..action(
            "rebuild",
            Right::Rebuild,
            "Asks for a build with the same sources and properties.",
            &[],
        )
    },
];

const BUILD_REQUEST: &[Action] = &[
    action(
        "cancel",
        Right::Cancel,
        "Takes the request from the queue, or stops its build.",
        REASON,
    ),
    action(
        "set_priority",
        Right::SetPriority,
        "Gives a request that is not complete another priority.",
        &[Param {
            is_required: true,
            ..param("priority", Holds::Whole, "The larger one comes first.")
        }],
    ),
];

const WORKER: &[Action] = &[
    action(
        "pause",
        Right::Pause,
        "The worker takes no new builds.",
        REASON,
    ),
    action(
        "unpause",
        Right::Unpause,
        "The worker takes builds again.",
        &[],
    ),
    action(
        "stop",
        Right::StopWorker,
        "The worker finishes its builds and is then told to end.",
        REASON,
    ),
    action(
        "kill",
        Right::KillWorker,
        "The worker is told to end; what it ran is built again.",
        REASON,
    ),
];

const DELIVERY: &[Action] = &[
    action(
        "resend",
        Right::Resend,
        "Sends it again, with the same key.",
        &[],
    ),
    action(
        "discard",
        Right::Discard,
        "Says that it need not be sent.",
        &[],
    ),
];

const SCHEDULER: &[Action] = &[
    action(
        "enable",
        Right::EnableScheduler,
        "Lets the scheduler make build sets, or has it take in what happens without making any.",
        &[Param {
            is_required: true,
            ..param("enabled", Holds::Truth, "Whether it makes any.")
        }],
    ),
    Action {
        gives: Gives::Text("skipped"),
        ..action(
            "skip",
            Right::SkipEvent,
            "Has the scheduler of a plugin pass over the event at which it fails.",
            &[
                param(
                    "event",
                    Holds::Text,
                    "That event and no other, as its status names it.",
                ),
                param("reason", Holds::Text, "Why, for people."),
            ],
        )
    },
];

const REPORTER: &[Action] = &[Action {
    gives: Gives::Count,
    ..action(
        "resend",
        Right::Resend,
        "Sends everything again that the reporter has given up.",
        &[],
    )
}];

const RELOADS: &[Action] = &[Action {
    gives: Gives::Reloaded,
    ..action(
        RELOAD,
        Right::ReloadPlugins,
        "Looks at the plugin directory now.",
        &[],
    )
}];

const PLUGIN: &[Action] = &[Action {
    gives: Gives::Text("digest"),
    ..action(
        "rollback",
        Right::RollbackPlugin,
        "Makes a former version of the plugin the running one.",
        &[
            Param {
                is_required: true,
                ..param(
                    "digest",
                    Holds::Digest,
                    "Which version: the first letters of its digest will do.",
                )
            },
            param("reason", Holds::Text, "Why, for people."),
        ],
    )
}];

const FORCE_SCHEDULER: &[Action] = &[Action {
    gives: Gives::Requests,
    is_open: true,
    ..action(
        "force",
        Right::Force,
        "Starts builds. The other parameters are the fields of the form by their full names.",
        &[
            param(
                "builderid",
                Holds::Builder,
                "The builder, if it is not all of the scheduler's.",
            ),
            param(
                "builderNames",
                Holds::Builders,
                "The builders, if it is not all of the scheduler's.",
            ),
        ],
    )
}];

const TOKENS: &[Action] = &[Action {
    needs: Needs::Person,
    gives: Gives::Token,
    ..action(
        "create",
        Right::View,
        "Makes a token, good for no more than whoever makes it may do. It is shown this once.",
        &[
            Param {
                is_required: true,
                ..param("name", Holds::Label, "What the token is for.")
            },
            param(
                "scope",
                Holds::Scope,
                "`read`, `control`, or a list of actions; `read` without it.",
            ),
            param(
                "builders",
                Holds::Patterns,
                "Names or patterns of builders, if it is not for all of them.",
            ),
            param(
                "days",
                Holds::Days,
                "How long it is good, or null for a token that does not end; 90 without it.",
            ),
        ],
    )
}];

const TOKEN: &[Action] = &[Action {
    needs: Needs::Person,
    ..action("revoke", Right::View, "Ends the token.", &[])
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
        Endpoint::Plugin(_) if is_reload(endpoint) => RELOADS,
        Endpoint::Plugin(_) => PLUGIN,
        Endpoint::ForceScheduler(_) => FORCE_SCHEDULER,
        Endpoint::Tokens => TOKENS,
        Endpoint::Token(_) => TOKEN,
        _ => &[],
    }
}

/// The action of a path by its name; `None` when there is no such action.
pub(crate) fn action_of(endpoint: &Endpoint, name: &str) -> Option<&'static Action> {
    let mut actions = actions_of(endpoint).iter();
    actions.find(|action| action.name == name)
}

/// The methods that a path has, as the header `Allow` lists them.
pub(crate) fn allowed(endpoint: &Endpoint) -> &'static str {
    match actions_of(endpoint) {
        [] => "GET, HEAD",
        // The word is taken: no plugin is read there.
        _ if is_reload(endpoint) => "POST",
        _ => "GET, HEAD, POST",
    }
}

/// Whether a path says already what is to be done.
pub(crate) fn is_reload(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Plugin(name) if name == RELOAD)
}

/// An action of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Called {
    /// Its name.
    pub(crate) method: &'static str,
    /// What somebody has to be allowed to; `None` for being logged in.
    pub(crate) action: Option<Right>,
}

/// The actions of a path, which is written as in the table of paths, by name.
pub(crate) fn callable(pattern: &str) -> Vec<Called> {
    let segments = pattern.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<&str> = segments
        .map(|segment| match segment.split_once(':') {
            Some(("n", _)) => "1",
            Some(_) => "x",
            None => segment,
        })
        .collect();
    let Some(endpoint) = parse(&segments) else {
        return Vec::new();
    };
    let called = actions_of(&endpoint).iter().map(|action| Called {
        method: action.name,
        action: match action.needs {
            Needs::Action(right) => Some(right),
            Needs::Person => None,
        },
    });
    let mut called: Vec<Called> = called.collect();
    called.sort_by_key(|called| called.method);
    called
}
