//! Reporters: what is told to whom, in which order, and what happens when it cannot be told.
//!
//! A reporter reads the journal with a cursor. What it wants becomes a [`Delivery`], which is tried until it
//! is told or given up. Pure: the store keeps the records, the engine room does the calls.

mod record;

pub use record::{Delivery, DeliveryStatus, Reporter};
