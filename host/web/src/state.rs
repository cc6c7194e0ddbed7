//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use toolpost_bus::{Bus, Topic};
use toolpost_config::config::WebConfig;
use toolpost_core::Timestamp;
use toolpost_store::Store;

use crate::auth::Auth;
use crate::cache::{Depends, ResponseCache, Versions};
use crate::control::SharedControl;
use crate::events::Broadcaster;
use crate::reactor::Reactor;
use crate::ui::{self, Shelf};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Limits and circumstances of the web server.
#[derive(Clone)]
pub struct WebOptions {
    /// Whether other processes write to the same database: the cache then also forgets after [`SHARED_AGE_MAX_MS`].
    pub database_is_shared: bool,
    /// Memory for answers that are still true, bytes.
    pub cache_bytes_max: usize,
    /// A request that has no answer by then is told so, milliseconds. Downloads and event streams may go on for longer.
    pub request_timeout_ms: u64,
    /// Largest body of a request, bytes.
    pub body_bytes_max: usize,
    /// Event streams that are open at the same time.
    pub event_clients_max: usize,
    /// Logs that are followed to their end at the same time.
    pub tails_max: usize,
    /// Logs that are searched at the same time; who comes later waits for a turn.
    pub searches_max: usize,
    /// How often clients of `/ws` are asked whether they are still there, milliseconds.
    pub event_ping_ms: u64,
    /// Tells the time, for relative times on pages.
    pub clock: Clock,
    /// Names of this server, in lower case, until its configuration runs and says them.
    pub hosts: Vec<String>,
    /// Who is let in, until the configuration runs and says it.
    pub web: Arc<WebConfig>,
    /// The runtimes of the process whose delays are measured.
    pub reactors: Vec<Arc<Reactor>>,
}

/// How long an answer is believed while other masters write to the same database, milliseconds.
pub const SHARED_AGE_MAX_MS: u64 = 500;

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            database_is_shared: false,
            cache_bytes_max: 32 << 20,
            request_timeout_ms: 30_000,
            body_bytes_max: 1 << 20,
            event_clients_max: 2_000,
            tails_max: 100,
            searches_max: 2,
            event_ping_ms: 20_000,
            clock: Arc::new(system_time),
            hosts: Vec::new(),
            web: Arc::default(),
            reactors: Vec::new(),
        }
    }
}

fn system_time() -> Timestamp {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::default().after(since_epoch)
}

/// What the web server needs of the rest of the process.
#[derive(Clone)]
pub struct WebState {
    /// The records, for reading.
    pub store: Store,
    /// What happens.
    pub bus: Bus,
    /// The master.
    pub master: SharedControl,
    /// Limits and circumstances.
    pub options: WebOptions,
}

/// [`WebState`] with what the web server keeps itself. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    /// For who wants something done: he does not wait behind those who only read.
    pub(crate) store_of_actions: Store,
    pub(crate) bus: Bus,
    pub(crate) master: SharedControl,
    pub(crate) options: WebOptions,
    pub(crate) cache: ResponseCache,
    pub(crate) events: Broadcaster,
    /// Places for those who follow a log.
    pub(crate) tails: Arc<Semaphore>,
    /// Turns for those who search one.
    pub(crate) searches: Semaphore,
    /// Tells the counts of this process from those of another.
    pub(crate) process: u64,
    pub(crate) ui: Shelf,
    pub(crate) auth: Auth,
}

impl Web {
    /// Starts the task that reads for the event streams; call within a runtime.
    pub(crate) fn start(state: WebState) -> Self {
        let WebState {
            store,
            bus,
            master,
            options,
        } = state;
        let age_max = options
            .database_is_shared
            .then(|| Duration::from_millis(SHARED_AGE_MAX_MS));
        let cache = ResponseCache::new(options.cache_bytes_max, age_max);
        let events = Broadcaster::start(&bus, store.clone(), options.event_clients_max);
        let web = Self(Arc::new(Inner {
            tails: Arc::new(Semaphore::new(options.tails_max)),
            searches: Semaphore::new(options.searches_max),
            process: rand::random(),
            // Who listens to events must not wait behind those who ask; there is one reader for all of them.
            store: store.for_visitors(),
            store_of_actions: store,
            bus,
            master,
            options,
            cache,
            events,
            ui: Shelf::default(),
            auth: Auth::default(),
        }));
        // Which directory it is, is not known before.
        if web.master.health().starting {
            tokio::spawn(ui::prepare(web.clone()));
        }
        web
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.0.options.clock)()
    }
}

impl Versions for Web {
    fn version(&self, depends: Depends) -> u64 {
        let topic = |topic| self.0.bus.published(topic);
        // Sums of counters that only grow: equal only if none has moved.
        match depends {
            Depends::Store => self.0.store.generation(),
            Depends::Everything => self.0.store.generation().wrapping_add(topic(Topic::Setup)),
            Depends::Builders => topic(Topic::Builders),
            Depends::Builds => topic(Topic::Builds).wrapping_add(topic(Topic::Builders)),
        }
    }
}

impl std::ops::Deref for Web {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
