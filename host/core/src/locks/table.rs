//! Who holds which lock and who waits for which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::answer::{Acquisition, Blocked, Holder, LockError, Reconfigured};
use super::claim::{Claim, Tally};
use super::spec::{LockAccess, LockKey, LockMode, LockSpec};

#[derive(Debug, Clone)]
pub(super) struct Waiter {
    pub(super) holder: Holder,
    accesses: Vec<LockAccess>,
    worker: String,
    claims: Vec<Claim>,
}

/// A real lock that is held or waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct RealLock {
    held: Tally,
    pub(super) holders: BTreeSet<Holder>,
    /// Tickets in the order of arrival.
    pub(super) queue: VecDeque<u64>,
}

impl RealLock {
    fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }
}

/// All locks of a master.
#[derive(Debug, Clone, Default)]
pub struct LockTable {
    pub(super) specs: BTreeMap<String, LockSpec>,
    pub(super) real: BTreeMap<LockKey, RealLock>,
    pub(super) held: BTreeMap<Holder, Vec<Claim>>,
    pub(super) waiters: BTreeMap<u64, Waiter>,
    ticket_of: BTreeMap<Holder, u64>,
    next_ticket: u64,
}

impl LockTable {
    /// A table of these locks, all free.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = LockSpec>) -> Self {
        let mut table = Self::default();
        table.configure(specs);
        table
    }

    /// Replaces the configured locks. What is held stays held, even beyond a lowered limit.
    pub fn configure(&mut self, specs: impl IntoIterator<Item = LockSpec>) -> Reconfigured {
        self.specs = specs
            .into_iter()
            .map(|spec| (spec.name.clone(), spec))
            .collect();
        let mut outcome = Reconfigured::default();
        // Scope and limits may have changed, so every waiter asks anew, in the order of its ticket.
        let waiting = std::mem::take(&mut self.waiters);
        self.ticket_of.clear();
        for real in self.real.values_mut() {
            real.queue.clear();
        }
        for waiter in waiting.into_values() {
            match self.request(waiter.holder, &waiter.accesses, &waiter.worker) {
                Ok(Acquisition::Granted) => outcome.granted.push(waiter.holder),
                Ok(Acquisition::Blocked(_)) => {}
                Err(error) => outcome.impossible.push((waiter.holder, error)),
            }
        }
        self.real.retain(|_, real| !real.is_unused());
        outcome
    }

    /// Asks for all of `accesses` at once, for something that runs on `worker`. If they are not available the
    /// holder waits, and a later call names it among those who got their locks.
    ///
    /// # Errors
    /// When the wait would never end, or the holder already has or waits for locks. Nothing is changed then.
    pub fn request(
        &mut self,
        holder: Holder,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Acquisition, LockError> {
        let claims = self.check(holder, accesses, worker)?;
        let Some(key) = self.first_blocked(&claims, None) else {
            self.hold(holder, claims);
            return Ok(Acquisition::Granted);
        };
        let blocked = self.blocked_on(key, None);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for claim in &claims {
            let real = self.real.entry(claim.key.clone()).or_default();
            real.queue.push_back(ticket);
        }
        self.ticket_of.insert(holder, ticket);
        let waiter = Waiter {
            holder,
            accesses: accesses.to_vec(),
            worker: worker.to_owned(),
            claims,
        };
        self.waiters.insert(ticket, waiter);
        Ok(Acquisition::Blocked(blocked))
    }

    /// Takes all of `accesses` if they fit beside what is held and waited for; does not queue.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn try_acquire(
        &mut self,
        holder: Holder,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Acquisition, LockError> {
        let claims = self.check(holder, accesses, worker)?;
        if let Some(key) = self.first_blocked(&claims, None) {
            return Ok(Acquisition::Blocked(self.blocked_on(key, None)));
        }
        self.hold(holder, claims);
        Ok(Acquisition::Granted)
    }

    /// Gives up what the holder has and stops its waiting; a build gives up for its steps as well.
    ///
    /// Returns who holds its locks now, in the order of asking. Unknown holders are ignored, so that it may
    /// be called again.
    pub fn release(&mut self, holder: Holder) -> Vec<Holder> {
        let mut freed = BTreeSet::new();
        for holder in self.family(holder) {
            if let Some(ticket) = self.ticket_of.remove(&holder) {
                for claim in self.waiters.remove(&ticket).map_or(vec![], |w| w.claims) {
                    if let Some(real) = self.real.get_mut(&claim.key) {
                        real.queue.retain(|queued| *queued != ticket);
                    }
                    freed.insert(claim.key);
                }
            }
            for claim in self.held.remove(&holder).unwrap_or_default() {
                if let Some(real) = self.real.get_mut(&claim.key) {
                    real.held.remove(claim.mode);
                    real.holders.remove(&holder);
                }
                freed.insert(claim.key);
            }
        }
        let granted = self.grant(&freed);
        for key in &freed {
            if self.real.get(key).is_some_and(RealLock::is_unused) {
                self.real.remove(key);
            }
        }
        granted
    }

    /// The builds that hold a lock, themselves or for a step.
    #[must_use]
    pub fn holders(&self, key: &LockKey) -> BTreeSet<u64> {
        let held = self.held.iter();
        let of_key = held.filter(|(_, claims)| claims.iter().any(|claim| claim.key == *key));
        of_key.map(|(holder, _)| holder.build).collect()
    }

    /// Whether the holder has its locks. True as well for an empty request.
    #[must_use]
    pub fn is_held_by(&self, holder: Holder) -> bool {
        self.held.contains_key(&holder)
    }

    /// What the holder waits for; `None` when it does not wait.
    #[must_use]
    pub fn waits_for(&self, holder: Holder) -> Option<Blocked> {
        let ticket = *self.ticket_of.get(&holder)?;
        let key = self.first_blocked(&self.waiters[&ticket].claims, Some(ticket))?;
        Some(self.blocked_on(key, Some(ticket)))
    }

    /// Everybody who waits, in the order of asking.
    pub fn waiting(&self) -> impl Iterator<Item = Holder> {
        self.waiters.values().map(|waiter| waiter.holder)
    }

    /// Builds that will wait for ever, because each needs what another of them holds; empty when there are none.
    ///
    /// It takes two builds that each hold a lock for the whole build while a step wants the other's.
    /// Stopping one of them sets the others free.
    #[must_use]
    pub fn deadlocked(&self) -> BTreeSet<u64> {
        let mut rest = self.clone();
        // Whoever does not wait ends some day and gives back what it holds; who is left after all of
        // those have gone waits for ever.
        loop {
            let waiting: BTreeSet<u64> = rest.waiting().map(|holder| holder.build).collect();
            let able: BTreeSet<u64> = rest
                .held
                .keys()
                .map(|holder| holder.build)
                .filter(|build| !waiting.contains(build))
                .collect();
            if waiting.is_empty() || able.is_empty() {
                return waiting;
            }
            for build in able {
                rest.release(Holder::build(build));
            }
        }
    }

    /// Checks a request and translates it to real locks, without those of which it takes nothing.
    fn check(
        &self,
        holder: Holder,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Vec<Claim>, LockError> {
        if self.held.contains_key(&holder) || self.ticket_of.contains_key(&holder) {
            return Err(LockError::Busy);
        }
        let own_build = holder
            .step
            .and_then(|_| self.held.get(&Holder::build(holder.build)));
        let claims = self.claims(accesses, worker)?;
        let held_above = |claim: &&Claim| {
            own_build.is_some_and(|held| held.iter().any(|above| above.key == claim.key))
        };
        match claims.iter().find(held_above) {
            Some(claim) => Err(LockError::HeldByOwnBuild {
                key: claim.key.clone(),
            }),
            None => Ok(claims),
        }
    }

    pub(super) fn claims(
        &self,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Vec<Claim>, LockError> {
        let mut claims: Vec<Claim> = Vec::with_capacity(accesses.len());
        for access in accesses {
            let spec = self
                .specs
                .get(&access.lock)
                .ok_or_else(|| LockError::Unknown {
                    lock: access.lock.clone(),
                })?;
            let (key, mode, max) = (spec.key_on(worker), access.mode, spec.limit_on(worker));
            if mode == (LockMode::Counting { count: 0 }) {
                continue;
            }
            if claims.iter().any(|claim| claim.key == key) {
                return Err(LockError::Twice { key });
            }
            if !Tally::default().fits(mode, max) {
                let count = match mode {
                    LockMode::Counting { count } => count,
                    LockMode::Exclusive => 1,
                };
                return Err(LockError::NeverAvailable { key, count, max });
            }
            claims.push(Claim { key, mode });
        }
        Ok(claims)
    }

    pub(super) fn max_of(&self, key: &LockKey) -> u32 {
        self.specs
            .get(&key.lock)
            .map_or(0, |spec| spec.limit_on(key.worker.as_deref().unwrap_or("")))
    }

    /// Whether a claim fits beside what is held, what is taken in thought, and what those before `ticket` in
    /// the queue have asked for; without a ticket all those in the queue.
    pub(super) fn available(&self, claim: &Claim, ticket: Option<u64>, taken: Tally) -> bool {
        let max = self.max_of(&claim.key);
        let mut tally = taken;
        if let Some(real) = self.real.get(&claim.key) {
            tally.join(real.held);
            for earlier in &real.queue {
                // What does not fit here fits no better further behind.
                if Some(*earlier) == ticket || !tally.fits(claim.mode, max) {
                    break;
                }
                tally.add(self.mode_of(*earlier, &claim.key));
            }
        }
        tally.fits(claim.mode, max)
    }

    pub(super) fn mode_of(&self, ticket: u64, key: &LockKey) -> LockMode {
        self.waiters[&ticket]
            .claims
            .iter()
            .find(|claim| claim.key == *key)
            .map_or(LockMode::Counting { count: 0 }, |claim| claim.mode)
    }

    fn first_blocked(&self, claims: &[Claim], ticket: Option<u64>) -> Option<LockKey> {
        claims
            .iter()
            .find(|claim| !self.available(claim, ticket, Tally::default()))
            .map(|claim| claim.key.clone())
    }

    fn blocked_on(&self, key: LockKey, ticket: Option<u64>) -> Blocked {
        let by = self.real.get(&key).map_or(vec![], |real| {
            let earlier = real.queue.iter().take_while(|t| Some(**t) != ticket);
            let waiters = earlier.map(|earlier| self.waiters[earlier].holder);
            real.holders.iter().copied().chain(waiters).collect()
        });
        Blocked { key, by }
    }

    fn hold(&mut self, holder: Holder, claims: Vec<Claim>) {
        for claim in &claims {
            let real = self.real.entry(claim.key.clone()).or_default();
            real.held.add(claim.mode);
            real.holders.insert(holder);
        }
        self.held.insert(holder, claims);
    }

    /// Grants what became possible by freeing these locks. Nobody else's chance has changed: a waiter's
    /// chance depends on its own locks alone, and a grant turns what was reserved into what is held.
    fn grant(&mut self, freed: &BTreeSet<LockKey>) -> Vec<Holder> {
        let candidates: BTreeSet<u64> = freed
            .iter()
            .filter_map(|key| self.real.get(key))
            .flat_map(|real| real.queue.iter().copied())
            .collect();
        let mut granted = Vec::new();
        for ticket in candidates {
            if self
                .first_blocked(&self.waiters[&ticket].claims, Some(ticket))
                .is_some()
            {
                continue;
            }
            let Some(waiter) = self.waiters.remove(&ticket) else {
                continue;
            };
            for claim in &waiter.claims {
                if let Some(real) = self.real.get_mut(&claim.key) {
                    real.queue.retain(|queued| *queued != ticket);
                }
            }
            self.ticket_of.remove(&waiter.holder);
            self.hold(waiter.holder, waiter.claims);
            granted.push(waiter.holder);
        }
        granted
    }

    /// The holder, and for a build its steps.
    fn family(&self, holder: Holder) -> Vec<Holder> {
        if holder.step.is_some() {
            return vec![holder];
        }
        let range = holder..=Holder::step(holder.build, u32::MAX);
        let mut family: Vec<Holder> = self.held.range(range.clone()).map(|(h, _)| *h).collect();
        family.extend(self.ticket_of.range(range).map(|(h, _)| *h));
        family
    }
}
