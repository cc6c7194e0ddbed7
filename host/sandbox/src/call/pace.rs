//! How fast plugins may have the host work for them.
//!
//! A host function runs outside the plugins' threads: it takes the master's own processor time, the database's only writer, the
//! worker's processes. An ordinary call asks for little and is never held up. One that has asked for [`FREE_PIECES`] takes turns
//! from then on with all calls of the same plugin for the same builder: one at a time, and together at most
//! [`SHARE_PERCENT`] of the time. So a plugin that floods the host slows down itself, however many copies of it run, and comes
//! to its end, because what short questions take then counts as its processor time. Requests for builds are nearly never free, and
//! cost twice what they take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::call::Meter;
use crate::fair::Party;

/// What a call may ask for before it is held up, in pieces of [`PIECE_BYTES`]; a question is one piece at least.
const FREE_PIECES: u64 = 100;
/// Bytes of a piece.
const PIECE_BYTES: u64 = 4 << 10;
/// Of the time, how much the host works for those who asked for more.
const SHARE_PERCENT: u32 = 20;
/// Work that may come at once after a while without any.
const BURST: Duration = Duration::from_millis(50);
/// What one question costs at most, since what waits for a server or for a worker is no work.
const COST_MAX: Duration = Duration::from_millis(50);

/// What a question counts as, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A question that is answered from memory, or with a row of the database.
    Small,
    /// Several rows, a file.
    Large,
    /// A process.
    Process,
    /// Builds: what they ask of the master comes later, and is many times what the question takes.
    Builds,
}

impl Effort {
    fn pieces(self) -> u64 {
        match self {
            Self::Small => 1,
            Self::Large => 5,
            Self::Process => 20,
            Self::Builds => FREE_PIECES / 2,
        }
    }

    /// How many times what it took it costs.
    fn weight(self) -> u32 {
        match self {
            Self::Small | Self::Large | Self::Process => 1,
            Self::Builds => 2,
        }
    }

    /// Whether it is over soon. A command that waits for its place on the worker, or a large file, does not hold up others.
    fn is_short(self) -> bool {
        matches!(self, Self::Small | Self::Builds)
    }

    /// Whether it is answered with the master's own processor time and little else.
    fn is_computing(self) -> bool {
        self == Self::Small
    }
}

/// The accounts of all who flood the host. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Paces(Arc<Mutex<HashMap<Party, Weak<Account>>>>);

/// The pace of one call.
pub(crate) struct Pace {
    paces: Paces,
    party: Party,
    meter: Arc<Meter>,
    asked: u64,
    account: Option<Arc<Account>>,
}

/// What calls of one plugin for one user share.
struct Account {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// When the work so far is paid for.
    paid_at: Mutex<Instant>,
}

/// Leave to have the host work, until it is dropped.
pub(crate) struct Leave {
    account: Arc<Account>,
    began: Instant,
    weight: u32,
    /// Whose processor time it counts as.
    meter: Option<Arc<Meter>>,
    /// Of a question that is over soon: the next one in turn waits for its end.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Paces {
    /// The pace of a new call.
    pub(crate) fn of(&self, party: &Party, meter: &Arc<Meter>) -> Pace {
        Pace {
            paces: self.clone(),
            party: party.clone(),
            meter: Arc::clone(meter),
            asked: 0,
            account: None,
        }
    }

    fn account(&self, party: &Party) -> Arc<Account> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(party).and_then(Weak::upgrade) {
            return account;
        }
        accounts.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Account {
            turn: Arc::default(),
            paid_at: Mutex::new(Instant::now()),
        });
        accounts.insert(party.clone(), Arc::downgrade(&account));
        account
    }
}

impl Pace {
    /// Counts bytes that come with the next question.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        self.asked = self.asked.saturating_add(bytes as u64 / PIECE_BYTES);
    }

    /// Waits until the host may work for this call; `None` for what is free.
    pub(crate) async fn enter(&mut self, effort: Effort) -> Option<Leave> {
        self.asked = self.asked.saturating_add(effort.pieces());
        if self.asked <= FREE_PIECES {
            return None;
        }
        let account = self
            .account
            .get_or_insert_with(|| self.paces.account(&self.party));
        let turn = Arc::clone(&account.turn).lock_owned().await;
        let pause = account.unpaid();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some(Leave {
            account: Arc::clone(account),
            began: Instant::now(),
            weight: effort.weight(),
            meter: effort.is_computing().then(|| Arc::clone(&self.meter)),
            _turn: effort.is_short().then_some(turn),
        })
    }
}

impl Account {
    /// How long until the work so far is paid for.
    fn unpaid(&self) -> Duration {
        let paid_at = *self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        paid_at.saturating_duration_since(Instant::now())
    }

    fn charge(&self, work: Duration) {
        let earliest = Instant::now().checked_sub(BURST * 100 / SHARE_PERCENT);
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = earliest.map_or(*paid_at, |earliest| earliest.max(*paid_at));
        *paid_at = from + work * 100 / SHARE_PERCENT;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let took = self.began.elapsed().min(COST_MAX);
        self.account.charge(took * self.weight);
        if let Some(meter) = &self.meter {
            meter.add(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Computing;

    fn meter(plugin: &str) -> Arc<Meter> {
        Meter::new(plugin.into(), Computing::default())
    }

    async fn work(pace: &mut Pace, count: u64) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            let leave = pace.enter(Effort::Small).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            drop(leave);
        }
        began.elapsed()
    }

    #[tokio::test]
    async fn who_floods_the_host_shares_a_fifth_of_the_time_with_its_copies() {
        let paces = Paces::default();
        let party = Party::new("flood", "builder");
        let (of_one, of_two) = (meter("flood"), meter("flood"));
        let (mut one, mut two) = (paces.of(&party, &of_one), paces.of(&party, &of_two));
        for pace in [&mut one, &mut two] {
            pace.count_bytes(usize::try_from(FREE_PIECES * PIECE_BYTES).unwrap());
        }
        work(&mut one, 20).await;
        let (a, b) = tokio::join!(work(&mut one, 20), work(&mut two, 20));
        let least =
            Duration::from_millis(2) * 40 * 100 / SHARE_PERCENT - BURST * 100 / SHARE_PERCENT;
        assert!(a.max(b) >= least, "{a:?} {b:?}");
        assert!(of_two.used() >= Duration::from_millis(2) * 20);
        // Another plugin, and the same for another builder, are not held up.
        let mut other = paces.of(&Party::new("flood", "another builder"), &of_one);
        let waits = other.enter(Effort::Process);
        assert!(futures::FutureExt::now_or_never(waits).is_some_and(|leave| leave.is_none()));
    }

    #[tokio::test]
    async fn of_builds_two_are_free_and_further_ones_are_asked_for_one_at_a_time() {
        let paces = Paces::default();
        let party = Party::new("flood", "builder");
        let meter = meter("flood");
        let (mut one, mut two) = (paces.of(&party, &meter), paces.of(&party, &meter));
        for pace in [&mut one, &mut two] {
            for _ in 0..2 {
                let leave = futures::FutureExt::now_or_never(pace.enter(Effort::Builds));
                assert!(leave.is_some_and(|leave| leave.is_none()));
            }
        }
        let held = one.enter(Effort::Builds).await.unwrap();
        assert!(futures::FutureExt::now_or_never(two.enter(Effort::Builds)).is_none());
        let account = Arc::clone(&held.account);
        let paid_at = || *account.paid_at.lock().unwrap();
        let before = paid_at();
        let took = held.began.elapsed();
        drop(held);
        assert!(paid_at() - before >= took * 2 * 100 / SHARE_PERCENT);
        assert!(two.enter(Effort::Builds).await.is_some());
        // What others do for it is not its processor time.
        assert!(meter.used().is_zero());
    }

    #[tokio::test]
    async fn what_an_ordinary_call_asks_for_is_free() {
        let paces = Paces::default();
        let mut pace = paces.of(&Party::new("good", "builder"), &meter("good"));
        for _ in 0..FREE_PIECES {
            let leave = futures::FutureExt::now_or_never(pace.enter(Effort::Small));
            assert!(leave.is_some_and(|leave| leave.is_none()));
        }
        assert!(pace.enter(Effort::Small).await.is_some());
    }
}
