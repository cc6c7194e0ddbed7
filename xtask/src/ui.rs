//! What a chore says while it works: one line for each thing done, with how long it took.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const SPINNER_TICK: Duration = Duration::from_millis(120);

/// Something that is being done.
pub(crate) struct Task {
    bar: ProgressBar,
    label: String,
    start: Instant,
}

impl Task {
    /// Says what is begun; a terminal shows a spinner until it is done.
    pub(crate) fn begin(label: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if std::io::stderr().is_terminal() {
            bar.set_style(spinner_style());
            bar.enable_steady_tick(SPINNER_TICK);
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_message(label.to_owned());
        Self {
            bar,
            label: label.to_owned(),
            start: Instant::now(),
        }
    }

    /// Says more about what is going on right now.
    pub(crate) fn note(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("  · {}: {text}", self.label);
        } else {
            self.bar.set_message(format!("{}: {text}", self.label));
        }
    }

    /// Says that it is done. `outcome` is what there is to know about it, or empty.
    pub(crate) fn done(self, outcome: &str) {
        self.bar.finish_and_clear();
        let separator = if outcome.is_empty() { "" } else { ": " };
        let label = &self.label;
        eprintln!(
            "  ✓ {label}{separator}{outcome} ({})",
            duration(self.start.elapsed())
        );
    }
}

/// Runs `work` as a [`Task`]. Its result says what there is to know about it.
pub(crate) fn task<T>(label: &str, work: impl FnOnce(&Task) -> Result<(T, String)>) -> Result<T> {
    let task = Task::begin(label);
    match work(&task) {
        Ok((value, outcome)) => {
            task.done(&outcome);
            Ok(value)
        }
        Err(error) => {
            task.bar.finish_and_clear();
            eprintln!("  ✗ {label} ({})", duration(task.start.elapsed()));
            Err(error)
        }
    }
}

/// The heading of a part whose programs print for themselves.
pub(crate) fn heading(text: &str) {
    eprintln!("\n» {text}");
}

/// The chore did not do what it was asked.
pub(crate) fn failed(error: &anyhow::Error) {
    eprintln!("\nerror: {error:#}");
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn spinner_style() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        let check =
            |millis, expected| assert_eq!(duration(Duration::from_millis(millis)), expected);
        check(40, "0.0 s");
        check(9_940, "9.9 s");
        check(59_000, "59 s");
        check(119_900, "119 s");
        check(200_000, "3 min 20 s");
    }
}
