//! Where the running configuration uses step types: what a new version of a plugin must not break.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use toolpost_config::config::StepUse as ConfiguredUse;
use toolpost_config::{Config, ParametersSchema};
use toolpost_sandbox::registry::StepUse;
use toolpost_sandbox::{StepTypeInfo, UseCheck};

/// Tells the plugin registry where the running configuration uses step types. Made before the registry,
/// filled by the master: until then nothing is used.
#[derive(Default)]
pub struct RunningUses {
    running: ArcSwapOption<Config>,
}

impl RunningUses {
    /// From now on these are the uses.
    pub(crate) fn set(&self, config: Arc<Config>) {
        self.running.store(Some(config));
    }
}

impl UseCheck for RunningUses {
    fn uses_of(&self, step_type: &str) -> Vec<StepUse> {
        let Some(config) = self.running.load_full() else {
            return Vec::new();
        };
        let uses = config.uses_of(step_type).map(|place| StepUse {
            place: describe(&place),
            parameters: Value::Object(place.step.parameters.clone()),
        });
        uses.collect()
    }

    /// As the configuration itself is checked: strings that are templates fit everything.
    fn check(&self, step_type: &StepTypeInfo, step_use: &StepUse) -> Result<(), String> {
        let schema =
            ParametersSchema::compile(step_type.schema()).map_err(|error| error.to_string())?;
        let Value::Object(parameters) = &step_use.parameters else {
            return Err("parameters are not an object".into());
        };
        let problems = schema.check(parameters);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            Ok(())
        } else {
            Err(texts.join("; "))
        }
    }
}

fn describe(place: &ConfiguredUse<'_>) -> String {
    let builder = &place.builder.name;
    match &place.step.options.name {
        Some(name) => format!("builder `{builder}`, step `{name}`"),
        None => format!("builder `{builder}`, step {}", place.index + 1),
    }
}
