//! The engine room: takes changes in, decides which builds run where, runs them and records what came of it.
//!
//! [`Master::start`] brings it to life; a [`MasterHandle`] is how the rest of the process talks to it.
//!
//! * The truth is in the store. Every actor reads it anew when it is woken, by an event of the bus or by a
//!   timer, and may do its work twice; a lost event costs a delay, never a build.
//! * Decisions are made in `toolpost-core` and the store refuses what would break the records; here are only the
//!   loops and tasks that feed the one and obey the other.
//! * Nothing here runs on the master what belongs on a worker. The one exception is the git poller, which
//!   asks repositories for their heads.
//! * Time comes from a [`Clock`].

mod actor;
mod applied;
mod apply;
mod build;
mod build_dirs;
mod builds;
mod clock;
mod control;
mod decision;
mod distributor;
mod engine;
mod error;
mod fleet;
mod force;
mod handle;
mod launch;
mod locks;
mod plugin_lines;
mod poller;
mod properties;
mod queue;
mod reload;
mod reporter;
mod scheduler;
mod secrets;
mod services;
mod start;
mod status;
mod steps;
mod stop;
mod told;
mod uses;
mod why;
mod worker;

pub use applied::applied_sources;
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{ApplyError, ControlError, ForceError, StartError};
pub use force::{ANY_WORKER, FieldKind, ForceForm, FormField};
pub use handle::{ForceRequest, MasterHandle};
pub use start::{Master, MasterDeps};
pub use status::{
    ConfigurationStatus, Forced, Health, LockReport, LockStatus, LockUser, LockedOut, PollerStatus,
    ReporterStatus, SchedulerStatus, StuckEvent, Submitted, WaitCause, WaitState, WaitingBuilder,
    Why, WorkerStanding,
};
pub use steps::NativeCatalog;
pub use uses::RunningUses;
pub use worker::{
    LinkArchive, LinkCommand, LinkControl, LinkError, LinkFiles, ListenError, LocalWorkerLink,
    WorkerLink, WorkerPort,
};
