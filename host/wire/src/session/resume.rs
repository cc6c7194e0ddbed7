//! Sessions that outlive their connection, at the master's end.
//!
//! A worker that offers it says which process it is. When its connection is lost, [`MasterSession::suspend`] gives what has to
//! be remembered; a session over the next connection is told of it in [`Former`], and goes on where the master was: the worker
//! keeps each message about a command until it is answered, and a message counts as taken when it is answered. What the worker
//! has and the master does not know, the worker ends; what the master knows and the worker does not have is gone.
//!
//! Transfers of files do not outlive a connection: whoever wants one starts it again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::line::Ticket;
use super::master::{
    Asked, CommandEvent, CommandNumber, Course, Effect, MasterEvent, MasterSession, Running,
    interrupt,
};
use crate::message::{CommandId, Known, Resume, ToWorker};

/// What earlier sessions of a worker left.
#[derive(Debug, Default)]
pub struct Former {
    /// Commands that may still run and that nobody waits for.
    pub unwanted: Vec<CommandId>,
    /// Commands that somebody waits for, and the worker's process that has them.
    pub suspended: Option<(String, Vec<Suspended>)>,
    /// How long the worker is to keep commands when the connection is lost; `None` when it is not to.
    pub keep: Option<Duration>,
}

/// A command between two connections. Its number stays the same.
#[derive(Debug)]
pub struct Suspended {
    /// By which it was known, and will be.
    pub number: CommandNumber,
    running: Running,
}

impl Suspended {
    /// Its id on the line.
    #[must_use]
    pub fn id(&self) -> &CommandId {
        &self.running.id
    }
}

/// What a session knows beyond its connection.
#[derive(Debug)]
pub(super) struct Resuming {
    former: Former,
    adopted: BTreeMap<CommandId, CommandNumber>,
    /// Whose updates wait for an answer: they are taken once they have it.
    expected: BTreeMap<u64, CommandNumber>,
    /// Commands whose end nobody was told of yet.
    ended: BTreeMap<CommandNumber, Running>,
    /// The worker agreed.
    instance: Option<String>,
}

impl Resuming {
    pub(super) fn new(former: Former) -> Self {
        Self {
            former,
            adopted: BTreeMap::new(),
            expected: BTreeMap::new(),
            ended: BTreeMap::new(),
            instance: None,
        }
    }

    /// A command that the worker was not asked about yet.
    pub(super) fn waiting(&mut self, number: CommandNumber) -> Option<&mut Running> {
        let (_, commands) = self.former.suspended.as_mut()?;
        let found = commands.iter_mut().find(|one| one.number == number)?;
        Some(&mut found.running)
    }

    /// Nobody waits any more for a command that the worker was not asked about yet.
    pub(super) fn give_up(&mut self, number: CommandNumber) {
        if let Some((_, commands)) = &mut self.former.suspended {
            let given_up = commands.extract_if(.., |one| one.number == number);
            self.former
                .unwanted
                .extend(given_up.map(|one| one.running.id));
        }
    }

    pub(super) fn adopted(&self, id: &CommandId) -> Option<CommandNumber> {
        self.adopted.get(id).copied()
    }

    pub(super) fn expect(&mut self, ticket: &Ticket, number: CommandNumber) {
        self.expected.insert(ticket.0, number);
    }

    pub(super) fn ended(&mut self, number: CommandNumber, running: Running) {
        self.adopted.remove(&running.id);
        self.ended.insert(number, running);
    }
}

impl MasterSession {
    /// Ends this connection, and gives what another one can go on with: the worker's process and its commands. `None` when the
    /// worker does not offer that.
    #[must_use]
    pub fn suspend(self) -> Option<(String, Vec<Suspended>)> {
        if let Some(unsettled) = self.resuming.former.suspended {
            // It was over before the worker had said who it is.
            return Some(unsettled);
        }
        let instance = self.resuming.instance?;
        // What was not told has not happened: its answer was not sent either.
        let all = self.commands.into_iter().chain(self.resuming.ended);
        let kept = all.filter(|(_, running)| {
            running.transfer.is_none() && !matches!(running.course, Course::Abandoned)
        });
        let commands = kept.map(|(number, running)| Suspended { number, running });
        Some((instance, commands.collect()))
    }

    /// Whether a lost connection does not end the session.
    #[must_use]
    pub fn outlives(&self) -> bool {
        self.resuming.instance.is_some() || self.resuming.former.suspended.is_some()
    }

    pub(super) fn count_taken(&mut self, ticket: &Ticket) {
        let number = self.resuming.expected.remove(&ticket.0);
        if let Some(running) = number.and_then(|number| self.commands.get_mut(&number)) {
            running.taken += 1;
        }
    }

    pub(super) fn told_of(&mut self, effect: Option<&Effect>) {
        if let Some(Effect::Event(MasterEvent::Command {
            number,
            event: CommandEvent::Complete(_),
        })) = effect
        {
            self.resuming.ended.remove(number);
        }
    }

    /// The worker has said which process it is, if it says so: what was left is gone on with or ended.
    pub(super) fn settle_former(&mut self, now: Instant, instance: Option<&str>) {
        let Former {
            unwanted,
            suspended,
            keep,
        } = std::mem::take(&mut self.resuming.former);
        let (before, commands) = suspended.unzip();
        let commands = commands.unwrap_or_default();
        for Suspended { number, .. } in &commands {
            self.next_number = self.next_number.max(number.0 + 1);
        }
        let Some((instance, keep)) = instance.zip(keep) else {
            let left = unwanted.into_iter();
            let lost: Vec<CommandId> = commands.iter().map(|one| one.running.id.clone()).collect();
            for id in left.chain(lost) {
                let interrupt = interrupt(id, "its connection was lost");
                self.attach(now, interrupt, ToWorker::INTERRUPT_COMMAND);
            }
            for Suspended { number, .. } in commands {
                self.tell(number, CommandEvent::Gone { begun: true });
            }
            return;
        };
        self.resuming.instance = Some(instance.to_owned());
        let mut known = Vec::new();
        for Suspended {
            number,
            mut running,
        } in commands
        {
            if before.as_deref() != Some(instance) {
                // Another process: whether it had begun in the one before is not known.
                self.tell(number, CommandEvent::Gone { begun: true });
                continue;
            }
            // What it had of a slot was the former session's.
            running.slot = None;
            known.push(Known {
                id: running.id.clone(),
                taken: running.taken,
            });
            self.resuming.adopted.insert(running.id.clone(), number);
            self.commands.insert(number, running);
        }
        let resume = ToWorker::Resume(Resume {
            commands: known,
            keep: keep.as_secs_f64(),
            packs: self.line.packs,
        });
        self.ask(now, resume, ToWorker::RESUME, Asked::Resume);
    }

    /// The worker has said which commands it goes on with.
    pub(super) fn resumed(&mut self, now: Instant, ids: &[CommandId]) {
        let adopted = std::mem::take(&mut self.resuming.adopted);
        for (id, number) in adopted {
            if !ids.contains(&id) {
                if let Some(running) = self.remove(number) {
                    // The worker has every command that ever began and whose end it was not told to have been heard.
                    let begun = running.begun || running.taken > 0;
                    self.tell(number, CommandEvent::Gone { begun });
                }
                continue;
            }
            self.resuming.adopted.insert(id, number);
            let Some(running) = self.commands.get_mut(&number) else {
                continue;
            };
            running.begun = true;
            if matches!(running.course, Course::Abandoned) {
                // It may have been given up before it could hear that it is to end.
                let interrupt = interrupt(running.id.clone(), "nobody waits for it");
                self.ask(now, interrupt, ToWorker::INTERRUPT_COMMAND, Asked::Life);
                continue;
            }
            // Who was asked to end may not have heard it.
            let again = matches!(running.course, Course::Asked(_) | Course::AskedAgain(_));
            if again {
                running.course = Course::Going(None);
            }
            // Who waits for it may not have been told.
            self.tell(number, CommandEvent::Started);
            if again {
                self.interrupt(now, number);
            }
        }
    }
}
