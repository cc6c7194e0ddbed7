//! What the task that hears the bus and the clients of the event streams share: who listens to what, and what happened lately.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tokio::sync::{Semaphore, watch};
use toolpost_core::BuilderId;
use toolpost_store::Store;

use super::client::Listened;
use super::messages::{self, Message, Told, Whose};
use super::recent::{Item, Recent};

/// Clients that read messages from the store at the same time because they were away when others heard them.
const CATCHING_UP_MAX: usize = 4;

/// Everybody looks after so many events, whether anybody wants them or not; a small part of those that are kept.
const WAKE_EVERY_EVENTS: u64 = 1_024;

/// Builds, steps and build sets of which it is remembered whose they are, for clients that do not see every builder.
const OWNERS_MAX: usize = 4_096;

/// What the task and the clients share.
pub(super) struct Hub {
    pub(super) store: Store,
    pub(super) clients_max: usize,
    clients: Mutex<Clients>,
    recent: Mutex<Recent>,
    catching_up: Semaphore,
    owners: Mutex<HashMap<Whose, Arc<Vec<BuilderId>>>>,
    pub(super) news: watch::Sender<News>,
}

/// Wakes clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// There may be more.
    More,
    /// The bus was closed: nothing will follow.
    Ended,
}

/// Who listens to what.
#[derive(Default)]
pub(super) struct Clients {
    /// Whether the bus was closed.
    pub(super) ended: bool,
    pub(super) by_id: HashMap<Arc<str>, Arc<Vec<Listened>>>,
    /// Numbers of segments by the first one, of all patterns; made again when one comes or goes.
    shapes: HashMap<String, HashSet<usize>>,
}

impl Clients {
    pub(super) fn gather_shapes(&mut self) {
        self.shapes.clear();
        for listened in self.by_id.values().flat_map(|patterns| patterns.iter()) {
            let (root, len) = listened.pattern.shape();
            match self.shapes.get_mut(root) {
                Some(lens) => {
                    lens.insert(len);
                }
                None => {
                    self.shapes.insert(root.to_owned(), HashSet::from([len]));
                }
            }
        }
    }

    /// Whether anybody listens to keys of these shapes.
    pub(super) fn want(&self, shapes: &[(&str, usize)]) -> bool {
        let has = |root: &str, len: &usize| {
            let lens = self.shapes.get(root);
            lens.is_some_and(|lens| lens.contains(len))
        };
        let mut shapes = shapes.iter();
        shapes.any(|(root, len)| has(root, len) || has("*", len))
    }
}

/// Why a client was not taken, or not allowed to listen to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many clients as are allowed.
    Full,
    /// The master is stopping.
    Ended,
    /// No client has this id.
    UnknownClient,
    /// It listens to as much as is allowed.
    TooManyPatterns,
    /// It does not listen to that.
    NotListening,
    /// What followed that number is not kept any more.
    TooOld,
}

impl Refused {
    /// The status of an answer that says so.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotListening => StatusCode::NOT_FOUND,
            Self::UnknownClient | Self::TooManyPatterns => StatusCode::BAD_REQUEST,
            Self::Ended | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOld => StatusCode::GONE,
        }
    }

    /// What is told to whoever listens.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown uuid",
            Self::NotListening => "consumer is not listening to this event",
            Self::TooManyPatterns => "too many events on one stream; open another one",
            Self::Ended => "the master is stopping",
            Self::Full => {
                "as many event streams are open as this server allows; close some and try again"
            }
            Self::TooOld => {
                "what followed that event is no longer known: too much has happened since, or the master was started \
                 again; read everything again"
            }
        }
    }
}

impl Hub {
    pub(super) fn new(store: Store, clients_max: usize) -> Self {
        let run = format!("{:08x}", rand::random::<u32>());
        Self {
            store,
            clients_max,
            clients: Mutex::default(),
            recent: Mutex::new(Recent::new(run)),
            catching_up: Semaphore::new(CATCHING_UP_MAX),
            owners: Mutex::default(),
            news: watch::Sender::new(News::More),
        }
    }

    pub(super) fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a client listens to.
    pub(super) fn listened(&self, client: &str) -> Arc<Vec<Listened>> {
        self.clients()
            .by_id
            .get(client)
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what a client listens to.
    pub(super) fn change(
        &self,
        client: &str,
        change: impl FnOnce(&mut Vec<Listened>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut clients = self.clients();
        let patterns = clients
            .by_id
            .get_mut(client)
            .ok_or(Refused::UnknownClient)?;
        change(Arc::make_mut(patterns))?;
        clients.gather_shapes();
        Ok(())
    }

    /// The message of an entry: as it is kept, or read again.
    pub(super) async fn message(&self, item: &Item) -> Option<Arc<Message>> {
        // The semaphore is never closed.
        let _turn = self.catching_up.acquire().await.ok()?;
        if let Some(message) = self.recent().message(item.entry) {
            return Some(message);
        }
        let message = self.read(&item.told).await?;
        self.recent().keep(item.entry, message.clone());
        Some(message)
    }

    /// Adds what happened to what happened lately, and wakes those who may want it.
    pub(super) fn add(&self, told: Told, message: Option<Arc<Message>>) {
        let shapes = messages::shapes(&told);
        let is_loss = matches!(told, Told::Lost(_));
        let entry = self.recent().push(told, message);
        // Asked after it was added, because who begins to listen first says what he wants and then looks at what there is: so he
        // either finds this or is woken. Who wants none of it looks now and then, so that he does not fall behind.
        let wanted = self.clients().want(shapes);
        if wanted || is_loss || entry.is_multiple_of(WAKE_EVERY_EVENTS) {
            self.news.send_replace(News::More);
        }
    }

    /// The builders that a message belongs to; none when that cannot be found out.
    pub(super) async fn builders_of(&self, whose: Whose) -> Arc<Vec<BuilderId>> {
        let known = || self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(builders) = known().get(&whose) {
            return Arc::clone(builders);
        }
        let builders = match messages::builders_of(&self.store, whose).await {
            Ok(builders) => Arc::new(builders),
            Err(error) => {
                error.log("event stream");
                return Arc::default();
            }
        };
        let mut known = known();
        if known.len() >= OWNERS_MAX {
            known.clear();
        }
        known.insert(whose, Arc::clone(&builders));
        builders
    }

    pub(super) async fn read(&self, told: &Told) -> Option<Arc<Message>> {
        match messages::read(&self.store, told).await {
            Ok(message) => Some(Arc::new(message)),
            Err(error) => {
                error.log("event stream");
                None
            }
        }
    }
}
