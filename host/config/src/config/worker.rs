//! Workers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::PropertyValues;

/// `[[worker]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerConfig {
    /// Unique name.
    pub name: String,
    /// How it is reached.
    pub kind: WorkerKind,
    /// Builds that it runs at one time; `None` for no limit.
    pub max_builds: Option<u32>,
    /// How long it may be away before it is missing; `None` where nobody misses it.
    pub missing_timeout: Option<Duration>,
    /// Names of the reporters that tell when it is missing; `None` for all that tell such things.
    pub notify_on_missing: Option<BTreeSet<String>>,
    /// Properties of every build that runs on it.
    pub properties: PropertyValues,
    /// The same, where nothing else sets them.
    pub default_properties: PropertyValues,
}

/// How a worker is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerKind {
    /// Inside the master's process.
    Local {
        /// Directory of its builds.
        base_dir: PathBuf,
    },
    /// Connects from elsewhere.
    Remote {
        /// What it has to know.
        password: WorkerPassword,
        /// How long builds wait for it when its connection is lost, if it can go on where it was; zero for not at all.
        resume_within: Duration,
        /// How long its connection may be quiet before it is asked whether it is still there. Who does not answer within twice
        /// that is lost.
        keepalive: Duration,
    },
}

impl WorkerKind {
    /// What `resume_within` is when nothing else is said.
    pub const RESUME_WITHIN_DEFAULT: Duration = Duration::from_secs(300);
    /// The longest that a worker keeps what runs for a connection that is lost.
    pub const RESUME_WITHIN_MAX: Duration = Duration::from_secs(3_600);
    /// What `keepalive` is when nothing else is said.
    pub const KEEPALIVE_DEFAULT: Duration = Duration::from_secs(60);
    /// The shortest `keepalive`: a worker that computes must be able to answer in twice that.
    pub const KEEPALIVE_MIN: Duration = Duration::from_secs(2);
    /// The longest.
    pub const KEEPALIVE_MAX: Duration = Duration::from_secs(3_600);
}

/// The password of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerPassword {
    /// The secret of this name.
    Secret(String),
    /// In a file or a variable.
    Reference(SecretReference),
    /// A hash of it, in the PHC format of Argon2.
    Hash(String),
    /// Written down in the configuration, where others may read it.
    Plain(PlainPassword),
}

/// A password that is written down. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainPassword(pub(crate) String);

impl PlainPassword {
    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword(..)")
    }
}

/// `[workers]`: where workers from elsewhere connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersConfig {
    /// Their own address and port; `None` for that of the web server. A change needs a restart.
    pub listen: Option<SocketAddr>,
    /// Path at which they ask for a WebSocket.
    pub path: String,
    /// How their own port is encrypted. A change needs a restart.
    pub tls: Option<TlsConfig>,
}

impl WorkersConfig {
    /// Where stock workers ask.
    pub const PATH_DEFAULT: &str = "/";
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            listen: None,
            path: Self::PATH_DEFAULT.to_owned(),
            tls: None,
        }
    }
}

/// Certificate and key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whoever connects has to have a certificate of one of these authorities.
    pub client_ca: Option<PathBuf>,
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// In a file, without its last line end.
    File(PathBuf),
    /// In an environment variable of the master.
    Environment(String),
}
