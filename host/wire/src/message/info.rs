//! What a worker tells about itself, and what a master tells it to do with output.

use std::collections::BTreeMap;

use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::envelope::Payload;
use crate::pack::{Kind, Reader, Writer};

/// Among the commands of a worker, where masters pass over what they do not know: offers sessions that outlive their connection.
const INSTANCE: &str = "toolpost_instance";
/// In the same place: takes packed messages, and sends them to masters that say that they take them.
const PACKING: &str = "toolpost_zstd";
/// In the same place: uploads can begin anywhere in a file.
const OFFSETS: &str = "toolpost_offsets";

/// The answer to `get_worker_info`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkerInfo {
    /// Absolute path of the directory beneath which builds have theirs.
    pub base_dir: String,
    /// `posix` or `nt`: which rules paths follow.
    pub system: String,
    /// Version of the worker.
    pub version: String,
    /// Processors.
    pub cpus: u32,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// The commands that it knows, each with its version.
    pub commands: BTreeMap<String, String>,
    /// The process, by a text that no other one has, if it offers sessions that outlive their connection.
    pub instance: Option<String>,
    /// Whether uploads can begin anywhere in a file.
    pub offsets: bool,
    /// Whether it takes packed messages.
    pub packs: bool,
    /// Everything else: the files of its `info` directory, such as `admin` and `host`, by name, and what is known of its
    /// system.
    pub texts: BTreeMap<String, String>,
}

/// What a worker is to do with output.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// What is replaced by a line end, as a regular expression of Python.
    pub newline_re: String,
    /// A longer line is cut into several, in bytes.
    pub max_line_length: u64,
    /// How long output may wait for more, in seconds.
    pub buffer_timeout: f64,
    /// With so many bytes it waits no longer.
    pub buffer_size: u64,
}

impl Default for WorkerSettings {
    /// What suits a master that cuts lines itself: output as it is.
    fn default() -> Self {
        Self {
            // Matches nothing.
            newline_re: "(?!)".into(),
            max_line_length: 64 * 1024,
            buffer_timeout: 0.5,
            buffer_size: 64 * 1024,
        }
    }
}

impl WorkerSettings {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let mut settings = Self::default();
        for _ in 0..reader.map("args")? {
            match reader.name("a setting")?.as_str() {
                "newline_re" => settings.newline_re = reader.text("newline_re")?,
                "max_line_length" => settings.max_line_length = reader.count("max_line_length")?,
                "buffer_timeout" => settings.buffer_timeout = reader.float("buffer_timeout")?,
                "buffer_size" => settings.buffer_size = reader.count("buffer_size")?,
                _ => reader.skip()?,
            }
        }
        Ok(settings)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.map(4);
        writer.key("newline_re").text(&self.newline_re);
        writer.key("max_line_length").count(self.max_line_length);
        writer.key("buffer_timeout").float(self.buffer_timeout);
        writer.key("buffer_size").count(self.buffer_size);
    }
}

impl WorkerInfo {
    /// Takes the answer apart. Values of types that nobody knows are left out.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let start = reader.at();
        let mut whole = reader.clone();
        whole.skip()?;
        let limit = reader.limits().info_bytes_max;
        if whole.at() - start > limit {
            return Err(ProtocolError::TooMuch {
                what: "bytes about the worker",
                limit: limit as u64,
                limit_name: "info_bytes_max",
            });
        }
        let mut info = Self {
            cpus: 1,
            ..Self::default()
        };
        for _ in 0..reader.map("result")? {
            let name = reader.name("a key of the worker's information")?;
            match (name.as_str(), reader.peek()?) {
                ("basedir", Kind::Text | Kind::Bytes) => info.base_dir = reader.text("basedir")?,
                ("system", Kind::Text | Kind::Bytes) => info.system = reader.name("system")?,
                ("version", Kind::Text | Kind::Bytes) => info.version = reader.name("version")?,
                ("numcpus", Kind::Integer) => {
                    info.cpus = u32::try_from(reader.count("numcpus")?).unwrap_or(u32::MAX);
                }
                ("environ", Kind::Map) => info.environment = texts(reader)?,
                ("worker_commands", Kind::Map) => {
                    info.commands = texts(reader)?;
                    info.instance = info.commands.remove(INSTANCE);
                    info.offsets = info.commands.remove(OFFSETS).is_some();
                    info.packs = info.commands.remove(PACKING).is_some();
                }
                (_, Kind::Text | Kind::Bytes) => {
                    let text = reader.text("a text of the worker's information")?;
                    info.texts.insert(name, text);
                }
                _ => reader.skip()?,
            }
        }
        info.check(reader.limits())?;
        Ok(info)
    }

    /// Without its directory a worker is of no use, and what is kept for as long as it is connected is short.
    fn check(&self, limits: &Limits) -> Result<(), ProtocolError> {
        if self.base_dir.is_empty() {
            return Err(ProtocolError::Missing {
                op: "get_worker_info".into(),
                field: "basedir",
            });
        }
        let too_much = |what, limit: usize, limit_name| ProtocolError::TooMuch {
            what,
            limit: limit as u64,
            limit_name,
        };
        let (dir, name) = (limits.reason_bytes_max, limits.name_bytes_max);
        if self.base_dir.len() > dir {
            return Err(too_much("bytes in `basedir`", dir, "reason_bytes_max"));
        }
        if self.instance.as_ref().is_some_and(|of| of.len() > name) {
            return Err(too_much("bytes in a name", name, "name_bytes_max"));
        }
        Ok(())
    }

    pub(crate) fn payload(&self) -> Payload {
        let mut writer = Writer::default();
        writer.map(7 + self.texts.len());
        for (name, text) in &self.texts {
            writer.key(name).text(text);
        }
        writer.key("environ");
        let environment = self.environment.iter();
        write_texts(
            &mut writer,
            environment.map(|(name, value)| (&**name, &**value)),
        );
        writer.key("system").text(&self.system);
        writer.key("basedir").text(&self.base_dir);
        // A stock master does not attach a worker that says nothing about it: whether directories of builders that are gone are
        // removed.
        writer.key("delete_leftover_dirs").bool(false);
        writer.key("numcpus").count(u64::from(self.cpus));
        writer.key("version").text(&self.version);
        writer.key("worker_commands");
        let instance = self
            .instance
            .as_deref()
            .map(|instance| (INSTANCE, instance));
        let offsets = self.offsets.then_some((OFFSETS, "1"));
        let packs = self.packs.then_some((PACKING, "1"));
        let commands = self.commands.iter();
        let commands = commands.map(|(name, version)| (&**name, &**version));
        let offers = instance.into_iter().chain(offsets).chain(packs);
        write_texts(&mut writer, commands.chain(offers));
        Payload(writer.finish())
    }
}

fn texts(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, ProtocolError> {
    let mut texts = BTreeMap::new();
    for _ in 0..reader.map("a map of texts")? {
        let name = reader.text("a key")?;
        match reader.peek()? {
            Kind::Text | Kind::Bytes => {
                texts.insert(name, reader.text("a text")?);
            }
            _ => reader.skip()?,
        }
    }
    Ok(texts)
}

fn write_texts<'t>(writer: &mut Writer, texts: impl Iterator<Item = (&'t str, &'t str)>) {
    let texts: Vec<_> = texts.collect();
    writer.map(texts.len());
    for (name, text) in texts {
        writer.key(name).text(text);
    }
}
