//! What a reporter imports, and `reporter.report`.

use super::WasmHost;
use super::bindings::imports::toolpost::plugin::reports as wit;
use super::bindings::imports::toolpost::plugin::types::Error as WitError;
use super::bindings::reporter_world::exports::toolpost::plugin::reporter as export;
use super::convert::{
    change, error, parse, properties, results, source_stamps, to_wit_error, value,
};
use crate::reporter::{
    BuildReport, BuildsetReport, Event, Link, LogReport, ReporterHost, RequestReport, StepReport,
    WorkerReport,
};
use crate::{Delivery, Error, Plugin, ReportOutcome, ReporterContext};
use std::rc::Rc;

impl ReporterHost for WasmHost {
    fn read_log(&self, log: u64, first: u64, count: u32) -> Result<String, Error> {
        wit::read_log(log, first, count).map_err(error)
    }
}

/// `reporter.report`.
///
/// # Errors
///
/// Those of the reporter.
pub fn report(
    plugin: &Plugin,
    type_name: &str,
    parameters: &str,
    delivery: export::Delivery,
) -> Result<export::Outcome, WitError> {
    let ctx = ReporterContext::inside(&Rc::new(WasmHost));
    let delivery = Delivery {
        key: delivery.key,
        attempt: delivery.attempt,
        at_ms: delivery.at_ms,
        event: event(delivery.event),
    };
    let outcome = parse("the parameters", parameters)
        .and_then(|parameters| plugin.report(type_name, parameters, &delivery, &ctx))
        .map_err(to_wit_error)?;
    Ok(match outcome {
        ReportOutcome::Sent(text) => export::Outcome::Sent(text),
        ReportOutcome::Skipped(reason) => export::Outcome::Skipped(reason),
    })
}

fn event(event: export::Event) -> Event {
    match event {
        export::Event::RequestAdded(report) => Event::RequestAdded(request(report)),
        export::Event::BuildStarted(report) => Event::BuildStarted(build(report)),
        export::Event::BuildFinished(report) => Event::BuildFinished(build(report)),
        export::Event::BuildsetComplete(report) => Event::BuildsetComplete(buildset(report)),
        export::Event::WorkerLost(report) => Event::WorkerLost(worker(report)),
        export::Event::WorkerFound(report) => Event::WorkerFound(worker(report)),
        export::Event::WorkerMissing(report) => Event::WorkerMissing(worker(report)),
        export::Event::WorkerBack(report) => Event::WorkerBack(worker(report)),
    }
}

fn request(request: wit::RequestReport) -> RequestReport {
    RequestReport {
        id: request.id,
        builder: request.builder,
        buildset_id: request.buildset_id,
        url: request.url,
        reason: request.reason,
        submitted_ms: request.submitted_ms,
        scheduler: request.scheduler,
        source_stamps: source_stamps(request.source_stamps),
        properties: properties(&request.properties),
    }
}

fn build(build: wit::BuildReport) -> BuildReport {
    BuildReport {
        id: build.id,
        builder: build.builder,
        tags: build.tags,
        number: build.number,
        url: build.url,
        worker: build.worker,
        reason: build.reason,
        summary: build.summary,
        results: build.results.map(results),
        previous_results: build.previous_results.map(results),
        started_ms: build.started_ms,
        complete_ms: build.complete_ms,
        request_id: build.request_id,
        buildset_id: build.buildset_id,
        scheduler: build.scheduler,
        source_stamps: source_stamps(build.source_stamps),
        changes: build.changes.into_iter().map(change).collect(),
        properties: properties(&build.properties),
        steps: build.steps.into_iter().map(step).collect(),
    }
}

fn step(step: wit::StepReport) -> StepReport {
    let link = |link: wit::Link| Link {
        name: link.name,
        url: link.url,
    };
    let log = |log: wit::LogReport| LogReport {
        id: log.id,
        name: log.name,
        lines: log.lines,
        url: log.url,
    };
    StepReport {
        number: step.number,
        name: step.name,
        summary: step.summary,
        results: step.results.map(results),
        started_ms: step.started_ms,
        complete_ms: step.complete_ms,
        urls: step.urls.into_iter().map(link).collect(),
        logs: step.logs.into_iter().map(log).collect(),
    }
}

fn buildset(buildset: wit::BuildsetReport) -> BuildsetReport {
    BuildsetReport {
        id: buildset.id,
        reason: buildset.reason,
        results: results(buildset.results),
        submitted_ms: buildset.submitted_ms,
        complete_ms: buildset.complete_ms,
        scheduler: buildset.scheduler,
        source_stamps: source_stamps(buildset.source_stamps),
        properties: properties(&buildset.properties),
        builds: buildset.builds.into_iter().map(build).collect(),
    }
}

fn worker(worker: wit::WorkerReport) -> WorkerReport {
    WorkerReport {
        name: worker.name,
        url: worker.url,
        builders: worker.builders,
        info: value(worker.info),
        last_seen_ms: worker.last_seen_ms,
    }
}
