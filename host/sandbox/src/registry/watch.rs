//! Wakes the registry: when the directory changes, when a version fails, and now and then.

use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::registry::Inner;
use crate::registry::reconcile::Depth;
use crate::registry::surroundings::Surroundings;

/// How often the directory is looked at when the system tells nothing about it.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often a directory that never gets quiet is looked at nevertheless, in units of the settling time.
const SETTLES_MAX: u32 = 20;

/// Looks that are under way at one time.
const LOOKS_MAX: usize = 8;

/// What is watched.
struct Watch {
    /// Ends with it.
    _watcher: RecommendedWatcher,
    of: Surroundings,
    /// Whether the plugin directory itself is.
    complete: bool,
}

/// Until the registry is closed or gone.
pub(super) async fn run(
    registry: Weak<Inner>,
    versions_changed: Arc<Notify>,
    closed: CancellationToken,
) {
    let changed = Arc::new(Notify::new());
    let mut watch = None;
    // A look that compiles something large does not keep the next one waiting.
    let mut looks = JoinSet::new();
    // What changed before the watch began is found by looking once.
    changed.notify_one();
    let Some(mut pause) = arm(&registry, &mut watch, &changed) else {
        return;
    };
    let mut armed_at = Instant::now();
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            // Often, when a plugin keeps failing. The directory has nothing to do with it.
            () = versions_changed.notified() => {
                let Some(registry) = registry.upgrade() else { return };
                registry.check_breakers().await;
                registry.forget_drained().await;
                continue;
            }
            () = changed.notified() => settle(&registry, &changed).await,
            () = sleep_until(armed_at + pause) => {}
        }
        // Before the look, so that what changes after it is told.
        match arm(&registry, &mut watch, &changed) {
            Some(next) => pause = next,
            None => return,
        }
        armed_at = Instant::now();
        looks.spawn(look(registry.clone()));
        while looks.try_join_next().is_some() {}
        if looks.len() >= LOOKS_MAX {
            looks.join_next().await;
        }
    }
}

async fn look(registry: Weak<Inner>) {
    if let Some(registry) = registry.upgrade() {
        registry.reconcile(Depth::Changed).await;
    }
}

/// Waits until the directory has been quiet for a while.
async fn settle(registry: &Weak<Inner>, changed: &Notify) {
    let Some(pause) = registry.upgrade().map(|registry| registry.options.settle) else {
        return;
    };
    for _ in 0..SETTLES_MAX {
        if tokio::time::timeout(pause, changed.notified())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Watches the directory that the path leads to now, and tells how long to wait for a sign; `None` when the
/// registry is gone.
fn arm(
    registry: &Weak<Inner>,
    watch: &mut Option<Watch>,
    changed: &Arc<Notify>,
) -> Option<Duration> {
    let registry = registry.upgrade()?;
    let options = &registry.options;
    let now = Surroundings::of(&options.dir);
    if watch.as_ref().is_none_or(|watch| watch.of != now) {
        if watch.is_some() {
            // What came between the look and the new watch was told to nobody.
            changed.notify_one();
        }
        *watch = match start(now, changed.clone()) {
            Ok(watch) => Some(watch),
            Err(error) => {
                let dir = options.dir.display();
                tracing::debug!("{dir} cannot be watched and is polled instead: {error}");
                None
            }
        };
    }
    Some(match watch {
        Some(Watch { complete: true, .. }) => options.rescan_interval,
        _ => options.rescan_interval.min(POLL_INTERVAL),
    })
}

fn start(of: Surroundings, changed: Arc<Notify>) -> notify::Result<Watch> {
    let matters = of.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_news = match &event {
            // Reading the directory is an event, too, and must not wake the reader.
            Ok(event) => !is_only_read(event.kind) && matters.concerns(event),
            Err(_) => true,
        };
        if is_news {
            changed.notify_one();
        }
    })?;
    let mut complete = false;
    for dir in of.dirs() {
        match watcher.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => complete |= dir == of.dir(),
            Err(error) => tracing::debug!("{} cannot be watched: {error}", dir.display()),
        }
    }
    Ok(Watch {
        _watcher: watcher,
        of,
        complete,
    })
}

fn is_only_read(kind: EventKind) -> bool {
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    kind.is_access() && kind != written
}
