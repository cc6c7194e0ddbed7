//! `step-logs`.

use std::sync::Arc;

use bytes::Bytes;
use toolpost_core::model::LogType;
use wasmtime::component::Resource;

use crate::StepHost;
use crate::bindings::toolpost::plugin::step_logs::{self, LogKind, LogStream};
use crate::call::CallState;
use crate::host::StepLog;
use crate::imports::{Answer, answer, refuse, within};

/// Bytes of a log's name.
const LOG_NAME_BYTES_MAX: usize = 64;

/// A plugin's handle of a step log.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct LogHandle {
    log: Arc<dyn StepLog>,
    log_type: LogType,
}

/// Whether a log may be called so.
pub(super) fn is_log_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LOG_NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

impl CallState {
    /// Counts a log of the step.
    pub(super) fn count_log(&mut self, name: &str) -> wasmtime::Result<()> {
        self.counts.step_logs.insert(name.to_owned());
        let count = self.counts.step_logs.len() as u64;
        Ok(within(
            "logs of a step",
            count,
            self.limits.step_logs_max.into(),
        )?)
    }
}

impl step_logs::Host for CallState {}

impl step_logs::HostStepLog for CallState {
    async fn open(&mut self, name: String, kind: LogKind) -> Answer<Resource<LogHandle>> {
        self.step("step-logs.step-log.open")?;
        if !is_log_name(&name) {
            return refuse(format!(
                "the name of a log must be printable text of 1 to {LOG_NAME_BYTES_MAX} bytes"
            ));
        }
        self.count_log(&name)?;
        let log_type = LogType::from(kind);
        let open = async move |host: Arc<dyn StepHost>| host.open_log(&name, log_type).await;
        let opened = self.ask("step-logs.step-log.open", open).await?;
        match answer(opened)? {
            Ok(log) => Ok(Ok(self.table.push(LogHandle { log, log_type })?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn append(
        &mut self,
        this: Resource<LogHandle>,
        to: LogStream,
        data: Vec<u8>,
    ) -> Answer<()> {
        let handle = self.table.get(&this)?;
        let (log, log_type) = (handle.log.clone(), handle.log_type);
        if log_type != LogType::Stdio && !matches!(to, LogStream::Stdout) {
            return refuse("only logs of kind `stdio` have streams other than `stdout`");
        }
        self.counts.step_log_bytes += data.len() as u64;
        let (count, limit) = (self.counts.step_log_bytes, self.limits.step_log_bytes_max);
        within("bytes appended to step logs", count, limit)?;
        self.pace.count_bytes(data.len());
        let data = Bytes::from(data);
        let append = async move |_| log.append(to.into(), data).await;
        answer(self.ask("step-logs.step-log.append", append).await?)
    }

    async fn finish(&mut self, this: Resource<LogHandle>) -> Answer<()> {
        let log = self.table.get(&this)?.log.clone();
        let finish = async move |_| log.finish().await;
        answer(self.ask("step-logs.step-log.finish", finish).await?)
    }

    async fn drop(&mut self, this: Resource<LogHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
