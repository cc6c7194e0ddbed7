//! What reporters are told, from what scripts have, and the logs that they may read.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use toolpost_core::Timestamp;
use toolpost_core::model::SourceStampSpec;
use toolpost_replay::recording::StampFacts;
use toolpost_sandbox::host::{HostError, LogLevel, PluginServices, ReporterHost};
use toolpost_sandbox::reporter as wire;

use super::journal::of_results;
use super::{Notes, ScriptedServices};
use crate::script::reporter::{
    BuildTable, BuildsetTable, DeliveryTable, RequestTable, StepTable, WorkerTable,
};
use crate::script::values::results;

/// Makes reports, and keeps the logs that they name.
pub(crate) struct Reports {
    folder: PathBuf,
    now: Timestamp,
    /// Texts of logs; their ids are their places, from 1.
    pub(crate) logs: Vec<String>,
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

fn stamps(stamps: &[StampFacts]) -> Vec<wire::SourceStamp> {
    let specs = stamps.iter().cloned().map(SourceStampSpec::from);
    specs.map(Into::into).collect()
}

impl Reports {
    pub(crate) fn new(folder: PathBuf, now: Timestamp) -> Self {
        Self {
            folder,
            now,
            logs: Vec::new(),
        }
    }

    /// What happened at this time; the error says what is wrong with the script.
    pub(crate) fn event(
        &mut self,
        delivery: &DeliveryTable,
        now: Timestamp,
    ) -> Result<wire::Event, String> {
        self.now = now;
        Ok(match delivery.event.as_str() {
            "build-finished" => wire::Event::BuildFinished(self.build(&delivery.build, true)?),
            "build-started" => wire::Event::BuildStarted(self.build(&delivery.build, false)?),
            "buildset-complete" => {
                wire::Event::BuildsetComplete(self.buildset(&delivery.buildset)?)
            }
            "request-added" => wire::Event::RequestAdded(self.request(&delivery.request)),
            "worker-lost" => wire::Event::WorkerLost(self.worker(&delivery.worker)),
            "worker-found" => wire::Event::WorkerFound(self.worker(&delivery.worker)),
            "worker-missing" => wire::Event::WorkerMissing(self.worker(&delivery.worker)),
            "worker-back" => wire::Event::WorkerBack(self.worker(&delivery.worker)),
            other => {
                return Err(format!(
                    "`{other}` is no event; there are `build-finished`, `build-started`, \
                     `buildset-complete`, `request-added`, `worker-lost`, `worker-found`, \
                     `worker-missing` and `worker-back`"
                ));
            }
        })
    }

    fn build(&mut self, table: &BuildTable, has_ended: bool) -> Result<wire::BuildReport, String> {
        let named = |name: &Option<String>| name.as_deref().map(results).transpose();
        let ended = named(&table.result)?.unwrap_or(toolpost_core::Results::Success);
        let steps = table.steps.iter().zip(0..);
        let steps = steps.map(|(step, number)| self.step(step, number));
        let steps = steps.collect::<Result<_, _>>()?;
        let changes = table.changes.iter().cloned().zip(1..);
        let now = millis(self.now);
        let started = now.saturating_sub(table.took_ms);
        Ok(wire::BuildReport {
            id: table.id,
            builder: table.builder.clone(),
            tags: table.tags.clone(),
            number: table.number,
            url: table.url.clone(),
            worker: table.worker.clone(),
            reason: table.reason.clone(),
            summary: table.summary.clone(),
            results: has_ended.then(|| of_results(ended)),
            previous_results: named(&table.previous_result)?.map(of_results),
            started_ms: started,
            complete_ms: has_ended.then_some(now),
            request_id: table.request_id,
            buildset_id: table.buildset_id,
            scheduler: table.scheduler.clone(),
            source_stamps: stamps(&table.source_stamps),
            changes: changes
                .map(|(mut change, id)| {
                    change.id = id;
                    change.into()
                })
                .collect(),
            properties: Value::Object(table.properties.clone()).to_string(),
            steps,
        })
    }

    fn step(&mut self, table: &StepTable, number: u32) -> Result<wire::StepReport, String> {
        let ended = table.result.as_deref().unwrap_or("success");
        let mut logs = Vec::new();
        for (name, content) in &table.logs {
            let text = content.read(&self.folder)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines = text.lines().count() as u64;
            self.logs.push(text);
            let id = self.logs.len() as u64;
            let url = format!("http://toolpost.example.org/logs/{id}");
            let name = name.clone();
            logs.push(wire::LogReport {
                id,
                name,
                lines,
                url,
            });
        }
        let urls = table.urls.iter().map(|(name, url)| wire::Link {
            name: name.clone(),
            url: url.clone(),
        });
        Ok(wire::StepReport {
            number,
            name: table.name.clone(),
            summary: table.summary.clone(),
            results: Some(of_results(results(ended)?)),
            started_ms: Some(millis(self.now)),
            complete_ms: Some(millis(self.now)),
            urls: urls.collect(),
            logs,
        })
    }

    fn buildset(&mut self, table: &BuildsetTable) -> Result<wire::BuildsetReport, String> {
        let builds = table.builds.iter().map(|build| self.build(build, true));
        let builds = builds.collect::<Result<_, _>>()?;
        Ok(wire::BuildsetReport {
            id: table.id,
            reason: table.reason.clone(),
            results: of_results(results(&table.result)?),
            submitted_ms: millis(self.now),
            complete_ms: millis(self.now),
            scheduler: table.scheduler.clone(),
            source_stamps: stamps(&table.source_stamps),
            properties: Value::Object(table.properties.clone()).to_string(),
            builds,
        })
    }

    fn request(&self, table: &RequestTable) -> wire::RequestReport {
        wire::RequestReport {
            id: table.id,
            builder: table.builder.clone(),
            buildset_id: table.buildset_id,
            url: table.url.clone(),
            reason: table.reason.clone(),
            submitted_ms: millis(self.now),
            scheduler: table.scheduler.clone(),
            source_stamps: stamps(&table.source_stamps),
            properties: Value::Object(table.properties.clone()).to_string(),
        }
    }

    fn worker(&self, table: &WorkerTable) -> wire::WorkerReport {
        wire::WorkerReport {
            name: table.name.clone(),
            url: table.url.clone(),
            builders: table.builders.clone(),
            info: Value::Object(table.info.clone()).to_string(),
            last_seen_ms: Some(millis(self.now)),
        }
    }
}

/// The host of a reporter.
pub(crate) struct ReporterStage {
    pub(crate) notes: Arc<Notes>,
    pub(crate) services: Arc<ScriptedServices>,
    pub(crate) logs: Vec<String>,
}

#[async_trait]
impl ReporterHost for ReporterStage {
    fn log(&self, level: LogLevel, message: &dyn Display) {
        let line = (level, message.to_string());
        self.notes.lock().collected.operator.push(line);
    }

    async fn read_log(
        &self,
        log: u64,
        first: u64,
        count: u32,
        bytes_max: usize,
    ) -> Result<String, HostError> {
        let place = usize::try_from(log).ok().and_then(|id| id.checked_sub(1));
        let text = place.and_then(|place| self.logs.get(place));
        let missing = || HostError::Permanent(format!("there is no log {log} in what is reported"));
        let text = text.ok_or_else(missing)?;
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut read = String::new();
        for (number, line) in text.lines().skip(first).take(count).enumerate() {
            if read.len() + line.len() + 1 > bytes_max {
                break;
            }
            if number > 0 {
                read.push('\n');
            }
            read.push_str(line);
        }
        Ok(read)
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::clone(&self.services) as Arc<dyn PluginServices>
    }
}
