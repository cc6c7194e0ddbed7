//! `/metrics`: what the process did and does, for Prometheus. Everything is read from memory at the moment of the request,
//! but for the length of the queue and how far behind reporters are.

mod text;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use toolpost_core::model::BuildRequest;
use toolpost_core::report::Reporter;
use toolpost_master::SchedulerStatus;
use toolpost_sandbox::PluginStatus;
use toolpost_sandbox::metrics::TypeMetrics;
use toolpost_store::{Query, Store};

use crate::api::wait_word;
use crate::control::PluginLoad;
use crate::error::ApiError;
use crate::reactor::{BUCKETS, Reactor};
use crate::state::Web;

use text::{CONTENT_TYPE, Kind, Page};

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/metrics", get(answer))
}

async fn answer(State(web): State<Web>) -> Response<Body> {
    match render(&web).await {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, CONTENT_TYPE),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            error.log("/metrics");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

async fn render(web: &Web) -> Result<String, ApiError> {
    let mut page = Page::default();
    farm(&mut page, web).await?;
    reporters(&mut page, &web.store).await?;
    schedulers(&mut page, &web.master.schedulers());
    let load = web.master.plugin_load();
    calls(&mut page, &load.types);
    costs(&mut page, &load.types);
    reloads(&mut page, &web.master.plugins());
    pool(&mut page, &load);
    delays(&mut page, &web.options.reactors);
    Ok(page.into_text())
}

async fn farm(page: &mut Page, web: &Web) -> Result<(), ApiError> {
    let health = web.master.health();
    let pending = Query::new().eq("complete", false).eq("claimed", false);
    let pending = web.store.count::<BuildRequest>(&pending).await?;
    page.family("toolpost_builds_running", Kind::Gauge, "Builds that run.")
        .sample(&[], health.running_builds);
    page.family(
        "toolpost_requests_pending",
        Kind::Gauge,
        "Requests that wait for a worker.",
    )
    .sample(&[], pending);
    page.family(
        "toolpost_draining",
        Kind::Gauge,
        "Whether the master takes no new builds.",
    )
    .sample(&[], u8::from(health.draining));
    Ok(())
}

async fn reporters(page: &mut Page, store: &Store) -> Result<(), ApiError> {
    type Figure = fn(&Reporter) -> i64;
    let figures: [(&str, &str, Figure); 3] = [
        (
            "toolpost_reporter_entries_ahead",
            "Entries of the journal that a reporter has not looked at yet.",
            |of| of.entries_ahead,
        ),
        (
            "toolpost_reporter_deliveries_pending",
            "What a reporter has still to tell.",
            |of| of.pending,
        ),
        (
            "toolpost_reporter_deliveries_dead",
            "What a reporter gave up telling, until it is sent again or discarded.",
            |of| of.dead,
        ),
    ];
    let mut all = store.list::<Reporter>(&Query::new().order("name")).await?;
    // One that no configuration names any more counts for what it left.
    all.retain(|of| of.master_id.is_some() || of.pending + of.dead > 0);
    for (name, help, figure) in figures {
        let mut family = page.family(name, Kind::Gauge, help);
        for of in &all {
            family.sample(&[("reporter", &of.name)], figure(of));
        }
    }
    Ok(())
}

fn schedulers(page: &mut Page, all: &[SchedulerStatus]) {
    let mut family = page.family(
        "toolpost_scheduler_failing",
        Kind::Gauge,
        "Whether a scheduler cannot go on and tries again.",
    );
    for of in all {
        family.sample(&[("scheduler", &of.name)], u8::from(of.error.is_some()));
    }
}

/// Who it is, for a sample.
fn labels(of: &TypeMetrics) -> [(&'static str, &str); 3] {
    [
        ("plugin", &of.plugin),
        ("kind", of.kind.as_str()),
        ("type", &of.type_name),
    ]
}

fn with<'l>(
    labels: [(&'l str, &'l str); 3],
    name: &'l str,
    value: &'l str,
) -> [(&'l str, &'l str); 4] {
    let [plugin, kind, type_name] = labels;
    [plugin, kind, type_name, (name, value)]
}

fn calls(page: &mut Page, types: &[TypeMetrics]) {
    let mut family = page.family(
        "toolpost_plugin_calls_total",
        Kind::Counter,
        "Calls of plugins that ended, by outcome: good, error (returned by the plugin), or what ended the call.",
    );
    for of in types {
        for (outcome, count) in &of.calls {
            family.sample(&with(labels(of), "outcome", outcome), count);
        }
    }
    let mut family = page.family(
        "toolpost_plugin_host_calls_total",
        Kind::Counter,
        "Calls of host functions by plugins.",
    );
    for of in types {
        for (function, count) in &of.host_calls {
            family.sample(&with(labels(of), "function", function), count);
        }
    }
}

fn costs(page: &mut Page, types: &[TypeMetrics]) {
    type Figure = fn(&TypeMetrics) -> f64;
    let figures: [(&str, Kind, &str, Figure); 5] = [
        (
            "toolpost_plugin_cpu_seconds_total",
            Kind::Counter,
            "Processor time of calls of plugins.",
            |of| of.cpu.as_secs_f64(),
        ),
        (
            "toolpost_plugin_wall_seconds_total",
            Kind::Counter,
            "Time from start to end of calls of plugins.",
            |of| of.wall.as_secs_f64(),
        ),
        (
            "toolpost_plugin_queue_seconds_total",
            Kind::Counter,
            "Time that calls of plugins waited for room.",
            |of| of.queued.as_secs_f64(),
        ),
        (
            "toolpost_plugin_queue_seconds_max",
            Kind::Gauge,
            "The longest time that a call of a plugin waited for room.",
            |of| of.queued_longest.as_secs_f64(),
        ),
        (
            "toolpost_plugin_memory_peak_bytes",
            Kind::Gauge,
            "The most linear memory that a call of a plugin had.",
            |of| of.memory_peak_bytes as f64,
        ),
    ];
    for (name, kind, help, figure) in figures {
        let mut family = page.family(name, kind, help);
        for of in types {
            family.sample(&labels(of), figure(of));
        }
    }
}

fn reloads(page: &mut Page, plugins: &[PluginStatus]) {
    let mut family = page.family(
        "toolpost_plugin_reloads_total",
        Kind::Counter,
        "What became of plugins' files: live, refused, or rolled back.",
    );
    for plugin in plugins {
        for (outcome, count) in [
            ("live", plugin.reloads),
            ("refused", plugin.refusals),
            ("rolled-back", plugin.rollbacks),
        ] {
            family.sample(&[("plugin", &plugin.name), ("outcome", outcome)], count);
        }
    }
    let mut family = page.family(
        "toolpost_plugin_info",
        Kind::Gauge,
        "The version of a plugin that new builds get.",
    );
    for plugin in plugins {
        if let Some(live) = &plugin.live {
            let labels = [
                ("plugin", plugin.name.as_str()),
                ("version", &live.version),
                ("digest", &live.digest),
            ];
            family.sample(&labels, 1);
        }
    }
}

fn pool(page: &mut Page, load: &PluginLoad) {
    let pool = &load.pool;
    page.family(
        "toolpost_plugin_calls_running",
        Kind::Gauge,
        "Calls of plugins that run.",
    )
    .sample(&[], pool.calls);
    page.family(
        "toolpost_plugin_calls_limit",
        Kind::Gauge,
        "Calls of plugins that may run at one time.",
    )
    .sample(&[], pool.calls_max);
    page.family(
        "toolpost_plugin_memory_bytes",
        Kind::Gauge,
        "Linear memory of all calls of plugins.",
    )
    .sample(&[], pool.memory_bytes);
    page.family(
        "toolpost_plugin_memory_limit_bytes",
        Kind::Gauge,
        "Linear memory that all calls of plugins may have.",
    )
    .sample(&[], pool.memory_bytes_max);
    let mut family = page.family(
        "toolpost_plugin_calls_waiting",
        Kind::Gauge,
        "Calls of plugins that wait for room, and for what.",
    );
    for wait in &load.waits {
        let labels = [
            ("plugin", wait.plugin.as_str()),
            ("reason", wait_word(wait.reason)),
        ];
        family.sample(&labels, wait.calls);
    }
}

fn delays(page: &mut Page, reactors: &[Arc<Reactor>]) {
    let mut family = page.family(
        "toolpost_reactor_lag_seconds",
        Kind::Histogram,
        "How much later than asked a timer of a runtime fires.",
    );
    for reactor in reactors {
        let delays = reactor.delays();
        let runtime = ("runtime", reactor.name());
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(delays.buckets) {
            below += count;
            let bound = bound.as_secs_f64().to_string();
            family.part("_bucket", &[runtime, ("le", &bound)], below);
        }
        family
            .part("_bucket", &[runtime, ("le", "+Inf")], delays.count)
            .part("_sum", &[runtime], delays.sum.as_secs_f64())
            .part("_count", &[runtime], delays.count);
    }
    let mut family = page.family(
        "toolpost_reactor_stalls_total",
        Kind::Counter,
        "Delays of 50 ms and more, by a plugin that computed then; the plugin is empty when none did.",
    );
    for reactor in reactors {
        for (plugin, count) in reactor.delays().stalls {
            family.sample(&[("runtime", reactor.name()), ("plugin", &plugin)], count);
        }
    }
}
