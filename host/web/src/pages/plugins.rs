//! `/plugins`: which versions run, who uses them, and what became of the last file that was dropped in.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::{PluginKind, Timestamp};
use toolpost_sandbox::{PluginStatus, VersionStatus};
use toolpost_store::{PluginEventKind, PluginEventRow};

use super::filters;
use super::parts::{When, short};
use super::shell::{Ask, Section, Shell};
use crate::api::plugin_state;
use crate::control::StepPlace;
use crate::error::ApiError;
use crate::state::Web;

/// Past events shown of each plugin.
const EVENTS_MAX: u32 = 5;

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsPage {
    shell: Shell,
    plugins: Vec<PluginView>,
}

struct PluginView {
    plugin: PluginStatus,
    state: &'static str,
    problem_at: Option<When>,
    versions: Vec<VersionView>,
    uses: Vec<(String, Vec<StepPlace>)>,
    events: Vec<EventView>,
}

struct VersionView {
    version: VersionStatus,
    is_live: bool,
    loaded: When,
}

struct EventView {
    what: &'static str,
    is_bad: bool,
    digest: String,
    reason: Option<String>,
    at: When,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Plugins, "Plugins").watch([
        "plugins/*/*",
        "configuration/*/*",
        "builds/*/new",
        "builds/*/finished",
    ]);
    let mut plugins = Vec::new();
    for plugin in web.master.plugins() {
        let events = web.store.plugin_events(&plugin.name, EVENTS_MAX).await?;
        plugins.push(PluginView::new(web, plugin, events, shell.now));
    }
    Ok(PluginsPage { shell, plugins }.render()?)
}

impl PluginView {
    fn new(web: &Web, plugin: PluginStatus, events: Vec<PluginEventRow>, now: Timestamp) -> Self {
        let version = |version: &VersionStatus, is_live| VersionView {
            version: version.clone(),
            is_live,
            loaded: When::new(version.loaded_at, now),
        };
        let live = plugin.live.iter();
        let steps = live
            .clone()
            .flat_map(|version| &version.types)
            .filter(|told| told.kind == PluginKind::Step);
        Self {
            state: plugin_state(&plugin),
            problem_at: plugin
                .problem
                .as_ref()
                .map(|problem| When::new(problem.at, now)),
            versions: live
                .map(|live| version(live, true))
                .chain(
                    plugin
                        .draining
                        .iter()
                        .map(|draining| version(draining, false)),
                )
                .collect(),
            uses: steps
                .map(|step| (step.name.clone(), web.master.uses_of(&step.name)))
                .collect(),
            events: events
                .into_iter()
                .map(|event| EventView::new(event, now))
                .collect(),
            plugin,
        }
    }
}

impl EventView {
    fn new(event: PluginEventRow, now: Timestamp) -> Self {
        let (what, is_bad) = match event.kind {
            PluginEventKind::Live => ("went live", false),
            PluginEventKind::Refused => ("refused", true),
            PluginEventKind::Removed => ("removed", false),
            PluginEventKind::RolledBack => ("rolled back", true),
        };
        Self {
            what,
            is_bad,
            digest: event
                .digest
                .as_deref()
                .map(short)
                .unwrap_or_default()
                .to_owned(),
            reason: event.reason,
            at: When::new(event.at, now),
        }
    }
}
