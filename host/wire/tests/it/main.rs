//! Both ends of the protocol, together and against what a hostile peer sends.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod commands;
#[path = "../corpus/mod.rs"]
mod corpus;
mod hostile;
mod pair;
mod recorded;
mod resume;
mod stops;
