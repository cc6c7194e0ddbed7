//! What a plugin did, as far as people would see it.

use std::collections::BTreeMap;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;
use toolpost_core::model::LogType;
use toolpost_sandbox::host::{HostError, LogLevel, LogStream, Message};

/// Everything that a plugin said and changed.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Its logs, in the order in which they were opened.
    pub logs: IndexMap<String, CollectedLog>,
    /// Lines for the operator.
    pub operator: Vec<(LogLevel, String)>,
    /// The text that it last set.
    pub summary: Option<String>,
    /// How far it last said that it was: done, total, unit.
    pub progress: Option<(u64, u64, String)>,
    /// Links by name.
    pub urls: IndexMap<String, String>,
    /// Properties that it set.
    pub properties: IndexMap<String, Value>,
    /// Commands that it started, each as one line.
    pub commands: Vec<String>,
    /// Mails that it sent, with their keys.
    pub mails: Vec<(String, Message)>,
    /// Named values of the build.
    pub build_data: IndexMap<String, Bytes>,
    /// Artifacts that it kept.
    pub artifacts: Vec<String>,
    /// Builders whose builds it asked for.
    pub triggered: Vec<String>,
    /// Values that it keeps beyond the call.
    pub storage: BTreeMap<String, Bytes>,
}

/// A log of a step.
#[derive(Debug, Clone)]
pub struct CollectedLog {
    /// What it holds.
    pub log_type: LogType,
    /// What was appended.
    pub pieces: Vec<(LogStream, Bytes)>,
    /// Whether nothing more may come.
    pub finished: bool,
}

impl CollectedLog {
    /// What people read, but for what the farm says of commands.
    #[must_use]
    pub fn text(&self) -> String {
        let shown = self
            .pieces
            .iter()
            .filter(|(stream, _)| *stream != LogStream::Header);
        let bytes: Vec<u8> = shown.flat_map(|(_, data)| data.to_vec()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Collected {
    /// Opens a log, or makes it.
    ///
    /// # Errors
    /// When there is one of another kind, or it is finished.
    pub fn open_log(&mut self, name: &str, log_type: LogType) -> Result<(), HostError> {
        let log = self.logs.entry(name.to_owned()).or_insert(CollectedLog {
            log_type,
            pieces: Vec::new(),
            finished: false,
        });
        if log.log_type != log_type {
            let text = format!("there is a log `{name}` of another kind already");
            return Err(HostError::Permanent(text));
        }
        Self::unfinished(name, log)
    }

    /// Appends to a log that was opened.
    ///
    /// # Errors
    /// When it was not, or is finished.
    pub fn append(&mut self, name: &str, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let Some(log) = self.logs.get_mut(name) else {
            return Err(HostError::Internal(format!("log `{name}` is gone")));
        };
        Self::unfinished(name, log)?;
        log.pieces.push((stream, data));
        Ok(())
    }

    /// Nothing more may come.
    pub fn finish_log(&mut self, name: &str) {
        if let Some(log) = self.logs.get_mut(name) {
            log.finished = true;
        }
    }

    fn unfinished(name: &str, log: &CollectedLog) -> Result<(), HostError> {
        match log.finished {
            true => Err(HostError::Permanent(format!("log `{name}` is finished"))),
            false => Ok(()),
        }
    }
}
