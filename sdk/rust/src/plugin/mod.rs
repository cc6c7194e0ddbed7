//! A plugin as tables of its types.

mod macros;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use types::from_parameters;
#[cfg(not(target_family = "wasm"))]
pub(crate) use types::handle;
pub use types::{ReporterType, SchedulerType, StepType};

use crate::scheduler::Event;
use crate::{
    Context, Delivery, Error, Outcome, Reaction, ReportOutcome, ReporterContext, SchedulerContext,
};
use serde_json::Value;

/// A plugin: who it is, and what it brings.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its name, which is the name of its file without `.wasm`.
    pub name: &'static str,
    /// The author's version, for people.
    pub version: &'static str,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// Its step types.
    pub steps: Vec<StepType>,
    /// Its scheduler types.
    pub schedulers: Vec<SchedulerType>,
    /// Its reporter types.
    pub reporters: Vec<ReporterType>,
    /// What it needs beyond the contract.
    pub wants: Vec<Capability>,
}

impl Plugin {
    /// Runs a step type by its name, as the host asks for it.
    ///
    /// # Errors
    ///
    /// Those of the step; [`Error::Permanent`] for a name that the plugin does not have.
    pub fn run(&self, type_name: &str, parameters: Value, ctx: &Context) -> Result<Outcome, Error> {
        let found = self.steps.iter().find(|step| step.name == type_name);
        found
            .ok_or_else(|| self.has_no("step", type_name))?
            .run_with(parameters, ctx)
    }

    /// Lets a scheduler type handle an event, as the host asks for it.
    ///
    /// # Errors
    ///
    /// Those of the scheduler; [`Error::Permanent`] for a name that the plugin does not have.
    pub fn handle(
        &self,
        type_name: &str,
        parameters: Value,
        state: Value,
        event: Event<Value>,
        ctx: &SchedulerContext,
    ) -> Result<Reaction<Value>, Error> {
        let found = self.schedulers.iter().find(|other| other.name == type_name);
        found
            .ok_or_else(|| self.has_no("scheduler", type_name))?
            .handle_with(parameters, state, event, ctx)
    }

    /// Lets a reporter type tell something, as the host asks for it.
    ///
    /// # Errors
    ///
    /// Those of the reporter; [`Error::Permanent`] for a name that the plugin does not have.
    pub fn report(
        &self,
        type_name: &str,
        parameters: Value,
        delivery: &Delivery,
        ctx: &ReporterContext,
    ) -> Result<ReportOutcome, Error> {
        let found = self.reporters.iter().find(|other| other.name == type_name);
        found
            .ok_or_else(|| self.has_no("reporter", type_name))?
            .report_with(parameters, delivery, ctx)
    }

    fn has_no(&self, kind: &str, type_name: &str) -> Error {
        Error::permanent(format!(
            "the plugin {} has no {kind} type `{type_name}`",
            self.name
        ))
    }
}

/// Something that only the operator can allow, in the plugin's section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// HTTP requests to this host (`chat.example.org` or `chat.example.org:8443`). `*`: to hosts that only the
    /// operator knows, because they are parameters.
    HttpHost(String),
    /// The secret of this name. `*`: secrets that only the operator knows.
    Secret(String),
    /// This variable of the master's environment.
    Environment(String),
    /// Values that outlive a call.
    Storage,
    /// Mail through the master's server.
    Mail,
    /// Builds of this builder. `*`: of builders that only the operator knows, because they are parameters.
    Trigger(String),
    /// Reading what builds of this builder have kept, when it is not the builder of the step. `*`: of builders that only the
    /// operator knows, because they are parameters.
    Artifacts(String),
}
