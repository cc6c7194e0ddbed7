//! Runs a test of a scheduler: a small farm whose journal is in memory and whose time jumps to what happens next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use toolpost_core::schedule::plugin::{Due, Reaction, WantedBuildset};
use toolpost_replay::recording::StampFacts;
use toolpost_sandbox::scheduler::{Event, Question};
use toolpost_sandbox::{
    CallLimits, CallUsage, LineTarget, PluginVersion, SandboxError, SchedulerType,
};

use crate::judge::{Usual, judge};
use crate::script::scheduler::{BuildTable, SchedulerScript};
use crate::script::values::{Moment, show_moment};
use crate::script::{Answers, Play, Test};
use crate::seen;
use crate::stage::journal::{Journal, Scripted};
use crate::stage::show_span;
use crate::verdict::Verdict;

/// How long a test goes on after the last thing of its script.
const GOES_ON: Duration = Duration::from_secs(24 * 60 * 60);

/// Events that one test may have: a scheduler that always asks for the next one comes to an end, too.
const EVENTS_MAX: usize = 10_000;

const USUAL: Usual = Usual {
    name: "error",
    value: "",
};

/// Runs a scheduler through its script.
pub(super) async fn run(mut test: Test, plugin: &Arc<PluginVersion>) -> Result<Verdict, String> {
    let start = test
        .common
        .start(&test.source)
        .map_err(|fault| fault.text)?;
    let named = test
        .common
        .use_type
        .as_ref()
        .map(|name| name.get_ref().as_str());
    let mut types = plugin.scheduler_types().into_iter();
    let scheduler = types.find(|known| named.is_none_or(|name| known.info().name() == name));
    let scheduler = scheduler.ok_or("the plugin has no such scheduler")?;
    let limits = test.common.limits(CallLimits::handle());
    let parameters = test.common.parameters();
    let source = Arc::clone(&test.source);
    let Play::Scheduler(script) = &mut test.play else {
        return Err("it is no test of a scheduler".into());
    };
    let builds = std::mem::take(&mut script.build);
    let mut run = Run {
        builds: Answers::new(&source, builds, |table| table.times),
        journal: Journal::new(script, scheduler.info().name(), start, &parameters),
        scheduler: &scheduler,
        parameters,
        limits,
        lines: Arc::default(),
        buildsets: Vec::new(),
        heard: Vec::new(),
        usage: CallUsage::default(),
        error: None,
        refused: None,
        start,
        now: start,
    };
    let scripted = scripted(script, start)?;
    let last = scripted.last().map_or(start, |(at, _)| *at);
    let until = match &script.until {
        None => last.after(GOES_ON),
        Some(until) => absolute(*until.get_ref(), start),
    };
    run.play(scripted, until).await?;
    let seen = run.seen();
    let mut mismatches = judge(&test, &seen, &USUAL);
    mismatches.extend(
        run.builds
            .left("a build that was expected", BuildTable::name),
    );
    let error = run.error.as_ref();
    Ok(Verdict {
        mismatches,
        seen,
        stack: error
            .map(|error| error.stack().0.clone())
            .unwrap_or_default(),
        virtual_time: run.now.since(start),
        cpu: run.usage.cpu,
        memory_peak_bytes: run.usage.memory_peak_bytes,
    })
}

fn absolute(moment: Moment, start: Timestamp) -> Timestamp {
    match moment {
        Moment::At(at) => at,
        Moment::After(span) => start.after(span),
    }
}

/// What the script says that happens, in the order of the times.
fn scripted(
    script: &SchedulerScript,
    start: Timestamp,
) -> Result<Vec<(Timestamp, Scripted)>, String> {
    let mut all = Vec::new();
    let mut last = start;
    for (number, event) in (1..).zip(&script.event) {
        let event = event.get_ref();
        // Without a time it happens right after the one before it.
        let at = event.at.map_or(last, |at| absolute(at, start));
        last = at;
        let what = Scripted::read(event).map_err(|text| format!("event {number}: {text}"))?;
        all.push((at, what));
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all)
}

/// A test that runs.
struct Run<'a> {
    scheduler: &'a SchedulerType,
    journal: Journal,
    builds: Answers<BuildTable>,
    parameters: Value,
    limits: CallLimits,
    lines: Arc<Mutex<Vec<Value>>>,
    buildsets: Vec<Value>,
    heard: Vec<Value>,
    usage: CallUsage,
    error: Option<SandboxError>,
    refused: Option<String>,
    start: Timestamp,
    now: Timestamp,
}

impl Run<'_> {
    /// Lets everything happen until then, or until the scheduler fails.
    async fn play(
        &mut self,
        scripted: Vec<(Timestamp, Scripted)>,
        until: Timestamp,
    ) -> Result<(), String> {
        let mut scripted = scripted.into_iter().peekable();
        loop {
            while let Some(due) = self.journal.next(self.now) {
                if self.heard.len() >= EVENTS_MAX {
                    return Err(format!("it is not over after {EVENTS_MAX} events"));
                }
                self.handle(due).await?;
                if self.error.is_some() || self.refused.is_some() {
                    return Ok(());
                }
            }
            let next_scripted = scripted.peek().map(|(at, _)| *at);
            let next_own = self.journal.next_at();
            let Some(at) = next_scripted.into_iter().chain(next_own).min() else {
                return Ok(());
            };
            if at > until {
                return Ok(());
            }
            self.now = self.now.max(at);
            self.journal.come_to(self.now);
            if next_scripted == Some(at)
                && let Some((_, what)) = scripted.next()
            {
                if let Scripted::Parameters(parameters) = &what {
                    self.parameters = Value::Object(parameters.clone());
                }
                if let Scripted::Force(form) = &what {
                    let values = Value::Object(form.values.clone());
                    self.scheduler.info().check_force(&values)?;
                }
                self.journal.happen(what, self.now)?;
            }
        }
    }

    /// Tells the scheduler of an event, and does what it wants.
    async fn handle(&mut self, due: Due) -> Result<(), String> {
        let event = self.journal.event(due);
        self.heard.push(Value::from(self.describe(&event)));
        let question = Question {
            parameters: &self.parameters,
            state: self.journal.state().memory(),
            event,
            now: self.now,
        };
        let limits = self.limits.clone();
        let answer = self
            .scheduler
            .handle(question, limits, self.log(), CancellationToken::new())
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.error = Some(error);
                return Ok(());
            }
        };
        self.usage.cpu += answer.usage.cpu;
        let peak = self.usage.memory_peak_bytes;
        self.usage.memory_peak_bytes = peak.max(answer.usage.memory_peak_bytes);
        let taken = Reaction::try_from(answer)
            .map_err(|error| error.to_string())
            .and_then(|reaction| self.journal.handled(due, reaction, self.now));
        match taken {
            Err(refusal) => self.refused = Some(refusal),
            Ok(buildsets) => {
                for wanted in buildsets {
                    self.add(&wanted)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a build set, whose builds come to what the script says.
    fn add(&mut self, wanted: &WantedBuildset) -> Result<(), String> {
        self.buildsets.push(self.note(wanted));
        let revision = wanted
            .source_stamps
            .iter()
            .find_map(|stamp| stamp.revision.clone());
        let revision = revision.unwrap_or_default();
        let answers: Vec<Option<BuildTable>> = wanted
            .builders
            .iter()
            .map(|builder| {
                let is_for = |answer: &BuildTable| answer.is_for(builder, &revision, &wanted.label);
                self.builds.take(is_for).cloned()
            })
            .collect();
        self.journal.build(wanted, answers, self.now)
    }

    fn note(&self, wanted: &WantedBuildset) -> Value {
        let stamps = wanted.source_stamps.iter().cloned();
        let first = wanted.source_stamps.first();
        let changes: Vec<i64> = wanted.changes.iter().map(|change| change.0).collect();
        json!({
            "label": wanted.label,
            "at": show_span(self.now.since(self.start)),
            "time": show_moment(self.now),
            "builders": wanted.builders,
            "reason": wanted.reason,
            "branch": first.and_then(|stamp| stamp.branch.clone()),
            "revision": first.and_then(|stamp| stamp.revision.clone()),
            "source_stamps": stamps.map(StampFacts::from).collect::<Vec<_>>(),
            "changes": changes,
            "properties": wanted.properties,
            "priority": wanted.priority,
        })
    }

    fn describe(&self, event: &Event) -> String {
        let what = match event {
            Event::Configured(_) => "configured".into(),
            Event::Change(change) => format!("change {}", change.id),
            Event::Timer => "timer".into(),
            Event::BuildFinished(build) => format!("build finished {}", build.id),
            Event::BuildsetComplete(set) => format!("build set complete {}", set.id),
            Event::Force(_) => "force".into(),
        };
        format!("{} {what}", show_span(self.now.since(self.start)))
    }

    fn log(&self) -> LineTarget {
        let lines = Arc::clone(&self.lines);
        Arc::new(move |level, line| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(Value::from(format!("{}: {line}", seen::word(level))));
        })
    }

    fn seen(&mut self) -> Map<String, Value> {
        let mut seen = Map::new();
        let mut set = |name: &str, value: Value| seen.insert(name.to_owned(), value);
        let state = self.journal.state();
        set(
            "buildsets",
            Value::Array(std::mem::take(&mut self.buildsets)),
        );
        set("status", Value::from(state.status()));
        if let Some(at) = state.wake_at() {
            set("wake", Value::from(show_span(at.since(self.start))));
            set("wake_time", Value::from(show_moment(at)));
        }
        set("state", state.memory().clone());
        set("listens", self.journal.listens());
        set("events", Value::Array(std::mem::take(&mut self.heard)));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        set("log", Value::Array(std::mem::take(&mut *lines)));
        if let Some(refused) = &self.refused {
            set("error", Value::from(refused.as_str()));
            set("error_kind", Value::from("refused"));
        }
        seen::insert_error(&mut seen, self.error.as_ref());
        seen
    }
}
