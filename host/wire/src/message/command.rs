//! The commands of `start_command`. Paths are absolute.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::{ProtocolError, line};
use crate::pack::{Kind, Reader, Writer};

/// Where an upload begins: an argument that only this crate knows.
const OFFSET: &str = "toolpost_offset";

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// `shell`: runs a program.
    Shell(Box<Shell>),
    /// `upload_file`: sends a file to the master.
    UploadFile(UploadFile),
    /// `upload_directory`: sends a directory as a tar archive.
    UploadDirectory(UploadDirectory),
    /// `download_file`: takes a file from the master, piece by piece. Directories above it are made.
    DownloadFile(DownloadFile),
    /// `mkdir`: makes directories and those above them; they may exist.
    MakeDirs {
        /// The directories.
        paths: Vec<String>,
    },
    /// `rmdir`: removes directories or files with everything in them; they need not exist.
    RemoveDirs(RemoveDirs),
    /// `cpdir`: copies a directory with everything in it.
    CopyDir(CopyDir),
    /// `rmfile`: removes a file.
    RemoveFile {
        /// The file.
        path: String,
    },
    /// `stat`: what lies at a path. Symbolic links are followed.
    Stat {
        /// The path.
        path: String,
    },
    /// `glob`: the paths that match.
    Glob {
        /// The pattern.
        path: String,
    },
    /// `listdir`: the names in a directory.
    ListDir {
        /// The directory.
        path: String,
    },
    /// What this crate does not know; by its name.
    Unknown(String),
}

/// Arguments of `shell`. Times are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Shell {
    /// How it is called.
    pub command: Argv,
    /// Where it runs; made if it is missing.
    pub workdir: String,
    /// Changes to the worker's environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Whether standard output is sent.
    pub want_stdout: bool,
    /// Whether standard error is sent.
    pub want_stderr: bool,
    /// Files that are followed while it runs, by the name of the log.
    pub logfiles: BTreeMap<String, LogFile>,
    /// Stop it when it has written nothing for this long.
    pub timeout: Option<f64>,
    /// Stop it when it has run for this long.
    pub max_time: Option<f64>,
    /// Stop it when it has written so many lines.
    pub max_lines: Option<u64>,
    /// How long it has between SIGTERM and SIGKILL; `None` for no SIGTERM.
    pub sigterm_time: Option<f64>,
    /// Run it on a terminal.
    pub use_pty: bool,
    /// Put its environment in the log.
    pub log_environ: bool,
    /// What it can read.
    pub initial_stdin: Option<Bytes>,
    /// Name of the signal that asks it to stop, without `SIG`.
    pub interrupt_signal: Option<String>,
}

/// How a program is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argv {
    /// A line for the shell.
    Line(String),
    /// The program and its arguments.
    Words(Vec<String>),
}

/// A change to one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Take it away.
    Unset,
    /// Set it; `${NAME}` stands for the worker's own value of NAME.
    Set(String),
    /// Set it to these, joined as paths are.
    List(Vec<String>),
}

/// A file that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path, from the working directory on.
    pub filename: String,
    /// Leave out what is in it already.
    pub follow: bool,
}

/// Arguments of `upload_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadFile {
    /// The file.
    pub path: String,
    /// Fail when it has more bytes; what came before was sent.
    pub max_size: Option<u64>,
    /// Bytes of one piece.
    pub block_size: u64,
    /// Send its times as well.
    pub keep_stamp: bool,
    /// Where to begin, in bytes. Only for workers that offer it ([`crate::WorkerInfo::offsets`]); others begin at 0.
    pub offset: u64,
}

/// Arguments of `upload_directory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadDirectory {
    /// The directory.
    pub path: String,
    /// Fail when the archive has more bytes.
    pub max_size: Option<u64>,
    /// Bytes of one piece.
    pub block_size: u64,
    /// How the archive is compressed.
    pub compress: Option<Compression>,
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip
    Gzip,
    /// bzip2
    Bzip2,
}

/// Arguments of `download_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadFile {
    /// The file to write.
    pub path: String,
    /// Fail when there are more bytes.
    pub max_size: Option<u64>,
    /// Bytes of one piece.
    pub block_size: u64,
    /// Its permissions; `None` for the usual ones.
    pub mode: Option<u32>,
}

/// Arguments of `rmdir`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveDirs {
    /// What to remove.
    pub paths: Vec<String>,
    /// Put the environment in the log.
    pub log_environ: bool,
    /// As for [`Shell`].
    pub timeout: Option<f64>,
    /// As for [`Shell`].
    pub max_time: Option<f64>,
}

/// Arguments of `cpdir`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyDir {
    /// The directory.
    pub from_path: String,
    /// What becomes its copy; into it, if it exists.
    pub to_path: String,
    /// Put the environment in the log.
    pub log_environ: bool,
    /// As for [`Shell`].
    pub timeout: Option<f64>,
    /// As for [`Shell`].
    pub max_time: Option<f64>,
}

impl Shell {
    /// What is left out of a message.
    #[must_use]
    pub fn new(command: Argv, workdir: impl Into<String>) -> Self {
        Self {
            command,
            workdir: workdir.into(),
            env: BTreeMap::new(),
            want_stdout: true,
            want_stderr: true,
            logfiles: BTreeMap::new(),
            timeout: None,
            max_time: None,
            max_lines: None,
            sigterm_time: None,
            use_pty: false,
            log_environ: true,
            initial_stdin: None,
            interrupt_signal: None,
        }
    }
}

impl Command {
    /// Its name in `command_name`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Shell(_) => "shell",
            Self::UploadFile(_) => "upload_file",
            Self::UploadDirectory(_) => "upload_directory",
            Self::DownloadFile(_) => "download_file",
            Self::MakeDirs { .. } => "mkdir",
            Self::RemoveDirs(_) => "rmdir",
            Self::CopyDir(_) => "cpdir",
            Self::RemoveFile { .. } => "rmfile",
            Self::Stat { .. } => "stat",
            Self::Glob { .. } => "glob",
            Self::ListDir { .. } => "listdir",
            Self::Unknown(name) => name,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Shell(shell) => shell.write(writer),
            Self::UploadFile(upload) => {
                writer.map(4 + usize::from(upload.offset > 0));
                writer.key("path").text(&upload.path);
                writer
                    .key("maxsize")
                    .optional(upload.max_size, Writer::count);
                writer.key("blocksize").count(upload.block_size);
                writer.key("keepstamp").bool(upload.keep_stamp);
                if upload.offset > 0 {
                    writer.key(OFFSET).count(upload.offset);
                }
            }
            Self::UploadDirectory(upload) => {
                writer.map(4);
                writer.key("path").text(&upload.path);
                writer
                    .key("maxsize")
                    .optional(upload.max_size, Writer::count);
                writer.key("blocksize").count(upload.block_size);
                let name = upload.compress.map(Compression::name);
                writer.key("compress").optional(name, Writer::text);
            }
            Self::DownloadFile(download) => {
                writer.map(4);
                writer.key("path").text(&download.path);
                writer
                    .key("maxsize")
                    .optional(download.max_size, Writer::count);
                writer.key("blocksize").count(download.block_size);
                let mode = download.mode.map(u64::from);
                writer.key("mode").optional(mode, Writer::count);
            }
            Self::MakeDirs { paths } => {
                writer.map(1);
                writer.key("paths").texts(paths.iter().map(String::as_str));
            }
            Self::RemoveDirs(remove) => {
                writer.map(4);
                let paths = remove.paths.iter().map(String::as_str);
                writer.key("paths").texts(paths);
                times(writer, remove.log_environ, remove.timeout, remove.max_time);
            }
            Self::CopyDir(copy) => {
                writer.map(5);
                writer.key("from_path").text(&copy.from_path);
                writer.key("to_path").text(&copy.to_path);
                times(writer, copy.log_environ, copy.timeout, copy.max_time);
            }
            Self::RemoveFile { path }
            | Self::Stat { path }
            | Self::Glob { path }
            | Self::ListDir { path } => {
                writer.map(1);
                writer.key("path").text(path);
            }
            Self::Unknown(_) => writer.map(0),
        }
    }

    /// Reads the arguments of the command of this name; those that nobody knows are passed over.
    pub(crate) fn read(name: String, reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let args = Args::read(&name, reader)?;
        Ok(match name.as_str() {
            "shell" => Self::Shell(Box::new(Shell::read(&args)?)),
            "upload_file" | "uploadFile" => Self::UploadFile(UploadFile {
                path: args.text("path")?,
                max_size: args.optional("maxsize", |value| value.count("maxsize"))?,
                block_size: args.required("blocksize")?.count("blocksize")?,
                keep_stamp: args.flag("keepstamp", false)?,
                offset: args
                    .optional(OFFSET, |value| value.count(OFFSET))?
                    .unwrap_or(0),
            }),
            "upload_directory" | "uploadDirectory" => Self::UploadDirectory(UploadDirectory {
                path: args.text("path")?,
                max_size: args.optional("maxsize", |value| value.count("maxsize"))?,
                block_size: args.required("blocksize")?.count("blocksize")?,
                compress: args.optional("compress", Compression::read)?,
            }),
            "download_file" | "downloadFile" => Self::DownloadFile(DownloadFile {
                path: args.text("path")?,
                max_size: args.optional("maxsize", |value| value.count("maxsize"))?,
                block_size: args.required("blocksize")?.count("blocksize")?,
                mode: args
                    .optional("mode", |value| value.count("mode"))?
                    .map(|mode| {
                        // Only permissions mean anything.
                        u32::try_from(mode & 0o7777).unwrap_or(0)
                    }),
            }),
            "mkdir" => Self::MakeDirs {
                paths: args.texts("paths")?,
            },
            "rmdir" => Self::RemoveDirs(RemoveDirs {
                paths: args.texts("paths")?,
                log_environ: args.flag("logEnviron", true)?,
                timeout: args.seconds("timeout")?,
                max_time: args.seconds("maxTime")?,
            }),
            "cpdir" => Self::CopyDir(CopyDir {
                from_path: args.text("from_path")?,
                to_path: args.text("to_path")?,
                log_environ: args.flag("logEnviron", true)?,
                timeout: args.seconds("timeout")?,
                max_time: args.seconds("maxTime")?,
            }),
            "rmfile" => Self::RemoveFile {
                path: args.text("path")?,
            },
            "stat" => Self::Stat {
                path: args.text("path")?,
            },
            "glob" => Self::Glob {
                path: args.text("path")?,
            },
            "listdir" => Self::ListDir {
                path: args.text("path")?,
            },
            _ => Self::Unknown(name),
        })
    }
}

fn times(writer: &mut Writer, log_environ: bool, timeout: Option<f64>, max_time: Option<f64>) {
    writer.key("logEnviron").bool(log_environ);
    writer.key("timeout").optional(timeout, Writer::float);
    writer.key("maxTime").optional(max_time, Writer::float);
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Bzip2 => "bz2",
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        match reader.name("compress")?.as_str() {
            "gz" => Ok(Self::Gzip),
            "bz2" => Ok(Self::Bzip2),
            _ => Err(ProtocolError::WrongType {
                field: "compress",
                expected: "`gz` or `bz2`",
                found: "another text",
            }),
        }
    }
}

impl Shell {
    fn read(args: &Args<'_>) -> Result<Self, ProtocolError> {
        let mut command = args.required("command")?;
        let command = match command.peek()? {
            Kind::List => Argv::Words(command.each("command", |word| word.text("command"))?),
            _ => Argv::Line(command.text("command")?),
        };
        let mut shell = Self::new(command, args.text("workdir")?);
        if let Some(env) = args.optional("env", read_env)? {
            shell.env = env;
        }
        if let Some(logfiles) = args.optional("logfiles", read_logfiles)? {
            shell.logfiles = logfiles;
        }
        shell.want_stdout = args.flag("want_stdout", true)?;
        shell.want_stderr = args.flag("want_stderr", true)?;
        shell.timeout = args.seconds("timeout")?;
        shell.max_time = args.seconds("maxTime")?;
        shell.max_lines = args.optional("max_lines", |value| value.count("max_lines"))?;
        shell.sigterm_time = args.seconds("sigtermTime")?;
        shell.use_pty = args.flag("usePTY", false)?;
        shell.log_environ = args.flag("logEnviron", true)?;
        shell.initial_stdin =
            args.optional("initial_stdin", |value| value.kept("initial_stdin"))?;
        shell.interrupt_signal =
            args.optional("interruptSignal", |value| value.name("interruptSignal"))?;
        Ok(shell)
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(14);
        match &self.command {
            Argv::Line(line) => writer.key("command").text(line),
            Argv::Words(words) => {
                let words = words.iter().map(String::as_str);
                writer.key("command").texts(words);
            }
        }
        writer.key("workdir").text(&self.workdir);
        writer.key("env").map(self.env.len());
        for (name, value) in &self.env {
            writer.key(name);
            match value {
                EnvValue::Unset => writer.nil(),
                EnvValue::Set(value) => writer.text(value),
                EnvValue::List(values) => writer.texts(values.iter().map(String::as_str)),
            }
        }
        writer.key("want_stdout").bool(self.want_stdout);
        writer.key("want_stderr").bool(self.want_stderr);
        writer.key("logfiles").map(self.logfiles.len());
        for (name, file) in &self.logfiles {
            writer.key(name).map(2);
            writer.key("filename").text(&file.filename);
            writer.key("follow").bool(file.follow);
        }
        writer.key("timeout").optional(self.timeout, Writer::float);
        writer.key("maxTime").optional(self.max_time, Writer::float);
        writer
            .key("max_lines")
            .optional(self.max_lines, Writer::count);
        let sigterm_time = self.sigterm_time;
        writer
            .key("sigtermTime")
            .optional(sigterm_time, Writer::float);
        writer.key("usePTY").bool(self.use_pty);
        writer.key("logEnviron").bool(self.log_environ);
        let stdin = self.initial_stdin.as_deref();
        writer
            .key("initial_stdin")
            .optional(stdin, Writer::text_or_bytes);
        let signal = self.interrupt_signal.as_deref();
        writer.key("interruptSignal").optional(signal, Writer::text);
    }
}

fn read_env(reader: &mut Reader<'_>) -> Result<BTreeMap<String, EnvValue>, ProtocolError> {
    let mut env = BTreeMap::new();
    for _ in 0..reader.map("env")? {
        let name = reader.text("env")?;
        let value = match reader.peek()? {
            Kind::Nil => {
                reader.skip()?;
                EnvValue::Unset
            }
            Kind::List => EnvValue::List(reader.each("env", |item| item.text("env"))?),
            _ => EnvValue::Set(reader.text("env")?),
        };
        env.insert(name, value);
    }
    Ok(env)
}

/// Each value is a path, or a map with the path.
fn read_logfiles(reader: &mut Reader<'_>) -> Result<BTreeMap<String, LogFile>, ProtocolError> {
    let mut files = BTreeMap::new();
    for _ in 0..reader.map("logfiles")? {
        let name = reader.name("logfiles")?;
        let file = if reader.peek()? == Kind::Map {
            let args = Args::read("logfiles", reader)?;
            LogFile {
                filename: args.text("filename")?,
                follow: args.flag("follow", false)?,
            }
        } else {
            LogFile {
                filename: reader.text("logfiles")?,
                follow: false,
            }
        };
        files.insert(name, file);
    }
    Ok(files)
}

/// Arguments by name.
struct Args<'f> {
    command: String,
    found: Vec<(&'f [u8], Reader<'f>)>,
}

impl<'f> Args<'f> {
    /// Arguments of one command. None has more than fifteen that mean something.
    const ARGUMENTS_MAX: usize = 64;

    fn read(command: &str, reader: &mut Reader<'f>) -> Result<Self, ProtocolError> {
        let count = reader.map("args")?;
        if count > Self::ARGUMENTS_MAX {
            return Err(ProtocolError::TooMuch {
                what: "arguments",
                limit: Self::ARGUMENTS_MAX as u64,
                limit_name: "ARGUMENTS_MAX",
            });
        }
        let mut found = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.bytes("the name of an argument")?;
            let value = reader.clone();
            reader.skip()?;
            found.push((name, value));
        }
        Ok(Self {
            command: command.to_owned(),
            found,
        })
    }

    fn get(&self, name: &str) -> Option<Reader<'f>> {
        let mut found = self.found.iter().rev();
        let (_, value) = found.find(|(given, _)| *given == name.as_bytes())?;
        Some(value.clone())
    }

    fn required(&self, field: &'static str) -> Result<Reader<'f>, ProtocolError> {
        self.get(field).ok_or_else(|| ProtocolError::Missing {
            op: line(&self.command),
            field,
        })
    }

    fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&mut Reader<'f>) -> Result<T, ProtocolError>,
    ) -> Result<Option<T>, ProtocolError> {
        match self.get(name) {
            Some(mut value) => value.optional(read),
            None => Ok(None),
        }
    }

    fn text(&self, field: &'static str) -> Result<String, ProtocolError> {
        self.required(field)?.text(field)
    }

    fn texts(&self, field: &'static str) -> Result<Vec<String>, ProtocolError> {
        self.required(field)?.each(field, |value| value.text(field))
    }

    fn flag(&self, field: &'static str, default: bool) -> Result<bool, ProtocolError> {
        let given = self.optional(field, |value| value.bool(field))?;
        Ok(given.unwrap_or(default))
    }

    fn seconds(&self, field: &'static str) -> Result<Option<f64>, ProtocolError> {
        self.optional(field, |value| value.float(field))
    }
}
