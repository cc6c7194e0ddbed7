//! The form that all messages share.

use std::fmt;

use bytes::Bytes;

use crate::error::{ProtocolError, line};
use crate::limits::Limits;
use crate::pack::{Kind, Reader, Writer};

/// Keys of one message. No message has more than seven.
const FIELDS_MAX: usize = 32;

const RESPONSE: &str = "response";

/// A command of one session. Opaque; whoever starts a command chooses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub String);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One WebSocket message. `R` is what may be asked in this direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame<R> {
    /// Something is asked for.
    Request {
        /// Unique among the requests of one side.
        seq: u64,
        /// What.
        request: R,
    },
    /// Something was done, or not.
    Response {
        /// That of the request.
        seq: u64,
        /// What came of it.
        answer: Answer,
    },
}

/// What came of a request: a value, or what went wrong.
pub type Answer = Result<Payload, String>;

/// A value whose type depends on the request: as it was in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(pub(crate) Bytes);

impl Payload {
    /// Nothing: the answer to most requests.
    #[must_use]
    pub fn nothing() -> Self {
        let mut writer = Writer::default();
        writer.nil();
        Self(writer.finish())
    }

    /// Ids of commands.
    pub(crate) fn ids(ids: &[CommandId]) -> Self {
        let mut writer = Writer::default();
        writer.list(ids.len());
        for id in ids {
            writer.text(&id.0);
        }
        Self(writer.finish())
    }

    /// Bytes of a file.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        let mut writer = Writer::default();
        writer.bytes(bytes);
        Self(writer.finish())
    }
}

/// What may be asked in one direction.
pub trait Request: Sized {
    /// Its name in `op`.
    fn op(&self) -> &str;
    /// The keys beside `op` and `seq_number`.
    #[doc(hidden)]
    fn fields(&self) -> usize;
    /// Writes them.
    #[doc(hidden)]
    fn write(&self, writer: &mut FrameWriter);
    /// Reads them.
    #[doc(hidden)]
    fn read(fields: &Fields<'_>) -> Result<Self, ProtocolError>;
}

/// Writes the keys of a request; only for this crate.
#[doc(hidden)]
#[derive(Debug)]
pub struct FrameWriter(pub(crate) Writer);

impl<R: Request> Frame<R> {
    /// Reads a frame.
    ///
    /// # Errors
    /// It breaks a limit or is no message. The connection is of no use afterwards.
    pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Self, ProtocolError> {
        let fields = Fields::read(frame, limits)?;
        let seq = fields.required("seq_number")?.count("seq_number")?;
        if fields.op != RESPONSE {
            let request = R::read(&fields)?;
            return Ok(Self::Request { seq, request });
        }
        let failed = match fields.get("is_exception") {
            Some(mut value) => value.optional(|value| value.bool("is_exception"))? == Some(true),
            None => false,
        };
        let mut result = fields.required("result")?;
        let answer = if failed {
            Err(match result.peek()? {
                Kind::Text | Kind::Bytes => result.reason("result")?,
                other => format!("an error without a text ({})", other.name()),
            })
        } else {
            let start = result.at();
            result.skip()?;
            Ok(Payload(frame.slice(start..result.at())))
        };
        Ok(Self::Response { seq, answer })
    }

    /// Writes a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        match self {
            Self::Request { seq, request } => {
                writer.map(2 + request.fields());
                writer.key("op").text(request.op());
                let mut writer = FrameWriter(writer);
                request.write(&mut writer);
                let mut writer = writer.0;
                writer.key("seq_number").count(*seq);
                writer.finish()
            }
            Self::Response { seq, answer } => {
                writer.map(3 + usize::from(answer.is_err()));
                writer.key("op").text(RESPONSE);
                writer.key("seq_number").count(*seq);
                writer.key("result");
                match answer {
                    Ok(payload) => writer.raw(&payload.0),
                    Err(reason) => {
                        writer.text(reason);
                        writer.key("is_exception").bool(true);
                    }
                }
                writer.finish()
            }
        }
    }
}

/// The keys of one message, each with where its value is.
#[doc(hidden)]
#[derive(Debug)]
pub struct Fields<'f> {
    pub(crate) op: String,
    found: Vec<(&'f [u8], Reader<'f>)>,
}

impl<'f> Fields<'f> {
    fn read(frame: &'f Bytes, limits: &'f Limits) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(frame, limits)?;
        let count = reader.map("the message")?;
        if count > FIELDS_MAX {
            return Err(ProtocolError::TooMuch {
                what: "keys",
                limit: FIELDS_MAX as u64,
                limit_name: "FIELDS_MAX",
            });
        }
        let mut found = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.bytes("a key")?;
            let value = reader.clone();
            reader.skip()?;
            found.push((name, value));
        }
        reader.end()?;
        let mut fields = Self {
            op: String::new(),
            found,
        };
        fields.op = fields.required("op")?.name("op")?;
        Ok(fields)
    }

    /// The value of a key, the last one if there are several.
    pub(crate) fn get(&self, name: &str) -> Option<Reader<'f>> {
        let mut found = self.found.iter().rev();
        let (_, value) = found.find(|(given, _)| *given == name.as_bytes())?;
        Some(value.clone())
    }

    pub(crate) fn required(&self, field: &'static str) -> Result<Reader<'f>, ProtocolError> {
        self.get(field).ok_or_else(|| ProtocolError::Missing {
            op: line(&self.op),
            field,
        })
    }

    pub(crate) fn command_id(&self) -> Result<CommandId, ProtocolError> {
        let name = self.required("command_id")?.name("command_id")?;
        Ok(CommandId(name))
    }
}
