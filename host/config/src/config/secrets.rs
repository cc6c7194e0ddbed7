//! Secrets, mail, and what plugins may do with them.

use std::collections::BTreeSet;

use globset::Glob;
use toolpost_core::hosts::HostPattern;

use super::SecretReference;

/// `[secret.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretConfig {
    /// Unique name.
    pub name: String,
    /// Where its value is found; the configuration never holds it.
    pub source: SecretReference,
}

/// `[mail]`: the server that plugins send mail through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: MailTls,
    /// User name and the name of the secret that is its password.
    pub login: Option<MailLogin>,
    /// Who mail is from.
    pub from: String,
}

/// Who a mail server takes the master for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailLogin {
    /// User name.
    pub user: String,
    /// Name of the secret that is its password.
    pub password_secret: String,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailTls {
    /// In the clear first, then encrypted; a server that cannot is refused.
    StartTls,
    /// Encrypted from the first byte on.
    Tls,
    /// In the clear.
    None,
}

impl MailTls {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
            Self::None => "none",
        }
    }

    /// The port that servers have for it.
    #[must_use]
    pub const fn port_default(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// What a plugin may do beyond computing. The default is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Hosts that it may call over HTTP, if they have public addresses or are addresses.
    pub http: BTreeSet<HostPattern>,
    /// Hosts that it may call whatever addresses they have.
    pub http_private: BTreeSet<HostPattern>,
    /// Secrets that it may use.
    pub secrets: BTreeSet<String>,
    /// Variables of the master's environment that it may read.
    pub environment: BTreeSet<String>,
    /// Whether it may keep values that outlive a call.
    pub storage: bool,
    /// Whether it may send mail.
    pub mail: bool,
    /// Builders that its steps may ask for builds: names, or patterns as `globset` has them.
    pub trigger: BTreeSet<String>,
    /// Builders whose artifacts its steps may read, beside the builder of the step: the same.
    pub artifacts: BTreeSet<String>,
}

impl Grants {
    /// Whether its steps may ask for builds of this builder.
    #[must_use]
    pub fn may_trigger(&self, builder: &str) -> bool {
        is_named(&self.trigger, builder)
    }

    /// Whether its steps may read artifacts of this builder, which is another than theirs.
    #[must_use]
    pub fn may_read_artifacts(&self, builder: &str) -> bool {
        is_named(&self.artifacts, builder)
    }

    /// All hosts that it may call.
    pub fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.http.iter().chain(&self.http_private)
    }
}

fn is_named(patterns: &BTreeSet<String>, builder: &str) -> bool {
    // The check has refused what is no pattern.
    let mut patterns = patterns.iter().filter_map(|text| Glob::new(text).ok());
    patterns.any(|pattern| pattern.compile_matcher().is_match(builder))
}
