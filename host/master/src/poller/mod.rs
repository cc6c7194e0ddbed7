//! The git poller: asks a repository for new commits, again and again.
//!
//! The one thing that runs git on the master's machine, as a process with limits, in a bare copy that holds what was
//! fetched. A cursor (the heads of the followed branches) moves in the same transaction as the changes, so
//! that a poll that is cut off anywhere is simply repeated.

mod actor;
mod commits;
mod cursor;
mod git;

pub(crate) use actor::{PollerActor, PollerHandle};
