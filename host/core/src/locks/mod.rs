//! Locks that keep builds and steps from using the same thing at one time.
//!
//! [`LockTable`] is a state machine: requests, releases and new configurations go in, the holders that
//! may now go on come out. It never waits and knows no time.
//!
//! Invariants: no lock is ever granted beyond its limit; a waiter holds nothing, because all locks of a
//! request are granted at once; whoever asked earlier for a lock is never overtaken on that lock, so that
//! neither an exclusive request nor a large count starves.

mod answer;
mod budget;
mod claim;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use answer::{Acquisition, Blocked, Holder, LockError, Reconfigured};
pub use budget::{LockBudget, Refused};
pub use spec::{LockAccess, LockKey, LockMode, LockScope, LockSpec};
pub use table::LockTable;
pub use view::LockView;
