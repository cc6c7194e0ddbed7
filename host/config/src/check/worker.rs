//! Workers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Checker, START, value};
use crate::config::{SecretReference, WorkerConfig, WorkerKind};
use crate::raw::{RawLocalWorker, RawRemoteWorker, RawWorker};
use crate::sources::Span;
use crate::tree::At;

/// Directory of local workers that say nothing else.
const WORKERS_DIR: &str = "workers";

impl Checker<'_, '_> {
    pub(super) fn worker(&mut self, raw: At<RawWorker>) -> Option<WorkerConfig> {
        match raw.value {
            RawWorker::Local(worker) => self.local_worker(worker),
            RawWorker::Remote(worker) => self.remote_worker(worker, raw.span),
        }
    }

    fn local_worker(&mut self, raw: RawLocalWorker) -> Option<WorkerConfig> {
        let max_builds = self.at_least_one(raw.max_builds);
        let properties = self.properties(raw.properties);
        let default_properties = self.properties(raw.default_properties);
        let name = value(raw.name)?;
        let base_dir = match raw.base_dir {
            Some(dir) => self.path(&dir.value),
            None => self.path(WORKERS_DIR).join(&name),
        };
        Some(WorkerConfig {
            name,
            kind: WorkerKind::Local { base_dir },
            max_builds,
            properties,
            default_properties,
        })
    }

    /// Checked like any other, so that what is written today is good when such workers can connect; until
    /// then it is refused, because a farm without its workers would build nothing and not say why.
    fn remote_worker(&mut self, raw: RawRemoteWorker, span: Span) -> Option<WorkerConfig> {
        self.report
            .at(span, "remote workers cannot connect to this version yet")
            .help("use `kind = \"local\"` for now; it runs builds on the master's machine");
        let password = match (raw.password_file, raw.password_env) {
            (Some(file), None) => Some(SecretReference::File(self.path(&file.value))),
            (None, Some(variable)) => Some(SecretReference::Environment(variable.value)),
            (Some(file), Some(variable)) => {
                self.report
                    .at(variable.span, "the password is named twice")
                    .related(file.span, "named here first")
                    .help("keep one of the two");
                None
            }
            (None, None) => {
                self.report
                    .at(span, "a remote worker needs a password")
                    .help("add `password_file = \"PATH\"` or `password_env = \"VARIABLE\"`");
                None
            }
        };
        let max_builds = self.at_least_one(raw.max_builds);
        let properties = self.properties(raw.properties);
        let default_properties = self.properties(raw.default_properties);
        Some(WorkerConfig {
            name: value(raw.name)?,
            kind: WorkerKind::Remote {
                password: password?,
            },
            max_builds,
            properties,
            default_properties,
        })
    }

    /// Two workers in one directory would delete each other's files.
    pub(super) fn check_worker_directories(
        &mut self,
        workers: &BTreeMap<String, Arc<WorkerConfig>>,
    ) {
        let mut seen: BTreeMap<&PathBuf, &str> = BTreeMap::new();
        for worker in workers.values() {
            let WorkerKind::Local { base_dir } = &worker.kind else {
                continue;
            };
            if let Some(first) = seen.insert(base_dir, &worker.name) {
                let span = self.names.worker(&worker.name).unwrap_or(START);
                let first_span = self.names.worker(first).unwrap_or(START);
                self.report
                    .at(
                        span,
                        format!("two workers share the directory {}", base_dir.display()),
                    )
                    .related(first_span, "the other one")
                    .help("give one of them another `base_dir`");
            }
        }
    }
}
