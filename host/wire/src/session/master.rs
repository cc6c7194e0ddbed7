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

use super::line::{Line, Ticket, after};
use super::resume::{Former, Resuming};
use super::transfer::Transfer;
use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::{
    Answer, Command, CommandId, ToMaster, ToWorker, Update, WorkerInfo, WorkerSettings,
};

/// The master's end of one connection.
#[derive(Debug)]
pub struct MasterSession {
    pub(super) line: Line<Asked>,
    pub(super) epoch: u64,
    /// When the worker has to be attached; `None` once it is.
    pub(super) attach_until: Option<Instant>,
    pub(super) info: Option<Box<WorkerInfo>>,
    pub(super) next_number: u64,
    pub(super) commands: BTreeMap<CommandNumber, Running>,
    /// Which command has which slot.
    pub(super) slots: Vec<Option<CommandNumber>>,
    pub(super) resuming: Resuming,
    pub(super) strangers: Vec<CommandId>,
    /// What transfers have said that is not answered yet: whose it is.
    pub(super) pieces: BTreeMap<u64, CommandNumber>,
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
    /// The worker speaks of a command that this session does not have. Told once for each, and bounded.
    Stranger(CommandId),
    /// A command that was given up has ended after all.
    EndedLate {
        /// Which command.
        id: CommandId,
        /// Whether it was given up because it did not end when it was asked to, and not because nobody waited for it.
        overdue: bool,
    },
    /// The worker wants nothing new to begin on it, for this reason; or it may again.
    Paused(Option<String>),
    /// The worker wants to end as soon as nothing runs on it.
    Leaving,
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
    /// What it moves; only what moves nothing can go on over another connection.
    pub(super) transfer: Option<Transfer>,
    /// What it has said of its transfer that is not answered yet.
    pub(super) ahead: u32,
    /// It did not end when it was asked to.
    pub(super) overdue: bool,
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
        let attach_until = Some(after(now, limits.attach_wait_max));
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
            pieces: BTreeMap::new(),
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
            course: Course::Going(patience.within.map(|within| after(now, within))),
            grace: patience.grace,
            taken: 0,
            begun: false,
            transfer: Transfer::of(&command),
            ahead: 0,
            overdue: false,
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
        if let Some(running) = self.resuming.waiting(number) {
            // It is asked as soon as the worker has said that it goes on with it.
            running.course = Course::Asked(now);
        }
    }

    /// Forgets a command that nobody waits for any more. It is asked to end, and its slot stays taken until it has.
    pub fn abandon(&mut self, now: Instant, number: CommandNumber) {
        self.resuming.give_up(number);
        self.interrupt(now, number);
        if let Some(running) = self.commands.get_mut(&number) {
            running.course = Course::Abandoned;
        }
    }

    /// Answers what came with a ticket: with bytes for [`CommandEvent::ReadWanted`], else with nothing, or with what is
    /// wrong, which ends a transfer.
    pub fn answer(&mut self, ticket: &Ticket, answer: Answer) {
        self.count_taken(ticket);
        let whose = self.pieces.remove(&ticket.0);
        if let Some(running) = whose.and_then(|number| self.commands.get_mut(&number)) {
            running.ahead = running.ahead.saturating_sub(1);
        }
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
            Course::Going(_) => Course::Asked(after(now, running.grace.saturating_add(end_wait))),
            Course::Asked(_) => Course::AskedAgain(after(now, end_wait)),
            Course::AskedAgain(_) | Course::Abandoned => Course::Abandoned,
        };
        if matches!(running.course, Course::Abandoned) {
            running.overdue = true;
            self.tell(number, CommandEvent::Abandoned);
            return;
        }
        let interrupt = interrupt(id, "stopped by the master");
        self.ask(now, interrupt, ToWorker::INTERRUPT_COMMAND, Asked::Life);
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
