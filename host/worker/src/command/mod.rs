//! Commands: what to run, running it, and how it ended.

mod child;
mod course;
mod environment;
mod exit;
mod family;
mod follow;
mod group;
mod launch;
mod leader;
mod output;
mod program;
mod running;
mod spec;
mod start;
mod supervise;
mod usage;

pub use exit::{Exit, Status, StopCause};
pub use launch::{Launch, StartError, quoted_words};
pub use output::{Output, OutputStream};
pub use running::{Captured, CommandControl, RunningCommand};
pub use spec::{
    CommandSpec, EnvValue, INTERRUPT_GRACE_DEFAULT, InterruptSignal, Invocation, LogFile,
};
pub use usage::Usage;

pub(crate) use launch::Launcher;
pub(crate) use start::Starter;
