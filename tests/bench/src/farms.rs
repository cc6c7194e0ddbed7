//! Configurations that are measured, and what a process costs.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use toolpost_harness::Farm;

/// Four workers of four builds each, a force scheduler for everything, and these builders (name, steps).
pub(crate) fn config(builders: &[(&str, &str)]) -> String {
    config_with(builders, &[])
}

/// The same; these builders, which are configured elsewhere, can be forced as well.
pub(crate) fn config_with(builders: &[(&str, &str)], others: &[&str]) -> String {
    let mut text = String::new();
    let workers: Vec<String> = (0..4).map(|i| format!("\"w{i}\"")).collect();
    for worker in &workers {
        let _ = write!(
            text,
            "[[worker]]\nname = {worker}\nkind = \"local\"\nmax_builds = 4\n\n"
        );
    }
    let names: Vec<String> = builders
        .iter()
        .map(|(name, _)| name)
        .chain(others)
        .map(|name| format!("{name:?}"))
        .collect();
    let _ = write!(
        text,
        "[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n\n",
        names.join(", ")
    );
    for (name, steps) in builders {
        let _ = write!(
            text,
            "[[builder]]\nname = {name:?}\nworkers = [{}]\ncollapse_requests = false\n\n{steps}\n",
            workers.join(", ")
        );
    }
    text
}

/// So many builders of one step each.
pub(crate) fn many_builders(count: usize) -> String {
    let step = shell(r#"["true"]"#);
    let names: Vec<String> = (0..count).map(|i| format!("b{i:04}")).collect();
    let builders: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), step.as_str()))
        .collect();
    config(&builders)
}

/// A shell step with this command (as TOML).
pub(crate) fn shell(command: &str) -> String {
    format!("[[builder.step]]\nuse = \"shell\"\ncommand = {command}\n")
}

/// `host:port` of a farm.
pub(crate) fn authority(farm: &Farm) -> String {
    farm.api()
        .url("")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned()
}

/// What a secret and its encodings have in common with nothing else.
pub(crate) fn traces(secret: &str) -> Vec<String> {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = |skipped: usize| STANDARD_NO_PAD.encode(&secret.as_bytes()[skipped..skipped + 12]);
    let encoded = [secret.to_owned(), hex, base64(0), base64(1), base64(2)];
    encoded.into()
}

/// CPU time that the master itself has used, without its commands.
pub(crate) fn cpu_time(farm: &Farm) -> anyhow::Result<Duration> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", farm.pid()))?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("an odd stat file")?
        .1
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of proc(5), counted behind the command's name.
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// Resident memory of the master in MB.
pub(crate) fn resident_mb(farm: &Farm) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", farm.pid()))?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmRSS"))
        .context("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("no VmRSS")?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}
