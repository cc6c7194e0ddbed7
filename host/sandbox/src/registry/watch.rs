//! Wakes the registry: when the directory changes, when a version fails, and now and then.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::registry::reconcile::Depth;
use crate::registry::{Inner, files};

/// How often the directory is looked at when the system tells nothing about it.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often a directory that never gets quiet is looked at nevertheless, in units of the settling time.
const SETTLES_MAX: u32 = 20;

/// A watch on one directory.
struct Watch {
    /// Ends with it.
    _watcher: RecommendedWatcher,
    /// The directory that the path led to.
    identity: Option<(u64, u64)>,
}

/// Until the registry is closed or gone.
pub(super) async fn run(
    registry: Weak<Inner>,
    versions_changed: Arc<Notify>,
    closed: CancellationToken,
) {
    let changed = Arc::new(Notify::new());
    let mut watch = None;
    // What changed before the watch began is found by looking once.
    changed.notify_one();
    loop {
        let Some(pause) = arm(&registry, &mut watch, &changed) else {
            return;
        };
        tokio::select! {
            () = closed.cancelled() => return,
            () = versions_changed.notified() => {
                let Some(registry) = registry.upgrade() else { return };
                registry.check_breakers().await;
                registry.forget_drained().await;
            }
            () = changed.notified() => {
                settle(&registry, &changed).await;
                look(&registry).await;
            }
            () = tokio::time::sleep(pause) => look(&registry).await,
        }
    }
}

async fn look(registry: &Weak<Inner>) {
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
    let identity = files::identity(&options.dir);
    if watch
        .as_ref()
        .is_none_or(|watch| watch.identity != identity)
    {
        if watch.is_some() {
            // Replaced as a whole: nobody told about what is in it now.
            changed.notify_one();
        }
        *watch = match watcher(&options.dir, changed.clone()) {
            Ok(watcher) => Some(Watch {
                _watcher: watcher,
                identity,
            }),
            Err(error) => {
                let dir = options.dir.display();
                tracing::debug!("{dir} cannot be watched and is polled instead: {error}");
                None
            }
        };
    }
    Some(match watch {
        Some(_) => options.rescan_interval,
        None => options.rescan_interval.min(POLL_INTERVAL),
    })
}

fn watcher(dir: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the directory is an event, too, and must not wake the reader.
        let only_read = event.as_ref().is_ok_and(|event| {
            let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
            event.kind.is_access() && event.kind != written
        });
        if !only_read {
            changed.notify_one();
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
