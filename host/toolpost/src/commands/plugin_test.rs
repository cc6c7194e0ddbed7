//! `toolpost plugin test`: runs a plugin against scripts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_rehearsal::{Mismatch, Test, Verdict, read, rehearse, sandbox_options};
use toolpost_sandbox::PluginVersion;
use toolpost_toolchain::{ToolchainError, build_plugin, default_cache_dir};

use super::Done;
use crate::cli::TestArgs;
use crate::components;
use crate::output::{Failure, Printer};

/// Where a plugin's folder has its scripts.
const SCRIPTS: &str = "tests";

/// `toolpost plugin test`
pub(crate) fn plugin_test(args: &TestArgs, printer: Printer) -> Done {
    let component = component(&args.path, printer)?;
    let files = script_files(args)?;
    let (failed, ran) = run(&component, &files, args, printer)?;
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::Other(anyhow::anyhow!(
        "{failed} of {ran} tests failed"
    )))
}

/// Runs scripts with a component; how many failed, and how many there were.
pub(super) fn run(
    component: &Path,
    files: &[PathBuf],
    args: &TestArgs,
    printer: Printer,
) -> Result<(usize, usize), Failure> {
    let plugin = load(component)?;
    let tests = tests(files, &plugin, args.filter.as_deref())?;
    let (mut failed, ran) = (0, tests.len());
    let mut told = Vec::new();
    for test in tests {
        let began = Instant::now();
        let (name, source, line) = (test.name.clone(), Arc::clone(&test.source), test.line);
        let verdict = rehearse(test, &plugin);
        let verdict = verdict.map_err(|fault| Failure::Usage(fault.to_string()))?;
        failed += usize::from(!verdict.passed());
        let done = Ran {
            name,
            file: source.path.clone(),
            line,
            took: began.elapsed(),
            verdict,
        };
        match args.json {
            true => told.push(done.to_json()),
            false => done.print(args.verbose, printer),
        }
    }
    if args.json {
        let value = json!({
            "plugin": plugin.name(),
            "version": plugin.version(),
            "digest": plugin.digest(),
            "failed": failed,
            "tests": told,
        });
        printer.line(format_args!("{value:#}"));
    }
    Ok((failed, ran))
}

/// The component: a file, or what comes of a folder.
fn component(path: &Path, printer: Printer) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let built = build_plugin(path, &default_cache_dir(), &mut |line| printer.note(line));
    let mut built = built.map_err(|error| match error {
        ToolchainError::NoPlugin { .. } => Failure::Usage(error.to_string()),
        error => error.into(),
    })?;
    match (built.pop(), built.is_empty()) {
        (Some(only), true) => Ok(only.path),
        _ => Err(Failure::Usage(format!(
            "{} has several plugins; say the folder of one of them",
            path.display()
        ))),
    }
}

/// The scripts that were named, or those of the plugin's folder.
fn script_files(args: &TestArgs) -> Result<Vec<PathBuf>, Failure> {
    let named = match args.scripts.is_empty() {
        false => args.scripts.clone(),
        true if args.path.is_file() => {
            let text = "say which scripts are for this component, with --script";
            return Err(Failure::Usage(text.into()));
        }
        true => vec![args.path.join(SCRIPTS)],
    };
    let mut files = Vec::new();
    for path in named {
        match path.is_dir() {
            true => files.extend(scripts_in(&path)?),
            false => files.push(path),
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage(format!(
            "there are no scripts: {} has no *.toml",
            args.path.join(SCRIPTS).display()
        )));
    }
    Ok(files)
}

/// Scripts and recordings in a folder, by name.
pub(super) fn scripts_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder);
    for entry in entries.with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("toml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Loads a component into a sandbox for tests.
pub(super) fn load(component: &Path) -> Result<Arc<PluginVersion>, Failure> {
    let bytes = std::fs::read(component);
    let bytes = bytes.with_context(|| format!("read {}", component.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sandbox = components::sandbox(sandbox_options())?;
    let plugin = runtime.block_on(sandbox.load(Bytes::from(bytes)));
    let plugin = plugin.with_context(|| {
        let file = component.display();
        format!("{file} is no plugin that a master would take")
    });
    Ok(plugin?)
}

/// The tests of these files whose names have this text in them.
fn tests(
    files: &[PathBuf],
    plugin: &PluginVersion,
    filter: Option<&str>,
) -> Result<Vec<Test>, Failure> {
    let mut tests = Vec::new();
    for file in files {
        let read = read(file, plugin);
        tests.extend(read.map_err(|fault| Failure::Usage(fault.to_string()))?);
    }
    if let Some(filter) = filter {
        tests.retain(|test| test.name.contains(filter));
    }
    match tests.is_empty() {
        true => Err(Failure::Usage("there is no such test".into())),
        false => Ok(tests),
    }
}

/// A test that was run.
struct Ran {
    name: String,
    file: PathBuf,
    line: usize,
    took: Duration,
    verdict: Verdict,
}

impl Ran {
    fn to_json(&self) -> Value {
        let mismatch = |mismatch: &Mismatch| {
            json!({
                "line": mismatch.line,
                "what": mismatch.what,
                "expected": mismatch.expected,
                "seen": mismatch.seen,
            })
        };
        let verdict = &self.verdict;
        json!({
            "name": self.name,
            "file": self.file,
            "line": self.line,
            "passed": verdict.passed(),
            "mismatches": verdict.mismatches.iter().map(mismatch).collect::<Vec<_>>(),
            "seen": verdict.seen,
            "stack": verdict.stack,
            "virtual_ms": millis(verdict.virtual_time),
            "cpu_ms": millis(verdict.cpu),
            "memory_peak_bytes": verdict.memory_peak_bytes,
            "took_ms": millis(self.took),
        })
    }

    fn print(&self, is_verbose: bool, printer: Printer) {
        let ink = printer.ink();
        let verdict = &self.verdict;
        let word = match verdict.passed() {
            true => ink.good("ok  "),
            false => ink.bad("FAIL"),
        };
        let clock = humantime::format_duration(Duration::from_millis(millis(verdict.virtual_time)));
        let effort = format!("{clock} on its clock, {} ms here", self.took.as_millis());
        printer.line(format_args!("{word}  {}  {}", self.name, ink.dim(&effort)));
        for mismatch in &verdict.mismatches {
            let place = format!("{}:{}", self.file.display(), mismatch.line);
            printer.line(format_args!("      {}: {}", mismatch.what, ink.dim(&place)));
            for line in mismatch.diff() {
                let text = format!("{} {}", line.sign, line.text);
                printer.line(format_args!(
                    "        {}",
                    match line.sign {
                        '-' => ink.good(&text),
                        '+' => ink.bad(&text),
                        _ => text,
                    }
                ));
            }
        }
        for (depth, frame) in verdict.stack.iter().enumerate() {
            printer.line(format_args!("      {depth:>4}: {frame}"));
        }
        if is_verbose {
            let seen = Value::Object(verdict.seen.clone());
            printer.line(format_args!("{}", ink.dim(&format!("{seen:#}"))));
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
