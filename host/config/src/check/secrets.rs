//! `[secret.NAME]`, `[mail]` and the grants of plugins.

use std::collections::BTreeSet;

use globset::Glob;
use toolpost_core::hosts::HostPattern;
use toolpost_core::template::{Scope, Templates};

use super::names::identifier_fault;
use super::{Checker, list, value};
use crate::config::{Grants, MailConfig, MailLogin, MailTls, SecretConfig, SecretReference};
use crate::raw::{RawGrant, RawMail, RawMailTls, RawSecret};
use crate::suggest;
use crate::tree::At;

/// The names of all secrets, as far as they are known before they are read.
#[derive(Debug, Default)]
pub(super) struct SecretNames {
    pub(super) configured: BTreeSet<String>,
    /// Whether there is a directory, where there may be more.
    pub(super) has_dir: bool,
}

impl SecretNames {
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.configured.contains(name) || (self.has_dir && identifier_fault(name).is_none())
    }
}

impl Checker<'_, '_> {
    pub(super) fn secret(&mut self, name: At<String>, raw: RawSecret) -> Option<SecretConfig> {
        if let Some(fault) = identifier_fault(&name.value) {
            self.report
                .at(name.span, format!("the name of a secret {fault}"));
        }
        let source = match (raw.file, raw.environment) {
            (Some(file), None) => SecretReference::File(self.path(&file.value)),
            (None, Some(variable)) => SecretReference::Environment(variable.value),
            (Some(file), Some(variable)) => {
                self.report
                    .at(variable.span, "the secret is in two places")
                    .related(file.span, "the first is here")
                    .help("keep one of the two");
                return None;
            }
            (None, None) => {
                self.report
                    .at(name.span, "it is not said where the secret is")
                    .help("add `file = \"PATH\"` or `environment = \"VARIABLE\"`");
                return None;
            }
        };
        Some(SecretConfig {
            name: name.value,
            source,
        })
    }

    /// Whether there may be a secret of this name; notes it if not.
    pub(super) fn is_secret(&mut self, name: &At<String>) -> bool {
        if self.secrets.may_have(&name.value) {
            return true;
        }
        let known = &self.secrets.configured;
        self.report
            .at(name.span, format!("there is no secret `{}`", name.value))
            .help_with(|| match known.is_empty() {
                true => Some(format!("add a [secret.{}]", name.value)),
                false => suggest::help(&name.value, "secrets", known.iter().map(String::as_str)),
            });
        false
    }

    pub(super) fn mail(&mut self, raw: RawMail) -> Option<MailConfig> {
        let tls = match value(raw.tls) {
            None | Some(RawMailTls::StartTls) => MailTls::StartTls,
            Some(RawMailTls::Tls) => MailTls::Tls,
            Some(RawMailTls::None) => MailTls::None,
        };
        let port = match raw.port {
            None => Some(tls.port_default()),
            Some(port) => {
                let good = u16::try_from(port.value).ok().filter(|port| *port > 0);
                if good.is_none() {
                    self.report.at(port.span, "is not a port");
                }
                good
            }
        };
        let login = self.mail_login(raw.user, raw.password);
        if let Some(from) = &raw.from
            && !from.value.contains('@')
        {
            self.report
                .at(from.span, format!("`{}` is not an address", from.value))
                .help("write \"ci@example.org\" or \"Farm <ci@example.org>\"");
        }
        Some(MailConfig {
            host: value(raw.host)?,
            port: port?,
            tls,
            login,
            from: value(raw.from)?,
        })
    }

    fn mail_login(
        &mut self,
        user: Option<At<String>>,
        password: Option<At<String>>,
    ) -> Option<MailLogin> {
        let (user, password) = match (user, password) {
            (None, None) => return None,
            (Some(user), Some(password)) => (user, password),
            (Some(one), None) | (None, Some(one)) => {
                self.report
                    .at(one.span, "`user` and `password` belong together")
                    .help("add the other one, or take this one out");
                return None;
            }
        };
        let Some(name) = named_secret(&password.value) else {
            // The text may be a password, so it is not repeated.
            self.report
                .at_hidden(password.span, "a password is not written here")
                .help("put it in a [secret.NAME] and write \"{{ secret.NAME }}\"");
            return None;
        };
        let name = At {
            value: name,
            span: password.span,
        };
        self.is_secret(&name).then_some(MailLogin {
            user: user.value,
            password_secret: name.value,
        })
    }

    pub(super) fn grants(&mut self, raw: RawGrant) -> Grants {
        let secrets = list(raw.secrets);
        self.no_repetition(&secrets);
        let environment = list(raw.environment);
        self.no_repetition(&environment);
        Grants {
            http: self.hosts(list(raw.http)),
            http_private: self.hosts(list(raw.http_private)),
            secrets: secrets
                .into_iter()
                .filter(|name| self.is_secret(name))
                .map(|name| name.value)
                .collect(),
            environment: environment.into_iter().map(|name| name.value).collect(),
            storage: value(raw.storage).unwrap_or(false),
            mail: value(raw.mail).unwrap_or(false),
            trigger: self.builder_patterns(list(raw.trigger)),
            artifacts: self.builder_patterns(list(raw.artifacts)),
        }
    }

    fn builder_patterns(&mut self, patterns: Vec<At<String>>) -> BTreeSet<String> {
        self.no_repetition(&patterns);
        let mut good = BTreeSet::new();
        for pattern in patterns {
            match Glob::new(&pattern.value) {
                Ok(_) => {
                    good.insert(pattern.value);
                }
                Err(error) => {
                    let text = format!("`{}` is not a pattern: {}", pattern.value, error.kind());
                    self.report.at(pattern.span, text);
                }
            }
        }
        good
    }

    fn hosts(&mut self, hosts: Vec<At<String>>) -> BTreeSet<HostPattern> {
        self.no_repetition(&hosts);
        let mut patterns = BTreeSet::new();
        for host in hosts {
            match host.value.parse() {
                Ok(pattern) => {
                    patterns.insert(pattern);
                }
                Err(help) => {
                    let help: toolpost_core::hosts::HostPatternError = help;
                    self.report
                        .at(host.span, format!("`{}` is not a host", host.value))
                        .help(help.to_string());
                }
            }
        }
        patterns
    }
}

/// The secret that a text consists of: `{{ secret.NAME }}` or `{{ secret["NAME"] }}`.
fn named_secret(text: &str) -> Option<String> {
    if !Templates::is_template(text) {
        return None;
    }
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let rest = inner.strip_prefix(Scope::SECRETS)?;
    let name = match rest.strip_prefix('.') {
        Some(name) => name,
        None => rest
            .strip_prefix("[\"")
            .and_then(|rest| rest.strip_suffix("\"]"))?,
    };
    identifier_fault(name).is_none().then(|| name.to_owned())
}
