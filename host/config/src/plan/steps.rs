//! Changes in the list of a builder's steps.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use toolpost_core::step::{BuildSummaryPolicy, FailurePolicy, StepOptions, When};

use super::facts::{FactList, duration, fact, locks_as_json};
use super::{FieldChange, field_changes};
use crate::config::StepConfig;

/// Compares two lists of steps. What is equal at both ends is left out, so that a step put in between
/// shows as one step added, and not as every later one changed.
pub(super) fn changes(old: &[Arc<StepConfig>], new: &[Arc<StepConfig>]) -> Vec<FieldChange> {
    let same = |(a, b): &(&Arc<StepConfig>, &Arc<StepConfig>)| a == b;
    let front = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[front..], &new[front..]);
    let back = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(same)
        .count();
    let (old, new) = (&old[..old.len() - back], &new[..new.len() - back]);
    let mut changes = Vec::new();
    for index in 0..old.len().max(new.len()) {
        match (old.get(index), new.get(index)) {
            (Some(old), Some(new)) if old.step_type == new.step_type => {
                let label = label(front + index, new);
                for mut change in field_changes(facts(old), facts(new)) {
                    change.field = format!("{label} {}", change.field);
                    changes.push(change);
                }
            }
            (old, new) => {
                let step = old
                    .or(new)
                    .map_or(String::new(), |step| label(front + index, step));
                let old = old.map_or(Value::Null, |old| whole(old));
                let new = new.map_or(Value::Null, |new| whole(new));
                changes.push(FieldChange::new(step, old, new));
            }
        }
    }
    changes
}

fn label(index: usize, step: &StepConfig) -> String {
    let name = step.options.name.as_deref().unwrap_or(&step.step_type);
    format!("step {} ({name})", index + 1)
}

/// A step as one value: what is set.
fn whole(step: &StepConfig) -> Value {
    let set = facts(step)
        .into_iter()
        .filter(|(_, value)| !value.is_null());
    Value::Object(set.collect())
}

fn facts(step: &StepConfig) -> FactList {
    let StepConfig {
        step_type,
        options,
        parameters,
    } = step;
    let mut facts = vec![fact("use", step_type.as_str())];
    facts.extend(option_facts(options));
    facts.extend(
        parameters
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    facts
}

fn option_facts(options: &StepOptions) -> FactList {
    let StepOptions {
        name,
        halt_on_failure,
        flunk_on_failure,
        flunk_on_warnings,
        warn_on_failure,
        warn_on_warnings,
        always_run,
        update_build_summary_policy,
        do_step_if,
        hide_step_if,
        locks,
        description,
        description_done,
        description_suffix,
        on_failure,
        command_timeout,
        command_max_time,
        decode_rc,
        log_encoding,
        workdir,
    } = options;
    let policy = match update_build_summary_policy {
        BuildSummaryPolicy::Automatic => Value::Null,
        BuildSummaryPolicy::On(results) => results
            .iter()
            .map(|results| json!(results.name()))
            .collect(),
    };
    let decode_rc = decode_rc.as_ref().map(|codes| {
        codes
            .iter()
            .map(|(code, results)| (code.to_string(), json!(results.name())))
            .collect::<Map<String, Value>>()
    });
    let locks = Some(locks_as_json(locks)).filter(|_| !locks.is_empty());
    vec![
        fact("name", name.clone()),
        fact("halt_on_failure", *halt_on_failure),
        fact("flunk_on_failure", *flunk_on_failure),
        fact("flunk_on_warnings", *flunk_on_warnings),
        fact("warn_on_failure", *warn_on_failure),
        fact("warn_on_warnings", *warn_on_warnings),
        fact("always_run", *always_run),
        fact("update_build_summary_policy", policy),
        fact("do_step_if", when(do_step_if, &When::ALWAYS)),
        fact("hide_step_if", when(hide_step_if, &When::NEVER)),
        fact("locks", locks),
        fact("description", description.clone()),
        fact("description_done", description_done.clone()),
        fact("description_suffix", description_suffix.clone()),
        fact("on_failure", failure_word(*on_failure)),
        fact("command_timeout", command_timeout.map(duration)),
        fact("command_max_time", command_max_time.map(duration)),
        fact("decode_rc", decode_rc),
        fact("log_encoding", log_encoding.clone()),
        fact("workdir", workdir.clone()),
    ]
}

/// As it is written; nothing for the default.
fn failure_word(policy: FailurePolicy) -> Option<&'static str> {
    match policy {
        FailurePolicy::Fail => None,
        FailurePolicy::Skip => Some("skip"),
        FailurePolicy::Retry => Some("retry"),
    }
}

fn when(value: &When, default: &When) -> Value {
    match value {
        value if value == default => Value::Null,
        When::Fixed(yes) => json!(yes),
        When::Expression(text) => json!(text),
    }
}
