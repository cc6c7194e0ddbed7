//! What a reporter plugin may ask of the master.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;

use super::{HostError, LogLevel, PluginServices};

/// One delivery, as its plugin sees the master.
#[async_trait]
pub trait ReporterHost: Send + Sync + 'static {
    /// A line for the operator, within the limits, which is made when it is displayed. Must not block.
    fn log(&self, level: LogLevel, message: &dyn Display);

    /// Lines of a log, joined by newlines: at most `count` from line `first`, and about `bytes_max` bytes. Only of logs
    /// of what is reported.
    async fn read_log(
        &self,
        log: u64,
        first: u64,
        count: u32,
        bytes_max: usize,
    ) -> Result<String, HostError>;

    /// What it may ask for beside.
    fn services(&self) -> Arc<dyn PluginServices>;
}
