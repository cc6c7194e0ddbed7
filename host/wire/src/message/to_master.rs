//! What a worker may ask of a master.

use bytes::Bytes;

use super::envelope::{CommandId, Fields, FrameWriter, Request};
use super::update::Update;
use crate::error::ProtocolError;
use crate::pack::{Kind, Writer};

/// A request of the worker. All but the last four are about one command.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToMaster {
    /// `update`: something became known about a command.
    Update {
        /// Which command.
        id: CommandId,
        /// What, in this order.
        updates: Vec<Update>,
    },
    /// `complete`: the last word about a command.
    Complete {
        /// Which command.
        id: CommandId,
        /// What went wrong beside what the command itself did; `None` when nothing did.
        error: Option<String>,
    },
    /// `update_upload_file_write`: the next bytes of a file.
    UploadFileWrite {
        /// Which command.
        id: CommandId,
        /// The bytes.
        data: Bytes,
    },
    /// `update_upload_file_close`: no more bytes.
    UploadFileClose {
        /// Which command.
        id: CommandId,
    },
    /// `update_upload_file_utime`: the times of the file.
    UploadFileTimes {
        /// Which command.
        id: CommandId,
        /// Last access, in seconds since 1970.
        accessed: f64,
        /// Last change.
        modified: f64,
    },
    /// `update_read_file`: wants the next bytes of the file that goes to the worker. None are the end.
    ReadFile {
        /// Which command.
        id: CommandId,
        /// At most so many.
        length: u64,
    },
    /// `update_read_file_close`: wants no more.
    ReadFileClose {
        /// Which command.
        id: CommandId,
    },
    /// `update_upload_directory_write`: the next bytes of an archive.
    UploadDirectoryWrite {
        /// Which command.
        id: CommandId,
        /// The bytes.
        data: Bytes,
    },
    /// `update_upload_directory_unpack`: the archive is whole.
    UploadDirectoryUnpack {
        /// Which command.
        id: CommandId,
    },
    /// `toolpost_pause`, only for masters that know it: nothing new is to begin on this worker, or it may again.
    Pause {
        /// Why; `None` when it may.
        reason: Option<String>,
    },
    /// `toolpost_leave`, only for masters that know it: nothing new is to begin on this worker, and once nothing runs there it is to
    /// be told to end.
    Leave,
    /// `keepalive`
    Keepalive,
    /// What this crate does not know; by its name.
    Unknown(String),
}

impl ToMaster {
    /// Which command it is about.
    #[must_use]
    pub fn command(&self) -> Option<&CommandId> {
        match self {
            Self::Update { id, .. }
            | Self::Complete { id, .. }
            | Self::UploadFileWrite { id, .. }
            | Self::UploadFileClose { id }
            | Self::UploadFileTimes { id, .. }
            | Self::ReadFile { id, .. }
            | Self::ReadFileClose { id }
            | Self::UploadDirectoryWrite { id, .. }
            | Self::UploadDirectoryUnpack { id } => Some(id),
            Self::Pause { .. } | Self::Leave | Self::Keepalive | Self::Unknown(_) => None,
        }
    }
}

impl Request for ToMaster {
    fn op(&self) -> &str {
        match self {
            Self::Update { .. } => "update",
            Self::Complete { .. } => "complete",
            Self::UploadFileWrite { .. } => "update_upload_file_write",
            Self::UploadFileClose { .. } => "update_upload_file_close",
            Self::UploadFileTimes { .. } => "update_upload_file_utime",
            Self::ReadFile { .. } => "update_read_file",
            Self::ReadFileClose { .. } => "update_read_file_close",
            Self::UploadDirectoryWrite { .. } => "update_upload_directory_write",
            Self::UploadDirectoryUnpack { .. } => "update_upload_directory_unpack",
            Self::Pause { .. } => "toolpost_pause",
            Self::Leave => "toolpost_leave",
            Self::Keepalive => "keepalive",
            Self::Unknown(op) => op,
        }
    }

    fn fields(&self) -> usize {
        let own = match self {
            Self::Update { .. }
            | Self::Complete { .. }
            | Self::UploadFileWrite { .. }
            | Self::UploadDirectoryWrite { .. }
            | Self::ReadFile { .. }
            | Self::Pause { .. } => 1,
            Self::UploadFileTimes { .. } => 2,
            _ => 0,
        };
        own + usize::from(self.command().is_some())
    }

    fn write(&self, writer: &mut FrameWriter) {
        let writer = &mut writer.0;
        match self {
            Self::Update { updates, .. } => {
                writer.key("args").list(updates.len());
                for update in updates {
                    update.write(writer);
                }
            }
            Self::Complete { error, .. } => {
                let error = error.as_deref();
                writer
                    .key("args")
                    .optional(error, |writer, error| writer.text(error));
            }
            Self::UploadFileWrite { data, .. } | Self::UploadDirectoryWrite { data, .. } => {
                writer.key("args").bytes(data);
            }
            Self::UploadFileTimes {
                accessed, modified, ..
            } => {
                writer.key("access_time").float(*accessed);
                writer.key("modified_time").float(*modified);
            }
            Self::ReadFile { length, .. } => writer.key("length").count(*length),
            Self::Pause { reason } => {
                let reason = reason.as_deref();
                writer.key("reason").optional(reason, Writer::text);
            }
            _ => {}
        }
        if let Some(id) = self.command() {
            writer.key("command_id").text(&id.0);
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, ProtocolError> {
        let id = || fields.command_id();
        Ok(match fields.op.as_str() {
            "update" => Self::Update {
                id: id()?,
                updates: fields.required("args")?.each("args", Update::read)?,
            },
            "complete" => {
                let mut args = fields.required("args")?;
                let error = match args.peek()? {
                    Kind::Nil => None,
                    Kind::Text | Kind::Bytes => Some(args.reason("args")?),
                    other => Some(format!("an error without a text ({})", other.name())),
                };
                Self::Complete { id: id()?, error }
            }
            "update_upload_file_write" => Self::UploadFileWrite {
                id: id()?,
                data: fields.required("args")?.kept("args")?,
            },
            "update_upload_file_close" => Self::UploadFileClose { id: id()? },
            "update_upload_file_utime" => Self::UploadFileTimes {
                id: id()?,
                accessed: fields.required("access_time")?.float("access_time")?,
                modified: fields.required("modified_time")?.float("modified_time")?,
            },
            "update_read_file" => Self::ReadFile {
                id: id()?,
                length: fields.required("length")?.count("length")?,
            },
            "update_read_file_close" => Self::ReadFileClose { id: id()? },
            "update_upload_directory_write" => Self::UploadDirectoryWrite {
                id: id()?,
                data: fields.required("args")?.kept("args")?,
            },
            "update_upload_directory_unpack" => Self::UploadDirectoryUnpack { id: id()? },
            "toolpost_pause" => Self::Pause {
                reason: fields
                    .required("reason")?
                    .optional(|reason| reason.reason("reason"))?,
            },
            "toolpost_leave" => Self::Leave,
            "keepalive" => Self::Keepalive,
            op => Self::Unknown(op.to_owned()),
        })
    }
}
