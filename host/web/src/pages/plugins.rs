//! `/plugins`: which versions run, who uses them, and what became of the last file that was dropped in; and `/plugins/NAME`:
//! one of them with its history, and what its calls take.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use toolpost_core::Timestamp;
use toolpost_sandbox::metrics::{GOOD, TypeMetrics};
use toolpost_sandbox::{PluginStatus, PoolWait, VersionStatus, WaitReason};
use toolpost_store::{PluginEventKind, PluginEventRow};

use super::callplot::CallPlot;
use super::filters;
use super::parts::{When, bytes, duration, short};
use super::shell::{Ask, Section, Shell};
use crate::api::plugin_state;
use crate::control::Place;
use crate::error::ApiError;
use crate::reactor::Reactor;
use crate::state::Web;

/// Past events shown of each plugin.
const EVENTS_MAX: u32 = 5;

/// Past events shown on the page of one.
const HISTORY_MAX: u32 = 50;

/// What makes the pages old.
const WATCHED: [&str; 4] = [
    "plugins/*/*",
    "configuration/*/*",
    "builds/*/new",
    "builds/*/finished",
];

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsPage {
    shell: Shell,
    plugins: Vec<PluginView>,
    /// The last long delays of the master's own threads.
    delays: Vec<DelayView>,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage {
    shell: Shell,
    view: PluginView,
    types: Vec<TypeView>,
    past: Vec<PastVersion>,
}

/// What the calls of a type took; times are those of a call on average.
struct TypeView {
    kind: &'static str,
    name: String,
    calls: u64,
    ended_badly: Vec<(&'static str, u64)>,
    cpu: String,
    wall: String,
    queued: String,
    queued_longest: String,
    memory: String,
    host_calls: u64,
    plot: CallPlot,
}

/// A version that was good once.
struct PastVersion {
    version: String,
    digest: String,
    size_bytes: u64,
    loaded: When,
    is_live: bool,
    is_running: bool,
}

/// A long delay of a runtime.
struct DelayView {
    runtime: &'static str,
    delay: String,
    ago: String,
    plugins: String,
}

struct PluginView {
    plugin: PluginStatus,
    state: &'static str,
    problem_at: Option<When>,
    versions: Vec<VersionView>,
    uses: Vec<(String, Vec<Place>)>,
    events: Vec<EventView>,
    /// How many calls wait, how long the first has, and what for.
    waiting: Vec<(usize, String, &'static str)>,
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

pub(super) async fn list(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render_list(&web, &ask))).await
}

async fn render_list(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Plugins, "Plugins").watch(WATCHED);
    let waits = web.master.plugin_load().waits;
    let mut plugins = Vec::new();
    for plugin in web.master.plugins() {
        let events = web.store.plugin_events(&plugin.name, EVENTS_MAX).await?;
        plugins.push(PluginView::new(web, plugin, events, &waits, shell.now));
    }
    let delays = web.options.reactors.iter();
    let delays = delays.filter_map(|reactor| DelayView::new(reactor));
    let page = PluginsPage {
        delays: delays.collect(),
        shell,
        plugins,
    };
    Ok(page.render()?)
}

pub(super) async fn one(
    State(web): State<Web>,
    Path(name): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, Box::pin(render_one(&web, &name, &ask)))
        .await
}

async fn render_one(web: &Web, name: &str, ask: &Ask) -> Result<String, ApiError> {
    let mut plugins = web.master.plugins().into_iter();
    let found = plugins.find(|plugin| plugin.name == name);
    let plugin = found.ok_or_else(|| ApiError::not_found(format!("plugin {name}")))?;
    let shell = Shell::new(web, ask, Section::Plugins, name).watch(WATCHED);
    let events = web.store.plugin_events(name, HISTORY_MAX).await?;
    let past = web.store.plugin_versions(name).await?;
    let running = |digest: &str| {
        let mut running = plugin.live.iter().chain(&plugin.draining);
        running.any(|version| version.digest == digest)
    };
    let is_live = |digest: &str| {
        plugin
            .live
            .as_ref()
            .is_some_and(|live| live.digest == digest)
    };
    let past = past
        .into_iter()
        .map(|row| PastVersion {
            loaded: When::new(row.loaded_at, shell.now),
            size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
            is_live: is_live(&row.digest),
            is_running: running(&row.digest),
            version: row.version,
            digest: row.digest,
        })
        .collect();
    let load = web.master.plugin_load();
    let types = load.types.into_iter();
    let types = types.filter(|of| of.plugin == name).map(TypeView::new);
    let page = PluginPage {
        types: types.collect(),
        view: PluginView::new(web, plugin, events, &load.waits, shell.now),
        past,
        shell,
    };
    Ok(page.render()?)
}

impl TypeView {
    fn new(of: TypeMetrics) -> Self {
        let millis = |time: Duration| duration(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let total: u64 = of.calls.values().sum();
        let each = |time: Duration| match u32::try_from(total) {
            Ok(total) if total > 0 => millis(time / total),
            _ => millis(time),
        };
        let faults = of.calls.iter().filter(|(outcome, _)| **outcome != GOOD);
        Self {
            kind: of.kind.as_str(),
            name: of.type_name,
            calls: total,
            ended_badly: faults.map(|(outcome, count)| (*outcome, *count)).collect(),
            cpu: each(of.cpu),
            wall: each(of.wall),
            queued: each(of.queued),
            queued_longest: millis(of.queued_longest),
            memory: bytes(of.memory_peak_bytes as u64),
            host_calls: of.host_calls.values().sum(),
            plot: CallPlot(of.recent),
        }
    }
}

impl DelayView {
    /// Nothing when the runtime was never late for long.
    fn new(reactor: &Reactor) -> Option<Self> {
        let blame = reactor.delays().blamed?;
        let millis = |time: Duration| duration(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        Some(Self {
            runtime: reactor.name(),
            delay: millis(blame.delay),
            ago: millis(blame.at.elapsed()),
            plugins: blame.plugins.join(", "),
        })
    }
}

impl PluginView {
    fn new(
        web: &Web,
        plugin: PluginStatus,
        events: Vec<PluginEventRow>,
        waits: &[PoolWait],
        now: Timestamp,
    ) -> Self {
        let version = |version: &VersionStatus, is_live| VersionView {
            version: version.clone(),
            is_live,
            loaded: When::new(version.loaded_at, now),
        };
        let live = plugin.live.iter();
        let types = live.clone().flat_map(|version| &version.types);
        Self {
            state: plugin_state(&plugin),
            waiting: waits
                .iter()
                .filter(|wait| wait.plugin == plugin.name)
                .map(|wait| {
                    let longest = i64::try_from(wait.longest.as_millis()).unwrap_or(i64::MAX);
                    (wait.calls, duration(longest), waits_for(wait.reason))
                })
                .collect(),
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
            uses: types
                .map(|told| (told.name.clone(), web.master.uses_of(told.kind, &told.name)))
                .collect(),
            events: events
                .into_iter()
                .map(|event| EventView::new(event, now))
                .collect(),
            plugin,
        }
    }
}

fn waits_for(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Calls => "as many calls of plugins run as may run at one time",
        WaitReason::Memory => "the calls that run have all the memory that plugins may have",
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
