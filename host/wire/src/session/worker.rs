//! The worker's end.
//!
//! Says what the master wants, and keeps the ids of commands: one that runs is not started again, and nothing is sent about
//! one that does not run.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::line::{Heard, Line, Ticket};
use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::{
    Answer, Command, CommandId, Payload, Resume, ToMaster, ToWorker, Update, WorkerInfo,
    WorkerSettings,
};
use crate::pack::{Kind, Reader};

/// The worker's end of one connection.
#[derive(Debug)]
pub struct WorkerSession {
    line: Line<Option<Sent>>,
    configured: bool,
    commands: BTreeSet<CommandId>,
    effects: VecDeque<WorkerEffect>,
}

/// A request of this side whose answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent(u64);

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub enum WorkerEffect {
    /// Send this as one binary message.
    Send(Bytes),
    /// The master wants something.
    Event(WorkerEvent),
}

/// What the master wants. What comes with a ticket has to be answered: with [`WorkerSession::answer`].
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// A line for this worker's log.
    Print(String),
    /// What this worker is: answer with [`WorkerSession::answer_info`].
    InfoWanted(Ticket),
    /// What to do with output.
    Settings(WorkerSettings),
    /// Start this. The answer says that it is begun, or why not; then [`WorkerSession::forget`] it.
    Start {
        /// By which everything about it is known.
        id: CommandId,
        /// The builder for which it runs, if any.
        builder: Option<String>,
        /// What to do.
        command: Command,
        /// To be answered when it is begun.
        ticket: Ticket,
    },
    /// End this command, which runs.
    Interrupt {
        /// Which command.
        id: CommandId,
        /// The reason.
        why: String,
    },
    /// End this worker.
    Shutdown,
    /// The session goes on from a former connection, or may outlive this one. End every command that is not named, go on with
    /// the others where the master is, and answer with [`WorkerSession::answer_resume`].
    Resume(Resume, Ticket),
    /// The master answered. The next piece of a transfer goes out after this; `Err` ends a transfer.
    Answered {
        /// What it answers.
        sent: Sent,
        /// Bytes for [`WorkerSession::read`], else nothing.
        answer: Result<Option<Bytes>, String>,
    },
}

impl WorkerSession {
    /// A connection that the master has accepted.
    #[must_use]
    pub fn new(now: Instant, limits: Arc<Limits>) -> Self {
        Self {
            line: Line::new(now, limits),
            configured: false,
            commands: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes in a message of the master.
    ///
    /// # Errors
    /// The master broke the protocol: the session is over.
    pub fn handle(&mut self, now: Instant, frame: &Bytes) -> Result<(), ProtocolError> {
        match self.line.hear::<ToWorker>(now, frame)? {
            Heard::Request(request, ticket) => self.asked(request, ticket),
            Heard::Answer(None, _) => {}
            Heard::Answer(Some(sent), answer) => {
                let answer = match answer {
                    Ok(payload) => Ok(self.bytes_of(&payload)?),
                    Err(reason) => Err(reason),
                };
                self.tell(WorkerEvent::Answered { sent, answer });
            }
        }
        Ok(())
    }

    /// Does what is due; to be called at [`Self::deadline`].
    ///
    /// # Errors
    /// The master is silent: the session is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        self.line.check(now)?;
        if self.line.quiet_until() <= now && self.line.waiting() == 0 {
            let frame = self.line.ask(now, ToMaster::Keepalive, "keepalive", None);
            self.effects.push_back(WorkerEffect::Send(frame));
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let quiet = (self.line.waiting() == 0).then(|| self.line.quiet_until());
        [self.line.deadline(), quiet].into_iter().flatten().min()
    }

    /// When the next message may be read.
    #[must_use]
    pub fn read_after(&self, now: Instant) -> Option<Instant> {
        self.line.read_after(now)
    }

    /// The next thing to do outside.
    pub fn poll(&mut self) -> Option<WorkerEffect> {
        self.effects.pop_front()
    }

    /// Requests that the master has not answered. Whoever sends output waits while these are many: memory for what is not
    /// taken is the sender's.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.line.waiting()
    }

    /// Answers what came with a ticket.
    pub fn answer(&mut self, ticket: &Ticket, answer: Result<(), String>) {
        let answer = answer.map(|()| Payload::nothing());
        self.respond(ticket, answer);
    }

    /// Says what this worker is.
    pub fn answer_info(&mut self, ticket: &Ticket, info: &WorkerInfo) {
        self.line.unpacks = info.packs;
        self.respond(ticket, Ok(info.payload()));
    }

    /// Tells what became known about a command that runs; `None` when it does not run.
    pub fn update(&mut self, now: Instant, id: &CommandId, updates: Vec<Update>) -> Option<Sent> {
        let id = id.clone();
        self.send(now, ToMaster::Update { id, updates }, "update")
    }

    /// The last word about a command, with what went wrong beside what the command did; `None` when it does not run.
    pub fn complete(
        &mut self,
        now: Instant,
        id: &CommandId,
        error: Option<String>,
    ) -> Option<Sent> {
        let complete = ToMaster::Complete {
            id: id.clone(),
            error,
        };
        let sent = self.send(now, complete, "complete")?;
        self.commands.remove(id);
        Some(sent)
    }

    /// Says that nothing new is to begin here, and why, or that it may again. Only for a master that has asked to go on
    /// ([`WorkerEvent::Resume`]): others do not know it.
    pub fn pause(&mut self, now: Instant, reason: Option<String>) {
        let frame = self
            .line
            .ask(now, ToMaster::Pause { reason }, "toolpost_pause", None);
        self.effects.push_back(WorkerEffect::Send(frame));
    }

    /// Says that this worker wants to end as soon as nothing runs on it. Only for the same masters.
    pub fn leave(&mut self, now: Instant) {
        let frame = self.line.ask(now, ToMaster::Leave, "toolpost_leave", None);
        self.effects.push_back(WorkerEffect::Send(frame));
    }

    /// A command was not begun.
    pub fn forget(&mut self, id: &CommandId) {
        self.commands.remove(id);
    }

    /// Sends the next bytes of a file.
    pub fn upload_file(&mut self, now: Instant, id: &CommandId, data: Bytes) -> Option<Sent> {
        let id = id.clone();
        let write = ToMaster::UploadFileWrite { id, data };
        self.send(now, write, "update_upload_file_write")
    }

    /// Says that there are no more.
    pub fn close_file(&mut self, now: Instant, id: &CommandId) -> Option<Sent> {
        let id = id.clone();
        self.send(
            now,
            ToMaster::UploadFileClose { id },
            "update_upload_file_close",
        )
    }

    /// Sends the times of a file: last access and last change, in seconds since 1970.
    pub fn file_times(
        &mut self,
        now: Instant,
        id: &CommandId,
        accessed: f64,
        modified: f64,
    ) -> Option<Sent> {
        let times = ToMaster::UploadFileTimes {
            id: id.clone(),
            accessed,
            modified,
        };
        self.send(now, times, "update_upload_file_utime")
    }

    /// Sends the next bytes of a directory's archive.
    pub fn upload_archive(&mut self, now: Instant, id: &CommandId, data: Bytes) -> Option<Sent> {
        let id = id.clone();
        let write = ToMaster::UploadDirectoryWrite { id, data };
        self.send(now, write, "update_upload_directory_write")
    }

    /// Says that the archive is whole.
    pub fn close_archive(&mut self, now: Instant, id: &CommandId) -> Option<Sent> {
        let id = id.clone();
        let unpack = ToMaster::UploadDirectoryUnpack { id };
        self.send(now, unpack, "update_upload_directory_unpack")
    }

    /// Asks for at most so many bytes of the file that the master sends.
    pub fn read(&mut self, now: Instant, id: &CommandId, length: u64) -> Option<Sent> {
        let id = id.clone();
        self.send(now, ToMaster::ReadFile { id, length }, "update_read_file")
    }

    /// Says that it wants no more.
    pub fn close_read(&mut self, now: Instant, id: &CommandId) -> Option<Sent> {
        let id = id.clone();
        self.send(
            now,
            ToMaster::ReadFileClose { id },
            "update_read_file_close",
        )
    }

    /// Says which commands of a former connection this worker goes on with.
    pub fn answer_resume(&mut self, ticket: &Ticket, ids: impl IntoIterator<Item = CommandId>) {
        let ids: Vec<CommandId> = ids.into_iter().collect();
        let payload = Payload::ids(&ids);
        self.commands.extend(ids);
        self.respond(ticket, Ok(payload));
    }

    fn respond(&mut self, ticket: &Ticket, answer: Answer) {
        let frame = self.line.answer::<ToWorker>(ticket, answer);
        self.effects.push_back(WorkerEffect::Send(frame));
    }

    fn tell(&mut self, event: WorkerEvent) {
        self.effects.push_back(WorkerEffect::Event(event));
    }

    fn send(&mut self, now: Instant, request: ToMaster, op: &'static str) -> Option<Sent> {
        let runs = |id| self.commands.contains(id);
        if !request.command().is_some_and(runs) {
            return None;
        }
        let sent = Sent(self.line.next_seq());
        let frame = self.line.ask(now, request, op, Some(sent));
        self.effects.push_back(WorkerEffect::Send(frame));
        Some(sent)
    }

    fn asked(&mut self, request: ToWorker, ticket: Ticket) {
        let event = match request {
            ToWorker::Print { message } => WorkerEvent::Print(message),
            ToWorker::SetWorkerSettings(settings) => {
                self.configured = true;
                WorkerEvent::Settings(settings)
            }
            ToWorker::GetWorkerInfo => return self.tell(WorkerEvent::InfoWanted(ticket)),
            ToWorker::StartCommand {
                id,
                builder,
                command,
            } => return self.start(id, builder, command, ticket),
            ToWorker::InterruptCommand { id, why } => {
                if self.commands.contains(&id) {
                    self.tell(WorkerEvent::Interrupt { id, why });
                }
                // It may have ended while the message was under way.
                return self.answer(&ticket, Ok(()));
            }
            ToWorker::Shutdown => WorkerEvent::Shutdown,
            ToWorker::Resume(resume) => {
                // Only if this worker has offered it.
                self.line.packs = resume.packs && self.line.unpacks;
                return self.tell(WorkerEvent::Resume(resume, ticket));
            }
            ToWorker::Keepalive => return self.answer(&ticket, Ok(())),
            ToWorker::Unknown(op) => {
                return self.answer(&ticket, Err(format!("this worker does not know `{op}`")));
            }
        };
        self.tell(event);
        self.answer(&ticket, Ok(()));
    }

    fn start(&mut self, id: CommandId, builder: Option<String>, command: Command, ticket: Ticket) {
        let refused = match &command {
            _ if !self.configured => Some("`set_worker_settings` has to come first".into()),
            _ if self.commands.contains(&id) => Some(format!("command {id} runs already")),
            _ if self.commands.len() >= self.line.limits().commands_max as usize => {
                Some("as many commands run as may (commands_max)".into())
            }
            Command::Unknown(name) => Some(format!("this worker has no command `{name}`")),
            _ => None,
        };
        if let Some(reason) = refused {
            return self.answer(&ticket, Err(reason));
        }
        self.commands.insert(id.clone());
        self.tell(WorkerEvent::Start {
            id,
            builder,
            command,
            ticket,
        });
    }

    /// What an answer carries, if it carries bytes.
    fn bytes_of(&self, payload: &Payload) -> Result<Option<Bytes>, ProtocolError> {
        let mut reader = Reader::new(&payload.0, self.line.limits())?;
        match reader.peek()? {
            Kind::Bytes | Kind::Text => reader.kept("result").map(Some),
            _ => Ok(None),
        }
    }
}
