//! Runs every test there is, with everything they need; none is skipped for want of it.

use crate::children::Running;
use crate::services::Services;
use crate::setup::Installed;
use crate::{children, paths, plugins, setup, ui};
use anyhow::{Result, bail};
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use toolpost_toolchain::{Language, default_cache_dir, find_node, find_python};

/// Sets up, runs the tests of the host and of the plugins, and stops the services again.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let start = Instant::now();
    let compiling = compile_ahead(arguments)?;
    let installed = setup::everything()?;
    let plugins = plugins::build()?;
    if let Some(compiling) = compiling {
        ui::task("tests of the host", |_| {
            // If that failed, those who run the tests say why.
            let status = compiling.wait()?;
            let outcome = if status.success() {
                "compiled"
            } else {
                "do not compile"
            };
            Ok(((), outcome.to_owned()))
        })?;
    }
    let services = Services::start(&installed)?;
    let mut failed = Vec::new();
    for suite in suites(arguments).into_iter().chain(scripts()?) {
        ui::heading(suite.name);
        let mut command = suite.command;
        command.envs(environment(&services, &installed, &plugins));
        if !children::status(&mut command)?.success() {
            failed.push(suite.name);
        }
    }
    drop(services);
    let elapsed = ui::duration(start.elapsed());
    if !failed.is_empty() {
        bail!("failed: {} (after {elapsed})", failed.join(", "));
    }
    eprintln!("\nall tests passed ({elapsed})");
    Ok(())
}

/// Compiles the tests of the host while the rest is set up, which waits for a network and for programs with one thread. Whoever
/// wants only some tests need not wait for all.
fn compile_ahead(arguments: &[OsString]) -> Result<Option<Running>> {
    if !arguments.is_empty() {
        return Ok(None);
    }
    let mut command = cargo(&paths::root());
    command.args(match has_nextest() {
        true => ["nextest", "run", "--workspace", "--no-run"],
        false => ["test", "--workspace", "--no-run", "--quiet"],
    });
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    children::spawn(&mut command, Signal::TERM).map(Some)
}

/// A group of tests that one program runs.
struct Suite {
    name: &'static str,
    command: Command,
}

fn suites(arguments: &[OsString]) -> Vec<Suite> {
    let mut suites = Vec::new();
    let mut host = cargo(&paths::root());
    if has_nextest() {
        // All failures at once: a run is too long to meet them one by one.
        host.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        // nextest leaves the examples in the documentation out.
        let mut documentation = cargo(&paths::root());
        documentation.args(["test", "--workspace", "--doc", "--quiet"]);
        suites.push(Suite {
            name: "documentation of the host",
            command: documentation,
        });
    } else {
        host.args(["test", "--workspace", "--no-fail-fast"]);
    }
    host.args(arguments);
    suites.insert(
        0,
        Suite {
            name: "host",
            command: host,
        },
    );
    let mut guests = cargo(&paths::guests());
    guests.args(["test", "--workspace", "--locked", "--quiet", "--target-dir"]);
    guests.arg(paths::guest_target());
    suites.push(Suite {
        name: "plugins and SDK",
        command: guests,
    });
    suites
}

/// The tests of the SDKs for Python and JavaScript and of the examples, which run without WebAssembly.
fn scripts() -> Result<Vec<Suite>> {
    let python = find_python()?;
    let node = find_node(&default_cache_dir(), &mut |line| eprintln!("  · {line}"))?;
    let sdk = paths::root().join("sdk/python");
    let mut suites = vec![
        script(
            "SDK for Python",
            &python,
            &["-m", "unittest", "discover", "-s", "tests", "-t", "."],
            &sdk,
        ),
        script(
            "SDK for JavaScript",
            &node,
            &["--test"],
            &paths::root().join("sdk/js"),
        ),
    ];
    for example in paths::example_plugins()? {
        suites.push(match Language::of(&example)? {
            Language::JavaScript => script("example in JavaScript", &node, &["--test"], &example),
            _ => script("example in Python", &python, &["-m", "unittest"], &example),
        });
    }
    for suite in &mut suites {
        suite.command.env("PYTHONPATH", sdk.join("src"));
    }
    Ok(suites)
}

fn script(name: &'static str, program: &Path, arguments: &[&str], directory: &Path) -> Suite {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    Suite { name, command }
}

fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    command
}

fn has_nextest() -> bool {
    let mut command = cargo(&paths::root());
    command
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What tests find their surroundings with.
fn environment(
    services: &Services,
    installed: &Installed,
    plugins: &Path,
) -> Vec<(&'static str, OsString)> {
    let mut variables = services.environment();
    variables.extend([
        ("TOOLPOST_TEST_PLUGINS", plugins.into()),
        // What one farm has compiled is there for all others and for the guide: large components take the compiler a minute.
        ("TOOLPOST_PLUGIN_CACHE", paths::compiled_plugins().into()),
        ("TOOLPOST_TEST_CHROMIUM", installed.chromium.clone().into()),
        (
            "TOOLPOST_TEST_CHROMEDRIVER",
            installed.chromedriver.clone().into(),
        ),
        (
            "TOOLPOST_TEST_BUILDBOT_WORKER",
            installed.buildbot_worker.clone().into(),
        ),
        ("TOOLPOST_TEST_BUILDBOT", installed.buildbot.clone().into()),
        ("TOOLPOST_TEST_STOCK_UI", installed.stock_ui.clone().into()),
        (
            "TOOLPOST_TEST_MAIL_PYTHON",
            installed.mail_python.clone().into(),
        ),
        (
            "TOOLPOST_TEST_SCHEMATHESIS",
            installed.schemathesis.clone().into(),
        ),
        ("TOOLPOST_TEST_NODE", installed.node.clone().into()),
        (
            "TOOLPOST_TEST_OIDC_PROVIDER",
            installed.oidc_provider.clone().into(),
        ),
    ]);
    variables
}
