//! The master's end.
//!
//! Opens with what a worker expects, then runs commands. Every state ends by itself: a request has an answer in time or the
//! session is over, and a command that is to stop is asked, asked again, and given up.
//!
//! Ids of commands are `EPOCH-SLOT`. An epoch is used for one session of a worker only, so that what belongs to another
//! session is known by its id. A slot is used again once its command is complete, so that whoever knows an epoch can
//! interrupt everything that a session may have left running. With a worker that offers it, commands outlive the connection:
//! see `resume`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::line::{Heard, Line, Ticket};
use super::resume::{Former, Resuming};
use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::{
    Answer, Command, CommandId, Payload, ToMaster, ToWorker, Update, WorkerInfo, WorkerSettings,
};
use crate::pack::Reader;

/// Commands of other sessions that are interrupted when they are heard of.
const STRANGERS_MAX: usize = 64;

/// The master's end of one connection.
#[derive(Debug)]
pub struct MasterSession {
    pub(super) line: Line<Asked>,
    epoch: u64,
    /// When the worker has to be attached; `None` once it is.
    attach_until: Option<Instant>,
    info: Option<Box<WorkerInfo>>,
    pub(super) next_number: u64,
    pub(super) commands: BTreeMap<CommandNumber, Running>,
    /// Which command has which slot.
    slots: Vec<Option<CommandNumber>>,
    pub(super) resuming: Resuming,
    strangers: Vec<CommandId>,
    pub(super) effects: VecDeque<Effect>,
}

/// A command of a session; never used twice in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandNumber(pub(super) u64);

/// How long a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// It is interrupted after this long, whatever the worker does about its own limits; `None` for never.
    pub within: Option<Duration>,
    /// What it has to end once it is asked to.
    pub grace: Duration,
}

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send this as one binary message.
    Send(Bytes),
    /// Something happened.
    Event(MasterEvent),
}

/// What happened.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum MasterEvent {
    /// Commands can be started.
    Attached(Box<WorkerInfo>),
    /// The worker answered [`MasterSession::probe`].
    ProbeAnswered,
    /// The worker is about to end, as it was asked to.
    ShuttingDown,
    /// Something about a command.
    Command {
        /// Which command.
        number: CommandNumber,
        /// What.
        event: CommandEvent,
    },
}

/// What happened to a command. After one of the last four nothing follows. What comes with a ticket has to be answered with
/// [`MasterSession::answer`].
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum CommandEvent {
    /// The worker has begun.
    Started,
    /// Something became known about it.
    Updates(Vec<Update>, Ticket),
    /// The next bytes of a file that the worker sends.
    FileData(Bytes, Ticket),
    /// There are no more.
    FileEnd(Ticket),
    /// Its times: last access and last change, in seconds since 1970.
    FileTimes(f64, f64, Ticket),
    /// Wants at most so many bytes of the file that goes to the worker. The answer has them; none are the end.
    ReadWanted(u64, Ticket),
    /// Wants no more.
    ReadEnd(Ticket),
    /// The next bytes of a directory's archive.
    ArchiveData(Bytes, Ticket),
    /// There are no more.
    ArchiveEnd(Ticket),
    /// It was not started.
    Refused(String),
    /// It has ended; with what went wrong beside what it did itself.
    Complete(Option<String>),
    /// It was asked to end twice and did not. It may still run.
    Abandoned,
    /// The connection was lost and is back, and the worker does not have it. `begun` says whether it ever began as far as is
    /// known; what never began can be started again.
    Gone {
        /// Whether it ever began.
        begun: bool,
    },
}

/// What an answer is for.
#[derive(Debug)]
pub(super) enum Asked {
    Attaching(&'static str),
    Resume,
    Info,
    Start(CommandNumber),
    Probe,
    Shutdown,
    /// Only that it comes.
    Life,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: CommandId,
    /// Its place among those of this session; `None` when it is from a former connection.
    pub(super) slot: Option<usize>,
    pub(super) course: Course,
    pub(super) grace: Duration,
    /// Its messages that were taken.
    pub(super) taken: u64,
    pub(super) begun: bool,
    /// Whether it can go on over another connection.
    pub(super) outlives: bool,
}

/// Where a command stands between its start and its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Course {
    /// It runs, perhaps with a limit.
    Going(Option<Instant>),
    /// It was asked to end, and is asked again then.
    Asked(Instant),
    /// It was asked again, and is given up then.
    AskedAgain(Instant),
    /// It was given up.
    Abandoned,
}

impl MasterSession {
    /// Opens a session with a worker that is who it says. `epoch` is that of no other session of this worker. Before the worker
    /// counts as attached, what earlier sessions left running is gone on with or interrupted, as `former` says.
    #[must_use]
    pub fn new(
        now: Instant,
        limits: Arc<Limits>,
        epoch: u64,
        settings: WorkerSettings,
        former: Former,
    ) -> Self {
        let attach_until = Some(now + limits.attach_wait_max);
        let mut session = Self {
            line: Line::new(now, limits),
            epoch,
            attach_until,
            info: None,
            next_number: 0,
            commands: BTreeMap::new(),
            slots: Vec::new(),
            resuming: Resuming::new(former),
            strangers: Vec::new(),
            effects: VecDeque::new(),
        };
        let message = "attached".into();
        session.attach(now, ToWorker::Print { message }, ToWorker::PRINT);
        session.ask(
            now,
            ToWorker::GetWorkerInfo,
            ToWorker::GET_WORKER_INFO,
            Asked::Info,
        );
        let settings = ToWorker::SetWorkerSettings(settings);
        session.attach(now, settings, ToWorker::SET_WORKER_SETTINGS);
        session
    }

    /// The id that a command in this slot has in a session of this epoch.
    #[must_use]
    pub fn command_id(epoch: u64, slot: usize) -> CommandId {
        CommandId(format!("{epoch}-{slot}"))
    }

    /// The ids of everything that would go on running if the connection were lost now.
    #[must_use]
    pub fn running(&self) -> Vec<CommandId> {
        let running = self.commands.values();
        running.map(|running| running.id.clone()).collect()
    }

    /// Takes in a message of the worker.
    ///
    /// # Errors
    /// The worker broke the protocol: the session is over.
    pub fn handle(&mut self, now: Instant, frame: &Bytes) -> Result<(), ProtocolError> {
        match self.line.hear::<ToMaster>(now, frame)? {
            Heard::Request(request, ticket) => self.asked(now, request, ticket),
            Heard::Answer(asked, answer) => self.answered(now, asked, answer)?,
        }
        Ok(())
    }

    /// Does what is due; to be called at [`Self::deadline`].
    ///
    /// # Errors
    /// The worker is silent: the session is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        self.line.check(now)?;
        if self.attach_until.is_some_and(|until| until <= now) {
            return Err(ProtocolError::NoAnswer {
                op: "the opening",
                wait: self.line.limits().attach_wait_max,
            });
        }
        if self.line.quiet_until() <= now && self.line.waiting() == 0 {
            self.ask(now, ToWorker::Keepalive, ToWorker::KEEPALIVE, Asked::Life);
        }
        let due = self.commands.iter().filter_map(|(number, running)| {
            let due = running.course.due()? <= now;
            due.then_some(*number)
        });
        for number in due.collect::<Vec<_>>() {
            self.advance(now, number);
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let quiet = (self.line.waiting() == 0).then(|| self.line.quiet_until());
        let courses = self.commands.values();
        let courses = courses.filter_map(|running| running.course.due()).min();
        let all = [self.line.deadline(), self.attach_until, quiet, courses];
        all.into_iter().flatten().min()
    }

    /// When the next message may be read: a worker that sends too much is read more slowly.
    #[must_use]
    pub fn read_after(&self, now: Instant) -> Option<Instant> {
        self.line.read_after(now)
    }

    /// The next thing to do outside.
    pub fn poll(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        self.told_of(effect.as_ref());
        effect
    }

    /// Starts a command on an attached worker. `None` when as many run as may.
    pub fn start(
        &mut self,
        now: Instant,
        builder: Option<String>,
        command: Command,
        patience: Patience,
    ) -> Option<CommandNumber> {
        let limit = self.line.limits().commands_max;
        if self.attach_until.is_some() || self.commands.len() >= usize::try_from(limit).ok()? {
            return None;
        }
        let number = CommandNumber(self.next_number);
        self.next_number += 1;
        let slot = self.take_slot(number);
        let id = Self::command_id(self.epoch, slot);
        let running = Running {
            id: id.clone(),
            slot: Some(slot),
            course: Course::Going(patience.within.map(|within| now + within)),
            grace: patience.grace,
            taken: 0,
            begun: false,
            outlives: !matches!(
                command,
                Command::UploadFile(_) | Command::UploadDirectory(_) | Command::DownloadFile(_)
            ),
        };
        self.commands.insert(number, running);
        let start = ToWorker::StartCommand {
            id,
            builder,
            command,
        };
        self.ask(now, start, ToWorker::START_COMMAND, Asked::Start(number));
        Some(number)
    }

    /// Asks a command to end. Does nothing for one that has ended or was asked before.
    pub fn interrupt(&mut self, now: Instant, number: CommandNumber) {
        let going = matches!(
            self.commands.get(&number).map(|running| running.course),
            Some(Course::Going(_))
        );
        if going {
            self.advance(now, number);
        }
    }

    /// Forgets a command that nobody waits for any more. It is asked to end, and its slot stays taken until it has.
    pub fn abandon(&mut self, now: Instant, number: CommandNumber) {
        self.interrupt(now, number);
        if let Some(running) = self.commands.get_mut(&number) {
            running.course = Course::Abandoned;
        }
    }

    /// Answers what came with a ticket: with bytes for [`CommandEvent::ReadWanted`], else with nothing, or with what is
    /// wrong, which ends a transfer.
    pub fn answer(&mut self, ticket: &Ticket, answer: Answer) {
        self.count_taken(ticket);
        let frame = self.line.answer::<ToMaster>(ticket, answer);
        self.effects.push_back(Effect::Send(frame));
    }

    /// Finds out whether the worker is still there, sooner than a keep-alive does. [`MasterEvent::ProbeAnswered`], or the
    /// session is over.
    pub fn probe(&mut self, now: Instant, message: &str) {
        if self.line.waits_for(|asked| matches!(asked, Asked::Probe)) {
            return;
        }
        let wait = self.line.limits().probe_wait_max;
        let print = ToWorker::Print {
            message: message.to_owned(),
        };
        let frame = self
            .line
            .ask_within(now, print, ToWorker::PRINT, Asked::Probe, wait);
        self.effects.push_back(Effect::Send(frame));
    }

    /// Writes a line into the worker's own log.
    pub fn print(&mut self, now: Instant, message: &str) {
        let print = ToWorker::Print {
            message: message.to_owned(),
        };
        self.ask(now, print, ToWorker::PRINT, Asked::Life);
    }

    /// Tells the worker to end itself.
    pub fn shut_down(&mut self, now: Instant) {
        self.ask(now, ToWorker::Shutdown, ToWorker::SHUTDOWN, Asked::Shutdown);
    }

    pub(super) fn ask(&mut self, now: Instant, request: ToWorker, op: &'static str, kind: Asked) {
        let frame = self.line.ask(now, request, op, kind);
        self.effects.push_back(Effect::Send(frame));
    }

    pub(super) fn attach(&mut self, now: Instant, request: ToWorker, op: &'static str) {
        self.ask(now, request, op, Asked::Attaching(op));
    }

    pub(super) fn tell(&mut self, number: CommandNumber, event: CommandEvent) {
        let event = MasterEvent::Command { number, event };
        self.effects.push_back(Effect::Event(event));
    }

    fn take_slot(&mut self, number: CommandNumber) -> usize {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(number);
        slot
    }

    /// Takes a command out; `None` when it was given up, so that nobody is told.
    pub(super) fn remove(&mut self, number: CommandNumber) -> Option<Running> {
        let running = self.commands.remove(&number)?;
        if let Some(slot) = running.slot {
            self.slots[slot] = None;
        }
        match running.course {
            Course::Abandoned => None,
            _ => Some(running),
        }
    }

    /// The next step towards the end of a command.
    fn advance(&mut self, now: Instant, number: CommandNumber) {
        let end_wait = self.line.limits().end_wait_max;
        let Some(running) = self.commands.get_mut(&number) else {
            return;
        };
        let id = running.id.clone();
        running.course = match running.course {
            Course::Going(_) => Course::Asked(now + running.grace + end_wait),
            Course::Asked(_) => Course::AskedAgain(now + end_wait),
            Course::AskedAgain(_) | Course::Abandoned => Course::Abandoned,
        };
        if matches!(running.course, Course::Abandoned) {
            self.tell(number, CommandEvent::Abandoned);
            return;
        }
        let interrupt = interrupt(id, "stopped by the master");
        self.ask(now, interrupt, ToWorker::INTERRUPT_COMMAND, Asked::Life);
    }

    /// The command that an id of this session stands for, unless it was given up.
    fn find(&self, id: &CommandId) -> Option<CommandNumber> {
        if let Some(number) = self.resuming.adopted(id) {
            return Some(number);
        }
        let (epoch, slot) = id.0.split_once('-')?;
        let slot: usize = slot.parse().ok()?;
        if epoch.parse() != Ok(self.epoch) {
            return None;
        }
        *self.slots.get(slot)?
    }

    fn asked(&mut self, now: Instant, request: ToMaster, ticket: Ticket) {
        let Some(id) = request.command() else {
            let answer = match request {
                ToMaster::Unknown(op) => Err(format!("this master does not know `{op}`")),
                _ => Ok(Payload::nothing()),
            };
            self.answer(&ticket, answer);
            return;
        };
        let number = self.find(id);
        if number.is_none() {
            self.meet_stranger(now, id.clone());
        }
        let complete = matches!(request, ToMaster::Complete { .. });
        let alive = number.filter(|number| {
            let course = self.commands.get(number).map(|running| running.course);
            complete || !matches!(course, None | Some(Course::Abandoned))
        });
        match alive {
            Some(number) => self.happened(number, request, ticket),
            None => self.answer(&ticket, late(&request)),
        }
    }

    fn happened(&mut self, number: CommandNumber, request: ToMaster, ticket: Ticket) {
        let event = match request {
            ToMaster::Update { updates, .. } => {
                self.resuming.expect(&ticket, number);
                CommandEvent::Updates(updates, ticket)
            }
            ToMaster::UploadFileWrite { data, .. } => CommandEvent::FileData(data, ticket),
            ToMaster::UploadFileClose { .. } => CommandEvent::FileEnd(ticket),
            ToMaster::UploadFileTimes {
                accessed, modified, ..
            } => CommandEvent::FileTimes(accessed, modified, ticket),
            ToMaster::ReadFile { length, .. } => CommandEvent::ReadWanted(length, ticket),
            ToMaster::ReadFileClose { .. } => CommandEvent::ReadEnd(ticket),
            ToMaster::UploadDirectoryWrite { data, .. } => CommandEvent::ArchiveData(data, ticket),
            ToMaster::UploadDirectoryUnpack { .. } => CommandEvent::ArchiveEnd(ticket),
            ToMaster::Complete { error, .. } => {
                if let Some(running) = self.remove(number) {
                    self.resuming.ended(number, running);
                    // Before the answer: what was answered was told.
                    self.tell(number, CommandEvent::Complete(error));
                }
                self.answer(&ticket, Ok(Payload::nothing()));
                return;
            }
            ToMaster::Keepalive | ToMaster::Unknown(_) => {
                self.answer(&ticket, Ok(Payload::nothing()));
                return;
            }
        };
        self.tell(number, event);
    }

    /// Ends a command of a former session that is heard of in this one.
    fn meet_stranger(&mut self, now: Instant, id: CommandId) {
        let own = id.0.split_once('-').map(|(epoch, _)| epoch.parse()) == Some(Ok(self.epoch));
        if own || self.strangers.len() == STRANGERS_MAX || self.strangers.contains(&id) {
            return;
        }
        self.strangers.push(id.clone());
        let interrupt = interrupt(id, "nobody waits for it");
        self.ask(now, interrupt, ToWorker::INTERRUPT_COMMAND, Asked::Life);
    }

    fn answered(
        &mut self,
        now: Instant,
        asked: Asked,
        answer: Answer,
    ) -> Result<(), ProtocolError> {
        match (asked, answer) {
            (Asked::Attaching(op), Err(reason)) => {
                return Err(ProtocolError::Refused { op, reason });
            }
            (Asked::Info, Err(reason)) => {
                let op = ToWorker::GET_WORKER_INFO;
                return Err(ProtocolError::Refused { op, reason });
            }
            (Asked::Info, Ok(Payload(value))) => {
                let mut reader = Reader::new(&value, self.line.limits())?;
                let info = WorkerInfo::read(&mut reader)?;
                self.settle_former(now, info.instance.as_deref());
                self.info = Some(Box::new(info));
            }
            (Asked::Resume, Err(reason)) => {
                let op = ToWorker::RESUME;
                return Err(ProtocolError::Refused { op, reason });
            }
            (Asked::Resume, Ok(Payload(value))) => {
                let mut reader = Reader::new(&value, self.line.limits())?;
                let ids = reader.each("result", |reader| Ok(CommandId(reader.name("result")?)))?;
                self.resumed(now, &ids);
            }
            (Asked::Start(number), Ok(_)) => {
                let course = self.commands.get(&number).map(|running| running.course);
                if let Some(running) = self.commands.get_mut(&number) {
                    running.begun = true;
                }
                if !matches!(course, None | Some(Course::Abandoned)) {
                    self.tell(number, CommandEvent::Started);
                }
            }
            (Asked::Start(number), Err(reason)) => {
                if self.remove(number).is_some() {
                    self.tell(number, CommandEvent::Refused(reason));
                }
            }
            (Asked::Probe, _) => {
                self.effects
                    .push_back(Effect::Event(MasterEvent::ProbeAnswered));
            }
            (Asked::Shutdown, _) => {
                self.effects
                    .push_back(Effect::Event(MasterEvent::ShuttingDown));
            }
            (Asked::Attaching(_), Ok(_)) | (Asked::Life, _) => {}
        }
        self.maybe_attached();
        Ok(())
    }

    /// The worker can be used once it has answered everything that the session opened with.
    fn maybe_attached(&mut self) {
        let opening =
            |asked: &Asked| matches!(asked, Asked::Attaching(_) | Asked::Info | Asked::Resume);
        if self.attach_until.is_none() || self.line.waits_for(opening) {
            return;
        }
        if let Some(info) = self.info.take() {
            self.attach_until = None;
            let event = MasterEvent::Attached(info);
            self.effects.push_back(Effect::Event(event));
        }
    }
}

impl Course {
    fn due(self) -> Option<Instant> {
        match self {
            Self::Going(until) => until,
            Self::Asked(until) | Self::AskedAgain(until) => Some(until),
            Self::Abandoned => None,
        }
    }
}

pub(super) fn interrupt(id: CommandId, why: &str) -> ToWorker {
    let why = why.to_owned();
    ToWorker::InterruptCommand { id, why }
}

/// The answer to what is said about a command that nobody waits for: a transfer is to end.
fn late(request: &ToMaster) -> Answer {
    match request {
        ToMaster::UploadFileWrite { .. }
        | ToMaster::UploadDirectoryWrite { .. }
        | ToMaster::UploadDirectoryUnpack { .. }
        | ToMaster::ReadFile { .. } => Err("nobody waits for this command any more".into()),
        _ => Ok(Payload::nothing()),
    }
}
