//! Memory of one call: its own limit, and its share of what all calls may have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use wasmtime::ResourceLimiterAsync;

use crate::CallLimits;
use crate::admission::Share;
use crate::call::{Stop, WallClock};

/// Linear memories and tables of one component instance.
const MEMORIES_MAX: usize = 16;
const TABLES_MAX: usize = 64;
/// What an element of a table takes at most: a reference to a function takes a pointer, some others two.
pub(crate) const TABLE_ELEMENT_BYTES: usize = 16;

/// Asked by the engine before every growth.
pub(crate) struct Guard {
    share: Share,
    limits: Arc<CallLimits>,
    /// Of memories and tables.
    bytes: usize,
    /// Of a memory, which the machine may yet refuse.
    last_growth: usize,
    peak_bytes: Arc<AtomicUsize>,
    clock: Arc<WallClock>,
    growth_wait_max: Duration,
}

impl Guard {
    pub(crate) fn new(
        share: Share,
        limits: Arc<CallLimits>,
        peak_bytes: Arc<AtomicUsize>,
        clock: Arc<WallClock>,
        growth_wait_max: Duration,
    ) -> Self {
        Self {
            share,
            limits,
            clock,
            growth_wait_max,
            bytes: 0,
            last_growth: 0,
            peak_bytes,
        }
    }

    /// Forgets what a store had that was given up.
    pub(crate) fn reset(&mut self) {
        self.bytes = 0;
    }

    /// Lets the call have more memory, when there is some.
    async fn grow(&mut self, growth: usize) -> Result<(), Stop> {
        let total = self.bytes.saturating_add(growth);
        if total > self.limits.memory_bytes_max {
            return Err(Stop::Memory { asked: total });
        }
        let missing = total.saturating_sub(self.share.bytes());
        if missing > 0 {
            let _standing = self.clock.stand();
            let grown = tokio::time::timeout(self.growth_wait_max, self.share.grow(missing)).await;
            grown.map_err(|_| Stop::NoMemory { missing })?;
        }
        self.bytes = total;
        self.peak_bytes.fetch_max(total, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl ResourceLimiterAsync for Guard {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current);
        self.grow(growth).await?;
        self.last_growth = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::warn!("the machine has no more memory for a plugin: {error:#}");
        let growth = std::mem::take(&mut self.last_growth);
        self.bytes -= growth;
        self.share.shrink(growth);
        Ok(())
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.limits.table_elements_max;
        if desired > limit {
            return Err(Stop::Limit {
                what: "elements of a table",
                limit: limit as u64,
            }
            .into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = desired.saturating_sub(current);
        self.grow(elements.saturating_mul(TABLE_ELEMENT_BYTES))
            .await?;
        Ok(true)
    }

    // A table whose growth was allowed does grow, or the call ends. So `table_grow_failed` gives nothing back: the engine calls it
    // only for sizes that no number can express, without having asked for them.

    fn instances(&self) -> usize {
        self.limits.instances_max
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
