//! `cargo xtask demo`: Toolpost at its main job, on real input.
//!
//! Makes a bare repository from this project's own history (or from `examples/` where there is none), starts
//! Toolpost with `examples/demo/`, and follows the first build that the poller's change sets off.

#![expect(clippy::print_stdout, reason = "the demo is there to be watched")]

use std::fs;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::children::{self, Running};
use crate::{paths, plugins, ui};

/// How long the first build may take; a cold machine compiles a crate in it.
const FIRST_BUILD_DEADLINE: Duration = Duration::from_secs(300);
/// How long the start may take; a debug build compiles its plugins in seconds.
const START_DEADLINE: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// First-party plugins that the demo's configuration uses.
const PLUGINS: [&str; 2] = ["compile-warnings", "test-summary"];

/// Runs the demo; with `once` it ends after the first build, else it serves until it is interrupted.
///
/// # Errors
/// When something cannot be set up, or the first build is not good.
pub(crate) fn run(once: bool) -> anyhow::Result<()> {
    let components = plugins::build()?;
    build_toolpost()?;
    let folder = paths::target().join("demo");
    prepare(&folder, &components)?;

    let mut master = Master::start(&folder)?;
    println!("Toolpost listens on {}", master.url);
    let good = follow_first_build(&mut master)?;
    if once {
        master.stop()?;
        ensure!(good, "the first build was not good");
        return Ok(());
    }
    let repository = folder.join("repository.git");
    println!(
        "\nServing on {} until Ctrl-C. To see the next build, push a commit:\n  \
         git clone {} my-copy && cd my-copy\n  \
         git commit --allow-empty -m 'another change' && git push\n\
         To swap a tool while it runs, change plugins/test-summary and drop it in:\n  \
         cargo xtask plugins && cp target/plugins/test-summary.wasm {}",
        master.url,
        repository.display(),
        folder.join("plugins").display(),
    );
    master.wait()
}

fn build_toolpost() -> anyhow::Result<()> {
    ui::heading("building Toolpost (the first time takes some minutes)");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With the features that the whole workspace asks for: what the tests have compiled is not compiled again.
    cargo
        .args(["build", "--workspace", "--bin", "toolpost"])
        .current_dir(paths::root());
    ensure!(
        children::status(&mut cargo)?.success(),
        "Toolpost does not build"
    );
    Ok(())
}

/// Lays out the demo's folder anew: configuration, plugins and repository.
fn prepare(folder: &Path, components: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder.join("plugins"))?;
    fs::copy(
        paths::root().join("examples/demo/toolpost.toml"),
        folder.join("toolpost.toml"),
    )?;
    for name in PLUGINS {
        let file = format!("{name}.wasm");
        fs::copy(components.join(&file), folder.join("plugins").join(&file))
            .with_context(|| format!("the plugin {name} was not built"))?;
    }
    make_repository(&folder.join("repository.git"))
}

/// A bare repository with a branch `main`: this project's history, or one commit of `examples/`.
fn make_repository(bare: &Path) -> anyhow::Result<()> {
    let root = paths::root();
    if let Ok(head) = git(
        &root,
        &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"],
    ) {
        git(
            &root,
            &[
                "clone",
                "--quiet",
                "--bare",
                ".",
                &bare.display().to_string(),
            ],
        )?;
        git(bare, &["update-ref", "refs/heads/main", &head])?;
        git(bare, &["symbolic-ref", "HEAD", "refs/heads/main"])?;
        return Ok(());
    }
    let work = bare.with_extension("work");
    copy_folder(&root.join("examples"), &work.join("examples"))?;
    git(&work, &["init", "--quiet", "--initial-branch", "main"])?;
    git(&work, &["add", "."])?;
    let author = [
        "-c",
        "user.name=Toolpost demo",
        "-c",
        "user.email=demo@localhost",
    ];
    git(
        &work,
        &[
            &author[..],
            &["commit", "--quiet", "--message", "The examples"],
        ]
        .concat(),
    )?;
    git(
        &work,
        &[
            "clone",
            "--quiet",
            "--bare",
            ".",
            &bare.display().to_string(),
        ],
    )?;
    Ok(())
}

/// Runs git in a folder and gives the first line that it prints.
fn git(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("run git (install it with your package manager)")?;
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The master as a child process.
struct Master {
    process: Running,
    url: String,
}

impl Master {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(paths::target().join("debug/toolpost"));
        command
            .arg("run")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let log = fs::File::create(folder.join("toolpost.log"))?;
        command.stderr(log);
        if port_is_taken() {
            println!("Port 8010 is taken, so another one is used");
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut process = children::spawn(&mut command, Signal::TERM)?;
        let output = process
            .child()
            .stdout
            .take()
            .context("standard output is piped")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = line
                    .split_whitespace()
                    .find(|word| word.starts_with("http://"))
                {
                    // Nobody listens any more once the start is over.
                    let _ = sender.send(url.to_owned());
                }
            }
        });
        match receiver.recv_timeout(START_DEADLINE) {
            Ok(url) => Ok(Self { process, url }),
            Err(_) => bail!(
                "Toolpost did not start; it said:\n{}",
                fs::read_to_string(folder.join("toolpost.log"))?.trim_end()
            ),
        }
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}api/v2/{path}", self.url);
        let text = ureq::get(&url)
            .call()
            .with_context(|| format!("GET {url}"))?
            .body_mut()
            .read_to_string()?;
        serde_json::from_str(&text).with_context(|| format!("GET {url} gave no JSON"))
    }

    fn rows(&self, path: &str, resource: &str) -> anyhow::Result<Vec<Value>> {
        Ok(self.get(path)?[resource]
            .as_array()
            .cloned()
            .unwrap_or_default())
    }

    /// Asks it to stop and waits for that.
    fn stop(mut self) -> anyhow::Result<()> {
        rustix::process::kill_process(Pid::from_child(self.process.child()), Signal::TERM)
            .context("could not stop Toolpost")?;
        self.wait()
    }

    /// Waits for its end.
    fn wait(self) -> anyhow::Result<()> {
        let status = self.process.wait()?;
        ensure!(status.success(), "Toolpost ended with {status}");
        Ok(())
    }
}

fn port_is_taken() -> bool {
    std::net::TcpListener::bind("127.0.0.1:8010").is_err()
}

/// Shows the first build step by step; gives whether it was good.
fn follow_first_build(master: &mut Master) -> anyhow::Result<bool> {
    let started = Instant::now();
    let progress = progress_line();
    progress.set_message("waiting for the poller to find the first change");
    let mut shown = 0;
    loop {
        ensure!(
            started.elapsed() < FIRST_BUILD_DEADLINE,
            "no build was complete after {FIRST_BUILD_DEADLINE:?}; see {}",
            master.url
        );
        if let Some(status) = master.process.child().try_wait()? {
            bail!("Toolpost ended with {status}");
        }
        std::thread::park_timeout(POLL_INTERVAL);
        let Some(build) = master.rows("builds?limit=1&order=buildid", "builds")?.pop() else {
            continue;
        };
        let steps = master.rows(
            &format!("builds/{}/steps?order=number", build["buildid"]),
            "steps",
        )?;
        for step in steps
            .iter()
            .skip(shown)
            .take_while(|s| s["complete"] == true)
        {
            progress.suspend(|| println!("{}", step_line(step)));
            shown += 1;
        }
        if build["complete"] == true && shown == steps.len() {
            progress.finish_and_clear();
            println!(
                "build {}: {} ({}) after {:.0?}\n  {}builds/{}",
                build["number"],
                result_name(&build["results"]),
                text(&build["state_string"]),
                started.elapsed(),
                master.url,
                build["buildid"],
            );
            return Ok(matches!(build["results"].as_i64(), Some(0 | 1)));
        }
        let running = steps.iter().find(|s| s["complete"] == false);
        progress.set_message(match running {
            Some(step) => format!("{}: {}", text(&step["name"]), text(&step["state_string"])),
            None => "waiting for the next step".to_owned(),
        });
    }
}

fn progress_line() -> ProgressBar {
    if !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

fn step_line(step: &Value) -> String {
    let seconds = match (step["started_at"].as_f64(), step["complete_at"].as_f64()) {
        (Some(from), Some(to)) => format!("{:.0} s", to - from),
        _ => String::new(),
    };
    format!(
        "  {:<9} {:<18} {:>6}  {}",
        result_name(&step["results"]),
        text(&step["name"]),
        seconds,
        text(&step["state_string"])
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Names of Buildbot's result codes.
fn result_name(code: &Value) -> &'static str {
    const NAMES: [&str; 7] = [
        "success",
        "warnings",
        "failure",
        "skipped",
        "exception",
        "retry",
        "cancelled",
    ];
    code.as_u64()
        .and_then(|code| NAMES.get(usize::try_from(code).ok()?))
        .copied()
        .unwrap_or("unknown")
}
