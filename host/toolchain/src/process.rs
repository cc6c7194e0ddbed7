//! Runs a program to its end, with its output captured and a time limit.

use crate::ToolchainError;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How many lines of a failed program's output its error carries.
const ERROR_LINES_MAX: usize = 8;

/// Runs `command` and returns its standard output.
pub(crate) fn run(mut command: Command, timeout: Duration) -> Result<String, ToolchainError> {
    let shown = show(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ToolchainError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;

    // The program has ended when both of its pipes are closed, so nothing has to poll it.
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take().map(|pipe| drain(pipe, sender.clone()));
    let stderr = child.stderr.take().map(|pipe| drain(pipe, sender));
    let in_time = (0..2).all(|_| receiver.recv_timeout(timeout).is_ok());
    let collect = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let wait_error = ToolchainError::file("wait for", command.get_program());
    if !in_time {
        // A program that has just ended by itself cannot be killed, which is as good.
        let _ = child.kill();
        child.wait().map_err(wait_error)?;
        return Err(ToolchainError::TimedOut {
            command: shown,
            timeout_s: timeout.as_secs(),
        });
    }
    let status = child.wait().map_err(wait_error)?;
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    if status.success() {
        return Ok(stdout);
    }
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let output = lines[lines.len().saturating_sub(ERROR_LINES_MAX)..].join("\n");
    Err(ToolchainError::Failed {
        command: shown,
        status,
        output,
    })
}

fn drain(
    mut pipe: impl Read + Send + 'static,
    done: mpsc::Sender<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is the output.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = done.send(());
        bytes
    })
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<String, ToolchainError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, timeout)
    }

    #[test]
    fn output_of_a_good_program_is_returned() {
        let output = shell("echo out; echo err >&2", Duration::from_secs(20));
        assert_eq!(output.expect("the program succeeds"), "out\n");
    }

    #[test]
    fn a_failure_carries_the_end_of_the_error_output() {
        let error = shell("seq 1 100 >&2; exit 3", Duration::from_secs(20)).expect_err("exit 3");
        let message = error.to_string();
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(
            message.ends_with("93\n94\n95\n96\n97\n98\n99\n100"),
            "{message}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error = run(command, Duration::from_millis(50)).expect_err("it hangs");
        assert!(matches!(error, ToolchainError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            run(Command::new("/nowhere/rustup"), Duration::from_secs(1)).expect_err("missing");
        assert!(error.to_string().contains("/nowhere/rustup"), "{error}");
    }
}
