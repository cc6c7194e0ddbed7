//! Locks taken in thought: what a plan may promise without changing the table.

use std::collections::BTreeMap;

use super::answer::LockError;
use super::claim::Tally;
use super::spec::{LockAccess, LockKey};
use super::table::LockTable;

/// What a planned distribution has taken from a table in thought, without changing it.
#[derive(Debug, Clone)]
pub struct LockBudget<'a> {
    table: &'a LockTable,
    taken: BTreeMap<LockKey, Tally>,
}

/// Why a [`LockBudget`] refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Not now.
    Busy(LockKey),
    /// Never.
    Never(LockError),
}

impl<'a> LockBudget<'a> {
    /// Nothing taken yet.
    #[must_use]
    pub fn new(table: &'a LockTable) -> Self {
        Self {
            table,
            taken: BTreeMap::new(),
        }
    }

    /// Takes all of `accesses`, or nothing.
    ///
    /// # Errors
    /// The first lock that is not available, or why it never will be.
    pub fn take(&mut self, accesses: &[LockAccess], worker: &str) -> Result<(), Refused> {
        let claims = self
            .table
            .claims(accesses, worker)
            .map_err(Refused::Never)?;
        for claim in &claims {
            let taken = self.taken.get(&claim.key).copied().unwrap_or_default();
            if !self.table.available(claim, None, taken) {
                return Err(Refused::Busy(claim.key.clone()));
            }
        }
        for claim in claims {
            self.taken.entry(claim.key).or_default().add(claim.mode);
        }
        Ok(())
    }
}
