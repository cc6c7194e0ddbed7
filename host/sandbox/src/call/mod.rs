//! One call of a plugin's export, from admission to its end, within its limits.
//!
//! Every call has a store of its own: a plugin that crashed or was stopped leaves nothing behind. Whatever waits is
//! ended by dropping it; whatever computes looks at its limits after each 10 ms of processor time.

mod clock;
mod computing;
mod frozen;
mod guard;
mod hide;
mod load;
mod meter;
mod output;
mod pace;
mod state;
mod stop;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, UpdateDeadline};

use crate::admission::{Room, Share};
use crate::engine::give_way;
use crate::fair::Party;
use crate::plugin::{Linked, Started};
use crate::sandbox::Shared;
use crate::{CallLimits, CallUsage, SandboxError, Stack};

pub(crate) use clock::WallClock;
pub(crate) use computing::Computing;
pub(crate) use guard::{Guard, TABLE_ELEMENT_BYTES};
pub(crate) use hide::Hider;
pub(crate) use load::HostLoad;
pub(crate) use meter::{Meter, Metered, Paying};
pub use output::LineTarget;
pub(crate) use output::{LogSink, StdStream, cut};
pub(crate) use pace::{Effort, Pace, Paces};
pub(crate) use state::{CallState, Caller, Commands, Home, HostCalls, Means};
pub(crate) use stop::{Scene, Stop};
pub(crate) use turns::Turns;

/// How long a call waits before it tries again to get a place in the engine's pool.
const POOL_RETRY: Duration = Duration::from_millis(5);
/// Room in one host call for what surrounds its payload: names, lengths, records.
const PAYLOAD_SLACK_BYTES: usize = 64 << 10;
/// Processor time between two looks at the limits of a call that computes.
const LOOK_AFTER: Duration = Duration::from_millis(10);

/// What a call needs beside the plugin.
pub(crate) struct CallContext {
    /// Who waits when there is no room.
    pub(crate) party: Party,
    pub(crate) limits: Arc<CallLimits>,
    /// How long it waits for its turn; for ever, if nothing is said.
    pub(crate) entry_wait_max: Option<Duration>,
    /// `None` while the plugin describes itself, or schedules.
    pub(crate) home: Option<Home>,
    /// The time, for a call that must not see the real one.
    pub(crate) at: Option<Timestamp>,
    pub(crate) log: LineTarget,
    pub(crate) cancel: CancellationToken,
}

/// Calls an export of a started instance.
pub(crate) trait Export<T>:
    for<'a> FnOnce(&'a Started<'a>, &'a mut Store<CallState>) -> BoxFuture<'a, wasmtime::Result<T>>
{
}

impl<T, F> Export<T> for F where
    F: for<'a> FnOnce(
        &'a Started<'a>,
        &'a mut Store<CallState>,
    ) -> BoxFuture<'a, wasmtime::Result<T>>
{
}

/// A call that ended, and what it took.
pub(crate) struct Ended<T> {
    pub(crate) result: Result<T, SandboxError>,
    pub(crate) usage: CallUsage,
    pub(crate) host_calls: BTreeMap<&'static str, u64>,
}

/// Runs a call to its end. To be polled on the plugins' runtime.
pub(crate) async fn run<T>(
    shared: Arc<Shared>,
    linked: Arc<Linked>,
    needs: Room,
    context: CallContext,
    export: impl Export<T>,
) -> Ended<T> {
    let asked = Instant::now();
    let entered = enter(&shared, needs, &context).await;
    let queued = asked.elapsed();
    // Kept until the store is gone, so that whoever is let in next finds its place empty.
    let mut place = match entered {
        Ok(place) => place,
        Err(error) => {
            return Ended {
                result: Err(error),
                usage: CallUsage {
                    queued,
                    ..CallUsage::default()
                },
                host_calls: BTreeMap::new(),
            };
        }
    };
    let clock = Arc::new(WallClock::start(context.limits.wall));
    let peak = Arc::new(AtomicUsize::new(0));
    let hider = Hider::of(context.home.as_ref());
    let log = LogSink::new(context.log, hider.clone(), &context.limits);
    let guard = Guard::new(
        place.take_memory(),
        context.limits.clone(),
        peak.clone(),
        clock.clone(),
        shared.options.growth_wait_max,
    );
    let meter = Meter::new(context.party.plugin.clone(), shared.computing.clone());
    let state = CallState::new(
        guard,
        context.limits.clone(),
        log.clone(),
        context.home,
        Means {
            http: shared.http.clone(),
            pace: shared.paces.of(&context.party, &meter),
            paying: Paying {
                party: context.party.clone(),
                meter: meter.clone(),
                threads: tokio::runtime::Handle::current(),
            },
        },
        context.cancel.clone(),
        context.at,
    );
    let commands = state.commands.clone();
    let host_calls = state.host_calls.clone();
    let checks = Checks {
        meter: meter.clone(),
        turns: shared.turns.clone(),
        load: shared.load.clone(),
        party: context.party.row(),
        cpu_max: context.limits.cpu,
        clock: clock.clone(),
    };
    let mut progress = Progress::default();
    let work = work(&shared, &linked, state, checks, export, &mut progress);
    let stopped = stop_reason(&shared, &context.limits, &clock, &context.cancel, &commands);
    let ticking = shared.ticker.tick();
    let result = tokio::select! {
        biased;
        stop = stopped => Err(Failure::Stopped(stop)),
        result = Metered::new(work, meter.clone()) => result.map_err(Failure::Engine),
    };
    let (used, since) = meter.look();
    let row = context.party.row();
    shared.load.computed(&row, used, since);
    shared.load.ended(&row, used, progress.started);
    drop((ticking, place));
    let scene = Scene {
        limits: &context.limits,
        stack_bytes_max: shared.options.stack_bytes_max,
        growth_wait_max: shared.options.growth_wait_max,
        last_words: log.finish(),
        started: progress.started,
    };
    let result = result.map_err(|failure| match failure {
        Failure::Stopped(stop) => scene.stopped(stop, Stack::default()),
        Failure::Engine(error) => scene.explain(&error),
    });
    let result = result.map_err(|error| error.map_text(|text| hider.text(&text)));
    let (wall, waited) = clock.read();
    let usage = CallUsage {
        queued: queued + waited,
        wall,
        cpu: meter.used(),
        memory_peak_bytes: peak.load(Ordering::Relaxed),
    };
    Ended {
        result,
        usage,
        host_calls: host_calls.take(),
    }
}

/// Waits until there is room.
async fn enter(shared: &Shared, needs: Room, context: &CallContext) -> Result<Share, SandboxError> {
    let too_long = async {
        match context.entry_wait_max {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
        context.entry_wait_max.unwrap_or_default()
    };
    tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => Err(SandboxError::Shutdown),
        () = context.cancel.cancelled() => Err(SandboxError::Cancelled),
        share = shared.admission.enter(&context.party, needs) => Ok(share),
        waited = too_long => Err(SandboxError::NoPlace { waited }),
    }
}

enum Failure {
    Stopped(Stop),
    Engine(wasmtime::Error),
}

/// How far a call has come, for the explanation of a failure.
#[derive(Default)]
struct Progress {
    started: bool,
}

/// Instantiates the component and calls the export.
async fn work<T>(
    shared: &Shared,
    linked: &Linked,
    mut state: CallState,
    checks: Checks,
    export: impl Export<T>,
    progress: &mut Progress,
) -> wasmtime::Result<T> {
    checks.clone().begin().await;
    let (instance, mut store) = loop {
        let mut store = new_store(shared, state, checks.clone());
        match linked.instantiate(&mut store).await {
            Ok(instance) => break (instance, store),
            // Admission counts what the pool has, but a call that was just ended may still be giving its part back.
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                let _standing = checks.clock.stand();
                state = store.into_data();
                state.guard.reset();
                tokio::time::sleep(POOL_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    };
    progress.started = true;
    export(&instance, &mut store).await
}

fn new_store(shared: &Shared, state: CallState, checks: Checks) -> Store<CallState> {
    let payload_bytes = state.limits.payload_bytes_max + PAYLOAD_SLACK_BYTES;
    let handles_max = state.limits.handles_max;
    let mut store = Store::new(&shared.engine, state);
    store.limiter_async(|state| &mut state.guard);
    store.set_hostcall_fuel(payload_bytes);
    store.set_max_component_handles(handles_max);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_: StoreContextMut<'_, CallState>| checks.at_tick());
    store
}

/// What is looked at while the plugin computes.
#[derive(Clone)]
struct Checks {
    meter: Arc<Meter>,
    turns: Turns,
    load: Arc<HostLoad>,
    party: Party,
    cpu_max: Duration,
    clock: Arc<WallClock>,
}

impl Checks {
    /// Lets others have the core, and now and then stops the plugin or lets other calls compute first.
    fn at_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.meter.since_look() < LOOK_AFTER {
            give_way();
            return Ok(UpdateDeadline::Continue(1));
        }
        let (used, computed) = self.meter.look();
        self.load.computed(&self.party, used, computed);
        if used > self.cpu_max {
            return Err(Stop::Cpu { used }.into());
        }
        if self.clock.is_over() {
            return Err(Stop::Wall.into());
        }
        let others_first = self.clone().others_first(used);
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(others_first)))
    }

    /// Before a call begins: waits for its turn, if it is expected to need one.
    async fn begin(self) {
        if self.load.expects_long(&self.party) {
            let _standing = self.clock.stand();
            let turn = self.turns.take(&self.party).await;
            self.load.rest().await;
            self.meter.set_turn(Some(turn));
        }
    }

    /// Waits until a thread is free for the call again, and if it needs a turn, for that and for the rest that is owed.
    async fn others_first(self, used: Duration) {
        let _standing = self.clock.stand();
        self.meter.set_turn(None);
        let turn = match used > turns::TURN_AFTER {
            true => {
                let turn = self.turns.take_again(&self.party).await;
                self.load.rest().await;
                Some(turn)
            }
            false => None,
        };
        // Goes to the end of the runtime's queue; the engine's own yield goes to its front and would
        // starve the others.
        tokio::task::yield_now().await;
        self.meter.set_turn(turn);
    }
}

/// Resolves when the call has to end although it waits: the wall-clock limit, a shutdown, or the end of the time
/// to clean up after a cancellation.
async fn stop_reason(
    shared: &Shared,
    limits: &CallLimits,
    clock: &WallClock,
    cancel: &CancellationToken,
    commands: &Commands,
) -> Stop {
    let cancelled = async {
        cancel.cancelled().await;
        commands.interrupt_all();
        tokio::time::sleep(limits.cancel_grace).await;
    };
    tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => Stop::Shutdown,
        () = cancelled => Stop::Cancelled,
        () = clock.over() => Stop::Wall,
    }
}
