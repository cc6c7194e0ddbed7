//! What can go wrong with a call of a plugin, in words for the person who looks at the step.

use std::fmt;
use std::time::Duration;

/// Why a call of a plugin has no outcome.
///
/// The text is the reason that people see: the state string of the step, with [`SandboxError::stack`]
/// in its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The plugin returned an error, as the contract allows.
    #[error("{message}")]
    Plugin {
        /// What helps against it.
        kind: PluginErrorKind,
        /// The plugin's own words.
        message: String,
    },
    /// The parameters do not fit the plugin's schema.
    #[error("parameters do not fit the schema of the step type: {0}")]
    Parameters(String),
    /// The plugin crashed: a panic, a division by zero, an access out of bounds.
    #[error("the plugin crashed: {reason}")]
    Trap {
        /// What happened.
        reason: String,
        /// Where.
        stack: Stack,
    },
    /// It computed for too long.
    #[error(
        "the plugin computed for {} of at most {}: an endless loop, or more work than its `cpu` limit allows",
        Seconds(*.used), Seconds(*.limit)
    )]
    CpuBudget {
        /// What it used.
        used: Duration,
        /// What it may use.
        limit: Duration,
        /// Where it was.
        stack: Stack,
    },
    /// It took too long, waiting included.
    #[error("the plugin did not end within its wall-clock limit of {}", Seconds(*.limit))]
    WallDeadline {
        /// What it may take.
        limit: Duration,
        /// Where it was, when it was computing.
        stack: Stack,
    },
    /// It wanted more memory than it may have.
    #[error(
        "the plugin asked for {} of memory, its limit is {}", Bytes(*.asked), Bytes(*.limit)
    )]
    Memory {
        /// How many bytes it would have had.
        asked: u64,
        /// How many it may have.
        limit: u64,
        /// Where it was.
        stack: Stack,
    },
    /// It called itself too deeply.
    #[error("the plugin's calls are nested too deeply for its stack of {}: an endless recursion", Bytes(*.limit))]
    StackOverflow {
        /// Size of the stack in bytes.
        limit: u64,
        /// Where it was.
        stack: Stack,
    },
    /// It went past another limit of [`crate::CallLimits`].
    #[error("the plugin went past a limit: {what} (at most {limit})")]
    Limit {
        /// What there was too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
        /// Where it was.
        stack: Stack,
    },
    /// All calls of plugins together have the memory that it wanted more of, and none of them gave some back. Not the
    /// plugin's fault.
    #[error(
        "the plugin waited {} for {} more memory, which all plugins that run have together: raise `memory_mib` in [master.plugins], or let fewer builds run at a time",
        Seconds(*.waited), Bytes(*.asked)
    )]
    NoRoom {
        /// How much more it wanted, in bytes.
        asked: u64,
        /// How long it waited.
        waited: Duration,
    },
    /// No call of a plugin ended for so long that it did not begin. Not the plugin's fault.
    #[error(
        "there was no room for another call of a plugin within {}: raise `calls` or `memory_mib` in [master.plugins]",
        Seconds(*.waited)
    )]
    NoPlace {
        /// How long it waited.
        waited: Duration,
    },
    /// The step was cancelled, and the plugin did not end within the grace period.
    #[error("the plugin was ended because the step was cancelled")]
    Cancelled,
    /// The plugin called something that it may not call now.
    #[error(
        "the plugin called `{0}`, which is not available here: a description and a scheduler can call nothing but `log`, and each other kind has interfaces of its own"
    )]
    NotAllowed(String),
    /// The component could not be instantiated.
    #[error("the plugin could not be started: {0}")]
    Start(String),
    /// The plugin answered something that cannot be.
    #[error("the plugin answered wrongly: {0}")]
    Answer(String),
    /// The plugin has no such step type.
    #[error("the plugin has no step type `{0}`")]
    UnknownStepType(String),
    /// The master could not serve the plugin. Not the plugin's fault.
    #[error("the master could not serve the plugin: {0}")]
    Host(String),
    /// The sandbox was shut down while the call ran.
    #[error("the plugin was ended because the master shuts down")]
    Shutdown,
}

/// What helps against an error that a plugin returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginErrorKind {
    /// Running it again later.
    Retryable,
    /// Nothing that is known.
    Permanent,
    /// Changing the configuration.
    Config,
}

impl SandboxError {
    /// Where in the plugin it happened, innermost frame first; empty when it was not computing.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        const EMPTY: &Stack = &Stack(Vec::new());
        match self {
            Self::Trap { stack, .. }
            | Self::CpuBudget { stack, .. }
            | Self::WallDeadline { stack, .. }
            | Self::Memory { stack, .. }
            | Self::StackOverflow { stack, .. }
            | Self::Limit { stack, .. } => stack,
            _ => EMPTY,
        }
    }

    /// The same with other words, where it has words that are not its own: a plugin's, or of what surrounds it.
    #[must_use]
    pub(crate) fn map_text(self, map: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Plugin { kind, message } => Self::Plugin {
                kind,
                message: map(message),
            },
            Self::Trap { reason, stack } => Self::Trap {
                reason: map(reason),
                stack,
            },
            Self::Parameters(text) => Self::Parameters(map(text)),
            Self::Start(text) => Self::Start(map(text)),
            Self::Answer(text) => Self::Answer(map(text)),
            Self::Host(text) => Self::Host(map(text)),
            error => error,
        }
    }

    /// A word for what happened, for metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Plugin { .. } => "error",
            Self::Parameters(_) => "parameters",
            Self::Trap { .. } => "trap",
            Self::CpuBudget { .. } => "cpu",
            Self::WallDeadline { .. } => "wall",
            Self::Memory { .. } => "memory",
            Self::StackOverflow { .. } => "stack",
            Self::Limit { .. } => "limit",
            Self::NoRoom { .. } | Self::NoPlace { .. } => "room",
            Self::Cancelled => "cancelled",
            Self::NotAllowed(_) => "not-allowed",
            Self::Start(_) => "start",
            Self::Answer(_) => "answer",
            Self::UnknownStepType(_) => "unknown-type",
            Self::Host(_) => "host",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the plugin itself is to blame, so that it counts against its version.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Trap { .. }
            | Self::CpuBudget { .. }
            | Self::WallDeadline { .. }
            | Self::Memory { .. }
            | Self::StackOverflow { .. }
            | Self::Limit { .. }
            | Self::NotAllowed(_)
            | Self::Start(_)
            | Self::Answer(_) => true,
            Self::Plugin { .. }
            | Self::Parameters(_)
            | Self::NoRoom { .. }
            | Self::NoPlace { .. }
            | Self::Cancelled
            | Self::UnknownStepType(_)
            | Self::Host(_)
            | Self::Shutdown => false,
        }
    }
}

/// Frames of a plugin's stack, innermost first: function names where the component has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stack(pub Vec<String>);

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, frame) in self.0.iter().enumerate() {
            writeln!(f, "{depth:>4}: {frame}")?;
        }
        Ok(())
    }
}

/// Shows a duration as seconds with what precision it needs.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if self.0.subsec_millis() == 0 {
            write!(f, "{seconds:.0} s")
        } else {
            write!(f, "{seconds:.2} s")
        }
    }
}

/// Shows a number of bytes with a binary unit.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        for (unit, name) in UNITS {
            if self.0 >= unit {
                let whole = self.0 / unit;
                let tenths = self.0 % unit * 10 / unit;
                return match tenths {
                    0 => write!(f, "{whole} {name}"),
                    _ => write!(f, "{whole}.{tenths} {name}"),
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_for_people() {
        let stack = Stack::default();
        let texts = [
            SandboxError::CpuBudget {
                used: Duration::from_millis(10_040),
                limit: Duration::from_secs(10),
                stack: stack.clone(),
            },
            SandboxError::Memory {
                asked: (64 << 20) + (64 << 10),
                limit: 64 << 20,
                stack: stack.clone(),
            },
            SandboxError::StackOverflow {
                limit: 512 << 10,
                stack,
            },
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "the plugin computed for 10.04 s of at most 10 s: an endless loop, or more work than its `cpu` limit allows",
                "the plugin asked for 64 MiB of memory, its limit is 64 MiB",
                "the plugin's calls are nested too deeply for its stack of 512 KiB: an endless recursion",
            ]
        );
        assert_eq!(Bytes(1_900_000).to_string(), "1.8 MiB");
        assert_eq!(Bytes(12).to_string(), "12 bytes");
    }
}
