//! `[web.auth]`: who people are, and what they may do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toolpost_core::access::{Identity, NamePattern, Policy};

/// `[web.auth]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthConfig {
    /// Roles and rules.
    pub policy: Policy,
    /// People with passwords, by name.
    pub users: BTreeMap<String, UserConfig>,
    /// A file with more of them.
    pub users_file: Option<PathBuf>,
    /// Where else people log in, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Headers of reverse proxies.
    pub header: Option<HeaderConfig>,
    /// How long somebody stays logged in at most.
    pub session_lifetime: Duration,
    /// How long somebody stays logged in who asks for nothing.
    pub session_idle: Duration,
    /// Entries of the audit log.
    pub audit_entries_max: u32,
    /// Where people reach the pages; ends with a slash.
    pub url: String,
    /// Certificates of authorities that providers are trusted by, beside those of the system.
    pub ca_file: Option<PathBuf>,
}

impl AuthConfig {
    /// What `session_lifetime` is when nothing else is said.
    pub const SESSION_LIFETIME_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3_600);
    /// What `session_idle` is when nothing else is said.
    pub const SESSION_IDLE_DEFAULT: Duration = Duration::from_secs(2 * 24 * 3_600);
    /// What `audit_entries_max` is when nothing else is said.
    pub const AUDIT_ENTRIES_DEFAULT: u32 = 100_000;

    /// Whether browsers reach the pages over an encrypted connection only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// Somebody with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConfig {
    /// Who.
    pub identity: Identity,
    /// A hash of the password, in the PHC format of Argon2.
    pub password_hash: String,
}

/// Where people log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// What it speaks.
    pub kind: ProviderKind,
    /// Its address; without a slash at the end where the configuration has none.
    pub issuer: String,
    /// What this farm is called there.
    pub client_id: String,
    /// Name of the secret that it was given there.
    pub client_secret: Option<String>,
    /// What the button says.
    pub label: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Claim that holds the groups.
    pub groups_claim: String,
    /// Claim that holds the name.
    pub name_claim: Option<String>,
    /// Whether addresses that are not verified are believed.
    pub trust_email: bool,
    /// Addresses that are let in.
    pub allow_emails: Vec<NamePattern>,
    /// Groups that are let in.
    pub allow_groups: Vec<NamePattern>,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect with discovery.
    Oidc,
    /// GitHub's OAuth 2, which has no identity token.
    GitHub,
}

impl ProviderConfig {
    /// Whether somebody may log in at all.
    #[must_use]
    pub fn lets_in(&self, identity: &Identity) -> bool {
        let has =
            |patterns: &[NamePattern], name: &str| toolpost_core::access::any_fits(patterns, name);
        let email = identity.email.as_deref();
        (self.allow_emails.is_empty() && self.allow_groups.is_empty())
            || email.is_some_and(|email| has(&self.allow_emails, email))
            || identity
                .groups
                .iter()
                .any(|group| has(&self.allow_groups, group))
    }
}

/// Headers in which a reverse proxy says who somebody is, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderConfig {
    /// The name.
    pub user: String,
    /// The address.
    pub email: Option<String>,
    /// What people call them.
    pub full_name: Option<String>,
    /// Their groups.
    pub groups: Option<String>,
}
