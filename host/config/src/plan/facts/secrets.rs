//! Secrets (where they are, never what they are), mail, and grants.

use serde_json::json;

use super::{FactList, Facts, fact};
use crate::config::{Grants, MailConfig, MailLogin, SecretConfig, SecretReference};

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
