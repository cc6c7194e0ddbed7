//! What the commands of a step have used of the worker so far.

use std::sync::{Mutex, PoisonError};

use toolpost_core::resources::Resources;
use toolpost_worker::Exit;

/// Grows with each command that ends.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Option<Resources>>);

impl Tally {
    /// A command has ended.
    pub(crate) fn add(&self, exit: &Exit) {
        let Some(usage) = exit.usage else { return };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let ms = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let used = Resources {
            commands: 1,
            user_ms: ms(usage.user),
            system_ms: ms(usage.system),
            memory_peak_bytes: number(usage.memory_peak_bytes),
            read_bytes: number(usage.read_bytes),
            written_bytes: number(usage.written_bytes),
        };
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(sum.unwrap_or_default().and(used));
    }

    /// The sum, if any command has said what it used.
    pub(crate) fn sum(&self) -> Option<Resources> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
