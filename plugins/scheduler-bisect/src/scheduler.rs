//! Brings history and hunts together.

use crate::history::{Failure, History};
use crate::hunt::{BUILD_PROPERTY, Hunt, Step};
use crate::parameters::Parameters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toolpost_sdk::scheduler::{Build, Buildset, Configuration, Event, Interest, NotForced};
use toolpost_sdk::{Error, Reaction, Results, Scheduler, SchedulerContext, SourceStamp, Value};

/// The scheduler type `bisect`.
pub(crate) struct Bisect;

/// What it remembers.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    history: History,
    /// By their labels.
    hunts: BTreeMap<String, Hunt>,
    /// How many hunts there have been.
    hunts_made: u64,
    /// What was found last.
    last: String,
}

impl Scheduler for Bisect {
    const NAME: &'static str = "bisect";
    const SUMMARY: &'static str =
        "Finds the change that broke a builder, by building between after a failure.";
    type Parameters = Parameters;
    type State = State;
    type Force = NotForced;

    fn handle(
        parameters: Parameters,
        state: State,
        event: Event,
        _: &SchedulerContext,
    ) -> Result<Reaction<State>, Error> {
        let reaction = Reaction::new(state);
        match event {
            Event::Configured(configuration) => configured(reaction, &parameters, configuration),
            Event::Change(change) => {
                let mut reaction = reaction;
                if change.codebase == parameters.codebase {
                    reaction.state.history.add(&change, parameters.remember);
                }
                Ok(reaction)
            }
            Event::BuildFinished(build) => Ok(build_finished(reaction, &parameters, &build)),
            Event::BuildsetComplete(buildset) => {
                Ok(buildset_complete(reaction, &parameters, &buildset))
            }
            Event::Timer | Event::Force(_) => Ok(reaction),
        }
    }
}

fn configured(
    mut reaction: Reaction<State>,
    parameters: &Parameters,
    configuration: Configuration,
) -> Result<Reaction<State>, Error> {
    let builders = configuration.builders;
    if let Some(other) = parameters
        .watch
        .iter()
        .find(|name| !builders.contains(name))
    {
        let text =
            format!("`{other}` is not one of the scheduler's builders, so it cannot be built");
        return Err(Error::config("watch", text));
    }
    let watched = if parameters.watch.is_empty() {
        builders
    } else {
        parameters.watch.clone()
    };
    reaction
        .state
        .hunts
        .retain(|_, hunt| watched.contains(&hunt.builder));
    let interests = watched.into_iter().map(Interest::BuildsOf);
    Ok(reaction.listen(interests.chain([Interest::Changes])))
}

/// A build that others asked for: whether its builder works, and whether there is something to look for.
fn build_finished(
    mut reaction: Reaction<State>,
    parameters: &Parameters,
    build: &Build,
) -> Reaction<State> {
    if build.properties.contains_key(BUILD_PROPERTY) {
        return reaction;
    }
    let Some(stamp) = sources(build, &parameters.codebase) else {
        return reaction;
    };
    let state = &mut reaction.state;
    match build.results {
        Results::Success | Results::Warnings => {
            state.history.good(&build.builder, &stamp);
            return reaction;
        }
        Results::Failure => {}
        Results::Skipped | Results::Exception | Results::Retry | Results::Cancelled => {
            return reaction;
        }
    }
    match state.history.bad(&build.builder, &stamp) {
        None | Some(Failure::NoNews) => reaction,
        Some(Failure::NoGoodBuild) => {
            state.last = format!(
                "{} failed in build {}, and no good build before it is known",
                build.builder, build.number
            );
            tell(reaction)
        }
        Some(Failure::Suspects(suspects)) => {
            let mut hunt = Hunt::new(build, &parameters.codebase, suspects);
            state.hunts_made += 1;
            let label = format!("hunt-{}", state.hunts_made);
            let step = hunt.next(parameters.confirm);
            go_on(reaction, label, hunt, step)
        }
    }
}

fn buildset_complete(
    mut reaction: Reaction<State>,
    parameters: &Parameters,
    buildset: &Buildset,
) -> Reaction<State> {
    // Not there when its builder is no longer watched.
    let Some(mut hunt) = reaction.state.hunts.remove(&buildset.label) else {
        return reaction;
    };
    let step = hunt.built(buildset.results, parameters.confirm);
    go_on(reaction, buildset.label.clone(), hunt, step)
}

fn go_on(mut reaction: Reaction<State>, label: String, hunt: Hunt, step: Step) -> Reaction<State> {
    match step {
        Step::Build(buildset) => {
            reaction.state.hunts.insert(label.clone(), hunt);
            tell(reaction.build(buildset.label(label)))
        }
        Step::Done(text) => {
            reaction.state.last = text;
            tell(reaction)
        }
    }
}

/// Says what people can see: what was found last, and what it looks for.
fn tell(reaction: Reaction<State>) -> Reaction<State> {
    let state = &reaction.state;
    let hunts = state.hunts.values().map(Hunt::progress);
    let last = Some(state.last.clone()).filter(|last| !last.is_empty());
    let status = hunts.chain(last).collect::<Vec<_>>().join("; ");
    reaction.status(status)
}

/// The sources of a build in a codebase, with the revision that it has found when it was asked for the latest. `None` when it has
/// no such codebase, and when something of it was patched: that is no change that could be found.
fn sources(build: &Build, codebase: &str) -> Option<SourceStamp> {
    let stamps = &build.source_stamps;
    if stamps.iter().any(|stamp| stamp.patch.is_some()) {
        return None;
    }
    let mut stamp = stamps
        .iter()
        .find(|stamp| stamp.codebase == codebase)?
        .clone();
    if stamp.revision.is_none() {
        stamp.revision = match build.properties.get("got_revision")? {
            Value::String(revision) => Some(revision.clone()),
            by_codebase => by_codebase.get(codebase)?.as_str().map(str::to_owned),
        };
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toolpost_sdk::Change;
    use toolpost_sdk::mock::SchedulerRun;

    fn stamp(id: u64) -> SourceStamp {
        SourceStamp {
            branch: Some("main".to_owned()),
            revision: Some(format!("r{id}")),
            ..SourceStamp::default()
        }
    }

    fn build(number: u64, change: u64, results: Results) -> Build {
        Build {
            builder: "linux".to_owned(),
            number,
            results,
            source_stamps: vec![stamp(change)],
            ..Build::default()
        }
    }

    /// A builder that works with change 1, and fails with change 9.
    fn broken(parameters: Value) -> SchedulerRun<Bisect> {
        let mut run = SchedulerRun::new(parameters).builders(&["linux", "mac"]);
        for id in 1..=9 {
            run.change(Change {
                id,
                branch: Some("main".to_owned()),
                revision: Some(format!("r{id}")),
                ..Change::default()
            });
        }
        run.build_finished(build(1, 1, Results::Success));
        run.build_finished(build(2, 9, Results::Failure));
        run
    }

    fn revision(run: &SchedulerRun<Bisect>, index: usize) -> &str {
        let stamp = &run.buildsets()[index].source_stamps[0];
        stamp.revision.as_deref().expect("it has a revision")
    }

    #[test]
    fn the_first_bad_change_is_found_and_told() {
        let mut run = broken(json!({}));
        assert_eq!(
            run.status(),
            "looking for what broke linux in build 2: 8 changes of 8 left"
        );
        // Of the changes 2 to 9, the sixth is the first bad one.
        for (index, expected, results) in [
            (0, "r5", Results::Success),
            (1, "r7", Results::Failure),
            (2, "r6", Results::Warnings),
        ] {
            assert_eq!(revision(&run, index), expected);
            assert!(
                run.buildsets()[index].changes.is_empty(),
                "nobody is blamed yet"
            );
            run.finish(index, results);
        }
        let last = &run.buildsets()[3];
        assert_eq!(last.changes, [7]);
        assert_eq!(last.builders, ["linux"]);
        assert_eq!(last.reason, "change 7 (r7) broke build 2 of linux");
        assert_eq!(
            Value::Object(last.properties.clone()),
            json!({
                "bisect_build": 2,
                "bisect_suspects": ["r7"],
                "bisect_first_bad_revision": "r7",
                "bisect_first_bad_change": 7,
            })
        );
        run.finish(3, Results::Failure);
        assert_eq!(run.status(), "change 7 (r7) broke linux");
        run.build_finished(build(7, 9, Results::Failure));
        assert_eq!(run.buildsets().len(), 4, "it is known");
    }

    #[test]
    fn a_failure_that_comes_and_goes_is_told() {
        let mut run = broken(json!({}));
        for index in 0..3 {
            run.finish(index, Results::Failure);
        }
        assert_eq!(revision(&run, 3), "r2");
        run.finish(3, Results::Success);
        assert!(
            run.status().ends_with("the failure comes and goes"),
            "{}",
            run.status()
        );
    }

    #[test]
    fn what_cannot_be_built_leaves_a_range() {
        let mut run = broken(json!({}));
        let mut index = 0;
        while index < run.buildsets().len() {
            let results = match revision(&run, index) {
                "r2" | "r3" => Results::Success,
                "r8" | "r9" => Results::Failure,
                _ => Results::Exception,
            };
            run.finish(index, results);
            index += 1;
        }
        assert_eq!(
            run.status(),
            "one of the changes 4 (r4) to 8 (r8) broke linux"
        );
        let last = run.buildsets().last().expect("there were some");
        assert_eq!(last.changes, [4, 5, 6, 7, 8]);
        assert_eq!(last.properties.get("bisect_first_bad_revision"), None);
    }

    #[test]
    fn without_confirmation_only_the_status_tells() {
        let mut run = broken(json!({"confirm": false}));
        for index in 0..3 {
            run.finish(index, Results::Success);
        }
        assert_eq!(run.buildsets().len(), 3);
        assert_eq!(run.status(), "change 9 (r9) broke linux");
    }

    #[test]
    fn a_single_suspect_needs_no_build() {
        let mut run = broken(json!({"watch": ["mac"]}));
        assert_eq!(run.buildsets(), [], "linux is not watched");
        let mac = |number, change, results| Build {
            builder: "mac".to_owned(),
            ..build(number, change, results)
        };
        run.build_finished(mac(1, 8, Results::Success));
        run.build_finished(mac(2, 9, Results::Failure));
        assert_eq!(run.buildsets(), []);
        assert_eq!(run.status(), "change 9 (r9) broke mac");
    }

    #[test]
    fn the_latest_is_what_the_build_has_found() {
        let found = |property: Value| {
            let mut build = build(1, 1, Results::Failure);
            build.source_stamps[0].revision = None;
            build.properties.insert("got_revision".to_owned(), property);
            sources(&build, "").and_then(|stamp| stamp.revision)
        };
        assert_eq!(found(json!("r4")).as_deref(), Some("r4"));
        assert_eq!(
            found(json!({"": "r5", "docs": "r6"})).as_deref(),
            Some("r5")
        );
        assert_eq!(found(json!({"docs": "r6"})), None);
    }

    #[test]
    fn what_somebody_tries_is_nothing_to_look_for() {
        let mut run = broken(json!({"watch": ["mac"]}));
        let mac = |number, change, results| Build {
            builder: "mac".to_owned(),
            ..build(number, change, results)
        };
        run.build_finished(mac(1, 7, Results::Success));
        let mut patched = mac(2, 9, Results::Failure);
        patched.source_stamps[0].patch = Some(1);
        run.build_finished(patched);
        assert_eq!(run.buildsets(), []);
        run.build_finished(mac(3, 8, Results::Failure));
        assert_eq!(run.status(), "change 8 (r8) broke mac");
    }

    #[test]
    fn hunts_of_builders_that_are_gone_are_given_up() {
        let mut run = broken(json!({}));
        run.reconfigure(json!({"watch": ["mac"]}))
            .expect("it is fine");
        run.finish(0, Results::Success);
        assert_eq!(run.buildsets().len(), 1);
        let error = run
            .reconfigure(json!({"watch": ["bsd"]}))
            .expect_err("there is none");
        assert!(
            error
                .to_string()
                .starts_with("parameter `watch`: `bsd` is not one"),
            "{error}"
        );
    }
}
