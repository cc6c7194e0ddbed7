//! Moves one reporter through the journal and its deliveries to their end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use toolpost_bus::{Bus, Wake, Woken};
use toolpost_config::config::ReporterConfig;
use toolpost_core::backoff::Backoff;
use toolpost_core::report::{Crashes, Delivery, Failure, Next, plan_round};
use toolpost_core::{DeliveryId, Event, MasterId, ReporterId, Timestamp};
use toolpost_store::{AfterFailure, Store, StoreError};
use tracing::{info, warn};

use super::deliver::{Deliver, Told, Untold};
use super::select::Selector;
use crate::clock::Clock;
use crate::engine::lock;
use crate::status::ReporterStatus;

/// Entries of the journal that are looked at and committed at one time.
const ENTRIES_PER_BATCH_MAX: u32 = 200;

/// The price of a lost event, and of what other masters do, is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long a first event waits for more of its burst. Nobody waits for a report as for a build, and each event wakes all reporters.
const GATHER: Duration = Duration::from_millis(100);
/// Up to so much longer, which is not the same for all reporters: they do not all look at once.
const GATHER_SPREAD_MS: u64 = 100;

/// The pause after a try that the master could not make, which is no try of the delivery.
const NOT_NOW_WAIT: Duration = Duration::from_secs(5);

/// Waits after errors of the store: from the first to the longest.
const STORE_WAIT_MIN: Duration = Duration::from_secs(1);
const STORE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Runs one reporter.
#[derive(Clone)]
pub(crate) struct ReporterActor {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) master: MasterId,
    pub(crate) id: ReporterId,
    pub(crate) config: Arc<ReporterConfig>,
    pub(crate) deliver: Arc<dyn Deliver>,
    pub(crate) status: Arc<Mutex<ReporterStatus>>,
    /// Cancelled when it is to end as soon as everything that happened is told, or cannot be told now.
    pub(crate) closing: CancellationToken,
}

/// How things stand after a look.
struct Look {
    /// There is more in the journal.
    more: bool,
    /// Nothing is tried now, because the plugin keeps crashing.
    waits: bool,
    /// When to look again if nothing happens.
    wake_at: Option<Timestamp>,
}

/// A try that came to its end.
type Ended = (Delivery, Result<Told, Untold>);

/// The tries that have not ended.
#[derive(Default)]
struct Tries {
    futures: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Their streams.
    streams: BTreeMap<DeliveryId, String>,
    /// No new ones begin before, for this reason.
    paused: Option<(Timestamp, String)>,
    /// What the plugin did in the last ones, and why the last of them crashed.
    crashes: Crashes,
    last_crash: String,
}

impl ReporterActor {
    /// Reacts to what happens until it is told to close and has nothing left to do, or is dropped, and its running tries
    /// with it.
    pub(crate) async fn run(self) {
        let id = self.id;
        let patient = Arc::new(AtomicBool::new(false));
        let is_patient = Arc::clone(&patient);
        let is_wanted =
            move |event: &Event| is_reason_to_look(event, id, is_patient.load(Ordering::Relaxed));
        let spread = Duration::from_millis(rand::random_range(0..=GATHER_SPREAD_MS));
        let mut wake =
            Wake::new(self.bus.subscribe(), LOOK_INTERVAL, is_wanted).gathering(GATHER + spread);
        let mut backoff = Backoff::new(STORE_WAIT_MIN, STORE_WAIT_MAX);
        let mut tries = Tries::default();
        loop {
            let looked = self.look(&mut tries).await;
            let next_look = match &looked {
                Ok(look) if look.more => Some(self.clock.now()),
                Ok(look) => {
                    if self.closing.is_cancelled() && tries.streams.is_empty() {
                        return;
                    }
                    look.wake_at
                }
                Err(error) => {
                    let wait = backoff.next_wait(rand::random());
                    let name = &self.config.name;
                    warn!(reporter.name = %name, "reporter `{name}` tries again in {} s: {error}", wait.as_secs());
                    Some(self.clock.now().after(wait))
                }
            };
            if let Ok(look) = &looked {
                backoff.succeeded();
                patient.store(look.waits, Ordering::Relaxed);
            }
            self.tell(looked.as_ref().err(), tries.streams.len());
            let failed = looked.is_err();
            tokio::select! {
                // After an error only time helps, or a burst of events would make a storm of attempts.
                woken = wake.next(None), if !failed => if woken == Woken::Closed { return },
                () = self.clock.sleep_until_some(next_look) => {}
                () = self.closing.cancelled(), if !self.closing.is_cancelled() => {}
                Some(ended) = tries.futures.next() => self.record(ended, &mut tries).await,
            }
        }
    }

    /// Takes in what is new and begins the tries that are due.
    async fn look(&self, tries: &mut Tries) -> Result<Look, StoreError> {
        let more = self.fan_out().await?;
        let wake_at = self.begin(tries).await?;
        let waits = tries.crashes.waits(self.clock.now()).is_some();
        Ok(Look {
            more,
            waits,
            wake_at,
        })
    }

    /// Makes deliveries of the next entries of the journal. Says whether there are more.
    async fn fan_out(&self) -> Result<bool, StoreError> {
        let from = self.store.reporter_cursor(self.id).await?;
        let entries = self
            .store
            .journal_after(from, ENTRIES_PER_BATCH_MAX)
            .await?;
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        let (to, count) = (last.id, entries.len());
        let wanted = Selector::new(&self.store, &self.config.wants)
            .select(entries)
            .await?;
        let now = self.clock.now();
        let moved = self
            .store
            .fan_out(self.id, self.master, from, to, wanted, now)
            .await;
        match moved {
            Ok(_) => Ok(count >= ENTRIES_PER_BATCH_MAX as usize),
            // Another master has it now, or had it until a moment ago: it is for the next look to see.
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins the tries that are due and have room. Gives when the next is due.
    async fn begin(&self, tries: &mut Tries) -> Result<Option<Timestamp>, StoreError> {
        let now = self.clock.now();
        let (until, reason) = self.pause(tries, now);
        let is_held = reason.is_some();
        lock(&self.status).held = reason;
        if is_held {
            return Ok(until);
        }
        let parallel = tries.crashes.tries_max(self.config.parallel as usize);
        // Those that run are among them, and one more says when to look again.
        let limit = parallel + tries.streams.len() + 1;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let heads = self.store.delivery_heads(self.id, limit).await?;
        let round = plan_round(&heads, &tries.streams, parallel, now);
        for head in heads {
            if round.start.contains(&head.id) {
                tries.streams.insert(head.id, head.stream.clone());
                tries
                    .futures
                    .push(attempt(Arc::clone(&self.deliver), head).boxed());
            }
        }
        Ok(round.wake_at)
    }

    /// Why no tries begin now, and until when that is known to last.
    fn pause(&self, tries: &mut Tries, now: Timestamp) -> (Option<Timestamp>, Option<String>) {
        tries.paused.take_if(|(until, _)| *until <= now);
        tries.crashes.see_version(self.deliver.version());
        if let Some(reason) = self.deliver.held() {
            // Events say when that ends.
            return (None, Some(reason));
        }
        if let Some((until, reason)) = &tries.paused {
            return (Some(*until), Some(reason.clone()));
        }
        let Some((until, wait)) = tries.crashes.waits(now) else {
            return (None, None);
        };
        let reason = format!(
            "its plugin crashed {} times in a row, the last time because {}; the next try is {} s after that, or as soon as another version is live",
            tries.crashes.in_a_row(),
            tries.last_crash,
            wait.as_secs()
        );
        (Some(until), Some(reason))
    }

    /// Writes down how a try ended. When the store does not take it, the try will be made again.
    async fn record(&self, (delivery, outcome): Ended, tries: &mut Tries) {
        tries.streams.remove(&delivery.id);
        match &outcome {
            Ok(_) | Err(Untold::Failed(..)) => tries.crashes.went_well(),
            Err(Untold::Crashed(reason)) => {
                tries.crashes.crashed(self.clock.now());
                tries.last_crash.clone_from(reason);
            }
            Err(Untold::NotNow(_)) => {}
        }
        let recorded = match outcome {
            Ok(told) => {
                let now = self.clock.now();
                self.store
                    .delivery_made(delivery.id, told.made, &told.text, now)
                    .await
            }
            Err(Untold::Failed(failure, reason)) => self.failed(&delivery, failure, &reason).await,
            Err(Untold::Crashed(reason)) => {
                self.failed(&delivery, Failure::Retryable, &reason).await
            }
            Err(Untold::NotNow(reason)) => {
                let name = &self.config.name;
                info!(reporter.name = %name, "reporter `{name}` pauses: {reason}");
                tries.paused = Some((self.clock.now().after(NOT_NOW_WAIT), reason));
                Ok(())
            }
        };
        if let Err(error) = recorded {
            let name = &self.config.name;
            warn!(reporter.name = %name, "delivery {} of reporter `{name}` is made again: {error}", delivery.id);
        }
    }

    async fn failed(
        &self,
        delivery: &Delivery,
        failure: Failure,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let attempt = delivery.attempts.saturating_add(1);
        let next = self
            .config
            .retry
            .after(failure, attempt, now, rand::random());
        let after = match next {
            Next::RetryAt(at) => AfterFailure::Retry(at),
            Next::GiveUp => {
                let (name, id) = (&self.config.name, delivery.id);
                warn!(
                    reporter.name = %name,
                    delivery.id = %id,
                    "reporter `{name}` gave up delivery {id} after {attempt} tries: {reason}"
                );
                AfterFailure::Dead
            }
        };
        self.store
            .delivery_failed(delivery.id, after, reason, now)
            .await
    }

    fn tell(&self, error: Option<&StoreError>, running: usize) {
        let mut status = lock(&self.status);
        status.running = running;
        status.error = error.map(ToString::to_string);
    }
}

/// One try, in a task of its own that ends when this is dropped: a try holds a connection of the store at times, and must go
/// on while the reporter waits for one. A panic is a failed try, so that the others go on.
async fn attempt(deliver: Arc<dyn Deliver>, delivery: Delivery) -> Ended {
    let told = delivery.clone();
    let task = tokio::spawn(async move { deliver.deliver(&told).await });
    let outcome = AbortOnDropHandle::new(task).await.unwrap_or_else(|_| {
        let reason = "stopped by a defect of this program".to_owned();
        Err(Untold::Failed(Failure::Retryable, reason))
    });
    (delivery, outcome)
}

/// One that is patient cannot tell anything now: what happens meanwhile it takes in now and then, and many entries at a time.
fn is_reason_to_look(event: &Event, reporter: ReporterId, patient: bool) -> bool {
    match event {
        // What the others do is written down as well.
        Event::Reporter(id) => *id == reporter,
        Event::Plugin(_) | Event::Configuration => true,
        Event::RequestAdded(..)
        | Event::BuildStarted(..)
        | Event::BuildFinished(..)
        | Event::BuildsetComplete(_)
        | Event::Worker(_) => !patient,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_cannot_tell_anything_looks_when_that_may_have_changed() {
        let (own, other) = (ReporterId(1), ReporterId(2));
        let reasons = |patient| {
            let events = [
                Event::BuildsetComplete(1.into()),
                Event::Reporter(other),
                Event::Reporter(own),
                Event::Plugin("chat".to_owned()),
                Event::Configuration,
            ];
            events.map(|event| is_reason_to_look(&event, own, patient))
        };
        assert_eq!(reasons(false), [true, false, true, true, true]);
        assert_eq!(reasons(true), [false, false, true, true, true]);
    }
}
