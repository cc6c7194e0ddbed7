//! Puts secrets into commands on their way to the worker.

use std::collections::BTreeSet;

use serde_json::Value;
use toolpost_core::secret::placeholders;
use toolpost_worker::{CommandSpec, EnvValue, Invocation};

use super::context::StepContext;
use super::outcome::Fault;
use crate::secrets::Filling;

/// A reference that the worker would expand in the value of a variable.
const EXPANDED: &str = "${";

/// The command with the secrets in it that this step may use: those that the configuration gives it, and those that
/// are granted to its plugin.
pub(super) async fn filled(
    step: &StepContext,
    mut spec: CommandSpec,
) -> Result<CommandSpec, Fault> {
    let capabilities = &step.build.capabilities;
    let given: BTreeSet<&str> = match &step.plugin {
        Some(_) => given(step),
        None => BTreeSet::new(),
    };
    let may_use = |name: &str| match &step.plugin {
        None => true,
        Some(wanted) => {
            given.contains(capabilities.secrets.placeholder(name).as_str())
                || capabilities.may_use(wanted, name)
        }
    };
    let filling = capabilities.secrets.filling(texts(&spec), may_use).await;
    let filling = filling.map_err(|error| {
        Fault::Exception(match &step.plugin {
            Some(wanted) => capabilities.refused_secret(wanted, &error).to_string(),
            None => error.to_string(),
        })
    })?;
    if !filling.is_empty() {
        fill(&mut spec, &filling)?;
    }
    Ok(spec)
}

/// Placeholders in what the configuration says of a step.
fn given(step: &StepContext) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    given_in(&step.rendered.parameters, &mut found);
    for value in step.rendered.env.values() {
        if let EnvValue::Set(text) = value {
            found.extend(placeholders(text.as_bytes()));
        }
    }
    found
}

fn given_in<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::String(text) => found.extend(placeholders(text.as_bytes())),
        Value::Array(items) => items.iter().for_each(|item| given_in(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| given_in(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn texts(spec: &CommandSpec) -> Vec<&[u8]> {
    let words = match &spec.invocation {
        Invocation::Argv(words) => words.as_slice(),
        Invocation::Shell(line) => std::slice::from_ref(line),
    };
    let values = spec.env.values().flat_map(|value| match value {
        EnvValue::Unset => &[],
        EnvValue::Set(text) => std::slice::from_ref(text),
        EnvValue::List(texts) => texts.as_slice(),
    });
    let texts = words.iter().chain(values).map(String::as_bytes);
    texts.chain(spec.stdin.as_deref()).collect()
}

fn fill(spec: &mut CommandSpec, filling: &Filling) -> Result<(), Fault> {
    match &mut spec.invocation {
        Invocation::Argv(words) => {
            for word in words {
                *word = filling.text(word);
            }
        }
        Invocation::Shell(line) => *line = filling.text(line),
    }
    for (name, value) in &mut spec.env {
        match value {
            EnvValue::Unset => {}
            EnvValue::Set(text) => *text = variable(name, text, filling)?,
            EnvValue::List(texts) => {
                for text in texts {
                    *text = variable(name, text, filling)?;
                }
            }
        }
    }
    if let Some(stdin) = &mut spec.stdin {
        *stdin = filling.bytes(stdin).into();
    }
    Ok(())
}

fn variable(name: &str, text: &str, filling: &Filling) -> Result<String, Fault> {
    let filled = filling.text(text);
    if filled.matches(EXPANDED).count() > text.matches(EXPANDED).count() {
        return Err(Fault::Exception(format!(
            "a secret with `{EXPANDED}` in it cannot be in the variable `{name}`, where the worker expands that: use `stdin`"
        )));
    }
    Ok(filled)
}
