//! What a worker tells about a command that runs.

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::pack::{Reader, Writer};

/// The name of what a command used, which only this crate knows.
const USAGE: &str = "toolpost_usage";

/// One thing that became known. The order in a message is that in which it became known, with one exception: output
/// without a line end may come after `rc`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// Standard output.
    Stdout(Text),
    /// Standard error.
    Stderr(Text),
    /// What the worker itself says about the command, for the log.
    Header(Text),
    /// A log file that is followed.
    Log {
        /// Its name among [`crate::Shell::logfiles`].
        name: String,
        /// What was written to it.
        text: Text,
    },
    /// The command has ended with this code; -1 when a signal ended it. Other commands: 0, or an error number.
    Rc(i64),
    /// Why the worker stopped it.
    FailureReason(FailureReason),
    /// What `glob` or `listdir` found.
    Files(Vec<String>),
    /// What `stat` found.
    Stat(FileStat),
    /// How long it took, in seconds.
    Elapsed(f64),
    /// What it used of the machine. Only for masters that know it; others would say that it is unknown.
    Usage(Usage),
    /// Something that this crate does not know; by its name.
    Other(String),
}

/// What a command used of its worker. A worker leaves out what its system does not tell, which reads as 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Time of processors in programs, in seconds.
    pub user_s: f64,
    /// Time of processors in the system on their behalf, in seconds.
    pub system_s: f64,
    /// The most memory at a time.
    pub memory_peak_bytes: u64,
    /// Read from disks.
    pub read_bytes: u64,
    /// Written, and bound for disks.
    pub written_bytes: u64,
}

/// Output: whole lines, the last one perhaps without its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// As it was written, by intention UTF-8.
    pub bytes: Bytes,
    /// When its first line was read, in seconds since 1970, by the worker's clock.
    pub at: f64,
}

/// Why a worker stopped a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureReason {
    /// It took longer than its `maxTime`.
    Timeout,
    /// It wrote nothing for longer than its `timeout`.
    TimeoutWithoutOutput,
    /// It wrote more than its `max_lines`.
    MaxLines,
    /// Another reason.
    Other(String),
}

/// What `stat` tells, in the order of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Type and permissions, as Unix has them.
    pub mode: i64,
    /// Number on its device.
    pub inode: i64,
    /// Device.
    pub device: i64,
    /// Hard links.
    pub links: i64,
    /// Owner.
    pub user: i64,
    /// Group.
    pub group: i64,
    /// Bytes.
    pub size: i64,
    /// Last access, in seconds since 1970.
    pub accessed: i64,
    /// Last change of the contents.
    pub modified: i64,
    /// Last change of anything about it.
    pub changed: i64,
}

impl FailureReason {
    fn name(&self) -> &str {
        match self {
            Self::Timeout => "timeout",
            Self::TimeoutWithoutOutput => "timeout_without_output",
            Self::MaxLines => "max_lines_failure",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: String) -> Self {
        match name.as_str() {
            "timeout" => Self::Timeout,
            "timeout_without_output" => Self::TimeoutWithoutOutput,
            "max_lines_failure" => Self::MaxLines,
            _ => Self::Other(name),
        }
    }
}

impl Update {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        pair(reader)?;
        let name = reader.name("update")?;
        Ok(match name.as_str() {
            "stdout" => Self::Stdout(Text::read(reader)?),
            "stderr" => Self::Stderr(Text::read(reader)?),
            "header" => Self::Header(Text::read(reader)?),
            "log" => {
                pair(reader)?;
                Self::Log {
                    name: reader.name("log")?,
                    text: Text::read(reader)?,
                }
            }
            "rc" => Self::Rc(reader.integer("rc")?),
            "failure_reason" => {
                Self::FailureReason(FailureReason::from_name(reader.name("failure_reason")?))
            }
            "files" => Self::Files(reader.each("files", |reader| reader.text("files"))?),
            "stat" => Self::Stat(FileStat::read(reader)?),
            "elapsed" => Self::Elapsed(reader.float("elapsed")?),
            USAGE => Self::Usage(Usage::read(reader)?),
            _ => {
                reader.skip()?;
                Self::Other(name)
            }
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.list(2);
        match self {
            Self::Stdout(text) => text.write(writer.key("stdout")),
            Self::Stderr(text) => text.write(writer.key("stderr")),
            Self::Header(text) => text.write(writer.key("header")),
            Self::Log { name, text } => {
                writer.key("log").list(2);
                text.write(writer.key(name));
            }
            Self::Rc(code) => writer.key("rc").integer(*code),
            Self::FailureReason(reason) => writer.key("failure_reason").text(reason.name()),
            Self::Files(files) => writer.key("files").texts(files.iter().map(String::as_str)),
            Self::Stat(stat) => stat.write(writer.key("stat")),
            Self::Elapsed(seconds) => writer.key("elapsed").float(*seconds),
            Self::Usage(usage) => usage.write(writer.key(USAGE)),
            Self::Other(name) => writer.key(name).nil(),
        }
    }
}

impl Usage {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let mut usage = Self::default();
        for _ in 0..reader.map(USAGE)? {
            match reader.name("a part of the usage")?.as_str() {
                "user_s" => usage.user_s = reader.float("user_s")?,
                "system_s" => usage.system_s = reader.float("system_s")?,
                "memory_peak_bytes" => {
                    usage.memory_peak_bytes = reader.count("memory_peak_bytes")?;
                }
                "read_bytes" => usage.read_bytes = reader.count("read_bytes")?,
                "written_bytes" => usage.written_bytes = reader.count("written_bytes")?,
                _ => reader.skip()?,
            }
        }
        Ok(usage)
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(5);
        writer.key("user_s").float(self.user_s);
        writer.key("system_s").float(self.system_s);
        writer
            .key("memory_peak_bytes")
            .count(self.memory_peak_bytes);
        writer.key("read_bytes").count(self.read_bytes);
        writer.key("written_bytes").count(self.written_bytes);
    }
}

fn pair(reader: &mut Reader<'_>) -> Result<(), ProtocolError> {
    match reader.list("an update")? {
        2 => Ok(()),
        _ => Err(ProtocolError::WrongType {
            field: "an update",
            expected: "a pair",
            found: "a list of another length",
        }),
    }
}

impl Text {
    /// The text, the places of its line ends, and when each line came. The master needs the text and one time.
    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        if reader.list("output")? != 3 {
            return Err(ProtocolError::WrongType {
                field: "output",
                expected: "a list of three",
                found: "a list of another length",
            });
        }
        let bytes = reader.kept("output")?;
        reader.skip()?;
        let count = reader.list("times of output")?;
        let mut at = 0.0;
        for index in 0..count {
            let time = reader.float("times of output")?;
            if index == 0 {
                at = time;
            }
        }
        Ok(Self { bytes, at })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(3);
        // What is no text goes as it is: whoever sends to a stock master makes texts of it before.
        writer.text_or_bytes(&self.bytes);
        let text = String::from_utf8_lossy(&self.bytes);
        // Places count characters, not bytes.
        let ends = || text.chars().enumerate().filter(|(_, c)| *c == '\n');
        let count = ends().count();
        writer.list(count);
        for (place, _) in ends() {
            writer.count(place as u64);
        }
        writer.list(count);
        for _ in 0..count {
            writer.float(self.at);
        }
    }
}

impl FileStat {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let count = reader.list("stat")?;
        let mut numbers = [0; 10];
        if count < numbers.len() {
            return Err(ProtocolError::WrongType {
                field: "stat",
                expected: "a list of ten",
                found: "a shorter list",
            });
        }
        for number in &mut numbers {
            *number = reader.integer("stat")?;
        }
        for _ in numbers.len()..count {
            reader.skip()?;
        }
        let [
            mode,
            inode,
            device,
            links,
            user,
            group,
            size,
            accessed,
            modified,
            changed,
        ] = numbers;
        Ok(Self {
            mode,
            inode,
            device,
            links,
            user,
            group,
            size,
            accessed,
            modified,
            changed,
        })
    }

    fn write(&self, writer: &mut Writer) {
        let numbers = [
            self.mode,
            self.inode,
            self.device,
            self.links,
            self.user,
            self.group,
            self.size,
            self.accessed,
            self.modified,
            self.changed,
        ];
        writer.list(numbers.len());
        for number in numbers {
            writer.integer(number);
        }
    }
}
