//! What this worker tells about itself.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use toolpost_wire::WorkerInfo;
use toolpost_worker::LocalWorker;

use crate::settings::Settings;

/// The commands that this worker knows, by the names that masters have had for them over time.
const COMMANDS: &[&str] = &[
    "shell",
    "uploadFile",
    "upload_file",
    "uploadDirectory",
    "upload_directory",
    "downloadFile",
    "download_file",
    "mkdir",
    "rmdir",
    "cpdir",
    "stat",
    "glob",
    "listdir",
    "rmfile",
];
/// The version of these commands: what a master may use of them.
const COMMANDS_VERSION: &str = "3.3";

/// Beneath the base directory: a text for each thing that people are to know about the machine, as stock workers have it.
const INFO_DIR: &str = "info";
/// Such texts.
const TEXTS_MAX: usize = 64;
/// The longest.
const TEXT_BYTES_MAX: u64 = 4 * 1024;

/// Collects it. Blocks on a few files.
pub(crate) fn collect(settings: &Settings, worker: &LocalWorker) -> WorkerInfo {
    let own = worker.info();
    let mut texts = distribution();
    for name in ["architecture", "host"] {
        texts.extend(own.get(name).map(|text| (name.to_owned(), text.clone())));
    }
    // Builds may have put anything there.
    let told = worker.with_rights(|| files(&worker.base_dir().join(INFO_DIR)));
    texts.extend(told.unwrap_or_default());
    texts.extend(settings.info.clone());
    let commands = COMMANDS
        .iter()
        .map(|name| ((*name).to_owned(), COMMANDS_VERSION.to_owned()));
    let environment = worker.environment().map(|(name, value)| {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        (text(name), text(value))
    });
    WorkerInfo {
        base_dir: worker.base_dir().to_string_lossy().into_owned(),
        system: "posix".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        cpus: own
            .get("numcpus")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1),
        environment: environment.collect(),
        commands: commands.collect(),
        offsets: true,
        packs: settings.compress,
        instance: Some(format!("{:032x}", rand::random::<u128>())),
        texts,
    }
}

/// The files of a directory, by name.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let plain = !name.starts_with('.') && entry.metadata().ok()?.is_file();
        let file = plain.then(|| std::fs::File::open(entry.path()).ok())??;
        let mut bytes = Vec::new();
        file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some((name, String::from_utf8_lossy(&bytes).trim().to_owned()))
    });
    texts.take(TEXTS_MAX).collect()
}

/// What a Linux distribution says about itself, by the names of stock workers.
fn distribution() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let known = [
        ("ID", "os_id"),
        ("NAME", "os_name"),
        ("PRETTY_NAME", "os_pretty_name"),
        ("VERSION", "os_version"),
        ("VERSION_ID", "os_version_id"),
    ];
    let found = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (_, told) = known.iter().find(|(known, _)| *known == name)?;
        Some(((*told).to_owned(), value.trim_matches('"').to_owned()))
    });
    found.collect()
}
