//! What a reporter's plugin may ask of the master while it makes a delivery.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use toolpost_core::model::{Log, LogType, Step};
use toolpost_core::{BuildId, DeliveryId, LogId};
use toolpost_sandbox::Wanted;
use toolpost_sandbox::host::{HostError, LogLevel, PluginServices, ReporterHost};
use toolpost_store::{LOG_LINES_PER_READ_MAX, Store, StoreError};
use tracing::{debug, error, info, warn};

use crate::plugin_lines;
use crate::services::{Capabilities, Services};

/// One delivery of one reporter.
pub(super) struct DeliveryHost {
    pub(super) reporter: String,
    pub(super) delivery: DeliveryId,
    pub(super) store: Store,
    /// The builds that are reported; only their logs can be read.
    pub(super) builds: BTreeSet<BuildId>,
    pub(super) capabilities: Arc<Capabilities>,
    /// The plugin that delivers, and what it asks for.
    pub(super) wanted: Wanted,
}

#[async_trait]
impl ReporterHost for DeliveryHost {
    fn log(&self, level: LogLevel, message: &dyn Display) {
        let (reporter, delivery) = (&self.reporter, self.delivery.0);
        plugin_lines::write(self.wanted.plugin(), || {
            let message = message.to_string();
            let message = self.capabilities.mask(&message);
            match level {
                LogLevel::Debug => debug!(reporter, delivery, "{message}"),
                LogLevel::Info => info!(reporter, delivery, "{message}"),
                LogLevel::Warn => warn!(reporter, delivery, "{message}"),
                LogLevel::Error => error!(reporter, delivery, "{message}"),
            }
        });
    }

    async fn read_log(
        &self,
        log: u64,
        first: u64,
        count: u32,
        bytes_max: usize,
    ) -> Result<String, HostError> {
        let log = self.reported_log(log).await?;
        let first = i64::try_from(first).unwrap_or(i64::MAX);
        let count = count.min(LOG_LINES_PER_READ_MAX);
        let lines = self.store.log_lines(log.id, first, count).await;
        let lines = lines.map_err(|error| internal(&error))?;
        Ok(joined(&lines.content, log.log_type, bytes_max))
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Services::of(&self.capabilities, &self.wanted)
    }
}

impl DeliveryHost {
    async fn reported_log(&self, id: u64) -> Result<Log, HostError> {
        let foreign = || HostError::Permanent(format!("log {id} is not of what is reported"));
        let id = LogId(i64::try_from(id).map_err(|_| foreign())?);
        let log: Log = self
            .store
            .find(id)
            .await
            .map_err(|error| internal(&error))?
            .ok_or_else(foreign)?;
        let step: Step = self
            .store
            .get(log.step_id)
            .await
            .map_err(|error| internal(&error))?;
        if self.builds.contains(&step.build_id) {
            Ok(log)
        } else {
            Err(foreign())
        }
    }
}

fn internal(error: &StoreError) -> HostError {
    HostError::Internal(error.to_string())
}

/// Whole lines, without the letters that say of which stream they are, as long as they have room.
pub(super) fn joined(content: &[u8], log_type: LogType, bytes_max: usize) -> String {
    let mut text = String::new();
    for (n, line) in content
        .strip_suffix(b"\n")
        .unwrap_or(content)
        .split(|byte| *byte == b'\n')
        .enumerate()
    {
        let line = match log_type {
            LogType::Stdio => line.get(1..).unwrap_or_default(),
            LogType::Text | LogType::Html => line,
        };
        let line = String::from_utf8_lossy(line);
        let separator = usize::from(n > 0);
        if text.len() + separator + line.len() > bytes_max {
            break;
        }
        if n > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}
