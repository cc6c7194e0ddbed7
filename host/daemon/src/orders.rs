//! What this program is told by whoever runs it, and what it tells them.

use tokio_util::sync::CancellationToken;

/// Orders to a worker that runs. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Ends it at once; its master builds again elsewhere what ran.
    pub stop: CancellationToken,
    /// Has it ask its master to give it nothing new and to let it end when nothing runs. Where no master waits for what runs, it ends
    /// by itself. A stock Buildbot master cannot be asked.
    pub leave: CancellationToken,
    /// Cancelled by the worker, once it has its base directory and begins to connect.
    pub ready: CancellationToken,
}
