//! Renders what the configuration says of a step, with the properties as they are when it starts.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_config::config::{BuilderConfig, EnvironmentValue, StepConfig};
use toolpost_core::step::StepTexts;
use toolpost_core::template::Scope;
use toolpost_worker::EnvValue;

use crate::properties::TEMPLATES;

/// A step without templates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RenderedStep {
    pub(crate) parameters: Value,
    /// Directory, relative to the build's.
    pub(crate) workdir: String,
    /// Environment of all commands of the builder.
    pub(crate) env: BTreeMap<String, EnvValue>,
    pub(crate) texts: StepTexts,
}

/// What templates can name: in most places, and where placeholders of secrets may be.
pub(crate) struct Scopes<'a> {
    pub(crate) plain: &'a Scope,
    pub(crate) with_secrets: &'a Scope,
}

/// Renders a step.
///
/// # Errors
/// The first text that cannot be rendered, with its place.
pub(crate) fn render(
    builder: &BuilderConfig,
    step: &StepConfig,
    scopes: &Scopes<'_>,
) -> Result<RenderedStep, String> {
    let render_in = |scope: &Scope, what: &str, text: &str| {
        TEMPLATES
            .render(text, scope)
            .map_err(|error| format!("`{what}`: {error}"))
    };
    let text = |what: &str, text: &str| render_in(scopes.plain, what, text);
    let optional = |what: &str, given: &Option<String>| {
        given.as_deref().map(|given| text(what, given)).transpose()
    };
    let mut parameters = serde_json::Map::new();
    for (name, value) in &step.parameters {
        let value = TEMPLATES
            .render_value(value, scopes.with_secrets)
            .map_err(|error| format!("parameter `{name}`: {error}"))?;
        parameters.insert(name.clone(), value);
    }
    let mut env = BTreeMap::new();
    for (name, value) in &builder.env {
        let value = match value {
            EnvironmentValue::Set(value) => {
                let what = format!("env.{name}");
                EnvValue::Set(render_in(scopes.with_secrets, &what, value)?)
            }
            EnvironmentValue::Unset => EnvValue::Unset,
        };
        env.insert(name.clone(), value);
    }
    let options = &step.options;
    Ok(RenderedStep {
        parameters: Value::Object(parameters),
        workdir: text(
            "workdir",
            options.workdir.as_ref().unwrap_or(&builder.workdir),
        )?,
        env,
        texts: StepTexts {
            description: optional("description", &options.description)?,
            description_done: optional("description_done", &options.description_done)?,
            description_suffix: optional("description_suffix", &options.description_suffix)?,
        },
    })
}

/// The name of a step as it is recorded, before it is made unique. A name that cannot be rendered yet is kept
/// as written: the mistake is told when the step starts.
pub(crate) fn name(step: &StepConfig, scope: &Scope) -> String {
    match &step.options.name {
        None => step.step_type.clone(),
        Some(name) => TEMPLATES
            .render(name, scope)
            .unwrap_or_else(|_| name.clone()),
    }
}
