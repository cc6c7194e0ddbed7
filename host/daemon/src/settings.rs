//! What the operator decides: from the command line and from a file, read once and checked as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use toolpost_worker::GroupLimits;

/// Where the password is when nothing else is said.
const PASSWORD_VARIABLE: &str = "TOOLPOST_WORKER_PASSWORD";
/// A longer password is a mistake.
const PASSWORD_BYTES_MAX: u64 = 4 * 1024;
/// Permissions of everybody but user and group.
const OTHERS: u32 = 0o007;
/// A longer file of settings is a mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const MAX_DELAY_DEFAULT: Duration = Duration::from_secs(300);
/// What commands may say while there is no connection, all together.
const SPOOL_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Less, and builds fail one after the other.
const FREE_DISK_BYTES_MIN_DEFAULT: u64 = 256 * 1024 * 1024;
const KEEPALIVE_DEFAULT: Duration = Duration::from_secs(60);
const STOP_GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// Sooner than this, messages would be nothing but keep-alives.
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// Settings as they are written: each may be missing, here or there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// Address of the master: `ws://HOST:PORT`, `wss://HOST:PORT`, or `HOST:PORT` without encryption.
    pub master: Option<String>,
    /// Name of this worker.
    pub name: Option<String>,
    /// File with its password.
    pub password_file: Option<PathBuf>,
    /// Name of the variable with its password.
    pub password_env: Option<String>,
    /// Directory beneath which the builds are.
    pub basedir: Option<PathBuf>,
    /// Who looks after this machine.
    pub admin: Option<String>,
    /// What else people are to know about it, by name.
    pub info: Option<BTreeMap<String, String>>,
    /// The longest wait between two tries to connect, such as `5m`.
    pub max_delay: Option<String>,
    /// How long the connection may be quiet before the master is asked whether it is still there.
    pub keepalive: Option<String>,
    /// How long commands have to end when the worker stops.
    pub stop_grace: Option<String>,
    /// Commands that run at one time; more wait.
    pub max_commands: Option<usize>,
    /// What commands may say while there is no connection, all together, in MiB; who says more waits for the connection.
    pub spool_mib: Option<u32>,
    /// Memory that a command may have with all that descends from it, in MiB (Linux, by control groups).
    pub memory_max_mib: Option<u32>,
    /// Processes and threads of a command (Linux, by control groups).
    pub processes_max: Option<u32>,
    /// Processors of a command in hundredths: 150 is one and a half (Linux, by control groups).
    pub cpu_percent_max: Option<u32>,
    /// User as whom builds run; needs a worker that runs as root, on Linux.
    pub user: Option<String>,
    /// With less than this free on the disk of the builds, in MiB, a Toolpost master begins nothing new here.
    pub free_disk_min_mib: Option<u32>,
    /// Whether long messages to and from a Toolpost master are compressed.
    pub compress: Option<bool>,
    /// Certificates of authorities that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate that this worker shows.
    pub certificate: Option<PathBuf>,
    /// Key of that certificate.
    pub key: Option<PathBuf>,
}

/// Settings that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the master is.
    pub master: MasterAddress,
    /// Name of this worker.
    pub name: String,
    /// Where its password is.
    pub password: PasswordSource,
    /// Directory beneath which the builds are.
    pub base_dir: PathBuf,
    /// What people are to know about this machine, by name.
    pub info: BTreeMap<String, String>,
    /// The longest wait between two tries to connect.
    pub max_delay: Duration,
    /// How long the connection may be quiet before the master is asked whether it is still there.
    pub keepalive: Duration,
    /// How long commands have to end when the worker stops.
    pub stop_grace: Duration,
    /// Commands that run at one time; `None` for what the engine allows.
    pub commands_max: Option<usize>,
    /// What commands may say while there is no connection, all together, in bytes on disk.
    pub spool_bytes_max: u64,
    /// What each command may have of the machine.
    pub command_limits: GroupLimits,
    /// User as whom builds run; `None` for that of this process.
    pub user: Option<String>,
    /// With less than this free on the disk of the builds, nothing new begins; 0 for no limit.
    pub free_disk_bytes_min: u64,
    /// Whether long messages to and from a Toolpost master are compressed.
    pub compress: bool,
    /// Files for TLS.
    pub tls: TlsFiles,
}

/// Files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of authorities that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key that this worker shows.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Where a password is. It is read for each try to connect, so that it can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// In a file, which others cannot read.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// Where a master is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Name or address of the machine.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the request.
    pub path: String,
}

/// Why settings cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that has to be said is not.
    #[error("{what} is missing: give {option}, or `{key}` in the file of --config")]
    Missing {
        /// What.
        what: &'static str,
        /// The option.
        option: &'static str,
        /// The key in the file.
        key: &'static str,
    },
    /// A value has no meaning.
    #[error("`{key}` cannot be used: {reason}")]
    Invalid {
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl SettingsFile {
    /// Reads a TOML file. Paths in it are relative to its directory.
    ///
    /// # Errors
    /// It cannot be read, or has keys or values that mean nothing; the text names the line.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |reason: String| SettingsError::File {
            path: path.to_owned(),
            reason,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
            .map_err(|error| failed(error.to_string()))?;
        let mut file: Self =
            toml::from_str(&text).map_err(|error| failed(error.to_string().trim().to_owned()))?;
        let dir = path.parent().unwrap_or(Path::new(""));
        for place in [
            &mut file.password_file,
            &mut file.basedir,
            &mut file.ca_file,
            &mut file.certificate,
            &mut file.key,
        ] {
            *place = place.take().map(|place| dir.join(place));
        }
        Ok(file)
    }

    /// What is said here goes before what is said in `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut info = other.info.unwrap_or_default();
        info.extend(self.info.unwrap_or_default());
        // Two places of the password are one setting.
        let says_password = self.password_file.is_some() || self.password_env.is_some();
        let (password_file, password_env) = match says_password {
            true => (self.password_file, self.password_env),
            false => (other.password_file, other.password_env),
        };
        Self {
            master: self.master.or(other.master),
            name: self.name.or(other.name),
            password_file,
            password_env,
            basedir: self.basedir.or(other.basedir),
            admin: self.admin.or(other.admin),
            info: Some(info),
            max_delay: self.max_delay.or(other.max_delay),
            keepalive: self.keepalive.or(other.keepalive),
            stop_grace: self.stop_grace.or(other.stop_grace),
            max_commands: self.max_commands.or(other.max_commands),
            spool_mib: self.spool_mib.or(other.spool_mib),
            memory_max_mib: self.memory_max_mib.or(other.memory_max_mib),
            processes_max: self.processes_max.or(other.processes_max),
            cpu_percent_max: self.cpu_percent_max.or(other.cpu_percent_max),
            user: self.user.or(other.user),
            free_disk_min_mib: self.free_disk_min_mib.or(other.free_disk_min_mib),
            compress: self.compress.or(other.compress),
            ca_file: self.ca_file.or(other.ca_file),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }

    /// Settings that can be used.
    ///
    /// # Errors
    /// Something is missing or has no meaning.
    pub fn check(self) -> Result<Settings, SettingsError> {
        let missing = |what, option, key| SettingsError::Missing { what, option, key };
        let invalid = |key, reason: &str| SettingsError::Invalid {
            key,
            reason: reason.to_owned(),
        };
        let master = self
            .master
            .ok_or_else(|| missing("the master's address", "--master URL", "master"))?;
        let name = self
            .name
            .ok_or_else(|| missing("the worker's name", "--name NAME", "name"))?;
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            // HTTP Basic ends the name at the first colon.
            let reason = "a name has at least one character, and no colon or line end";
            return Err(invalid("name", reason));
        }
        let password = match (self.password_file, self.password_env) {
            (Some(_), Some(_)) => {
                let reason = "the password is named twice; say `password_file` or `password_env`";
                return Err(invalid("password_file", reason));
            }
            (Some(file), None) => PasswordSource::File(file),
            (None, Some(variable)) => PasswordSource::Variable(variable),
            (None, None) => PasswordSource::Variable(PASSWORD_VARIABLE.to_owned()),
        };
        let base_dir = self
            .basedir
            .ok_or_else(|| missing("the base directory", "--basedir DIR", "basedir"))?;
        let own = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let reason = "`certificate` and `key` come together";
                return Err(invalid("certificate", reason));
            }
        };
        let mut info = self.info.unwrap_or_default();
        info.extend(self.admin.map(|admin| ("admin".to_owned(), admin)));
        let keepalive = duration("keepalive", self.keepalive, KEEPALIVE_DEFAULT)?;
        for (key, is_zero) in [
            ("max_commands", self.max_commands == Some(0)),
            ("memory_max_mib", self.memory_max_mib == Some(0)),
            ("processes_max", self.processes_max == Some(0)),
            ("cpu_percent_max", self.cpu_percent_max == Some(0)),
        ] {
            if is_zero {
                return Err(invalid(key, "it is at least 1"));
            }
        }
        Ok(Settings {
            master: master
                .parse()
                .map_err(|reason: String| invalid("master", &reason))?,
            name,
            password,
            base_dir,
            info,
            max_delay: duration("max_delay", self.max_delay, MAX_DELAY_DEFAULT)?,
            keepalive: keepalive.max(KEEPALIVE_MIN),
            stop_grace: duration("stop_grace", self.stop_grace, STOP_GRACE_DEFAULT)?,
            commands_max: self.max_commands,
            spool_bytes_max: self.spool_mib.map_or(SPOOL_BYTES_DEFAULT, mib),
            command_limits: GroupLimits {
                memory_bytes_max: self.memory_max_mib.map(mib),
                processes_max: self.processes_max,
                cpu_percent_max: self.cpu_percent_max,
            },
            user: self.user,
            free_disk_bytes_min: self
                .free_disk_min_mib
                .map_or(FREE_DISK_BYTES_MIN_DEFAULT, mib),
            compress: self.compress.unwrap_or(true),
            tls: TlsFiles {
                ca_file: self.ca_file,
                own,
            },
        })
    }
}

fn mib(mib: u32) -> u64 {
    u64::from(mib) * 1024 * 1024
}

fn duration(
    key: &'static str,
    text: Option<String>,
    default: Duration,
) -> Result<Duration, SettingsError> {
    let Some(text) = text else { return Ok(default) };
    humantime::parse_duration(&text).map_err(|error| SettingsError::Invalid {
        key,
        reason: format!("`{text}` is no time such as `30s` or `5m`: {error}"),
    })
}

impl PasswordSource {
    /// The password. Blocks. The error never has a part of it.
    pub(crate) fn read(&self) -> Result<String, String> {
        let bytes = match self {
            Self::File(path) => read_secret(path)?,
            Self::Variable(name) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| {
                    format!(
                        "there is no variable {name} with the password; set it, or give --password-file FILE"
                    )
                })?;
                value.into_encoded_bytes()
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| "the password is not UTF-8".to_owned())?;
        let password = text.trim_end_matches(['\r', '\n']);
        match password.is_empty() {
            true => Err(format!("the password is empty ({self})")),
            false => Ok(password.to_owned()),
        }
    }
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
        }
    }
}

fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{shown}: {error}");
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // Opening a pipe would wait for whoever writes it.
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(format!(
            "everybody on this machine can open {shown}; run `chmod o= {shown}`"
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file.take(PASSWORD_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(failed)?;
    Ok(bytes)
}

impl FromStr for MasterAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = !text.contains("://");
        let whole = match bare {
            true => format!("ws://{text}"),
            false => text.to_owned(),
        };
        // The address itself may hold what nobody is to see, and is not repeated.
        let uri: Uri = whole
            .parse()
            .map_err(|error| format!("it is no URL: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err("it begins with `ws://`, or with `wss://` for TLS".to_owned()),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err(
                "name and password do not belong into the URL; give --name and --password-file"
                    .to_owned(),
            );
        }
        let host = authority.host();
        if host.is_empty() {
            return Err("it has no host".to_owned());
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            None if bare => return Err("it has no port; write HOST:PORT".to_owned()),
            None if tls => 443,
            None => 80,
        };
        Ok(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl MasterAddress {
    /// Host and port, as a `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_people_write() {
        let cases = [
            ("ws://ci.example.org:9989", Ok("ws://ci.example.org:9989/")),
            ("wss://ci.example.org", Ok("wss://ci.example.org:443/")),
            (
                "wss://ci.example.org/workers",
                Ok("wss://ci.example.org:443/workers"),
            ),
            ("ci.example.org:9989", Ok("ws://ci.example.org:9989/")),
            ("ws://[::1]:9989", Ok("ws://[::1]:9989/")),
            ("ci.example.org", Err("port")),
            ("https://ci.example.org", Err("ws://")),
            ("ws://name:hush@ci.example.org", Err("--password-file")),
            ("ws:// ", Err("no URL")),
            ("", Err("no URL")),
        ];
        for (text, expected) in cases {
            let parsed: Result<MasterAddress, String> = text.parse();
            match expected {
                Ok(expected) => assert_eq!(parsed.unwrap().to_string(), expected, "{text}"),
                Err(part) => {
                    let error = parsed.unwrap_err();
                    assert!(
                        error.contains(part) && !error.contains("hush"),
                        "{text}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file: SettingsFile = toml::from_str(
            "master = \"a:1\"\nname = \"file\"\npassword_env = \"P\"\nbasedir = \"/w\"\nmax_delay = \"9s\"\n\
             [info]\nroom = \"7\"\nrack = \"1\"\n",
        )
        .unwrap();
        let line = SettingsFile {
            name: Some("line".into()),
            password_file: Some("secret".into()),
            info: Some(BTreeMap::from([("rack".into(), "2".into())])),
            ..SettingsFile::default()
        };
        let settings = line.or(file).check().unwrap();
        assert_eq!(settings.name, "line");
        assert_eq!(settings.password, PasswordSource::File("secret".into()));
        assert_eq!(settings.max_delay, Duration::from_secs(9));
        let info: Vec<_> = settings.info.into_iter().collect();
        assert_eq!(
            info,
            [("rack".into(), "2".into()), ("room".into(), "7".into())]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let base = "master = \"a:1\"\nname = \"n\"\nbasedir = \"/w\"\n";
        let cases = [
            ("".to_owned(), "--master URL"),
            (base.replace("name", "#"), "--name NAME"),
            (base.replace("basedir", "#"), "--basedir DIR"),
            (base.replace("\"n\"", "\"a:b\""), "`name`"),
            (format!("{base}keepalive = \"soon\""), "`keepalive`"),
            (format!("{base}key = \"k\""), "come together"),
            (format!("{base}max_commands = 0"), "at least 1"),
            (format!("{base}memory_max_mib = 0"), "`memory_max_mib`"),
            (
                format!("{base}password_file = \"p\"\npassword_env = \"E\""),
                "named twice",
            ),
        ];
        for (text, part) in cases {
            let file: SettingsFile = toml::from_str(&text).unwrap();
            let error = file.check().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = toml::from_str::<SettingsFile>("pasword_file = \"x\"").unwrap_err();
        assert!(
            error.to_string().contains("unknown field `pasword_file`"),
            "{error}"
        );
    }
}
