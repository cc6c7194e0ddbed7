//! The chapters of the guide, run as they stand there: each in an empty directory, from its first command to its last.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::support::{guest_target, root};

/// What a chapter says its master listens on, and something beside it.
const PORT: &str = "8010";
const SECOND_PORT: &str = "8011";

/// A chapter that hangs is ended after so long. Two of them compile components of Python and JavaScript several times, on a machine
/// that compiles others meanwhile.
const TIME_LIMIT: &str = "900";

/// Turns the code blocks of a chapter into one script: blocks of `sh` are run, blocks with a file's name behind
/// their language become that file, others are for reading.
fn script(chapter: &str) -> String {
    let mut script =
        String::from("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n");
    let mut lines = chapter.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        match info.split_once(' ') {
            None if info == "sh" => writeln!(script, "{block}").unwrap(),
            Some((_, file)) => {
                writeln!(
                    script,
                    "cat > '{file}' <<'END OF FILE'\n{block}\nEND OF FILE"
                )
                .unwrap();
            }
            None => {}
        }
    }
    script
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(chapter: &str) {
    let text = fs::read_to_string(root().join("docs/src").join(chapter)).unwrap();
    let port = free_port().to_string();
    let script = script(&text)
        .replace(PORT, &port)
        .replace(SECOND_PORT, &free_port().to_string());
    let dir = tempfile::Builder::new()
        .prefix("toolpost-guide-")
        .tempdir()
        .unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_toolpost"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("timeout")
        .args([
            "--kill-after",
            "10",
            TIME_LIMIT,
            "bash",
            "-x",
            "-c",
            &script,
        ])
        .current_dir(dir.path())
        .env("PATH", env::join_paths(path).unwrap())
        .env("TOOLPOST_URL", format!("http://127.0.0.1:{port}/"))
        .env("TOOLPOST_SDKS", root().join("sdk"))
        // Plugins of all chapters share what they are compiled from.
        .env("CARGO_TARGET_DIR", guest_target())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{chapter}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_step() {
    run("step.md");
}

#[test]
fn a_step_in_python() {
    run("step-python.md");
}

#[test]
fn a_step_in_javascript() {
    run("step-javascript.md");
}

#[test]
fn a_scheduler() {
    run("scheduler.md");
}

#[test]
fn a_reporter() {
    run("reporter.md");
}

#[test]
fn tests_recordings_and_replay() {
    run("testing.md");
}

#[test]
fn blocks_become_a_script() {
    let chapter = "text\n\n```sh\nmake it\n```\n\n```toml a.toml\n[a]\n```\n\n```rust\nfn not_run() {}\n```\n";
    let script = script(chapter);
    let (_, script) = script.split_once("EXIT\n").unwrap();
    assert_eq!(
        script,
        "make it\ncat > 'a.toml' <<'END OF FILE'\n[a]\nEND OF FILE\n"
    );
}
