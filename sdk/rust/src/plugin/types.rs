//! Entries of the tables: types without their Rust types.

use crate::scheduler::{Event, ForceRequest, ForceValues};
use crate::{
    Context, Delivery, Error, Outcome, Reaction, ReportOutcome, Reporter, ReporterContext,
    Scheduler, SchedulerContext, Step,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A step type in the table of a [`Plugin`](crate::Plugin).
#[derive(Debug, Clone)]
pub struct StepType {
    /// The name that the configuration uses.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Makes the JSON Schema of its parameters.
    schema: fn() -> Value,
    run: fn(Value, &Context) -> Result<Outcome, Error>,
}

impl StepType {
    /// The table entry of a step.
    #[must_use]
    pub fn of<S: Step>() -> Self {
        Self {
            name: S::NAME,
            summary: S::SUMMARY,
            schema: schema::<S::Parameters>,
            run: |parameters, ctx| S::run(from_parameters(parameters)?, ctx),
        }
    }

    /// JSON Schema (draft 2020-12) of its parameters.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    pub(crate) fn run_with(&self, parameters: Value, ctx: &Context) -> Result<Outcome, Error> {
        (self.run)(parameters, ctx)
    }
}

/// A scheduler type in the table of a [`Plugin`](crate::Plugin).
#[derive(Debug, Clone)]
pub struct SchedulerType {
    /// The name that the configuration uses.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    schema: fn() -> Value,
    force_schema: fn() -> Option<Value>,
    handle: Handle,
}

/// [`Scheduler::handle`] with JSON in the place of its types.
type Handle = fn(Value, Value, Event<Value>, &SchedulerContext) -> Result<Reaction<Value>, Error>;

impl SchedulerType {
    /// The table entry of a scheduler.
    #[must_use]
    pub fn of<S: Scheduler>() -> Self {
        Self {
            name: S::NAME,
            summary: S::SUMMARY,
            schema: schema::<S::Parameters>,
            force_schema: S::Force::schema,
            handle: handle::<S>,
        }
    }

    /// JSON Schema (draft 2020-12) of its parameters.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// JSON Schema of what a person fills in who forces it; `None` when it cannot be forced.
    #[must_use]
    pub fn force_schema(&self) -> Option<Value> {
        (self.force_schema)()
    }

    pub(crate) fn handle_with(
        &self,
        parameters: Value,
        state: Value,
        event: Event<Value>,
        ctx: &SchedulerContext,
    ) -> Result<Reaction<Value>, Error> {
        (self.handle)(parameters, state, event, ctx)
    }
}

/// Lets a scheduler handle an event; its state is JSON on both sides, `null` at first.
pub(crate) fn handle<S: Scheduler>(
    parameters: Value,
    state: Value,
    event: Event<Value>,
    ctx: &SchedulerContext,
) -> Result<Reaction<Value>, Error> {
    let state = match state {
        Value::Null => S::State::default(),
        state => serde_path_to_error::deserialize(state).map_err(|error| {
            Error::permanent(format!(
                "the state of an earlier version does not fit: {error}"
            ))
        })?,
    };
    let event = match event {
        Event::Configured(configuration) => Event::Configured(configuration),
        Event::Change(change) => Event::Change(change),
        Event::Timer => Event::Timer,
        Event::BuildFinished(build) => Event::BuildFinished(build),
        Event::BuildsetComplete(buildset) => Event::BuildsetComplete(buildset),
        Event::Force(request) => Event::Force(ForceRequest {
            owner: request.owner,
            reason: request.reason,
            values: S::Force::parse(request.values)?,
        }),
    };
    let reaction = S::handle(from_parameters(parameters)?, state, event, ctx)?;
    let state = serde_json::to_value(reaction.state)
        .map_err(|error| Error::permanent(format!("the state cannot be JSON: {error}")))?;
    Ok(Reaction {
        state,
        actions: reaction.actions,
    })
}

/// A reporter type in the table of a [`Plugin`](crate::Plugin).
#[derive(Debug, Clone)]
pub struct ReporterType {
    /// The name that the configuration uses.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    schema: fn() -> Value,
    report: fn(Value, &Delivery, &ReporterContext) -> Result<ReportOutcome, Error>,
}

impl ReporterType {
    /// The table entry of a reporter.
    #[must_use]
    pub fn of<R: Reporter>() -> Self {
        Self {
            name: R::NAME,
            summary: R::SUMMARY,
            schema: schema::<R::Parameters>,
            report: |parameters, delivery, ctx| {
                R::report(from_parameters(parameters)?, delivery, ctx)
            },
        }
    }

    /// JSON Schema (draft 2020-12) of its parameters.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    pub(crate) fn report_with(
        &self,
        parameters: Value,
        delivery: &Delivery,
        ctx: &ReporterContext,
    ) -> Result<ReportOutcome, Error> {
        (self.report)(parameters, delivery, ctx)
    }
}

fn schema<P: JsonSchema>() -> Value {
    schemars::schema_for!(P).to_value()
}

/// What a person has written as this type; the error names the field that does not fit.
pub(crate) fn from_parameters<P: DeserializeOwned>(parameters: Value) -> Result<P, Error> {
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        // The path of the whole is written as a dot.
        let field = if path == "." { String::new() } else { path };
        Error::config(field, error.into_inner())
    })
}
