//! `[master]`, `[[lock]]` and `[plugin.NAME]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use toolpost_core::locks::{LockScope as Scope, LockSpec};

use super::names::{Thing, identifier_fault};
use super::{Checker, list, value};
use crate::config::{LimitsConfig, Link, MasterConfig, PluginConfig, PluginsConfig, UploadLimits};
use crate::decode::ByteSize;
use crate::raw::{LockScope, RawLimits, RawLock, RawMaster, RawPlugin, RawPlugins};
use crate::tree::At;

/// Lines cut shorter than this are not readable.
const LOG_LINE_BYTES_MIN: u64 = 256;

/// More calls than any machine has address space for.
const PLUGIN_CALLS_MAX: u32 = 100_000;
const PLUGIN_THREADS_MAX: u32 = 1_024;

impl Checker<'_, '_> {
    pub(super) fn master(&mut self, raw: RawMaster) -> MasterConfig {
        let listen = raw
            .listen
            .map_or(MasterConfig::LISTEN_DEFAULT, |address| address.value.0);
        if let Some(name) = &raw.name
            && name.value.trim().is_empty()
        {
            self.report.at(name.span, "must not be empty");
        }
        let links = list(raw.links)
            .into_iter()
            .filter_map(|link| {
                self.http_url(link.value.url.as_ref());
                Some(Link {
                    label: value(link.value.label)?,
                    url: value(link.value.url)?,
                })
            })
            .collect();
        MasterConfig {
            name: value(raw.name),
            title: value(raw.title).unwrap_or_else(|| "Toolpost".into()),
            url: self.public_url(raw.url, listen),
            listen,
            hosts: self.host_names(raw.hosts),
            admin: value(raw.admin),
            links,
            database_url: self.database_url(raw.database_url),
            object_dir: self.path_or(raw.object_dir.as_ref(), MasterConfig::OBJECT_DIR_DEFAULT),
            plugin_dir: self.path_or(raw.plugin_dir.as_ref(), MasterConfig::PLUGIN_DIR_DEFAULT),
            secrets_dir: raw.secrets_dir.map(|dir| self.path(&dir.value)),
            ca_file: raw.ca_file.map(|file| self.path(&file.value)),
            drain_timeout: value(raw.drain_timeout)
                .map_or(MasterConfig::DRAIN_TIMEOUT_DEFAULT, |duration| duration.0),
            limits: self.limits(&value(raw.limits).unwrap_or_default()),
            plugins: self.plugins(&value(raw.plugins).unwrap_or_default()),
        }
    }

    fn host_names(&mut self, names: Option<At<Vec<At<String>>>>) -> Vec<String> {
        let mut hosts = Vec::new();
        for name in list(names) {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let mut labels = name.value.split('.');
            if labels.all(|label| !label.is_empty() && label.bytes().all(is_letter)) {
                hosts.push(name.value.to_ascii_lowercase());
            } else {
                self.report
                    .at(name.span, "this is not the name of a host")
                    .help("write it without scheme and port, such as \"ci.example.org\"");
            }
        }
        hosts
    }

    fn plugins(&mut self, raw: &RawPlugins) -> PluginsConfig {
        self.at_most(raw.calls.as_ref(), PLUGIN_CALLS_MAX);
        self.at_most(raw.threads.as_ref(), PLUGIN_THREADS_MAX);
        PluginsConfig {
            memory_mib: self.at_least_one(raw.memory_mib),
            calls: self.at_least_one(raw.calls),
            threads: self.at_least_one(raw.threads),
        }
    }

    fn at_most(&mut self, number: Option<&At<u32>>, limit: u32) {
        if let Some(number) = number
            && number.value > limit
        {
            self.report
                .at(number.span, format!("must be at most {limit}"));
        }
    }

    fn limits(&mut self, raw: &RawLimits) -> LimitsConfig {
        let default = LimitsConfig::default();
        if let Some(size) = &raw.log_line_size_max
            && size.value.0 < LOG_LINE_BYTES_MIN
        {
            self.report.at(
                size.span,
                format!("must be at least {LOG_LINE_BYTES_MIN} bytes"),
            );
        }
        LimitsConfig {
            builds_max: self.at_least_one(raw.builds_max),
            log_line_bytes_max: raw
                .log_line_size_max
                .map_or(default.log_line_bytes_max, |size| size.value.0),
            log_bytes_max: raw
                .log_size_max
                .as_ref()
                .map_or(default.log_bytes_max, |size| size.value.0),
            uploads: self.uploads(raw, default.uploads),
        }
    }

    fn uploads(&mut self, raw: &RawLimits, default: UploadLimits) -> UploadLimits {
        let size = |raw: &Option<At<ByteSize>>| raw.as_ref().map(|size| size.value.0);
        UploadLimits {
            file_bytes_max: size(&raw.upload_size_max).unwrap_or(default.file_bytes_max),
            files_max: self
                .at_least_one(raw.uploads_max)
                .unwrap_or(default.files_max),
            bytes_max: size(&raw.uploads_size_max).unwrap_or(default.bytes_max),
        }
    }

    /// Notes a URL that a browser would not open, or that would run a script.
    fn http_url(&mut self, url: Option<&At<String>>) {
        let Some(url) = url else { return };
        if !(url.value.starts_with("http://") || url.value.starts_with("https://")) {
            self.report.at(
                url.span,
                "expected a URL that starts with http:// or https://",
            );
        }
    }

    /// Where people reach the pages; links are made by adding to it, so it ends with a slash.
    fn public_url(&mut self, url: Option<At<String>>, listen: SocketAddr) -> String {
        self.http_url(url.as_ref());
        match value(url) {
            Some(url) if url.ends_with('/') => url,
            Some(url) => format!("{url}/"),
            None if listen.ip().is_unspecified() => format!("http://localhost:{}/", listen.port()),
            None => format!("http://{listen}/"),
        }
    }

    fn database_url(&mut self, url: Option<At<String>>) -> String {
        let default = MasterConfig::DATABASE_URL_DEFAULT;
        if let Some(url) = &url {
            let known = ["sqlite:", "postgres://", "postgresql://"];
            if !known.iter().any(|scheme| url.value.starts_with(scheme)) {
                self.report
                    .at(url.span, "this is not the URL of a database")
                    .help("write \"sqlite:PATH\" or \"postgres://USER@HOST/NAME\"");
            }
        }
        let url = value(url).unwrap_or_else(|| default.into());
        match url.strip_prefix("sqlite:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                format!("sqlite:{}", self.path(path).display())
            }
            None => url,
        }
    }

    /// A path that starts at the directory of the main configuration file.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        // Without the `.` that a relative path may begin with: people see it.
        self.report
            .sources()
            .base_dir()
            .join(path)
            .components()
            .collect()
    }

    fn path_or(&self, path: Option<&At<String>>, default: &str) -> PathBuf {
        self.path(path.map_or(default, |path| &path.value))
    }

    pub(super) fn lock(&mut self, raw: RawLock) -> Option<LockSpec> {
        let scope = match value(raw.scope) {
            Some(LockScope::Worker) => Scope::Worker,
            Some(LockScope::Master) | None => Scope::Master,
        };
        let max_count = self.at_least_one(raw.max_count).unwrap_or(1);
        if let Some(counts) = &raw.worker_counts
            && scope == Scope::Master
        {
            self.report
                .at(
                    counts.span,
                    "a lock of the whole farm has no counts for single workers",
                )
                .help("add `scope = \"worker\"`");
        }
        let mut max_count_for_worker = std::collections::BTreeMap::new();
        for (worker, (key, count)) in value(raw.worker_counts).unwrap_or_default().0 {
            let name = At {
                value: worker,
                span: key,
            };
            if self.is_known(Thing::Worker, &name) {
                max_count_for_worker.insert(name.value, count.value);
            }
        }
        Some(LockSpec {
            name: value(raw.name)?,
            scope,
            max_count,
            max_count_for_worker,
        })
    }

    pub(super) fn plugin(&mut self, name: At<String>, raw: RawPlugin) -> PluginConfig {
        if let Some(fault) = identifier_fault(&name.value) {
            self.report
                .at(name.span, format!("the name of a plugin {fault}"));
        }
        let grants = self.grants(value(raw.grant).unwrap_or_default());
        PluginConfig {
            name: name.value,
            grants,
            memory_mib: self.at_least_one(raw.memory_mib),
            cpu_ms: self.at_least_one(raw.cpu_ms),
            wall_s: self.at_least_one(raw.wall_s),
            log_mib: self.at_least_one(raw.log_mib),
            storage_kib: self.at_least_one(raw.storage_kib),
        }
    }
}
