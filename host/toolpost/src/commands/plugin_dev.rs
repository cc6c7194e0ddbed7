//! `toolpost plugin dev`: watches a plugin, and puts each good version of it into a running master.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use toolpost_toolchain::{build_plugin, default_cache_dir};

use super::Done;
use super::plugin::install;
use super::plugin_remote::{Master, print_grants, segment, text};
use super::plugin_test::{load, run, scripts_in};
use crate::cli::{DevArgs, TestArgs};
use crate::output::{Failure, Printer};

/// How often the sources are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What is made of the sources, and what others keep beside them.
const NO_SOURCES: [&str; 6] = [
    "build",
    "node_modules",
    "target",
    ".venv",
    "__pycache__",
    ".git",
];

/// Files that are looked at; a folder with more is none of a plugin.
const FILES_MAX: usize = 10_000;

/// `toolpost plugin dev`
pub(crate) fn plugin_dev(args: &DevArgs, printer: Printer) -> Done {
    if !args.output.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no folder {}: say where the master's plugin folder is, with --output",
            args.output.display()
        )));
    }
    end_on_interrupt()?;
    let mut before = sources(&args.path)?;
    loop {
        // What is wrong is shown, and the version before it stays; the next change may be better.
        if let Err(failure) = round(args, printer) {
            printer.failure(&failure);
            printer.note("the version before it stays");
        }
        printer.note(format_args!(
            "watching {}; Ctrl-C ends it",
            args.path.display()
        ));
        before = changed(&args.path, &before)?;
    }
}

/// Ends the program when it is interrupted: between two versions, or without having put the next one anywhere.
fn end_on_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                std::process::exit(0);
            }
        })?;
    Ok(())
}

/// Builds, checks and tests the plugin, and hands it to the master.
fn round(args: &DevArgs, printer: Printer) -> Done {
    let began = Instant::now();
    let built = build_plugin(&args.path, &default_cache_dir(), &mut |line| {
        printer.note(line);
    })?;
    for component in built {
        let plugin = load(&component.path)?;
        printer.line(format_args!(
            "built {} {} ({} KB) in {:.1} s",
            plugin.name(),
            plugin.version(),
            plugin.size_bytes() / 1000,
            began.elapsed().as_secs_f64()
        ));
        if args.test {
            test(&component.path, args, printer)?;
        }
        install(&component.path, &args.output, &component.package)?;
        tell(&args.master.url, plugin.name(), plugin.digest(), printer)?;
    }
    Ok(())
}

fn test(component: &Path, args: &DevArgs, printer: Printer) -> Done {
    let files = scripts_in(&args.path.join("tests"))?;
    let all = TestArgs {
        path: args.path.clone(),
        scripts: Vec::new(),
        filter: None,
        verbose: false,
        json: false,
    };
    match run(component, &files, &all, printer)? {
        (0, _) => Ok(()),
        (failed, ran) => Err(Failure::Other(anyhow::anyhow!(
            "{failed} of {ran} tests failed"
        ))),
    }
}

/// Makes the master look, and says what it makes of the new version.
fn tell(url: &str, name: &str, digest: &str, printer: Printer) -> Done {
    let master = Master::at(url)?;
    let result = master.call("plugins/reload", "reload", &json!({}))?;
    let all = result["plugins"].as_array();
    let own = all
        .into_iter()
        .flatten()
        .find(|plugin| plugin["name"] == name);
    let Some(own) = own else {
        return Err(Failure::Other(anyhow::anyhow!(
            "the master at {url} knows no plugin {name}: is that its plugin folder?"
        )));
    };
    let ink = printer.ink();
    if own["state"] == "live" && own["digest"] == digest {
        printer.line(format_args!("{} {digest:.16}", ink.good("live:")));
        return Ok(());
    }
    let state = text(&own["state"]);
    printer.line(format_args!(
        "{} {digest:.16}",
        ink.bad(&format!("{state}:"))
    ));
    let plugin = master.get(&format!("plugins/{}", segment(name)))?;
    for plugin in plugin["plugins"].as_array().into_iter().flatten() {
        print_grants(plugin, printer);
    }
    Ok(())
}

type Sources = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Waits until the sources are others, and have stopped changing.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line looks at files now and then, and has no runtime here"
)]
fn changed(folder: &Path, before: &Sources) -> anyhow::Result<Sources> {
    let mut last = before.clone();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = sources(folder)?;
        if now == last && now != *before {
            return Ok(now);
        }
        last = now;
    }
}

/// The files of a plugin, with what tells that one was written.
fn sources(folder: &Path) -> anyhow::Result<Sources> {
    let mut found = Sources::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if NO_SOURCES.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            // An editor's temporary file may be gone again.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.insert(entry.path(), (written, metadata.len()));
            }
            anyhow::ensure!(
                found.len() <= FILES_MAX,
                "more than {FILES_MAX} files: this is no folder of a plugin"
            );
        }
    }
    Ok(found)
}
