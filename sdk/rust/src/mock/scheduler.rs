//! The life of a scheduler, for tests.

use super::limit;
use super::services::MockServices;
use crate::plugin::handle;
use crate::scheduler::{
    Action, Build, Buildset, Configuration, Event, ForceRequest, Interest, NewBuildset,
};
use crate::{Change, Error, Level, Reaction, Results, Scheduler, SchedulerContext};
use serde_json::Value;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

const STATE_BYTES_MAX: usize = 1024 * 1024;
const ACTIONS_MAX: usize = 1_000;
const CHANGES_MAX: usize = 1_000;
const LABEL_BYTES_MAX: usize = 256;
/// So many timer events at one moment are a scheduler that wakes itself forever.
const TIMERS_AT_ONCE_MAX: usize = 1_000;
/// When a run begins unless told otherwise: 2026-01-01, 00:00 UTC.
const START_MS: u64 = 1_767_225_600_000;

/// A scheduler that lives: it gets events, a virtual clock keeps its timer, and its build sets are collected.
///
/// It keeps to the contract: the state goes through JSON between events, an error keeps the state, only what it
/// listens to is heard, and sizes are limited. Each event is handled twice, to see that the answer is the same.
///
/// See [`Scheduler`] for an example.
pub struct SchedulerRun<S> {
    parameters: Value,
    builders: Vec<String>,
    state: Value,
    now_ms: u64,
    wake_at_ms: Option<u64>,
    interests: Vec<Interest>,
    status: String,
    buildsets: Vec<NewBuildset>,
    builds: u64,
    is_configured: bool,
    services: Rc<MockServices>,
    scheduler: PhantomData<S>,
}

impl<S: Scheduler> SchedulerRun<S> {
    /// A scheduler with these parameters and one builder, `builder`, on 2026-01-01 at 00:00 UTC.
    #[must_use]
    pub fn new(parameters: Value) -> Self {
        Self {
            parameters,
            builders: vec!["builder".to_owned()],
            state: Value::Null,
            now_ms: START_MS,
            wake_at_ms: None,
            interests: vec![Interest::Changes],
            status: String::new(),
            buildsets: Vec::new(),
            builds: 0,
            is_configured: false,
            services: Rc::default(),
            scheduler: PhantomData,
        }
    }

    /// Lets it start these builders.
    #[must_use]
    pub fn builders(mut self, names: &[&str]) -> Self {
        self.builders = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Begins at this time, in milliseconds since 1970, UTC.
    #[must_use]
    pub fn start_at_ms(mut self, now_ms: u64) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Gives it its configuration, if it has not got it yet. All others do this, too.
    ///
    /// # Errors
    ///
    /// Those of the scheduler.
    pub fn configure(&mut self) -> Result<(), Error> {
        if self.is_configured {
            return Ok(());
        }
        self.is_configured = true;
        self.configured(true)
    }

    /// Changes its parameters, as an edited configuration does.
    ///
    /// # Errors
    ///
    /// Those of the scheduler.
    pub fn reconfigure(&mut self, parameters: Value) -> Result<(), Error> {
        self.configure()?;
        self.parameters = parameters;
        self.configured(false)
    }

    fn configured(&mut self, first: bool) -> Result<(), Error> {
        let builders = self.builders.clone();
        self.take(&Event::Configured(Configuration { first, builders }))
    }

    /// Gives it an event, whether it listens to it or not, and then the timer events that are due.
    ///
    /// # Errors
    ///
    /// Those of the scheduler, whose state is then as it was.
    pub fn handle(&mut self, event: &Event<Value>) -> Result<(), Error> {
        self.configure()?;
        self.take(event)?;
        self.run_timers(self.now_ms)
    }

    /// Lets a change arrive.
    ///
    /// # Panics
    ///
    /// When the scheduler makes an error of it.
    #[track_caller]
    pub fn change(&mut self, change: Change) {
        expect(self.configure());
        if self.interests.contains(&Interest::Changes) {
            expect(self.handle(&Event::Change(change)));
        }
    }

    /// Lets a build end that somebody else has asked for.
    ///
    /// # Panics
    ///
    /// When the scheduler makes an error of it.
    #[track_caller]
    pub fn build_finished(&mut self, build: Build) {
        expect(self.configure());
        if self
            .interests
            .contains(&Interest::BuildsOf(build.builder.clone()))
        {
            expect(self.handle(&Event::BuildFinished(build)));
        }
    }

    /// Lets all builds of one of its build sets end like this. They are counted from 0, as
    /// [`buildsets`](Self::buildsets) has them.
    ///
    /// # Panics
    ///
    /// When there is no such build set, or the scheduler makes an error of it.
    #[track_caller]
    pub fn finish(&mut self, index: usize, results: Results) {
        let id = index as u64 + 1;
        let new = self.buildsets[index].clone();
        let builders = if new.builders.is_empty() {
            self.builders.clone()
        } else {
            new.builders
        };
        let mut builds = Vec::new();
        for builder in builders {
            self.builds += 1;
            builds.push(Build {
                id: self.builds,
                builder,
                number: self.builds,
                results,
                buildset_id: id,
                source_stamps: new.source_stamps.clone(),
                properties: new.properties.clone(),
            });
        }
        for build in &builds {
            self.build_finished(build.clone());
        }
        expect(self.handle(&Event::BuildsetComplete(Buildset {
            id,
            label: new.label,
            results,
            builds,
        })));
    }

    /// Lets a person force it.
    ///
    /// # Errors
    ///
    /// Those of the scheduler, and [`Error::Config`] for values that do not fit.
    pub fn force(&mut self, owner: &str, reason: &str, values: Value) -> Result<(), Error> {
        self.handle(&Event::Force(ForceRequest {
            owner: owner.to_owned(),
            reason: reason.to_owned(),
            values,
        }))
    }

    /// Lets time pass, with all timers that come due.
    ///
    /// # Panics
    ///
    /// When the scheduler makes an error of it.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.advance_to_ms(self.now_ms.saturating_add(by_ms));
    }

    /// Lets time pass up to this, in milliseconds since 1970, UTC.
    ///
    /// # Panics
    ///
    /// When the scheduler makes an error of it.
    #[track_caller]
    pub fn advance_to_ms(&mut self, to_ms: u64) {
        expect(self.configure());
        expect(self.run_timers(to_ms));
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// The build sets that it has made.
    pub fn buildsets(&self) -> &[NewBuildset] {
        &self.buildsets
    }

    /// What it remembers.
    #[must_use]
    pub fn state(&self) -> &Value {
        &self.state
    }

    /// The text that people see beside its name.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.status
    }

    /// The time of its timer, in milliseconds since 1970, UTC.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        self.wake_at_ms
    }

    /// What it listens to.
    #[must_use]
    pub fn interests(&self) -> &[Interest] {
        &self.interests
    }

    /// What it has written to the log of the master.
    #[must_use]
    pub fn operator_log(&self) -> Vec<(Level, String)> {
        self.services.operator_log()
    }

    fn run_timers(&mut self, to_ms: u64) -> Result<(), Error> {
        let mut at_once = 0;
        while let Some(at_ms) = self.wake_at_ms.filter(|at_ms| *at_ms <= to_ms) {
            at_once = if at_ms <= self.now_ms { at_once + 1 } else { 0 };
            limit("the number of timers at once", at_once, TIMERS_AT_ONCE_MAX)?;
            self.now_ms = self.now_ms.max(at_ms);
            self.wake_at_ms = None;
            self.take(&Event::Timer)?;
        }
        Ok(())
    }

    fn take(&mut self, event: &Event<Value>) -> Result<(), Error> {
        let reaction = self.react(event, Rc::clone(&self.services))?;
        let again = self.react(event, Rc::default())?;
        assert_eq!(
            reaction, again,
            "the scheduler has not given the same answer twice to {event:?}"
        );
        self.check(&reaction)?;
        self.state = reaction.state;
        for action in reaction.actions {
            match action {
                Action::AddBuildset(new) => self.buildsets.push(new),
                Action::WakeAtMs(at_ms) => self.wake_at_ms = Some(at_ms),
                Action::NoWake => self.wake_at_ms = None,
                Action::Listen(interests) => self.interests = interests,
                Action::SetStatus(text) => self.status = text,
            }
        }
        Ok(())
    }

    fn react(
        &self,
        event: &Event<Value>,
        services: Rc<MockServices>,
    ) -> Result<Reaction<Value>, Error> {
        let ctx = SchedulerContext::new(services, self.now_ms);
        handle::<S>(
            self.parameters.clone(),
            self.state.clone(),
            event.clone(),
            &ctx,
        )
    }

    fn check(&self, reaction: &Reaction<Value>) -> Result<(), Error> {
        let state_bytes = reaction.state.to_string().len();
        limit("the state", state_bytes, STATE_BYTES_MAX)?;
        limit("the number of actions", reaction.actions.len(), ACTIONS_MAX)?;
        for action in &reaction.actions {
            let Action::AddBuildset(new) = action else {
                continue;
            };
            limit("the number of changes", new.changes.len(), CHANGES_MAX)?;
            limit("the label of a build set", new.label.len(), LABEL_BYTES_MAX)?;
            if let Some(other) = new
                .builders
                .iter()
                .find(|name| !self.builders.contains(name))
            {
                let text = format!("`{other}` is not one of the scheduler's builders");
                return Err(Error::permanent(text));
            }
        }
        Ok(())
    }
}

#[track_caller]
fn expect(result: Result<(), Error>) {
    if let Err(error) = result {
        panic!("the scheduler made an error: {error}");
    }
}
