//! Runs components of plugins without a master, against scripts, in a time of their own.
//!
//! * [`read`] makes tests of a file with scripts, for the types of a plugin.
//! * [`rehearse`] runs one: the real component in the real sandbox with its limits, a scripted host around it, and a clock
//!   that is put forward when everybody waits. So a command of an hour takes no time, and each run is like the one before.
//! * A [`Verdict`] says what was not as expected, with the line of the script, and what was seen.
//!
//! Nothing here knows masters, stores or configurations, and nothing opens a connection.

mod judge;
mod rehearse;
mod script;
mod seen;
mod stage;
mod verdict;

pub use rehearse::{rehearse, sandbox_options};
pub use script::{ScriptFault, Source, Test, read};
pub use verdict::{DiffLine, Mismatch, Verdict};
