//! What to run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

/// How long a command that is asked to stop has before it is killed, unless its spec says otherwise.
pub const INTERRUPT_GRACE_DEFAULT: Duration = Duration::from_secs(5);

/// One command with everything that it runs in. Make one with [`CommandSpec::argv`] or
/// [`CommandSpec::shell`] and set the fields that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program and its arguments, or a line for the shell.
    pub invocation: Invocation,
    /// The build's directory, relative to the worker's base directory.
    pub build_dir: String,
    /// Where to run, relative to the build's directory; empty is that directory itself.
    pub dir: String,
    /// Make `dir` if it is missing; otherwise that is an error.
    pub create_dir: bool,
    /// Let `dir` be absolute or leave the build's directory.
    pub dir_may_leave_build: bool,
    /// Changes to the worker's environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Stop the command when it has written nothing for this long.
    pub idle_timeout: Option<Duration>,
    /// Stop the command when it has run for this long.
    pub total_timeout: Option<Duration>,
    /// What it can read from its standard input; `None` is an empty input.
    pub stdin: Option<Bytes>,
    /// Files that it writes, whose contents are output as well.
    pub log_files: Vec<LogFile>,
    /// The signal with which it is asked to stop.
    pub interrupt_signal: InterruptSignal,
    /// How long it then has before SIGKILL; zero kills at once.
    pub interrupt_grace: Duration,
}

/// A file that is followed while a command runs. One that is there before and does not change is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path, relative to the build's directory, which it may not leave.
    pub path: String,
    /// Leave out what is in it before the command starts.
    pub new_only: bool,
}

/// How a command is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// The program and its arguments, as they are. A program without `/` is looked up in `PATH`.
    Argv(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

/// A change to one environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Take it away.
    Unset,
    /// Set it. `${NAME}` stands for the worker's own value of NAME, or nothing.
    Set(String),
    /// Set it to these joined with `:`; the same expansion. For `PYTHONPATH` the worker's own value
    /// follows.
    List(Vec<String>),
}

/// A signal that asks a command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InterruptSignal {
    /// SIGTERM
    #[default]
    Term,
    /// SIGINT
    Int,
    /// SIGHUP
    Hup,
    /// SIGQUIT
    Quit,
    /// SIGUSR1
    Usr1,
    /// SIGUSR2
    Usr2,
    /// SIGKILL: no grace.
    Kill,
}

impl CommandSpec {
    /// Runs a program with arguments in the build's directory.
    #[must_use]
    pub fn argv<I>(build_dir: impl Into<String>, argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let argv = argv.into_iter().map(Into::into).collect();
        Self::new(build_dir.into(), Invocation::Argv(argv))
    }

    /// Runs a line of shell in the build's directory.
    #[must_use]
    pub fn shell(build_dir: impl Into<String>, line: impl Into<String>) -> Self {
        Self::new(build_dir.into(), Invocation::Shell(line.into()))
    }

    fn new(build_dir: String, invocation: Invocation) -> Self {
        Self {
            invocation,
            build_dir,
            dir: String::new(),
            create_dir: true,
            dir_may_leave_build: false,
            env: BTreeMap::new(),
            idle_timeout: None,
            total_timeout: None,
            stdin: None,
            log_files: Vec::new(),
            interrupt_signal: InterruptSignal::default(),
            interrupt_grace: INTERRUPT_GRACE_DEFAULT,
        }
    }
}

impl InterruptSignal {
    /// Every one that can be chosen.
    pub const ALL: [Self; 7] = [
        Self::Term,
        Self::Int,
        Self::Hup,
        Self::Quit,
        Self::Usr1,
        Self::Usr2,
        Self::Kill,
    ];

    /// The name without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Hup => "HUP",
            Self::Quit => "QUIT",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Kill => "KILL",
        }
    }
}

impl fmt::Display for InterruptSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

impl FromStr for InterruptSignal {
    type Err = String;

    /// Takes `TERM` and `SIGTERM`; the error names those that are known.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let short = name.strip_prefix("SIG").unwrap_or(name);
        let known = Self::ALL.into_iter().find(|signal| signal.name() == short);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown signal `{name}`; known are {names}")
        })
    }
}
