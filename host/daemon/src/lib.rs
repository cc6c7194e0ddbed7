//! The worker as a program of its own: connects to a master and does what it says.
//!
//! Stands between two crates that know nothing of each other: `toolpost-wire` says what the master wants, `toolpost-worker`
//! does it. `settings` are read and checked once, `connect` opens a connection, `session` runs it to its end, `jobs` are the
//! commands, and `run` begins again when a connection is lost.
//!
//! Invariants:
//! * the password is in no log record, error or [`std::fmt::Debug`] text, and in no environment of a command;
//! * a command that nobody waits for any more is ended, with its process group;
//! * what a command has said and the master has not taken is bounded: a command that says more waits;
//! * nothing that a master or a network does ends the program, but for `shutdown`.

mod connect;
mod info;
mod jobs;
mod orders;
mod paths;
mod room;
mod run;
mod session;
mod settings;
mod tls;

pub use connect::ConnectError;
pub use orders::Orders;
pub use run::{RunError, run};
pub use settings::{
    MasterAddress, PasswordSource, Settings, SettingsError, SettingsFile, TlsFiles,
};
