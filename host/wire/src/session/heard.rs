//! What a worker says, at the master's end: whether it may, and what it means.

use std::time::Instant;

use bytes::Bytes;

use super::line::{Heard, Ticket};
use super::master::{
    Asked, CommandEvent, CommandNumber, Course, Effect, MasterEvent, MasterSession, interrupt,
};
use crate::error::{ProtocolError, line};
use crate::message::{Answer, CommandId, Payload, Request as _, ToMaster, ToWorker, WorkerInfo};
use crate::pack::Reader;

/// Commands of other sessions that are interrupted when they are heard of.
const STRANGERS_MAX: usize = 64;

impl MasterSession {
    /// Takes in a message of the worker.
    ///
    /// # Errors
    /// The worker broke the protocol: the session is over.
    pub fn handle(&mut self, now: Instant, frame: &Bytes) -> Result<(), ProtocolError> {
        match self.line.hear::<ToMaster>(now, frame)? {
            Heard::Request(request, ticket) => self.asked(now, request, ticket),
            Heard::Answer(asked, answer) => self.answered(now, asked, answer),
        }
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

    fn asked(
        &mut self,
        now: Instant,
        request: ToMaster,
        ticket: Ticket,
    ) -> Result<(), ProtocolError> {
        let Some(id) = request.command() else {
            let answer = match request {
                ToMaster::Pause { reason } => {
                    let event = MasterEvent::Paused(reason);
                    self.effects.push_back(Effect::Event(event));
                    Ok(Payload::nothing())
                }
                ToMaster::Leave => {
                    let event = Effect::Event(MasterEvent::Leaving);
                    self.effects.push_back(event);
                    Ok(Payload::nothing())
                }
                ToMaster::Unknown(op) => Err(format!("this master does not know `{op}`")),
                _ => Ok(Payload::nothing()),
            };
            self.answer(&ticket, answer);
            return Ok(());
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
            Some(number) => {
                self.count_ahead(number, &request, &ticket)?;
                self.happened(number, request, ticket);
            }
            None => self.answer(&ticket, late(&request)),
        }
        Ok(())
    }

    /// Whether a transfer may say this now: it is one, its pieces are as large as they were asked for, and it waits for answers.
    fn count_ahead(
        &mut self,
        number: CommandNumber,
        request: &ToMaster,
        ticket: &Ticket,
    ) -> Result<(), ProtocolError> {
        if matches!(request, ToMaster::Update { .. } | ToMaster::Complete { .. }) {
            return Ok(());
        }
        let most = self.line.limits().transfer_ahead_max;
        let Some(running) = self.commands.get_mut(&number) else {
            return Ok(());
        };
        let op = || request.op().to_owned();
        let Some(transfer) = running.transfer else {
            return Err(ProtocolError::NotOfCommand { op: op() });
        };
        transfer.check(request)?;
        if running.ahead >= most {
            return Err(ProtocolError::TransferAhead { op: op() });
        }
        running.ahead += 1;
        self.pieces.insert(ticket.0, number);
        Ok(())
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
                let running = self.commands.get(&number);
                let late = running.map(|running| (running.id.clone(), running.overdue));
                if let Some(running) = self.remove(number) {
                    self.resuming.ended(number, running);
                    // Before the answer: what was answered was told.
                    self.tell(number, CommandEvent::Complete(error));
                } else if let Some((id, overdue)) = late {
                    let late = MasterEvent::EndedLate { id, overdue };
                    self.effects.push_back(Effect::Event(late));
                }
                self.answer(&ticket, Ok(Payload::nothing()));
                return;
            }
            ToMaster::Pause { .. }
            | ToMaster::Leave
            | ToMaster::Keepalive
            | ToMaster::Unknown(_) => {
                self.answer(&ticket, Ok(Payload::nothing()));
                return;
            }
        };
        self.tell(number, event);
    }

    /// Ends a command of a former session that is heard of in this one.
    fn meet_stranger(&mut self, now: Instant, id: CommandId) {
        if self.strangers.len() == STRANGERS_MAX || self.strangers.contains(&id) {
            return;
        }
        self.strangers.push(id.clone());
        let stranger = MasterEvent::Stranger(id.clone());
        self.effects.push_back(Effect::Event(stranger));
        // One of this session has ended already, or never was.
        let own = id.0.split_once('-').map(|(epoch, _)| epoch.parse()) == Some(Ok(self.epoch));
        if !own {
            let interrupt = interrupt(id, "nobody waits for it");
            self.ask(now, interrupt, ToWorker::INTERRUPT_COMMAND, Asked::Life);
        }
    }

    fn answered(
        &mut self,
        now: Instant,
        asked: Asked,
        answer: Answer,
    ) -> Result<(), ProtocolError> {
        match (asked, answer) {
            (Asked::Attaching(op), Err(reason)) => {
                return Err(refused(op, &reason));
            }
            (Asked::Info, Err(reason)) => {
                return Err(refused(ToWorker::GET_WORKER_INFO, &reason));
            }
            (Asked::Info, Ok(Payload(value))) => {
                let mut reader = Reader::new(&value, self.line.limits())?;
                let info = WorkerInfo::read(&mut reader)?;
                self.line.packs = info.packs;
                self.line.unpacks = info.packs;
                self.settle_former(now, info.instance.as_deref());
                self.info = Some(Box::new(info));
            }
            (Asked::Resume, Err(reason)) => {
                return Err(refused(ToWorker::RESUME, &reason));
            }
            (Asked::Resume, Ok(Payload(value))) => {
                let mut reader = Reader::new(&value, self.line.limits())?;
                let limit = self.line.limits().commands_max;
                if reader.clone().list("result")? > limit as usize {
                    return Err(ProtocolError::TooMuch {
                        what: "commands that go on",
                        limit: u64::from(limit),
                        limit_name: "commands_max",
                    });
                }
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

fn refused(op: &'static str, reason: &str) -> ProtocolError {
    let reason = line(reason);
    ProtocolError::Refused { op, reason }
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
