//! Every way into the web server. What is not listed here is closed.

use toolpost_core::access::Action;

use crate::api::actions::{Called, callable};
use crate::api::patterns::PATTERNS;

/// What is behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// For everybody.
    Open,
    /// Something to look at.
    Look(Of),
    /// Something that the handler does, after it has asked whether it may.
    Act(Action),
    /// Something to look at that needs more than [`Action::View`].
    Read(Action),
    /// The REST API, which asks for each of its paths.
    Api,
}

/// Whose it is what there is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// The farm's; what belongs to single builders is left out where somebody may not see them.
    Farm,
    /// The farm's, and not to be shown in parts: for whoever may see every builder.
    Whole,
    /// That of the builder in the path.
    Builder,
    /// That of the build in the path.
    Build,
    /// That of the log in the path.
    Log,
    /// That of the request in the path.
    Request,
    /// That of the form in the path.
    Form,
}

const FARM: Way = Way::Look(Of::Farm);
const WHOLE: Way = Way::Look(Of::Whole);

/// Method, path as the router has it, and what is behind it.
pub(crate) const DOORS: &[(&str, &str, Way)] = &[
    ("GET", "/", FARM),
    ("GET", "/home", FARM),
    ("GET", "/config", FARM),
    ("GET", "/avatar", FARM),
    ("GET", "/builders", FARM),
    ("GET", "/builders/{builder}", Way::Look(Of::Builder)),
    (
        "GET",
        "/builders/{builder}/builds/{number}",
        Way::Look(Of::Builder),
    ),
    ("GET", "/builds/{build}", Way::Look(Of::Build)),
    (
        "GET",
        "/builds/{build}/patches/{patch}",
        Way::Look(Of::Build),
    ),
    ("POST", "/builds/{build}/stop", Way::Act(Action::Stop)),
    ("POST", "/builds/{build}/rebuild", Way::Act(Action::Rebuild)),
    ("GET", "/logs/{log}", Way::Look(Of::Log)),
    ("GET", "/logs/{log}/lines", Way::Look(Of::Log)),
    ("GET", "/logs/{log}/raw", Way::Look(Of::Log)),
    ("GET", "/pending", FARM),
    ("GET", "/requests/{request}", Way::Look(Of::Request)),
    ("GET", "/requests/{request}/why", Way::Look(Of::Request)),
    (
        "POST",
        "/requests/{request}/cancel",
        Way::Act(Action::Cancel),
    ),
    ("GET", "/locks", WHOLE),
    ("GET", "/workers", FARM),
    ("GET", "/workers/{worker}", FARM),
    ("POST", "/workers/{worker}/pause", Way::Act(Action::Pause)),
    (
        "POST",
        "/workers/{worker}/unpause",
        Way::Act(Action::Unpause),
    ),
    (
        "POST",
        "/workers/{worker}/stop",
        Way::Act(Action::StopWorker),
    ),
    (
        "POST",
        "/workers/{worker}/kill",
        Way::Act(Action::KillWorker),
    ),
    ("GET", "/changes", FARM),
    (
        "POST",
        "/schedulers/{scheduler}/skip",
        Way::Act(Action::SkipEvent),
    ),
    ("GET", "/plugins", WHOLE),
    ("POST", "/plugins/reload", Way::Act(Action::ReloadPlugins)),
    ("GET", "/plugins/{plugin}", WHOLE),
    (
        "POST",
        "/plugins/{plugin}/rollback",
        Way::Act(Action::RollbackPlugin),
    ),
    ("GET", "/reporters", WHOLE),
    (
        "POST",
        "/reporters/{reporter}/resend",
        Way::Act(Action::Resend),
    ),
    (
        "POST",
        "/deliveries/{delivery}/resend",
        Way::Act(Action::Resend),
    ),
    (
        "POST",
        "/deliveries/{delivery}/discard",
        Way::Act(Action::Discard),
    ),
    ("GET", "/force/{scheduler}", Way::Look(Of::Form)),
    ("POST", "/force/{scheduler}", Way::Act(Action::Force)),
    ("GET", "/reference", FARM),
    ("GET", "/reference/{tag}", FARM),
    ("POST", "/theme", Way::Open),
    ("GET", "/audit", Way::Read(Action::ReadAudit)),
    ("GET", "/login", Way::Open),
    ("GET", "/auth/login", Way::Open),
    ("POST", "/auth/login", Way::Open),
    ("GET", "/auth/provider/{provider}", Way::Open),
    ("GET", "/auth/callback/{provider}", Way::Open),
    ("GET", "/auth/logout", Way::Open),
    ("POST", "/auth/logout", Way::Open),
    ("GET", "/static/{name}", Way::Open),
    ("GET", "/favicon.ico", Way::Open),
    ("GET", "/metrics", WHOLE),
    ("GET", "/artifacts/{build}/{*name}", Way::Look(Of::Build)),
    ("GET", "/sse", FARM),
    ("GET", "/sse/", FARM),
    ("GET", "/sse/{*path}", FARM),
    ("GET", "/ws", FARM),
    ("GET", "/ws/", FARM),
    ("GET", "/live", FARM),
    ("GET", "/api", FARM),
    ("GET", "/api/v2", Way::Api),
    ("POST", "/api/v2", Way::Api),
    ("GET", "/api/v2/", Way::Api),
    ("POST", "/api/v2/", Way::Api),
    ("GET", "/api/v2/{*path}", Way::Api),
    ("POST", "/api/v2/{*path}", Way::Api),
];

/// What is behind a path of the router; `None` when it is not listed.
pub(super) fn way(method: &str, path: &str) -> Option<Way> {
    // The API answers what it does not do itself.
    let method = match method {
        "HEAD" => "GET",
        "GET" | "POST" => method,
        _ => return Some(FARM),
    };
    let listed = DOORS.iter().find(|door| door.0 == method && door.1 == path);
    // Wrong methods are the router's to refuse.
    let other = || {
        let known = DOORS.iter().any(|door| door.1 == path);
        known.then_some(FARM)
    };
    listed.map(|door| door.2).or_else(other)
}

/// Something that can be asked of the web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorInfo {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path, with its parameters as the router or the REST API writes them.
    pub path: String,
    /// The action of the REST API that is called.
    pub call: Option<&'static str>,
    /// What somebody has to be allowed to; `None` for what is open to everybody.
    pub action: Option<Action>,
}

/// Everything that can be asked of the web server: each path, and each action of the REST API.
#[must_use]
pub fn doors() -> Vec<DoorInfo> {
    let mut all: Vec<DoorInfo> = DOORS
        .iter()
        .filter(|door| door.2 != Way::Api)
        .map(|(method, path, way)| DoorInfo {
            method,
            path: (*path).to_owned(),
            call: None,
            action: match way {
                Way::Open | Way::Api => None,
                Way::Look(_) => Some(Action::View),
                Way::Act(action) | Way::Read(action) => Some(*action),
            },
        })
        .collect();
    for (pattern, _) in PATTERNS {
        let path = format!("/api/v2{pattern}");
        all.push(DoorInfo {
            method: "GET",
            path: path.clone(),
            call: None,
            action: Some(Action::View),
        });
        let calls = callable(pattern).into_iter();
        all.extend(calls.map(|Called { method, action }| DoorInfo {
            method: "POST",
            path: path.clone(),
            call: Some(method),
            action,
        }));
    }
    all
}
