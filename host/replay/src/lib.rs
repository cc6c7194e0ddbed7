//! Runs plugins without a master, against what a master recorded.
//!
//! * [`recording`]: a [`recording::Recorder`] notes what a step asks of the master, and what it is answered.
//! * [`replay`]: gives the same answers again, and tells where a plugin leaves the trail.
//!
//! Nothing here knows stores, workers or configurations, and nothing reads the real time.

mod change;
mod collected;
mod facts;
pub mod recording;
pub mod replay;

pub use change::ChangeFacts;
pub use collected::{Collected, CollectedLog};
