//! How a command ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::command::spec::InterruptSignal;
use crate::command::usage::Usage;

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// What the system says of the process.
    pub status: Status,
    /// Why it was stopped, if it was. It may still have ended with a code, even with 0.
    pub cause: Option<StopCause>,
    /// From start to end of the process.
    pub elapsed: Duration,
    /// What it used of the machine, if that is known.
    pub usage: Option<Usage>,
    /// Somebody of it was killed for wanting more memory than this, in bytes: all that it may have.
    pub memory_exceeded: Option<u64>,
    /// Somebody else still held its output pipes, so that they were closed on them; what they write
    /// later is lost.
    pub pipes_left_open: bool,
}

/// What the system says of a process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number on this system.
        number: i32,
        /// It left a core file.
        core_dumped: bool,
    },
    /// It did not even die of SIGKILL in time (it hangs in the kernel), or could not be waited for.
    Lost,
}

/// Why a command was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// It wrote nothing for this long.
    IdleTimeout(Duration),
    /// It ran for this long.
    TotalTimeout(Duration),
    /// Somebody asked for it.
    Interrupted,
    /// The worker shuts down.
    Shutdown,
}

impl Exit {
    /// It ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.cause.is_none() && self.status == Status::Code(0)
    }

    /// Its code, if it ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.status {
            Status::Code(code) => Some(code),
            Status::Signal { .. } | Status::Lost => None,
        }
    }

    /// One number for scripts and properties: the code, minus the signal's number, or -1.
    #[must_use]
    pub fn number(&self) -> i32 {
        match self.status {
            Status::Code(code) => code,
            Status::Signal { number, .. } => -number,
            Status::Lost => -1,
        }
    }
}

impl Status {
    pub(crate) fn from_system(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(number)) => Self::Signal {
                number,
                core_dumped: status.core_dumped(),
            },
            (None, None) => Self::Lost,
        }
    }

    /// The name of the signal that ended it, such as `SIGSEGV`.
    #[must_use]
    pub fn signal_name(&self) -> Option<String> {
        match *self {
            Self::Signal { number, .. } => Some(signal_name(number)),
            Self::Code(_) | Self::Lost => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.cause {
            write!(f, "{cause}; ")?;
        }
        write!(
            f,
            "{} after {:.2} s",
            self.status,
            self.elapsed.as_secs_f64()
        )?;
        if let Some(bytes) = self.memory_exceeded {
            write!(
                f,
                "; it may have {} MiB of memory, and wanted more",
                bytes >> 20
            )?;
        }
        if self.pipes_left_open {
            f.write_str("; its output pipes were still open in another process and were closed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal {
                number,
                core_dumped,
            } => {
                let name = signal_name(number);
                let core = if core_dumped { ", core dumped" } else { "" };
                write!(f, "killed by {name} (signal {number}{core})")
            }
            Self::Lost => f.write_str("it did not end"),
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdleTimeout(limit) => {
                write!(f, "stopped: no output for {} s", limit.as_secs_f64())
            }
            Self::TotalTimeout(limit) => {
                write!(f, "stopped: it ran for {} s", limit.as_secs_f64())
            }
            Self::Interrupted => f.write_str("interrupted"),
            Self::Shutdown => f.write_str("stopped: the worker shuts down"),
        }
    }
}

impl InterruptSignal {
    pub(crate) fn to_system(self) -> rustix::process::Signal {
        use rustix::process::Signal;
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Hup => Signal::HUP,
            Self::Quit => Signal::QUIT,
            Self::Usr1 => Signal::USR1,
            Self::Usr2 => Signal::USR2,
            Self::Kill => Signal::KILL,
        }
    }
}

/// The name of a signal by its number on this system.
fn signal_name(number: i32) -> String {
    use rustix::process::Signal;
    const NAMES: &[(Signal, &str)] = &[
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::SYS, "SIGSYS"),
    ];
    let known = NAMES.iter().find(|(signal, _)| signal.as_raw() == number);
    known.map_or_else(
        || format!("signal {number}"),
        |(_, name)| (*name).to_owned(),
    )
}
