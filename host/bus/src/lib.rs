//! Carries events from the transaction that made them true to whoever waits for them.
//!
//! An event wakes and informs; it is never the truth. Who hears one reads the store, and who misses
//! one (a slow subscriber, a restart, another master) reads the store as well, a little later. So
//! nothing here is stored, retried or acknowledged, and a publisher never waits for a subscriber.
//! The transport is in-process; one that spans masters goes behind the same [`Bus`].

mod bus;
mod topic;
mod wake;

pub use bus::{BUS_CAPACITY_EVENTS, Bus, Signal, Subscription};
pub use topic::Topic;
pub use wake::{Wake, Woken};
