//! Secrets (where they are, never what they are), mail, and grants.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use super::{FactList, Facts, fact};
use crate::config::{Grants, MailConfig, MailLogin, SecretConfig, SecretReference, WorkerPassword};

/// How a worker's password is known. What is written down is not shown, only whether it is the same.
pub(super) fn password(password: &WorkerPassword) -> (String, Value) {
    match password {
        WorkerPassword::Secret(name) => fact("password_secret", name.as_str()),
        WorkerPassword::Reference(SecretReference::File(path)) => {
            fact("password_file", path.display().to_string())
        }
        WorkerPassword::Reference(SecretReference::Environment(name)) => {
            fact("password_env", name.as_str())
        }
        WorkerPassword::Hash(hash) => fact("password_hash", hidden(hash)),
        WorkerPassword::Plain(plain) => fact("password", hidden(plain.expose())),
    }
}

/// Stands for a text: few enough bits that nobody can guess it from them.
pub(super) fn hidden(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("*** ({:04x})", hasher.finish() & 0xffff)
}

impl Facts for SecretConfig {
    fn facts(&self) -> FactList {
        let Self { name: _, source } = self;
        vec![match source {
            SecretReference::File(path) => fact("file", path.display().to_string()),
            SecretReference::Environment(variable) => fact("environment", variable.as_str()),
        }]
    }
}

impl Facts for MailConfig {
    fn facts(&self) -> FactList {
        let Self {
            host,
            port,
            tls,
            login,
            from,
        } = self;
        let (user, password) = match login {
            Some(MailLogin {
                user,
                password_secret,
            }) => (
                Some(user.clone()),
                Some(format!("{{{{ secret.{password_secret} }}}}")),
            ),
            None => (None, None),
        };
        vec![
            fact("host", host.as_str()),
            fact("port", *port),
            fact("tls", tls.as_str()),
            fact("user", user),
            fact("password", password),
            fact("from", from.as_str()),
        ]
    }
}

/// The settings below `grant`.
pub(super) fn grants(grants: &Grants) -> FactList {
    let Grants {
        http,
        http_private,
        secrets,
        environment,
        storage,
        mail,
        trigger,
        artifacts,
    } = grants;
    let texts = |hosts: &std::collections::BTreeSet<_>| -> Vec<String> {
        hosts
            .iter()
            .map(toolpost_core::hosts::HostPattern::to_string)
            .collect()
    };
    vec![
        fact("grant.http", texts(http)),
        fact("grant.http_private", texts(http_private)),
        fact("grant.secrets", json!(secrets)),
        fact("grant.environment", json!(environment)),
        fact("grant.storage", *storage),
        fact("grant.mail", *mail),
        fact("grant.trigger", json!(trigger)),
        fact("grant.artifacts", json!(artifacts)),
    ]
}
