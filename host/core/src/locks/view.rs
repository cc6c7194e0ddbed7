//! The table as people look at it.

use std::collections::BTreeSet;

use super::answer::Holder;
use super::spec::{LockKey, LockMode, LockScope};
use super::table::LockTable;

/// How a lock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockView {
    /// The real lock. One of workers that nobody uses stands here once, without a worker.
    pub key: LockKey,
    /// What it protects; `None` when it is not configured any more and is only still held.
    pub scope: Option<LockScope>,
    /// Units that it has.
    pub max: u32,
    /// Who holds it, and how.
    pub holders: Vec<(Holder, LockMode)>,
    /// Who waits for it, in the order of arrival.
    pub queue: Vec<(Holder, LockMode)>,
}

impl LockTable {
    /// Every lock, by name and worker.
    #[must_use]
    pub fn view(&self) -> Vec<LockView> {
        let used: BTreeSet<&str> = self.real.keys().map(|key| key.lock.as_str()).collect();
        let unused = self.specs.values();
        let unused = unused.filter(|spec| !used.contains(spec.name.as_str()));
        let unused = unused.map(|spec| LockView {
            key: LockKey {
                lock: spec.name.clone(),
                worker: None,
            },
            scope: Some(spec.scope),
            max: spec.max_count,
            holders: Vec::new(),
            queue: Vec::new(),
        });
        let mut views: Vec<LockView> = unused.collect();
        views.extend(self.real.keys().map(|key| self.view_of(key)));
        views.sort_by(|a, b| a.key.cmp(&b.key));
        views
    }

    fn view_of(&self, key: &LockKey) -> LockView {
        let real = &self.real[key];
        let holders = real.holders.iter().filter_map(|holder| {
            let claims = self.held.get(holder)?;
            let claim = claims.iter().find(|claim| claim.key == *key)?;
            Some((*holder, claim.mode))
        });
        let queue = real
            .queue
            .iter()
            .map(|ticket| (self.waiters[ticket].holder, self.mode_of(*ticket, key)));
        LockView {
            scope: self.specs.get(&key.lock).map(|spec| spec.scope),
            max: self.max_of(key),
            holders: holders.collect(),
            queue: queue.collect(),
            key: key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{LockAccess, LockSpec};
    use super::*;

    #[test]
    fn a_table_shows_who_holds_and_who_waits_in_the_order_of_arrival() {
        let mut table = LockTable::new([
            LockSpec::new("db", LockScope::Master).with_max_count(2),
            LockSpec::new("disk", LockScope::Worker),
            LockSpec::new("idle", LockScope::Worker),
        ]);
        let mut ask = |build, access: LockAccess, worker| {
            let asked = table.request(Holder::step(build, 0), &[access], worker);
            asked.expect("a lock that there is");
        };
        ask(1, LockAccess::counting("db", 2), "a");
        ask(9, LockAccess::exclusive("db"), "a");
        ask(2, LockAccess::counting("db", 1), "b");
        ask(3, LockAccess::exclusive("disk"), "b");
        let shown: Vec<_> = table
            .view()
            .into_iter()
            .map(|lock| {
                let numbers = |users: &[(Holder, LockMode)]| {
                    users.iter().map(|(user, _)| user.build).collect::<Vec<_>>()
                };
                (
                    lock.key.to_string(),
                    lock.max,
                    numbers(&lock.holders),
                    numbers(&lock.queue),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("`db`".to_owned(), 2, vec![1], vec![9, 2]),
                ("`disk` of worker `b`".to_owned(), 1, vec![3], vec![]),
                ("`idle`".to_owned(), 1, vec![], vec![]),
            ]
        );
        // What is not configured any more is shown while somebody has it.
        table.configure([]);
        let kept: Vec<_> = table.view();
        let kept: Vec<_> = kept
            .iter()
            .map(|lock| (&*lock.key.lock, lock.scope))
            .collect();
        assert_eq!(kept, [("db", None), ("disk", None)]);
    }
}
