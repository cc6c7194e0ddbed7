//! What is between two connections of a worker that offers to go on where it was: builds wait for it for a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::DropGuard;
use toolpost_wire::{CommandId, CommandNumber, Suspended};

use super::link::{Connection, Seat};
use super::port::Port;

/// Commands that somebody waits for, without a session. Dropping it gives them up.
pub(super) struct Parked {
    pub(super) epoch: u64,
    /// The worker's process.
    pub(super) instance: String,
    pub(super) commands: Vec<Suspended>,
    pub(super) ports: HashMap<CommandNumber, Port>,
    /// How long it may last.
    pub(super) keep: Duration,
    /// What builds hold.
    pub(super) connection: Arc<Connection>,
    /// Ends whoever waits for the end of this state.
    pub(super) over: DropGuard,
}

/// What earlier sessions of a worker left.
#[derive(Default)]
pub(super) struct Left {
    /// Commands that may still run and that nobody waits for.
    pub(super) unwanted: Vec<CommandId>,
    /// What can be gone on with.
    pub(super) parked: Option<Parked>,
}

impl Parked {
    /// Takes out what nobody waits for any more, or what is to stop: a worker that comes back ends it.
    pub(super) fn release_stopped(&mut self) {
        self.ports
            .retain(|_, port| !port.wish.is_interrupt() && !port.wish.is_abandon());
        let ports = &self.ports;
        self.commands
            .retain(|command| ports.contains_key(&command.number));
    }

    /// The worker is lost: whoever waits hears it. Gives the commands that may still run.
    pub(super) fn give_up(self, reason: &str) -> Vec<CommandId> {
        self.connection.sit(Seat::Gone(reason.to_owned()));
        let ids = self.commands.iter().map(|command| command.id().clone());
        ids.collect()
    }
}
