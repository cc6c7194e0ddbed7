//! Reporters: tell others what happened, each from a durable queue of its own.
//!
//! An actor for each configured reporter reads the journal, makes a delivery of each entry that the reporter wants
//! ([`select`]), and tries the deliveries that are due: in order in a stream, which is what is about one build, and beside
//! each other otherwise. Cursor and deliveries move in one transaction, so whenever the master dies nothing is forgotten;
//! a try whose end was not recorded is made again with the same key.
//!
//! What is told is read from the store at the time of the try ([`report`]), by the version of the plugin that is live then.

mod actor;
mod deliver;
mod host;
mod housekeeping;
mod report;
mod select;
#[cfg(test)]
mod tests;

pub(crate) use actor::ReporterActor;
pub(crate) use deliver::PluginDeliver;
pub(crate) use housekeeping::keep_house;
