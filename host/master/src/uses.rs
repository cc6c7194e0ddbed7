//! Where the running configuration uses types: what a new version of a plugin must not break.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use toolpost_config::config::StepUse as ConfiguredUse;
use toolpost_config::{Config, ParametersSchema};
use toolpost_sandbox::registry::TypeUse;
use toolpost_sandbox::{PluginKind, TypeInfo, UseCheck};

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
    fn uses_of(&self, kind: PluginKind, name: &str) -> Vec<TypeUse> {
        let Some(config) = self.running.load_full() else {
            return Vec::new();
        };
        match kind {
            PluginKind::Step => {
                let uses = config.uses_of(name).map(|place| TypeUse {
                    place: describe(&place),
                    parameters: Value::Object(place.step.parameters.clone()),
                });
                uses.collect()
            }
            PluginKind::Scheduler | PluginKind::Reporter => Vec::new(),
        }
    }

    /// As the configuration itself is checked: strings that are templates fit everything.
    fn check(&self, info: &TypeInfo, type_use: &TypeUse) -> Result<(), String> {
        let schema = ParametersSchema::compile(info.schema()).map_err(|error| error.to_string())?;
        let Value::Object(parameters) = &type_use.parameters else {
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
