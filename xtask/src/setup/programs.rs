//! Which of the needed programs this machine has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that come from the system.
pub(super) struct Programs {
    pub(super) postgres_bin: PathBuf,
    pub(super) redis_server: PathBuf,
    pub(super) chromium: PathBuf,
    pub(super) chromedriver: PathBuf,
    pub(super) python: PathBuf,
}

/// A program that is not there.
pub(super) struct Missing {
    pub(super) name: &'static str,
    pub(super) debian_packages: &'static [&'static str],
}

impl Programs {
    /// Finds all of them, or says which are missing.
    pub(super) fn find() -> Result<Self, Vec<Missing>> {
        let mut missing = Vec::new();
        let mut need = |found: Option<PathBuf>, name, debian_packages| {
            if found.is_none() {
                missing.push(Missing {
                    name,
                    debian_packages,
                });
            }
            found.unwrap_or_default()
        };
        need(on_path(&["git"]), "git", &["git"]);
        let programs = Self {
            postgres_bin: need(postgres_bin(), "the PostgreSQL server", &["postgresql"]),
            redis_server: need(
                on_path(&["redis-server"]),
                "redis-server",
                &["redis-server"],
            ),
            chromium: need(
                on_path(&["chromium", "chromium-browser", "google-chrome"]),
                "Chromium",
                &["chromium"],
            ),
            chromedriver: need(
                on_path(&["chromedriver"]),
                "chromedriver",
                &["chromium-driver"],
            ),
            python: need(python(), "Python with venv", &["python3-venv"]),
        };
        // Brings a newer Node.js where the system's is too old.
        need(on_path(&["npm"]), "npm", &["nodejs", "npm"]);
        need(on_path(&["curl"]), "curl", &["curl"]);
        if missing.is_empty() {
            Ok(programs)
        } else {
            Err(missing)
        }
    }
}

/// The first of `names` that is on the `PATH`.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| {
        directories
            .iter()
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
    })
}

/// Debian keeps the server programs of each version in a directory that is not on the `PATH`; the
/// newest is taken.
fn postgres_bin() -> Option<PathBuf> {
    let is_server = |bin: &Path| bin.join("initdb").is_file() && bin.join("postgres").is_file();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            is_server(&bin).then_some((version, bin))
        })
        .max();
    newest.map(|(_, bin)| bin).or_else(|| {
        let bin = on_path(&["postgres"])?.parent()?.to_owned();
        is_server(&bin).then_some(bin)
    })
}

/// A Python that can make virtual environments; Debian ships that part apart.
fn python() -> Option<PathBuf> {
    let candidates = on_path(&["python3"])
        .into_iter()
        .chain([PathBuf::from("/usr/bin/python3")]);
    candidates.into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import venv, ensurepip"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
