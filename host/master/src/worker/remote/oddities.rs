//! What a worker does that it should not, where that ends nothing: for the operator's log, and for the worker's page.

use std::fmt;
use std::sync::Arc;

use tracing::warn;

use crate::engine::Engine;

/// Tells of one worker. The texts go on after its name, and have no control characters.
pub(super) struct Oddities(Box<dyn Fn(&str) + Send + Sync>);

impl Oddities {
    /// Told to whoever that is.
    pub(super) fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Box::new(tell)))
    }

    pub(super) fn tell(&self, what: &str) {
        (self.0)(what);
    }
}

impl fmt::Debug for Oddities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Oddities(..)")
    }
}

impl Engine {
    /// Where what is odd about a worker is told.
    pub(super) fn oddities_of(self: &Arc<Self>, worker: &str) -> Arc<Oddities> {
        let (engine, worker) = (Arc::downgrade(self), worker.to_owned());
        Oddities::new(move |what| {
            let Some(engine) = engine.upgrade() else {
                return;
            };
            let masker = engine.capabilities.secrets.masker();
            let what = masker.mask_text(what);
            warn!(worker.name = %worker, "worker `{worker}` {what}");
            engine.note_odd(&worker, &format!("it {what}"));
        })
    }
}
