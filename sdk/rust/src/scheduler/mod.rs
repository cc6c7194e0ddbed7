//! Schedulers: what decides when what is built.

mod event;
mod force;
mod reaction;

pub use event::{Build, Buildset, Configuration, Event, ForceRequest};
pub use force::{ForceValues, NotForced};
pub use reaction::{Action, Interest, NewBuildset, Reaction};

#[cfg(target_family = "wasm")]
use crate::services::Services;
use crate::services::ServicesRef;
use crate::{Error, Level};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A scheduler type: one value of `use` in a `[[scheduler]]` of the configuration.
///
/// It is a function of its state and an event. The host commits the new state and what the scheduler wants done
/// in one transaction, and gives it each event exactly once; so nothing is built twice or forgotten.
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
/// use toolpost_sdk::scheduler::{Event, NewBuildset, NotForced};
/// use toolpost_sdk::{Error, Reaction, Scheduler, SchedulerContext};
///
/// /// Builds every so many changes, and at the latest after an hour.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Parameters {
///     /// How many changes.
///     every: usize,
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct State {
///     waiting: Vec<u64>,
/// }
///
/// struct EveryFew;
///
/// impl Scheduler for EveryFew {
///     const NAME: &'static str = "every-few";
///     const SUMMARY: &'static str = "Builds every so many changes, and at the latest after an hour.";
///     type Parameters = Parameters;
///     type State = State;
///     type Force = NotForced;
///
///     fn handle(
///         parameters: Parameters,
///         mut state: State,
///         event: Event,
///         ctx: &SchedulerContext,
///     ) -> Result<Reaction<State>, Error> {
///         let is_time = match event {
///             Event::Change(change) => {
///                 state.waiting.push(change.id);
///                 state.waiting.len() >= parameters.every
///             }
///             Event::Timer => true,
///             _ => return Ok(Reaction::new(state)),
///         };
///         if is_time {
///             let changes = std::mem::take(&mut state.waiting);
///             let buildset = NewBuildset::new(format!("{} changes", changes.len())).changes(changes);
///             Ok(Reaction::new(state).build(buildset).no_wake())
///         } else {
///             Ok(Reaction::new(state).wake_at_ms(ctx.after(Duration::from_secs(3600))))
///         }
///     }
/// }
///
/// toolpost_sdk::plugin! {
///     name: "every-few",
///     description: "Builds now and then.",
///     schedulers: [EveryFew],
/// }
/// #
/// # // What follows would be in a `#[test]`.
/// use toolpost_sdk::Change;
/// use toolpost_sdk::mock::SchedulerRun;
///
/// let mut run = SchedulerRun::<EveryFew>::new(serde_json::json!({ "every": 2 }));
/// run.change(Change { id: 1, ..Change::default() });
/// assert_eq!(run.buildsets().len(), 0);
/// run.advance(Duration::from_secs(3600));
/// assert_eq!(run.buildsets()[0].changes, [1]);
/// ```
pub trait Scheduler {
    /// The name that the configuration uses: lower-case words joined by hyphens, unique among all schedulers of a
    /// master.
    const NAME: &'static str;

    /// What it does, in one sentence.
    const SUMMARY: &'static str;

    /// What the configuration can set. The host checks it against the JSON Schema of this type
    /// before anything runs; add `#[serde(deny_unknown_fields)]`, so that typing errors are found.
    type Parameters: DeserializeOwned + JsonSchema;

    /// What it remembers from one event to the next: at most 1 MiB as JSON. The default is for the first event. It
    /// outlives the plugin's versions: add `#[serde(default)]`, so that a new one reads the state of an old one.
    type State: Serialize + DeserializeOwned + Default;

    /// What a person fills in who forces it; [`NotForced`] for a scheduler that cannot be forced.
    type Force: ForceValues;

    /// Takes in one event. It must give the same answer for the same input: time is in `ctx`, and iterating
    /// over a `HashMap` is not the same twice.
    ///
    /// # Errors
    ///
    /// An error keeps the state and the event: the host tries it again, less and less often, and shows the text.
    fn handle(
        parameters: Self::Parameters,
        state: Self::State,
        event: Event<Self::Force>,
        ctx: &SchedulerContext,
    ) -> Result<Reaction<Self::State>, Error>;
}

/// What surrounds an event of a scheduler: the time, and the log of the master.
#[derive(Clone)]
pub struct SchedulerContext {
    services: ServicesRef,
    now_ms: u64,
}

impl SchedulerContext {
    pub(crate) fn new(services: ServicesRef, now_ms: u64) -> Self {
        Self { services, now_ms }
    }

    /// The time, in milliseconds since 1970, UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The time so long from now.
    #[must_use]
    pub fn after(&self, duration: Duration) -> u64 {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.saturating_add(duration_ms)
    }

    /// Writes a line to the log of the master, which its operator reads.
    pub fn log(&self, level: Level, message: &str) {
        self.services.log(level, message);
    }
}
