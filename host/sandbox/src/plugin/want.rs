//! What a plugin asks the operator for.

use std::fmt;

/// Something that only the operator can grant, in the plugin's section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// HTTP requests to this host (`chat.example.org`, with a port or without); `*`: to hosts that the operator names.
    Http(String),
    /// The secret of this name; `*`: secrets that the operator names.
    Secret(String),
    /// This variable of the master's environment.
    Environment(String),
    /// Values that outlive a call.
    Storage,
    /// Mail through the master's server.
    Mail,
    /// Builds of this builder; `*`: of builders that the operator names.
    Trigger(String),
    /// Reading what builds of this builder have kept; `*`: of builders that the operator names.
    Artifacts(String),
}

/// What stands for all names of a kind.
const ANY: &str = "*";

impl Want {
    /// Whether whoever asks for this has asked for `need` as well.
    #[must_use]
    pub fn covers(&self, need: &Self) -> bool {
        match (self, need) {
            (Self::Secret(any), Self::Secret(_))
            | (Self::Trigger(any), Self::Trigger(_))
            | (Self::Artifacts(any), Self::Artifacts(_))
                if any == ANY =>
            {
                true
            }
            _ => self == need,
        }
    }

    /// How the contract names it in `wants`.
    pub(crate) fn capability(&self) -> String {
        match self {
            Self::Http(host) => format!("http-host({host:?})"),
            Self::Secret(name) => format!("secret({name:?})"),
            Self::Environment(name) => format!("environment({name:?})"),
            Self::Storage => "storage".into(),
            Self::Mail => "mail".into(),
            Self::Trigger(builder) => format!("trigger({builder:?})"),
            Self::Artifacts(builder) => format!("artifacts({builder:?})"),
        }
    }

    /// What grants it in the section of the plugin.
    pub(crate) fn setting(&self) -> String {
        match self {
            Self::Http(host) => format!("grant.http = [{host:?}]"),
            Self::Secret(name) => format!("grant.secrets = [{name:?}]"),
            Self::Environment(name) => format!("grant.environment = [{name:?}]"),
            Self::Storage => "grant.storage = true".into(),
            Self::Mail => "grant.mail = true".into(),
            Self::Trigger(builder) => format!("grant.trigger = [{builder:?}]"),
            Self::Artifacts(builder) => format!("grant.artifacts = [{builder:?}]"),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host) if host == ANY => f.write_str("HTTP requests to hosts that you name"),
            Self::Http(host) => write!(f, "HTTP requests to `{host}`"),
            Self::Secret(name) if name == ANY => f.write_str("secrets that you name"),
            Self::Secret(name) => write!(f, "the secret `{name}`"),
            Self::Environment(name) => write!(f, "the environment variable `{name}`"),
            Self::Storage => f.write_str("storage"),
            Self::Mail => f.write_str("mail"),
            Self::Trigger(builder) if builder == ANY => {
                f.write_str("builds of builders that you name")
            }
            Self::Trigger(builder) => write!(f, "builds of the builder `{builder}`"),
            Self::Artifacts(builder) if builder == ANY => {
                f.write_str("artifacts of builders that you name")
            }
            Self::Artifacts(builder) => write!(f, "artifacts of the builder `{builder}`"),
        }
    }
}
