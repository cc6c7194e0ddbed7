//! The pure domain of a build farm: what a build is, which request runs where, when a step is skipped.
//!
//! Nothing here reads a clock, a file, a socket or a source of randomness; there is no runtime, no
//! database and no serialisation of wire types. Time comes in as an argument, effects go out as values.
//! Invariant: the same inputs give the same outputs, on every machine.

pub mod event;
pub mod ids;
pub mod model;
pub mod properties;
pub mod results;
pub mod time;

pub use event::Event;
pub use ids::*;
pub use properties::{Properties, Property};
pub use results::Results;
pub use time::Timestamp;
