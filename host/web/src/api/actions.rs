//! Which actions there are, and what somebody has to be allowed to for each. What is not listed here cannot be called.

use toolpost_core::access::Action;

use super::path::{Endpoint, parse};
use super::schema::Resource;

/// The action that looks at the plugin directory; a path ends with it, too.
pub(super) const RELOAD: &str = "reload";

/// Names of all actions.
const METHODS: &[&str] = &[
    "cancel",
    "create",
    "discard",
    "enable",
    "force",
    "kill",
    "pause",
    "rebuild",
    RELOAD,
    "resend",
    "revoke",
    "rollback",
    "set_priority",
    "skip",
    "stop",
    "unpause",
];

/// What somebody needs to call an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// To be allowed that.
    Action(Action),
    /// To be logged in, not with a token.
    Person,
}

/// What an action of a path needs; `None` when there is no such action.
pub(crate) fn needs(endpoint: &Endpoint, method: &str) -> Option<Needs> {
    use Endpoint as E;
    Some(Needs::Action(match (endpoint, method) {
        (E::Build(_), "stop") => Action::Stop,
        (E::Build(_), "rebuild") => Action::Rebuild,
        (E::Single(Resource::BuildRequest, ..), "cancel") => Action::Cancel,
        (E::Single(Resource::BuildRequest, ..), "set_priority") => Action::SetPriority,
        (E::Worker(..), "pause") => Action::Pause,
        (E::Worker(..), "unpause") => Action::Unpause,
        (E::Worker(..), "stop") => Action::StopWorker,
        (E::Worker(..), "kill") => Action::KillWorker,
        (E::Single(Resource::Delivery, ..) | E::Reporter(_), "resend") => Action::Resend,
        (E::Single(Resource::Delivery, ..), "discard") => Action::Discard,
        (E::Single(Resource::Scheduler, ..), "skip") => Action::SkipEvent,
        (E::Single(Resource::Scheduler, ..), "enable") => Action::EnableScheduler,
        (E::Plugins, RELOAD) => Action::ReloadPlugins,
        (E::Plugin(name), RELOAD) if name == RELOAD => Action::ReloadPlugins,
        (E::Plugin(_), "rollback") => Action::RollbackPlugin,
        (E::ForceScheduler(_), "force") => Action::Force,
        (E::Tokens, "create") | (E::Token(_), "revoke") => return Some(Needs::Person),
        _ => return None,
    }))
}

/// An action of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Called {
    /// Its name.
    pub(crate) method: &'static str,
    /// What somebody has to be allowed to; `None` for being logged in.
    pub(crate) action: Option<Action>,
}

/// The actions of a path, which is written as in the table of paths.
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
    let called = METHODS.iter().filter_map(|method| {
        let action = match needs(&endpoint, method)? {
            Needs::Action(action) => Some(action),
            Needs::Person => None,
        };
        Some(Called { method, action })
    });
    called.collect()
}
