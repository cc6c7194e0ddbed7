//! Everything that has to be right before a process can be made, and the clear error if it is not.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::cgroup::{Group, Groups};
use crate::command::child;
use crate::command::environment;
use crate::command::family::{FAMILY_VARIABLE, Family};
use crate::command::leader::Leader;
use crate::command::program;
use crate::command::spec::{CommandSpec, Invocation};
use crate::files::{FileError, Root};
use crate::leftovers::{MARK_VARIABLE, Mark};
use crate::user::{Rights, User};

/// What was started, as a log header tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// How it was called.
    pub invocation: Invocation,
    /// The program that was found for it.
    pub program: PathBuf,
    /// Where it runs.
    pub dir: PathBuf,
    /// Its whole environment (names and values that are not UTF-8 with replacement characters).
    pub environment: BTreeMap<String, String>,
    /// Its process id, which is the id of its process group as well.
    pub process_id: Option<u32>,
    /// It is stopped after this long without output.
    pub idle_timeout: Option<Duration>,
    /// It is stopped after this long.
    pub total_timeout: Option<Duration>,
}

/// Why a command could not be started. The text is for the person who wrote the step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The command is empty or cannot be passed to the system.
    #[error("the command cannot be run: {reason}")]
    InvalidCommand {
        /// What is wrong with it.
        reason: String,
    },
    /// A variable's name or value cannot be passed to the system.
    #[error("environment variable `{name}` cannot be set: {reason}")]
    InvalidVariable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The build's directory or the working directory in it cannot be used.
    #[error("the working directory cannot be used: {0}")]
    Directory(#[from] FileError),
    /// A file that is to be followed cannot be.
    #[error("its log file cannot be followed: {0}")]
    LogFile(#[source] FileError),
    /// No such program.
    #[error("command `{command}` was not found in PATH={path} of the worker")]
    NotFound {
        /// The program as it was called.
        command: String,
        /// Where it was looked for.
        path: String,
    },
    /// The program was given by its path, and that does not exist.
    #[error("command `{command}` does not exist: there is no file {}", path.display())]
    NoSuchFile {
        /// The program as it was called.
        command: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is there, and is no program that this user may run.
    #[error(
        "command `{command}` cannot be run: {} is not an executable file (chmod +x may help)",
        path.display()
    )]
    NotExecutable {
        /// The program as it was called.
        command: String,
        /// The file that was found.
        path: PathBuf,
    },
    /// The system refuses to make the process.
    #[error("command `{command}` ({}) cannot be started: {source}{hint}", path.display())]
    Spawn {
        /// The program as it was called.
        command: String,
        /// The file that was found for it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What that usually means, or nothing.
        hint: &'static str,
    },
    /// As many commands as may run are running, and none ended in time.
    #[error(
        "the worker runs {commands_max} commands already and none ended within {} s",
        wait.as_secs()
    )]
    NoSlot {
        /// The worker's limit.
        commands_max: usize,
        /// How long the command waited.
        wait: Duration,
    },
    /// It cannot be limited as it is to be.
    #[error("its control group cannot be made: {0}")]
    Group(#[source] io::Error),
    /// The worker takes no commands any more.
    #[error("the worker shuts down")]
    ShuttingDown,
}

/// Makes processes for one worker.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) base: Root,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) mark: Mark,
    pub(crate) user: Option<User>,
    pub(crate) groups: Option<Groups>,
    /// Keeps other workers out of the base directory until it is closed.
    pub(crate) _lock: File,
}

/// A process that was made, and its pipes.
pub(crate) struct Process {
    pub(crate) leader: Leader,
    pub(crate) pipes: Pipes,
}

/// The pipes of a process.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// A process that only has to be made.
pub(crate) struct Prepared {
    command: Command,
    pub(crate) family: Family,
    pub(crate) group: Option<Arc<Group>>,
    launch: Launch,
}

impl Launcher {
    /// Makes the directories and finds the program. Blocks on the file system.
    pub(crate) fn prepare(&self, spec: &CommandSpec) -> Result<Prepared, StartError> {
        let group = self.groups.as_ref().map(Groups::make).transpose();
        let group = group.map_err(StartError::Group)?;
        let _rights = self.rights()?;
        let argv = argv(&spec.invocation)?;
        let dir = self.working_dir(spec)?;
        let mut environment = environment::compose(&self.environment, &spec.env)?;
        if !spec.env.contains_key("PWD") {
            environment.insert("PWD".into(), dir.clone().into());
        }
        environment.insert(MARK_VARIABLE.into(), self.mark.value());
        let family = Family::new();
        environment.insert(FAMILY_VARIABLE.into(), family.word());
        let search = environment.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let program = program::find(argv[0], search, &dir)?;

        // A program given by its full path lets the standard library use posix_spawn, which costs
        // the same however large this process is; fork, for another user, does not.
        let mut command = Command::new(&program);
        command
            .arg0(argv[0])
            .args(&argv[1..])
            .current_dir(&dir)
            .env_clear()
            .envs(&environment)
            .stdin(match spec.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let entrance = group.as_ref().map(|group| group.entrance()).transpose();
        let entrance = entrance.map_err(StartError::Group)?;
        child::begin_in(&mut command, entrance, self.user.as_ref());
        let launch = Launch {
            invocation: spec.invocation.clone(),
            program,
            dir,
            environment: readable(&environment),
            process_id: None,
            idle_timeout: spec.idle_timeout,
            total_timeout: spec.total_timeout,
        };
        Ok(Prepared {
            command,
            family,
            group,
            launch,
        })
    }

    /// The rights of whoever the builds run as, for this thread.
    pub(crate) fn rights(&self) -> Result<Option<Rights>, FileError> {
        let rights = self.user.as_ref().map(User::rights).transpose();
        rights.map_err(|source| FileError::io("use", self.base.path().display(), source))
    }

    fn working_dir(&self, spec: &CommandSpec) -> Result<PathBuf, FileError> {
        let build = self.base.descend(&spec.build_dir, true)?;
        if spec.dir_may_leave_build {
            return free_dir(&build.path().join(&spec.dir), spec.create_dir);
        }
        let dir = build.descend(&spec.dir, spec.create_dir)?;
        Ok(dir.path().to_owned())
    }
}

impl Prepared {
    pub(crate) fn spawn(&mut self) -> Result<Process, StartError> {
        let spawned = self.command.spawn().and_then(Process::new);
        spawned.map_err(|source| {
            let hint = spawn_hint(&source);
            StartError::Spawn {
                command: self.launch.command_name().to_owned(),
                path: self.launch.program.clone(),
                source,
                hint,
            }
        })
    }

    pub(crate) fn into_launch(self, process_id: u32) -> Launch {
        Launch {
            process_id: Some(process_id),
            ..self.launch
        }
    }
}

impl Process {
    fn new(mut child: Child) -> io::Result<Self> {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let leader = Leader::new(child)?;
        let pipes = || {
            io::Result::Ok(Pipes {
                stdin: stdin.map(ChildStdin::from_std).transpose()?,
                stdout: stdout.map(ChildStdout::from_std).transpose()?,
                stderr: stderr.map(ChildStderr::from_std).transpose()?,
            })
        };
        match pipes() {
            Ok(pipes) => Ok(Self { leader, pipes }),
            Err(error) => {
                leader.give_up();
                Err(error)
            }
        }
    }
}

impl Launch {
    fn command_name(&self) -> &str {
        match &self.invocation {
            Invocation::Argv(argv) => argv.first().map_or("", String::as_str),
            Invocation::Shell(_) => program::SHELL,
        }
    }

    /// The lines that tell a reader of the log what runs here; the environment only on request. The
    /// caller masks secrets.
    #[must_use]
    pub fn header(&self, with_environment: bool) -> String {
        let mut text = match &self.invocation {
            Invocation::Shell(line) => format!("{line}\n"),
            Invocation::Argv(argv) => format!("{}\n", quoted_words(argv)),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, " in directory {}", self.dir.display());
        let _ = writeln!(text, " program {}", self.program.display());
        if let Some(limit) = self.idle_timeout {
            let _ = writeln!(
                text,
                " stopped after {} s without output",
                limit.as_secs_f64()
            );
        }
        if let Some(limit) = self.total_timeout {
            let _ = writeln!(text, " stopped after {} s", limit.as_secs_f64());
        }
        if with_environment {
            text.push_str(" environment:\n");
            for (name, value) in &self.environment {
                let _ = writeln!(text, "  {name}={value}");
            }
        }
        text
    }
}

impl StartError {
    /// Somebody has the program open for writing.
    pub(crate) fn is_busy_program(&self) -> bool {
        matches!(self, Self::Spawn { source, .. }
            if source.kind() == io::ErrorKind::ExecutableFileBusy)
    }
}

fn argv(invocation: &Invocation) -> Result<Vec<&str>, StartError> {
    let argv = match invocation {
        Invocation::Shell(line) => vec![program::SHELL, "-c", line],
        Invocation::Argv(argv) => argv.iter().map(String::as_str).collect(),
    };
    let invalid = |reason: &str| {
        Err(StartError::InvalidCommand {
            reason: reason.to_owned(),
        })
    };
    if argv.first().is_none_or(|program| program.is_empty()) {
        return invalid("it is empty; give a program and its arguments");
    }
    match argv.iter().position(|word| word.contains('\0')) {
        Some(0) => invalid("its name contains a zero byte"),
        Some(index) => invalid(&format!("its argument {index} contains a zero byte")),
        None => Ok(argv),
    }
}

/// A working directory that may be anywhere.
fn free_dir(path: &Path, create: bool) -> Result<PathBuf, FileError> {
    let made = if create {
        std::fs::create_dir_all(path)
    } else {
        Ok(())
    };
    made.and_then(|()| path.canonicalize())
        .map_err(|source| FileError::io("use", path.display(), source))
}

fn spawn_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        // The program was there a moment ago.
        io::ErrorKind::NotFound => {
            "; the interpreter in its first line, or its loader, is missing on the worker"
        }
        io::ErrorKind::ArgumentListTooLong => "; its arguments and environment are too large",
        io::ErrorKind::WouldBlock => "; the worker's user has too many processes",
        _ => "",
    }
}

fn readable(environment: &BTreeMap<OsString, OsString>) -> BTreeMap<String, String> {
    let text = |value: &OsString| value.to_string_lossy().into_owned();
    environment
        .iter()
        .filter(|(name, _)| *name != MARK_VARIABLE && *name != FAMILY_VARIABLE)
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// Words as a shell would take them back.
#[must_use]
pub fn quoted_words(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word as a shell would take it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
