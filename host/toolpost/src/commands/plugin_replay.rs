//! `toolpost plugin replay`: runs a failed step of a master again, here, on what was recorded.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use toolpost_replay::recording::{End, Recording};
use toolpost_replay::replay::{Replayed, replay};
use toolpost_sandbox::{Sandbox, SandboxOptions, StepType};

use super::Done;
use crate::cli::ReplayArgs;
use crate::components;
use crate::output::{Failure, Printer};

/// `toolpost plugin replay`
pub(crate) fn plugin_replay(args: &ReplayArgs, printer: Printer) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sandbox = local_sandbox()?;
    let (recording, replayed) = runtime.block_on(async {
        let recording = Recording::parse(&recording(args).await?)?;
        let component = match &args.file {
            Some(file) => read(file)?,
            None => component(args, &recording.plugin.digest).await?,
        };
        let plugin = sandbox
            .load(component)
            .await
            .context("the component is no plugin that can run here")?;
        let wanted = &recording.plugin.step_type;
        let types: Vec<Arc<StepType>> = plugin.step_types();
        let step_type = types.iter().find(|known| known.info().name() == wanted);
        let step_type =
            step_type.with_context(|| format!("{} has no step type `{wanted}`", plugin.name()))?;
        if plugin.digest() != recording.plugin.digest {
            printer.note(format_args!(
                "recorded with {} {:.16}, replayed with {:.16}",
                recording.plugin.name,
                recording.plugin.digest,
                plugin.digest()
            ));
        }
        let replayed = replay(&recording, step_type).await;
        Ok::<_, anyhow::Error>((recording, replayed))
    })?;
    show(&recording, &replayed, printer);
    if replayed.is_same(&recording) {
        return Ok(());
    }
    Err(Failure::Other(anyhow::anyhow!(
        "the replay is not what was recorded"
    )))
}

/// A sandbox for one caller.
pub(crate) fn local_sandbox() -> anyhow::Result<Sandbox> {
    Ok(components::sandbox(SandboxOptions {
        threads: 1,
        pooling: false,
        ..SandboxOptions::default()
    })?)
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(bytes.into())
}

/// The recording: from a file, or from the master.
async fn recording(args: &ReplayArgs) -> anyhow::Result<Bytes> {
    if let Some(file) = &args.recording {
        return read(file);
    }
    let (Some(build), Some(step)) = (&args.build, &args.step) else {
        anyhow::bail!("say which BUILD and STEP, or give a --recording that was saved");
    };
    // `unit/7` is build 7 of builder `unit`, a number alone is a build's id.
    let path = match build.rsplit_once('/') {
        Some((builder, number)) => format!("builders/{}/builds/{number}", segment(builder)),
        None => format!("builds/{build}"),
    };
    fetch(args, &format!("{path}/steps/{}/recording", segment(step))).await
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match keep(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

async fn component(args: &ReplayArgs, digest: &str) -> anyhow::Result<Bytes> {
    let fetched = fetch(args, &format!("components/{digest}")).await;
    fetched.context("the master does not have the component any more; give one with --file")
}

async fn fetch(args: &ReplayArgs, path: &str) -> anyhow::Result<Bytes> {
    let base = args.master.url.trim_end_matches('/');
    let address = format!("{base}/api/v2/{path}");
    let answer = reqwest::get(&address)
        .await
        .with_context(|| format!("no master answers at {base}; say where it is with --url"))?;
    let status = answer.status();
    let body = answer
        .bytes()
        .await
        .with_context(|| format!("read {address}"))?;
    let reason = || {
        let told: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let told = told.and_then(|told| Some(told.get("error")?.as_str()?.to_owned()));
        told.unwrap_or_else(|| status.to_string())
    };
    ensure!(status.is_success(), "{address}: {}", reason());
    Ok(body)
}

fn show(recording: &Recording, replayed: &Replayed, printer: Printer) {
    let ink = printer.ink();
    for (name, log) in &replayed.collected.logs {
        printer.line(format_args!("{}", ink.dim(&format!("--- log {name}"))));
        printer.line(log.text().trim_end());
    }
    for (level, line) in &replayed.collected.operator {
        printer.line(format_args!(
            "{} {line}",
            ink.dim(&format!("[{level:?}]").to_lowercase())
        ));
    }
    printer.line(format_args!("{}", ink.dim("---")));
    let now = End::from(&replayed.ended);
    printer.line(format_args!("recorded: {}", recording.end));
    printer.line(format_args!("replayed: {now}"));
    if let Ok(outcome) = &replayed.ended {
        printer.line(format_args!(
            "took:     {} ms of computing, {} KiB of memory",
            outcome.usage.cpu.as_millis(),
            outcome.usage.memory_peak_bytes >> 10
        ));
    }
    let (all, made) = replayed.calls;
    printer.line(format_args!("calls:    {made} of {all} as recorded"));
    if let Some(cut) = &recording.cut {
        printer.line(format_args!("cut:      {cut}"));
    }
    for command in &replayed.incomplete {
        printer.line(format_args!(
            "cut:      of the output of `{command}` only the beginning was kept"
        ));
    }
    if let End::Error { stack, .. } = &now {
        for (depth, frame) in stack.iter().enumerate() {
            printer.line(format_args!("{depth:>4}: {frame}"));
        }
    }
    match &replayed.divergence {
        Some(divergence) => {
            printer.line(ink.bad("it leaves the recorded trail:"));
            printer.line(divergence);
        }
        None if replayed.is_same(recording) => printer.line(ink.good("the same as recorded")),
        None => printer.line(ink.bad("the same calls, and another end")),
    }
}
