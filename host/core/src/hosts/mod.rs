//! Hosts that may be spoken to: patterns that an operator grants, and which addresses belong to whom.

mod address;
mod pattern;
#[cfg(test)]
mod tests;

pub use address::{Reach, reach};
pub use pattern::{HostPattern, HostPatternError};
