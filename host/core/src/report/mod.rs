//! Reporters: what is told to whom, in which order, and what happens when it cannot be told.
//!
//! A reporter reads the journal with a cursor. What it [wants](Wants) becomes a [`Delivery`]; a [round](plan_round) says
//! which deliveries are tried now, and the [`RetryPolicy`] what comes after a try that failed; [`Crashes`] slow a reporter down whose plugin is broken. Pure: the store keeps the
//! records, the engine room does the calls.

mod crashes;
mod record;
mod retry;
mod round;
#[cfg(test)]
mod tests;
mod wants;

pub use crashes::Crashes;
pub use record::{Delivery, DeliveryStatus, Reporter};
pub use retry::{Failure, Next, RetryPolicy};
pub use round::{Round, plan_round};
pub use wants::{About, Needs, ResultsMode, Wants};
