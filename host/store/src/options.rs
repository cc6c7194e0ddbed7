//! How a store is opened, and the limits it works within.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use toolpost_core::Event;

/// Hears the events of each commit, in the order of the commits on this store; must return at once.
pub type OnCommit = Arc<dyn Fn(&[Event]) + Send + Sync>;

/// How sure a SQLite commit is to survive a power cut. A killed process loses nothing with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// The last moments may be lost to a power cut; the file stays sound.
    #[default]
    Normal,
    /// Each commit waits for the disk.
    Full,
}

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// Directory of the object store: log segments and plugin components.
    pub object_dir: PathBuf,
    /// An object store to use instead of the directory.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// Who hears the events.
    pub on_commit: OnCommit,
    /// Durability of SQLite commits.
    pub synchronous: Synchronous,
    /// Connections for reading (SQLite), or for everything (PostgreSQL).
    pub connections_max: u32,
    /// Connections beside these for whoever asks from outside.
    pub visitors_max: u32,
    /// How long a statement of these may take until it is interrupted, milliseconds; more than 0.
    pub visitor_statement_ms_max: u64,
    /// Writes that share one SQLite transaction, at most.
    pub group_jobs_max: usize,
    /// Writes that wait for the SQLite writer, at most; further callers wait for room.
    pub queued_jobs_max: usize,
    /// Writes of one party that wait for the database or are carried out, at most; see [`Store::of_party`](crate::Store::of_party).
    pub writes_per_party_max: usize,
    /// How long a statement waits for a lock of the database, milliseconds.
    pub busy_timeout_ms: u64,
    /// Longest line that a log keeps in one piece, bytes.
    pub log_line_bytes_max: usize,
    /// Log bytes that are gathered before they are written without a call of `flush`.
    pub log_buffer_bytes: usize,
    /// Log bytes that become one segment of the object store.
    pub log_segment_bytes: usize,
    /// Compressed bytes of a finished log, or of the end of one, that stay in the database.
    pub log_inline_bytes_max: usize,
    /// Log bytes kept for another try while the database refuses them; beyond this, lines are lost and counted.
    pub log_unwritten_bytes_max: usize,
}

/// Connections for visitors on a machine of so many cores. What they ask for is mostly computing: more of them at a time would
/// not be answered sooner, and the master's own parts would wait longer for a core. One more than cores, for those that wait for
/// a disk.
fn visitors_of(cores: usize) -> u32 {
    u32::try_from(cores + 1)
        .unwrap_or(VISITORS_MAX)
        .min(VISITORS_MAX)
}

/// Connections for visitors at most, unless somebody asks for more.
const VISITORS_MAX: u32 = 8;

impl StoreOptions {
    /// The defaults, for this database and this directory of objects, with nobody hearing events.
    #[must_use]
    pub fn new(url: impl Into<String>, object_dir: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            object_dir: object_dir.into(),
            objects: None,
            on_commit: Arc::new(|_| ()),
            synchronous: Synchronous::Normal,
            connections_max: 8,
            visitors_max: visitors_of(std::thread::available_parallelism().map_or(1, NonZero::get)),
            visitor_statement_ms_max: 2_000,
            group_jobs_max: 64,
            queued_jobs_max: 1024,
            writes_per_party_max: 2,
            busy_timeout_ms: 10_000,
            log_line_bytes_max: 16 * 1024,
            log_buffer_bytes: 256 * 1024,
            log_segment_bytes: 4 * 1024 * 1024,
            log_inline_bytes_max: 64 * 1024,
            log_unwritten_bytes_max: 4 * 1024 * 1024,
        }
    }

    /// Hands the events of each commit to `on_commit`.
    #[must_use]
    pub fn on_commit(mut self, on_commit: impl Fn(&[Event]) + Send + Sync + 'static) -> Self {
        self.on_commit = Arc::new(on_commit);
        self
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("object_dir", &self.object_dir)
            .field("synchronous", &self.synchronous)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}
