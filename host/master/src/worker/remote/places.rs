//! One session for each worker's name.
//!
//! A second connection has to prove that the first is dead: the old one is asked, and the new one waits for as long as an
//! answer may take. Whoever answers stays.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use toolpost_core::WorkerId;
use toolpost_wire::{CommandId, Limits, MasterSession};

use super::OUTPUT_STALL_MAX;
use super::pace::Pace;
use super::parked::{Left, Parked};
use super::password::Passwords;
use super::refusals::Refusals;
use super::session::{Ask, Handle};

/// Slots of a session of a former process whose commands are interrupted: nobody knows how many it used.
const FORMER_SLOTS: usize = 64;

/// Sessions by worker.
#[derive(Default)]
pub(crate) struct Places {
    pub(super) limits: Arc<Limits>,
    pub(super) passwords: Passwords,
    pub(super) refusals: Refusals,
    pub(super) oddities: Refusals,
    pub(super) pace: Pace,
    places: Mutex<HashMap<String, Place>>,
    /// Workers that were to end when their master ended: they are told so when they come back.
    orders: Mutex<HashSet<WorkerId>>,
}

#[derive(Default)]
struct Place {
    session: Option<Handle>,
    /// Somebody waits to learn whether the session is alive.
    contested: bool,
    /// What earlier sessions may have left running.
    former: Vec<CommandId>,
    /// What the next session can go on with.
    parked: Option<Parked>,
}

/// What becomes of a connection whose worker may have another.
pub(super) enum Arbitration {
    /// The name is free, or free again.
    Free,
    /// The worker that has the name is alive, or is being asked already.
    Taken,
}

impl Places {
    fn places(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process that was killed ran commands in these sessions: worker and epoch.
    pub(crate) fn remember(&self, sessions: impl IntoIterator<Item = (String, u64)>) {
        let mut places = self.places();
        for (worker, epoch) in sessions {
            let ids = (0..FORMER_SLOTS).map(|slot| MasterSession::command_id(epoch, slot));
            places.entry(worker).or_default().former = ids.collect();
        }
    }

    /// A former process of this master did not come to tell these workers to end.
    pub(crate) fn remember_orders(&self, workers: impl IntoIterator<Item = (WorkerId, String)>) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.extend(workers.into_iter().map(|(id, _)| id));
    }

    /// Whether a worker that comes back was to end when this master ended; only its first time counts.
    pub(super) fn take_order(&self, worker: WorkerId) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.remove(&worker)
    }

    /// Has a worker told to end. Gives its session; `None` when there is none.
    pub(crate) fn dismiss(&self, worker: &str, reason: &str) -> Option<u64> {
        let session = self.places().get(worker)?.session.clone()?;
        session.dismiss(reason);
        Some(session.epoch)
    }

    /// Waits until the name is free or it is clear that it is not.
    pub(super) async fn arbitrate(&self, worker: &str) -> Arbitration {
        let old = {
            let mut places = self.places();
            let place = places.entry(worker.to_owned()).or_default();
            let Some(old) = place.session.clone() else {
                return Arbitration::Free;
            };
            if std::mem::replace(&mut place.contested, true) {
                return Arbitration::Taken;
            }
            old
        };
        let alive = self.is_alive(&old).await;
        if let Some(place) = self.places().get_mut(worker) {
            place.contested = false;
        }
        match alive {
            true => Arbitration::Taken,
            false => Arbitration::Free,
        }
    }

    async fn is_alive(&self, old: &Handle) -> bool {
        let (answer, answered) = oneshot::channel();
        // A session that does not take the question is one that is not read.
        let patience = self.limits.probe_wait_max + OUTPUT_STALL_MAX + Duration::from_secs(5);
        let asking = async {
            if old.asks.send(Ask::Probe(answer)).await.is_ok() && answered.await.is_ok() {
                return true;
            }
            old.closed.cancelled().await;
            false
        };
        match timeout(patience, asking).await {
            Ok(alive) => alive,
            Err(_) => {
                old.stop.cancel();
                old.closed.cancelled().await;
                false
            }
        }
    }

    /// Takes the name, with what earlier sessions left; `false` when somebody else was first.
    pub(super) fn take(&self, worker: &str, session: impl FnOnce(Left) -> Handle) -> bool {
        let mut places = self.places();
        let place = places.entry(worker.to_owned()).or_default();
        if place.session.is_some() {
            return false;
        }
        let left = Left {
            unwanted: place.former.clone(),
            parked: place.parked.take(),
        };
        place.session = Some(session(left));
        true
    }

    /// The worker has answered: what earlier sessions left running was interrupted.
    pub(super) fn settled(&self, worker: &str) {
        if let Some(place) = self.places().get_mut(worker) {
            place.former = Vec::new();
        }
    }

    /// The session is over, with these commands perhaps still running, or with what the next one can go on with.
    pub(super) fn release(
        &self,
        worker: &str,
        epoch: u64,
        running: Vec<CommandId>,
        parked: Option<Parked>,
    ) {
        let mut places = self.places();
        let Some(place) = places.get_mut(worker) else {
            return;
        };
        if place.session.as_ref().map(|handle| handle.epoch) == Some(epoch) {
            place.session = None;
            place.former.extend(running);
            place.former.truncate(FORMER_SLOTS * 4);
            place.parked = parked;
        }
        let empty = place.session.is_none() && place.former.is_empty() && place.parked.is_none();
        if empty && !place.contested {
            places.remove(worker);
        }
    }

    /// Gives up what a session left, unless the worker is back already.
    pub(super) fn give_up(&self, worker: &str, epoch: u64, reason: &str) {
        let mut places = self.places();
        let Some(place) = places.get_mut(worker) else {
            return;
        };
        if let Some(parked) = place.parked.take_if(|parked| parked.epoch == epoch) {
            place.former.extend(parked.give_up(reason));
        }
    }

    /// Lets those go who want a command to end while its worker is away.
    pub(super) fn release_stopped(&self, worker: &str, epoch: u64) {
        let mut places = self.places();
        let parked = places
            .get_mut(worker)
            .and_then(|place| place.parked.as_mut());
        if let Some(parked) = parked.filter(|parked| parked.epoch == epoch) {
            parked.release_stopped();
        }
    }

    /// Ends the sessions of workers that are not wanted any more.
    pub(crate) fn keep(&self, wanted: impl Fn(&str) -> bool) {
        for (name, place) in &mut *self.places() {
            if wanted(name) {
                continue;
            }
            if let Some(session) = &place.session {
                session.stop.cancel();
            }
            if let Some(parked) = place.parked.take() {
                parked.give_up("it is not configured any more");
            }
        }
    }

    /// All sessions.
    pub(super) fn sessions(&self) -> Vec<Handle> {
        let places = self.places();
        places
            .values()
            .filter_map(|place| place.session.clone())
            .collect()
    }

    /// Ends all sessions, and waits this long for that.
    pub(crate) async fn close(&self, grace: Duration) {
        let sessions = self.sessions();
        for place in self.places().values_mut() {
            if let Some(parked) = place.parked.take() {
                parked.give_up("the master stops");
            }
        }
        for session in &sessions {
            session.stop.cancel();
        }
        let all = async {
            for session in &sessions {
                session.closed.cancelled().await;
            }
        };
        // Those that hang end with the process.
        let _ = timeout(grace, all).await;
    }
}
