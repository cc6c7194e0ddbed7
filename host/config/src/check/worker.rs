//! Workers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::names::Thing;
use super::{Checker, START, value};
use crate::config::{
    PlainPassword, SecretReference, TlsConfig, WorkerConfig, WorkerKind, WorkerPassword,
    WorkersConfig,
};
use crate::decode::HumanDuration;
use crate::raw::{RawLocalWorker, RawRemoteWorker, RawWorker, RawWorkers};
use crate::sources::Span;
use crate::tree::At;

/// Directory of local workers that say nothing else.
const WORKERS_DIR: &str = "workers";

/// How long a worker may be away that says nothing else.
const MISSING_DEFAULT: Duration = Duration::from_secs(60 * 60);

impl Checker<'_, '_> {
    pub(super) fn worker(&mut self, raw: At<RawWorker>) -> Option<WorkerConfig> {
        match raw.value {
            RawWorker::Local(worker) => self.local_worker(*worker),
            RawWorker::Remote(worker) => self.remote_worker(*worker, raw.span),
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
            missing_timeout: None,
            notify_on_missing: None,
            properties,
            default_properties,
        })
    }

    fn remote_worker(&mut self, raw: RawRemoteWorker, span: Span) -> Option<WorkerConfig> {
        let password = self.password(&raw, span);
        let resume_within = self.resume_within(raw.resume_within);
        let keepalive = self.keepalive(raw.keepalive);
        let max_builds = self.at_least_one(raw.max_builds);
        let missing_timeout = raw
            .missing_timeout
            .map_or(MISSING_DEFAULT, |timeout| timeout.value.0);
        let properties = self.properties(raw.properties);
        let default_properties = self.properties(raw.default_properties);
        let name = value(raw.name)?;
        let notify_on_missing = self.told_by(&name, raw.notify_on_missing);
        Some(WorkerConfig {
            name,
            kind: WorkerKind::Remote {
                password: password?,
                resume_within,
                keepalive,
            },
            max_builds,
            missing_timeout: (!missing_timeout.is_zero()).then_some(missing_timeout),
            notify_on_missing,
            properties,
            default_properties,
        })
    }

    /// The reporters that tell of a worker's absence. Whether they do so is looked at where they are checked.
    fn told_by(
        &mut self,
        worker: &str,
        names: Option<At<Vec<At<String>>>>,
    ) -> Option<BTreeSet<String>> {
        let mut names = names?;
        let addresses = names.value.extract_if(.., |name| name.value.contains('@'));
        let addresses: Vec<At<String>> = addresses.collect();
        let has_addresses = !addresses.is_empty();
        for name in addresses {
            let message = "this is an address, where the names of reporters are expected";
            self.report.at(name.span, message).help(
                "add a [[reporter]] with `use = \"mail\"`, `events = [\"worker-missing\"]` and this address in `to`",
            );
        }
        let spans = names.value.iter();
        let spans: BTreeMap<String, Span> =
            spans.map(|name| (name.value.clone(), name.span)).collect();
        self.absences.insert(worker.to_owned(), spans);
        if names.value.is_empty() && has_addresses {
            return None;
        }
        let names = self.references(Thing::Reporter, Some(names))?;
        Some(names.into_iter().collect())
    }

    fn resume_within(&mut self, given: Option<At<HumanDuration>>) -> Duration {
        let Some(given) = given else {
            return WorkerKind::RESUME_WITHIN_DEFAULT;
        };
        let most = WorkerKind::RESUME_WITHIN_MAX;
        if given.value.0 > most {
            self.report
                .at(given.span, "a worker keeps what runs for at most an hour")
                .help("give `resume_within = \"1h\"` or less");
        }
        given.value.0.min(most)
    }

    fn keepalive(&mut self, given: Option<At<HumanDuration>>) -> Duration {
        let Some(given) = given else {
            return WorkerKind::KEEPALIVE_DEFAULT;
        };
        let (least, most) = (WorkerKind::KEEPALIVE_MIN, WorkerKind::KEEPALIVE_MAX);
        if !(least..=most).contains(&given.value.0) {
            self.report
                .at(
                    given.span,
                    "a connection is tried after 2 s to 1 h without a word",
                )
                .help("give `keepalive = \"60s\"`, or leave it out");
        }
        given.value.0.clamp(least, most)
    }

    /// The one way that is given in which a worker's password is known.
    fn password(&mut self, raw: &RawRemoteWorker, span: Span) -> Option<WorkerPassword> {
        let given = [
            &raw.password_secret,
            &raw.password_file,
            &raw.password_env,
            &raw.password_hash,
            &raw.password,
        ];
        let mut given = given.into_iter().flatten();
        let Some(first) = given.next() else {
            self.report
                .at(span, "a remote worker needs a password")
                .help("add `password_secret = \"NAME\"` with a [secret.NAME], or `password_hash`");
            return None;
        };
        if let Some(second) = given.next() {
            self.report
                .at(second.span, "the password is named twice")
                .related(first.span, "named here first")
                .help("keep one of the two");
            return None;
        }
        if let Some(name) = &raw.password_secret {
            let known = self.is_secret(name);
            return known.then(|| WorkerPassword::Secret(name.value.clone()));
        }
        if let Some(hash) = &raw.password_hash {
            if !hash.value.starts_with("$argon2") {
                self.report
                    .at(hash.span, "this is not a hash of Argon2")
                    .help("make one with `toolpost hash-password`");
            }
            return Some(WorkerPassword::Hash(hash.value.clone()));
        }
        if let Some(plain) = &raw.password {
            if plain.value.is_empty() {
                self.report.at(plain.span, "must not be empty");
            }
            return Some(WorkerPassword::Plain(PlainPassword(plain.value.clone())));
        }
        let reference = match (&raw.password_file, &raw.password_env) {
            (Some(file), _) => SecretReference::File(self.path(&file.value)),
            (None, variable) => SecretReference::Environment(variable.as_ref()?.value.clone()),
        };
        Some(WorkerPassword::Reference(reference))
    }

    /// Where workers from elsewhere connect.
    pub(super) fn worker_port(&mut self, raw: RawWorkers) -> WorkersConfig {
        let spans = [&raw.certificate, &raw.key, &raw.client_ca].map(|key| {
            let key = key.as_ref();
            key.map(|key| key.span)
        });
        let tls = match (raw.certificate, raw.key) {
            (Some(certificate), Some(key)) => Some(TlsConfig {
                certificate: self.path(&certificate.value),
                key: self.path(&key.value),
                client_ca: raw.client_ca.map(|file| self.path(&file.value)),
            }),
            _ => {
                if let Some(span) = spans.into_iter().flatten().next() {
                    self.report
                        .at(span, "TLS needs both a certificate and its key")
                        .help("add `certificate = \"PATH\"` and `key = \"PATH\"`");
                }
                None
            }
        };
        if let (None, Some(span), true) = (&raw.listen, spans[0], tls.is_some()) {
            self.report
                .at(span, "only a port for workers alone can be encrypted")
                .help("add `listen = \"0.0.0.0:9989\"`");
        }
        WorkersConfig {
            listen: raw.listen.map(|address| address.value.0),
            path: self.worker_path(raw.path),
            tls,
        }
    }

    fn worker_path(&mut self, given: Option<At<String>>) -> String {
        let Some(given) = given else {
            return WorkersConfig::PATH_DEFAULT.to_owned();
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#%".contains(c);
        if !given.value.starts_with('/') || given.value.contains(odd) {
            self.report
                .at(given.span, "this is no path of a URL")
                .help("give one such as `path = \"/workers/connect\"`, or leave it out");
        }
        if ["/ws", "/live"].contains(&given.value.as_str()) {
            self.report
                .at(given.span, "event streams are at this path")
                .help("give another one");
        }
        given.value
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
