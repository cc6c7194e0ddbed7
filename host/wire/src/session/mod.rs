//! One connection as a state machine, for each of its two ends.

mod heard;
mod line;
mod master;
mod packing;
mod resume;
mod transfer;
mod worker;

pub use line::Ticket;
pub use master::{CommandEvent, CommandNumber, Effect, MasterEvent, MasterSession, Patience};
pub use resume::{Former, Suspended};
pub use worker::{Sent, WorkerEffect, WorkerEvent, WorkerSession};
