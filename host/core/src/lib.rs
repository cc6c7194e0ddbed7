//! The pure domain of a build farm: what a build is, which request runs where, when a step is skipped.
//!
//! Nothing here reads a clock, a file, a socket or a source of randomness; there is no runtime, no
//! database and no serialisation of wire types. Time comes in as an argument, effects go out as values.
//! Invariant: the same inputs give the same outputs, on every machine.

pub mod access;
pub mod backoff;
pub mod circle;
pub mod codebase;
pub mod collapse;
pub mod distribute;
pub mod event;
pub mod filter;
pub mod hosts;
pub mod ids;
pub mod journal;
pub mod kept;
pub mod locks;
pub mod model;
pub mod patch;
pub mod plugin_kind;
pub mod properties;
pub mod report;
pub mod resources;
pub mod results;
pub mod schedule;
pub mod schema_work;
pub mod secret;
pub mod sourcestamp;
pub mod step;
pub mod template;
pub mod time;

pub use event::Event;
pub use filter::ChangeFilter;
pub use ids::*;
pub use journal::{Fact, JournalEntry, JournalKind};
pub use plugin_kind::PluginKind;
pub use properties::{Properties, Property};
pub use results::Results;
pub use time::Timestamp;
