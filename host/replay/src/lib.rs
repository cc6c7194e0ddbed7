//! Runs plugins without a master: against a script, or against what a master recorded.
//!
//! * [`script`]: tests of a plugin as TOML files, and [`run`] what comes of them.
//! * [`recording`]: a [`recording::Recorder`] notes what a step asks of the master, and what it is answered.
//! * [`replay`]: a [`replay::Replay`] gives the same answers again, and tells where a plugin leaves the trail.
//!
//! Nothing here knows stores, workers or configurations, and nothing reads the real time: a script's commands and timers
//! run on a virtual clock.

mod change;
mod collected;
mod facts;
pub mod recording;
pub mod replay;

pub use collected::{Collected, CollectedLog};
