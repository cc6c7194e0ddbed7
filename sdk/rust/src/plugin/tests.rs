//! What the macro makes of the types of a plugin.
#![expect(unreachable_pub, reason = "the macro is for the root of a crate")]

use crate::mock::{MockHost, MockReporterHost, SchedulerRun};
use crate::reporter::{Event as ReportEvent, WorkerReport};
use crate::scheduler::{Event, ForceRequest, NotForced};
use crate::{
    Capability, Context, Delivery, Error, Outcome, Reaction, ReportOutcome, Reporter,
    ReporterContext, Scheduler, SchedulerContext, SchedulerType, Step, plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// How often.
    times: Times,
}

#[derive(Deserialize, JsonSchema)]
struct Times {
    most: u8,
}

struct Repeat;

impl Step for Repeat {
    const NAME: &'static str = "repeat";
    const SUMMARY: &'static str = "Repeats.";
    type Parameters = Parameters;

    fn run(parameters: Parameters, _: &Context) -> Result<Outcome, Error> {
        Ok(Outcome::success(format!("{} times", parameters.times.most)))
    }
}

struct Count;

impl Scheduler for Count {
    const NAME: &'static str = "count";
    const SUMMARY: &'static str = "Counts.";
    type Parameters = Parameters;
    type State = u8;
    type Force = Times;

    fn handle(
        parameters: Parameters,
        state: u8,
        event: Event<Times>,
        _: &SchedulerContext,
    ) -> Result<Reaction<u8>, Error> {
        let more = match event {
            Event::Force(request) => request.values.most,
            _ => parameters.times.most,
        };
        Ok(Reaction::new(state + more))
    }
}

struct Tell;

impl Reporter for Tell {
    const NAME: &'static str = "tell";
    const SUMMARY: &'static str = "Tells.";
    type Parameters = Parameters;

    fn report(
        parameters: Parameters,
        delivery: &Delivery,
        _: &ReporterContext,
    ) -> Result<ReportOutcome, Error> {
        let text = format!("{} {}", delivery.event.name(), parameters.times.most);
        Ok(ReportOutcome::sent(text))
    }
}

plugin! {
    description: "For tests.",
    steps: [Repeat],
    schedulers: [Count],
    reporters: [Tell],
    wants: [Capability::HttpHost("chat.example.org".into()), Capability::Storage],
}

#[test]
fn a_plugin_is_described_by_its_package_and_its_steps() {
    let plugin = toolpost_plugin();
    assert_eq!(plugin.name, "toolpost-sdk");
    assert_eq!(plugin.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(plugin.description, "For tests.");
    assert_eq!(
        plugin.wants,
        [
            Capability::HttpHost("chat.example.org".into()),
            Capability::Storage
        ]
    );
    let [step] = plugin.steps.as_slice() else {
        panic!("one step")
    };
    assert_eq!((step.name, step.summary), ("repeat", "Repeats."));
    let schema = step.schema();
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["properties"]["times"]["description"], "How often.");
    assert_eq!(schema["required"], json!(["times"]));
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn a_step_runs_by_its_name() {
    let host = MockHost::new();
    let run = |name, parameters| toolpost_plugin().run(name, parameters, &host.context());
    assert_eq!(
        run("repeat", json!({"times": {"most": 3}})),
        Ok(Outcome::success("3 times"))
    );
    let error = run("rinse", json!({})).expect_err("there is no such step");
    assert!(
        error.to_string().contains("no step type `rinse`"),
        "{error}"
    );
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let check = |parameters, expected: &str| {
        let error = MockHost::new()
            .run::<Repeat>(parameters)
            .expect_err("it does not fit");
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        json!({"times": {"most": 300}}),
        "parameter `times.most`: invalid value",
    );
    check(json!({"time": 3}), "parameter `time`: unknown field `time`");
    check(json!({}), "missing field `times`");
}

#[test]
fn kinds_have_types_of_their_own() {
    let plugin = toolpost_plugin();
    let delivery = Delivery::of(ReportEvent::WorkerLost(WorkerReport::default()));
    let ctx = MockReporterHost::new().context();
    let report = |name| plugin.report(name, json!({"times": {"most": 3}}), &delivery, &ctx);
    assert_eq!(report("tell"), Ok(ReportOutcome::sent("worker-lost 3")));
    let error = report("repeat").expect_err("that is a step");
    assert!(
        error.to_string().contains("no reporter type `repeat`"),
        "{error}"
    );
    let [scheduler] = plugin.schedulers.as_slice() else {
        panic!("one scheduler")
    };
    let form = scheduler.force_schema().expect("it can be forced");
    assert_eq!(form["required"], json!(["most"]));
}

#[test]
fn a_scheduler_gets_its_state_back() {
    let mut run = SchedulerRun::<Count>::new(json!({"times": {"most": 3}}));
    run.configure().expect("it is fine");
    assert_eq!(run.state(), &json!(3));
    run.force("ann", "because", json!({"most": 10}))
        .expect("it is fine");
    assert_eq!(run.state(), &json!(13));
    let error = run
        .force("ann", "because", json!({"most": "x"}))
        .expect_err("it does not fit");
    assert!(
        error
            .to_string()
            .starts_with("parameter `most`: invalid type"),
        "{error}"
    );
    assert_eq!(run.state(), &json!(13), "an error keeps it");
}

#[test]
fn a_state_that_does_not_fit_is_kept() {
    let ctx = SchedulerContext::new(std::rc::Rc::new(MockHost::new()), 0);
    let handle = |state| {
        let parameters = json!({"times": {"most": 1}});
        toolpost_plugin().handle("count", parameters, state, Event::Timer, &ctx)
    };
    assert_eq!(
        handle(json!(null)).map(|reaction| reaction.state),
        Ok(json!(1))
    );
    let error = handle(json!("old"))
        .expect_err("it does not fit")
        .to_string();
    assert!(
        error.starts_with("the state of an earlier version does not fit"),
        "{error}"
    );
}

struct Unforced;

impl Scheduler for Unforced {
    const NAME: &'static str = "unforced";
    const SUMMARY: &'static str = "Wakes up.";
    type Parameters = Parameters;
    type State = Vec<u64>;
    type Force = NotForced;

    fn handle(
        parameters: Parameters,
        mut state: Vec<u64>,
        event: Event,
        ctx: &SchedulerContext,
    ) -> Result<Reaction<Vec<u64>>, Error> {
        if event == Event::Timer {
            state.push(ctx.now_ms());
        }
        let step_ms = u64::from(parameters.times.most);
        Ok(Reaction::new(state).wake_at_ms(ctx.now_ms() + step_ms))
    }
}

#[test]
fn timers_come_in_their_time() {
    let parameters = |most: u8| json!({"times": {"most": most}});
    let mut run = SchedulerRun::<Unforced>::new(parameters(10)).start_at_ms(100);
    run.advance_to_ms(135);
    assert_eq!(run.state(), &json!([110, 120, 130]));
    assert_eq!(run.wake_at_ms(), Some(140));
    let error = run
        .force("ann", "", json!({}))
        .expect_err("it cannot be forced");
    assert_eq!(error, Error::permanent("this scheduler cannot be forced"));
    assert_eq!(SchedulerType::of::<Unforced>().force_schema(), None);
    let restless = run.reconfigure(parameters(0)).and_then(|()| {
        let forced = ForceRequest {
            owner: String::new(),
            reason: String::new(),
            values: json!({}),
        };
        run.handle(&Event::Force(forced))
            .or_else(|_| run.handle(&Event::Timer))
    });
    let error = restless.expect_err("it wakes itself forever").to_string();
    assert!(error.contains("the number of timers at once"), "{error}");
}
