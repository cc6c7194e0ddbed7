//! The master process and the plugins that it loads.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Grants;

/// `[master]`: addresses, places and limits of the process.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterConfig {
    /// Name of this master among those that share a database; `None` for host name and directory.
    pub name: Option<String>,
    /// Title of the pages.
    pub title: String,
    /// Where people reach the pages; ends with a slash.
    pub url: String,
    /// Where the web server listens. A change needs a restart.
    pub listen: SocketAddr,
    /// Names of the web server beside that in `url`: lower case, without a port.
    pub hosts: Vec<String>,
    /// Whom to ask about this farm, shown on the pages.
    pub admin: Option<String>,
    /// Links shown on the home page, in this order.
    pub links: Vec<Link>,
    /// `sqlite:PATH` or `postgres://...`. A change needs a restart.
    pub database_url: String,
    /// Where sealed logs and the bytes of plugins are kept. A change needs a restart.
    pub object_dir: PathBuf,
    /// Where `.wasm` files are picked up. A change needs a restart.
    pub plugin_dir: PathBuf,
    /// Where there is a file for each secret, named like it.
    pub secrets_dir: Option<PathBuf>,
    /// Certificates of authorities that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long running builds may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// Limits that keep one user from taking the farm from the others.
    pub limits: LimitsConfig,
    /// What all plugins together may take of the machine. A change needs a restart.
    pub plugins: PluginsConfig,
}

/// A link on the home page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its text.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// `[master.limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Builds that run at one time on this master; `None` leaves it to the workers.
    pub builds_max: Option<u32>,
    /// A longer line of a log is cut into several. A change needs a restart.
    pub log_line_bytes_max: u64,
    /// A log ends here and says so.
    pub log_bytes_max: u64,
    /// What one step may upload.
    pub uploads: UploadLimits,
}

/// What one step may upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// A larger file is not uploaded.
    pub file_bytes_max: u64,
    /// How many files.
    pub files_max: u32,
    /// All files together.
    pub bytes_max: u64,
}

impl Default for UploadLimits {
    /// Those that the contract with plugins documents.
    fn default() -> Self {
        Self {
            file_bytes_max: 1 << 30,
            files_max: 1_000,
            bytes_max: 4 << 30,
        }
    }
}

/// `[master.plugins]`: `None` leaves a limit to the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginsConfig {
    /// Memory of all calls together, MiB.
    pub memory_mib: Option<u32>,
    /// Calls that exist at one time.
    pub calls: Option<u32>,
    /// Threads that run plugins.
    pub threads: Option<u32>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            builds_max: None,
            log_line_bytes_max: 64 << 10,
            log_bytes_max: 1 << 30,
            uploads: UploadLimits::default(),
        }
    }
}

impl MasterConfig {
    /// Address of the web server when none is configured: the port of Buildbot's own, this machine only.
    pub const LISTEN_DEFAULT: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8010);
    /// Database when none is configured.
    pub const DATABASE_URL_DEFAULT: &'static str = "sqlite:state/toolpost.db";
    /// Object directory when none is configured.
    pub const OBJECT_DIR_DEFAULT: &'static str = "state/objects";
    /// Plugin directory when none is configured.
    pub const PLUGIN_DIR_DEFAULT: &'static str = "plugins";
    /// Drain limit when none is configured: less than what service managers wait before they kill.
    pub const DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self {
            name: None,
            title: "Toolpost".into(),
            url: format!("http://{}/", Self::LISTEN_DEFAULT),
            listen: Self::LISTEN_DEFAULT,
            hosts: Vec::new(),
            admin: None,
            links: Vec::new(),
            database_url: Self::DATABASE_URL_DEFAULT.into(),
            object_dir: Self::OBJECT_DIR_DEFAULT.into(),
            plugin_dir: Self::PLUGIN_DIR_DEFAULT.into(),
            secrets_dir: None,
            ca_file: None,
            drain_timeout: Self::DRAIN_TIMEOUT_DEFAULT,
            limits: LimitsConfig::default(),
            plugins: PluginsConfig::default(),
        }
    }
}

/// `[plugin.NAME]`: what one plugin may do and use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginConfig {
    /// Its name, as `describe` says it.
    pub name: String,
    /// What it may do beyond computing.
    pub grants: Grants,
    /// Memory of one call, MiB; `None` for the default of the sandbox. So for the other limits.
    pub memory_mib: Option<u32>,
    /// Computing time of one call, milliseconds; waiting is not counted.
    pub cpu_ms: Option<u64>,
    /// Time from start to end of one call, seconds.
    pub wall_s: Option<u64>,
    /// Log output of one call, MiB.
    pub log_mib: Option<u32>,
    /// Keys and values that outlive its calls, KiB.
    pub storage_kib: Option<u32>,
}
