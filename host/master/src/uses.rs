//! Where the running configuration uses types: what a new version of a plugin must not break.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use toolpost_config::config::{PluginConfig, StepUse as ConfiguredUse};
use toolpost_config::{Config, ParametersSchema};
use toolpost_sandbox::registry::TypeUse;
use toolpost_sandbox::{PluginKind, TypeInfo, UseCheck, Want};

use crate::services::missing;

/// Tells the plugin registry where the running configuration uses step types. Made before the registry,
/// filled by the master: until then nothing is used.
#[derive(Default)]
pub struct RunningUses {
    running: ArcSwapOption<Config>,
    /// What plugins may do until a configuration runs.
    first_plugins: BTreeMap<String, Arc<PluginConfig>>,
}

impl RunningUses {
    /// With the settings of plugins in the configuration that is about to run, whose other parts can be checked only when
    /// the plugins are there.
    #[must_use]
    pub fn with_plugins(plugins: BTreeMap<String, Arc<PluginConfig>>) -> Self {
        Self {
            running: ArcSwapOption::empty(),
            first_plugins: plugins,
        }
    }

    /// Those of a configuration that does not run.
    #[must_use]
    pub fn of(config: Config) -> Self {
        Self {
            running: ArcSwapOption::from_pointee(config),
            first_plugins: BTreeMap::new(),
        }
    }

    /// From now on these are the uses.
    pub(crate) fn set(&self, config: Arc<Config>) {
        self.running.store(Some(config));
    }

    /// The running configuration, as soon as there is one.
    pub(crate) fn config(&self) -> Option<Arc<Config>> {
        self.running.load_full()
    }
}

impl UseCheck for RunningUses {
    fn uses_of(&self, kind: PluginKind, name: &str) -> Vec<TypeUse> {
        match self.running.load_full() {
            Some(config) => UsesOf(config).uses_of(kind, name),
            None => Vec::new(),
        }
    }

    fn not_granted(&self, plugin: &str, wants: &[Want]) -> Vec<Want> {
        match self.running.load_full() {
            Some(config) => UsesOf(config).not_granted(plugin, wants),
            None => not_granted(&self.first_plugins, plugin, wants),
        }
    }

    fn check(&self, info: &TypeInfo, type_use: &TypeUse) -> Result<(), String> {
        check(info, type_use)
    }
}

/// The uses of one configuration, whether it runs or not.
pub(crate) struct UsesOf(pub(crate) Arc<Config>);

impl UseCheck for UsesOf {
    fn uses_of(&self, kind: PluginKind, name: &str) -> Vec<TypeUse> {
        let config = &self.0;
        match kind {
            PluginKind::Step => {
                let uses = config.uses_of(name).map(|place| TypeUse {
                    place: describe(&place),
                    parameters: Value::Object(place.step.parameters.clone()),
                });
                uses.collect()
            }
            PluginKind::Reporter => {
                let uses = config.reporter_uses_of(name).map(|reporter| TypeUse {
                    place: format!("reporter `{}`", reporter.name),
                    parameters: Value::Object(reporter.parameters.clone()),
                });
                uses.collect()
            }
            PluginKind::Scheduler => {
                let uses = config.scheduler_uses_of(name).map(|place| TypeUse {
                    place: format!("scheduler `{}`", place.scheduler.name),
                    parameters: Value::Object(place.plugin.parameters.clone()),
                });
                uses.collect()
            }
        }
    }

    fn not_granted(&self, plugin: &str, wants: &[Want]) -> Vec<Want> {
        not_granted(&self.0.plugins, plugin, wants)
    }

    fn check(&self, info: &TypeInfo, type_use: &TypeUse) -> Result<(), String> {
        check(info, type_use)
    }
}

fn not_granted(
    plugins: &BTreeMap<String, Arc<PluginConfig>>,
    plugin: &str,
    wants: &[Want],
) -> Vec<Want> {
    match plugins.get(plugin) {
        Some(plugin) => missing(&plugin.grants, wants),
        None => wants.to_vec(),
    }
}

/// As the configuration itself is checked: in parameters of steps, strings that are templates fit everything.
fn check(info: &TypeInfo, type_use: &TypeUse) -> Result<(), String> {
    let schema = ParametersSchema::compile(info.schema()).map_err(|error| error.to_string())?;
    let Value::Object(parameters) = &type_use.parameters else {
        return Err("parameters are not an object".into());
    };
    let problems = schema.check(info.kind(), parameters);
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        Ok(())
    } else {
        Err(texts.join("; "))
    }
}

fn describe(place: &ConfiguredUse<'_>) -> String {
    let builder = &place.builder.name;
    match &place.step.options.name {
        Some(name) => format!("builder `{builder}`, step `{name}`"),
        None => format!("builder `{builder}`, step {}", place.index + 1),
    }
}
