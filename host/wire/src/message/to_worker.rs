//! What a master may ask of a worker.

use super::command::Command;
use super::envelope::{CommandId, Fields, FrameWriter, Request};
use super::info::WorkerSettings;
use crate::error::ProtocolError;
use crate::pack::Reader;

/// How a session goes on over another connection. This is all that a master has to remember for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    /// The commands that the master waits for.
    pub commands: Vec<Known>,
    /// How long commands are kept when the connection is lost, in seconds.
    pub keep: f64,
    /// Whether the master takes packed messages.
    pub packs: bool,
}

/// A command that a master waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id, also if that is one of a former connection.
    pub id: CommandId,
    /// How many messages about it the master has taken: `update` and `complete`. The worker goes on with the one after.
    pub taken: u64,
}

/// A request of the master.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToWorker {
    /// `print`: a line for the worker's own log; also asks whether it is still there.
    Print {
        /// The line.
        message: String,
    },
    /// `keepalive`
    Keepalive,
    /// `get_worker_info`
    GetWorkerInfo,
    /// `set_worker_settings`
    SetWorkerSettings(WorkerSettings),
    /// `start_command`
    StartCommand {
        /// By which everything else about it is known. Not that of another command that runs.
        id: CommandId,
        /// The builder for which it runs, if it is for one.
        builder: Option<String>,
        /// What to do.
        command: Command,
    },
    /// `interrupt_command`
    InterruptCommand {
        /// Which command.
        id: CommandId,
        /// The reason, for the worker's log.
        why: String,
    },
    /// `shutdown`: the worker ends itself.
    Shutdown,
    /// `toolpost_resume`, which only workers get that offer it: a connection that is lost from now on does not end the session.
    /// The answer is a list of the ids that the worker goes on with; it ends every other command that it still has.
    Resume(Resume),
    /// What this crate does not know; by its name.
    Unknown(String),
}

impl ToWorker {
    pub(crate) const PRINT: &'static str = "print";
    pub(crate) const KEEPALIVE: &'static str = "keepalive";
    pub(crate) const GET_WORKER_INFO: &'static str = "get_worker_info";
    pub(crate) const SET_WORKER_SETTINGS: &'static str = "set_worker_settings";
    pub(crate) const START_COMMAND: &'static str = "start_command";
    pub(crate) const INTERRUPT_COMMAND: &'static str = "interrupt_command";
    pub(crate) const RESUME: &'static str = "toolpost_resume";
    pub(crate) const SHUTDOWN: &'static str = "shutdown";
}

impl Request for ToWorker {
    fn op(&self) -> &str {
        match self {
            Self::Print { .. } => Self::PRINT,
            Self::Keepalive => Self::KEEPALIVE,
            Self::GetWorkerInfo => Self::GET_WORKER_INFO,
            Self::SetWorkerSettings(_) => Self::SET_WORKER_SETTINGS,
            Self::StartCommand { .. } => Self::START_COMMAND,
            Self::InterruptCommand { .. } => Self::INTERRUPT_COMMAND,
            Self::Shutdown => Self::SHUTDOWN,
            Self::Resume(_) => Self::RESUME,
            Self::Unknown(op) => op,
        }
    }

    fn fields(&self) -> usize {
        match self {
            Self::Print { .. } | Self::SetWorkerSettings(_) => 1,
            Self::InterruptCommand { .. } => 2,
            Self::Resume(_) => 3,
            Self::StartCommand { builder, .. } => 3 + usize::from(builder.is_some()),
            Self::Keepalive | Self::GetWorkerInfo | Self::Shutdown | Self::Unknown(_) => 0,
        }
    }

    fn write(&self, writer: &mut FrameWriter) {
        let writer = &mut writer.0;
        match self {
            Self::Print { message } => writer.key("message").text(message),
            Self::SetWorkerSettings(settings) => settings.write(writer.key("args")),
            Self::StartCommand {
                id,
                builder,
                command,
            } => {
                if let Some(builder) = builder {
                    writer.key("builder_name").text(builder);
                }
                writer.key("command_id").text(&id.0);
                writer.key("command_name").text(command.name());
                command.write(writer.key("args"));
            }
            Self::InterruptCommand { id, why } => {
                writer.key("command_id").text(&id.0);
                writer.key("why").text(why);
            }
            Self::Resume(resume) => {
                writer.key("keep").float(resume.keep);
                writer.key("packs").bool(resume.packs);
                writer.key("commands").list(resume.commands.len());
                for known in &resume.commands {
                    writer.list(2);
                    writer.text(&known.id.0);
                    writer.count(known.taken);
                }
            }
            Self::Keepalive | Self::GetWorkerInfo | Self::Shutdown | Self::Unknown(_) => {}
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, ProtocolError> {
        Ok(match fields.op.as_str() {
            Self::PRINT => Self::Print {
                message: fields.required("message")?.reason("message")?,
            },
            Self::KEEPALIVE => Self::Keepalive,
            Self::GET_WORKER_INFO => Self::GetWorkerInfo,
            Self::SET_WORKER_SETTINGS => {
                Self::SetWorkerSettings(WorkerSettings::read(&mut fields.required("args")?)?)
            }
            Self::START_COMMAND => {
                let builder = match fields.get("builder_name") {
                    Some(mut name) => name.optional(|name| name.reason("builder_name"))?,
                    None => None,
                };
                let name = fields.required("command_name")?.name("command_name")?;
                Self::StartCommand {
                    id: fields.command_id()?,
                    builder,
                    command: Command::read(name, &mut fields.required("args")?)?,
                }
            }
            Self::INTERRUPT_COMMAND => Self::InterruptCommand {
                id: fields.command_id()?,
                why: match fields.get("why") {
                    Some(mut why) => why.optional(|why| why.reason("why"))?.unwrap_or_default(),
                    None => String::new(),
                },
            },
            Self::SHUTDOWN => Self::Shutdown,
            Self::RESUME => Self::Resume(Resume {
                commands: fields.required("commands")?.each("commands", known)?,
                keep: fields.required("keep")?.float("keep")?,
                packs: fields.required("packs")?.bool("packs")?,
            }),
            op => Self::Unknown(op.to_owned()),
        })
    }
}

fn known(reader: &mut Reader<'_>) -> Result<Known, ProtocolError> {
    match reader.list("commands")? {
        2 => Ok(Known {
            id: CommandId(reader.name("commands")?),
            taken: reader.count("commands")?,
        }),
        _ => Err(ProtocolError::WrongType {
            field: "commands",
            expected: "pairs",
            found: "lists of another length",
        }),
    }
}
