//! Runs a test of a step.

use std::sync::Arc;

use serde_json::{Map, Value};
use toolpost_replay::recording::{End, Recording};
use toolpost_replay::replay;
use toolpost_sandbox::{
    CallLimits, CallUsage, PluginVersion, SandboxError, StepHost, StepOutcome, StepType,
};

use super::Ground;
use crate::judge::{Usual, judge};
use crate::script::step::CommandTable;
use crate::script::{Play, Test};
use crate::seen;
use crate::stage::StepStage;
use crate::verdict::{Mismatch, Verdict};

const USUAL: Usual = Usual {
    name: "result",
    value: "success",
};

type Ended = Result<StepOutcome, SandboxError>;

/// Runs a step against its script.
pub(super) async fn run(mut test: Test, plugin: &Arc<PluginVersion>) -> Result<Verdict, String> {
    let ground = Ground::new(&mut test, plugin)?;
    let step_type = step_type(
        plugin,
        test.common
            .use_type
            .as_ref()
            .map(|name| name.get_ref().as_str()),
    )?;
    let limits = test.common.limits(CallLimits::default());
    let Play::Step(script) = &mut test.play else {
        return Err("it is no test of a step".into());
    };
    let name = step_type.info().name();
    let (notes, services) = (&ground.notes, Arc::clone(&ground.services));
    let stage = StepStage::new(script, &test.source, name, notes, services)?;
    let stage = Arc::new(stage);
    if let Some(after) = script.cancel_after {
        let cancel = notes.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after.0).await;
            cancel.cancel();
        });
    }
    let host = Arc::clone(&stage) as Arc<dyn StepHost>;
    let cancel = notes.cancel.clone();
    let ended = step_type
        .run(&ground.parameters, host, limits, cancel)
        .await;
    let is_cancelled = notes.cancel.is_cancelled();
    let took = notes.clock.elapsed();
    settle().await;
    let mut seen = seen::end_of_step(&ended, &notes.lock().collected, is_cancelled);
    seen.insert("took".into(), Value::from(crate::stage::show_span(took)));
    seen::of_step(&mut seen, notes);
    seen.insert("files".into(), Value::Object(stage.files()));
    let farm = stage.farm_of_test();
    seen.insert("artifacts".into(), Value::Object(farm.kept()));
    seen.insert("build_data".into(), Value::Object(farm.data()));
    let seen = masked(&ground, seen);
    let mut mismatches = ground.unmet(test.line);
    // What is missing explains the rest: it comes first.
    mismatches.extend(judge(&test, &seen, &USUAL));
    mismatches.extend(
        stage
            .commands()
            .left("a command that was expected", CommandTable::name),
    );
    let triggers = farm.triggers();
    mismatches.extend(triggers.left("builds that were expected", |answer| answer.builder.clone()));
    Ok(verdict(mismatches, seen, &ended, took))
}

/// Lets what was interrupted come to its end.
async fn settle() {
    /// Longer than any command may take to stop.
    const LONGEST: std::time::Duration = std::time::Duration::from_secs(60 * 60);
    tokio::time::sleep(LONGEST).await;
}

/// What was seen, as people would see it: without secrets, but for what leaves the master.
fn masked(ground: &Ground, seen: Map<String, Value>) -> Map<String, Value> {
    let secrets = &ground.notes.secrets;
    let shown = seen.into_iter().map(|(name, value)| match name.as_str() {
        "commands" => (name, value),
        _ => (name, secrets.mask_value(value)),
    });
    let mut shown: Map<String, Value> = shown.collect();
    seen::of_services(&mut shown, &ground.notes, ground.storage().into_iter());
    shown
}

/// Runs a step on a recording. Without expectations it has to do what it did then.
pub(super) async fn replay(test: Test, plugin: &Arc<PluginVersion>) -> Result<Verdict, String> {
    let Play::Recording(file) = &test.play else {
        return Err("it is no recording".into());
    };
    let path = test.source.folder().join(file);
    let bytes = std::fs::read(&path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let recording = Recording::parse(&bytes).map_err(|error| error.to_string())?;
    let step_type = step_type(plugin, Some(&recording.plugin.step_type))?;
    let replayed = replay::replay(&recording, &step_type).await;
    let notes = crate::stage::Notes::replayed(replayed.collected.clone());
    let mut seen = seen::end_of_step(&replayed.ended, &replayed.collected, false);
    seen::of_step(&mut seen, &notes);
    seen::of_services(&mut seen, &notes, std::iter::empty());
    let commands = replayed.collected.commands.iter();
    seen.insert(
        "commands".into(),
        commands.cloned().map(Value::from).collect(),
    );
    let mut mismatches = Vec::new();
    match &test.expect {
        Some(_) => mismatches.extend(judge(&test, &seen, &USUAL)),
        None => mismatches.extend(same(&test, &recording, &replayed)),
    }
    let took = std::time::Duration::ZERO;
    Ok(verdict(mismatches, seen, &replayed.ended, took))
}

/// Where a replay is another than what was recorded.
fn same(test: &Test, recording: &Recording, replayed: &replay::Replayed) -> Option<Mismatch> {
    if replayed.is_same(recording) {
        return None;
    }
    let line = test.line;
    Some(match &replayed.divergence {
        Some(divergence) => Mismatch {
            line,
            what: format!("call {}", divergence.number),
            expected: divergence
                .recorded
                .clone()
                .unwrap_or_else(|| "(the step ended)".into()),
            seen: divergence
                .now
                .clone()
                .unwrap_or_else(|| "(the step ended)".into()),
        },
        None => Mismatch {
            line,
            what: "the end".into(),
            expected: recording.end.to_string(),
            seen: End::from(&replayed.ended).to_string(),
        },
    })
}

fn step_type(plugin: &Arc<PluginVersion>, name: Option<&str>) -> Result<Arc<StepType>, String> {
    let mut types = plugin.step_types().into_iter();
    let found = types.find(|known| name.is_none_or(|name| known.info().name() == name));
    found.ok_or_else(|| match name {
        Some(name) => format!("{} has no step type `{name}`", plugin.name()),
        None => format!("{} has no steps", plugin.name()),
    })
}

fn verdict(
    mismatches: Vec<Mismatch>,
    seen: Map<String, Value>,
    ended: &Ended,
    virtual_time: std::time::Duration,
) -> Verdict {
    let usage = ended
        .as_ref()
        .map_or(CallUsage::default(), |outcome| outcome.usage);
    let stack = ended.as_ref().err().map(|error| error.stack().0.clone());
    Verdict {
        mismatches,
        seen,
        stack: stack.unwrap_or_default(),
        virtual_time,
        cpu: usage.cpu,
        memory_peak_bytes: usage.memory_peak_bytes,
    }
}
