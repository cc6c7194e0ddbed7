//! Who asks, and what they may do: sessions, passwords, tokens, headers of proxies; rules applied to every answer, every event and every
//! action; and the record of what was done.
//!
//! Each request passes the [`gate`], which finds out who sent it and whether they may come through that door; every door is listed in
//! [`doors`], and one that is not listed is closed. What belongs to single builders is looked at through a [`Sight`]; whatever makes
//! the farm do something goes through [`Acting`], which asks the rules and writes the audit log. Where nothing is configured, everybody
//! may do everything, as on a farm that only its own people reach.
//!
//! Invariant: a secret that somebody shows (a password, a session's id, a token) is in no log, page, error or column; the store knows hashes.

mod acting;
mod audit;
mod caller;
pub(crate) mod doors;
mod gate;
mod limits;
mod login;
mod oidc;
mod passwords;
mod proof;
mod sight;
mod tokens;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use toolpost_config::config::{AuthConfig, WebConfig};

pub(crate) use acting::Acting;
pub(crate) use audit::{json as audit_json, page as audit_page};
pub(crate) use caller::Caller;
pub(crate) use gate::gate;
pub(crate) use login::{own_page, routes};
pub(crate) use proof::cookie_name;
pub(crate) use sight::{Pass, Sight};
pub(crate) use tokens::{
    BUILDERS_MAX, DAYS_MAX, LABEL_CHARS_MAX, create as create_token, json as tokens_json,
    revoke as revoke_token,
};

use crate::state::Web;

/// What is remembered between requests; nothing of it has to survive a restart.
#[derive(Default)]
pub(crate) struct Auth {
    /// Whether the configuration of the master runs.
    has_started: AtomicBool,
    limits: limits::Limits,
    logins: oidc::Logins,
    passwords: passwords::Passwords,
    proofs: proof::Proofs,
    users: users::UsersFile,
    builders: sight::KnownBuilders,
}

impl Web {
    /// How the web server is configured: as the files said at the start, until the master works.
    pub(crate) fn settings(&self) -> Arc<WebConfig> {
        if !self.auth.has_started.load(Ordering::Acquire) {
            if self.master.health().starting {
                return Arc::clone(&self.options.web);
            }
            self.auth.has_started.store(true, Ordering::Release);
        }
        self.master.web()
    }

    /// Who may do what; `None` when everybody may do everything.
    pub(crate) fn rules(&self) -> Option<Arc<AuthConfig>> {
        self.settings().auth.clone()
    }
}

/// A secret that nobody can guess, in hexadecimal digits.
fn new_secret() -> String {
    let parts: [u128; 2] = [rand::random(), rand::random()];
    format!("{:032x}{:032x}", parts[0], parts[1])
}
