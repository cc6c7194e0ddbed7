//! Hands on what it is told: sources to other builds, and workers to whoever reads its reports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolpost_sdk::scheduler::{Event, Interest, NewBuildset, NotForced};
use toolpost_sdk::{
    Capability, Context, Delivery, Error, Outcome, Reaction, ReportOutcome, Reporter,
    ReporterContext, Scheduler, SchedulerContext, Sources, Step, reporter,
};

/// None.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

/// None.
#[derive(Default, Serialize, Deserialize)]
struct State {}

struct HandOn;

impl Step for HandOn {
    const NAME: &'static str = "hand-on";
    const SUMMARY: &'static str = "Triggers a build of exactly the sources of this one.";
    type Parameters = Parameters;

    fn run(_: Parameters, ctx: &Context) -> Result<Outcome, Error> {
        let sources = Sources::Given(ctx.build().source_stamps);
        let triggered = ctx.trigger(["other"]).sources(sources).start()?;
        let count = triggered.progress()?.builds.len();
        Ok(Outcome::success(format!("{count} triggered")))
    }
}

struct Follow;

impl Scheduler for Follow {
    const NAME: &'static str = "follow";
    const SUMMARY: &'static str = "Builds what another builder has built.";
    type Parameters = Parameters;
    type State = State;
    type Force = NotForced;

    fn handle(_: Parameters, state: State, event: Event, _: &SchedulerContext) -> Result<Reaction<State>, Error> {
        let reaction = Reaction::new(state);
        Ok(match event {
            Event::Configured(_) => reaction.listen([Interest::BuildsOf("first".into())]),
            Event::BuildFinished(build) => {
                reaction.build(NewBuildset::new("it is built").source_stamps(build.source_stamps))
            }
            _ => reaction,
        })
    }
}

struct Tell;

impl Reporter for Tell {
    const NAME: &'static str = "tell";
    const SUMMARY: &'static str = "Tells of workers.";
    type Parameters = Parameters;

    fn report(_: Parameters, delivery: &Delivery, _: &ReporterContext) -> Result<ReportOutcome, Error> {
        use reporter::Event;
        let (worker, told) = match &delivery.event {
            Event::WorkerLost(worker) => (worker, "lost"),
            Event::WorkerFound(worker) => (worker, "found"),
            Event::WorkerMissing(worker) => (worker, "missing"),
            Event::WorkerBack(worker) => (worker, "back"),
            _ => return Ok(ReportOutcome::skipped("no worker")),
        };
        let builders = worker.builders.join(", ");
        Ok(ReportOutcome::sent(format!("{} of {builders}: {told}", worker.name)))
    }
}

toolpost_sdk::plugin! {
    steps: [HandOn],
    schedulers: [Follow],
    reporters: [Tell],
    wants: [Capability::Trigger("other".into())],
}
