//! `[web]`: who is let in, and who may do what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use toolpost_core::access::{
    Action, BUILT_IN_ROLES, Identity, NamePattern, Otherwise, Policy, Role, Rule,
};

use super::names::identifier_fault;
use super::{Checker, list, texts, value};
use crate::config::{
    AuthConfig, HeaderConfig, MasterConfig, ProviderConfig, ProviderKind, UserConfig, WebConfig,
};
use crate::decode::{HumanDuration, Keyed};
use crate::raw::{
    RawAuth, RawAuthHeader, RawOtherwise, RawProvider, RawProviderKind, RawRole, RawRule, RawUser,
    RawWeb,
};
use crate::suggest;
use crate::tree::At;

/// What stands for all actions that make the farm do something.
const CONTROL: &str = "control";
/// What stands for all actions.
const ALL: &str = "all";

const GOOGLE: &str = "https://accounts.google.com";
const GITLAB: &str = "https://gitlab.com";
const GITHUB: &str = "https://github.com";

impl Checker<'_, '_> {
    pub(super) fn web(&mut self, raw: RawWeb, master: &MasterConfig) -> WebConfig {
        let proxies = self.networks(list(raw.proxies));
        let auth = raw.auth.map(|auth| {
            let header = auth.value.header.as_ref().map(|header| header.span);
            if let (Some(span), true) = (header, proxies.is_empty()) {
                self.report
                    .at(span, "nobody is believed who says who somebody is")
                    .help("add `proxies = [\"127.0.0.1\"]` to [web], with the addresses of the reverse proxy");
            }
            Arc::new(self.auth(auth.value, master))
        });
        WebConfig {
            ui: self.ui(raw.ui, raw.ui_plugins, raw.ui_default_config),
            auth,
            proxies,
            requests_per_second: self.at_least_one(raw.requests_per_second),
        }
    }

    fn networks(&mut self, written: Vec<At<String>>) -> Vec<IpNet> {
        self.no_repetition(&written);
        let mut networks = Vec::new();
        for text in written {
            let address = text.value.parse::<std::net::IpAddr>().map(IpNet::from);
            match address.or_else(|_| text.value.parse()) {
                Ok(network) => networks.push(network),
                Err(_) => {
                    self.report
                        .at(
                            text.span,
                            format!("`{}` is no address or network", text.value),
                        )
                        .help("write it like \"127.0.0.1\", \"10.0.0.0/8\" or \"fd00::/8\"");
                }
            }
        }
        networks
    }

    fn auth(&mut self, raw: RawAuth, master: &MasterConfig) -> AuthConfig {
        let roles = self.roles(value(raw.role).unwrap_or_default());
        let rules = self.rules(list(raw.rule), &roles);
        let users = self.users(value(raw.user).unwrap_or_default());
        let providers = self.providers(value(raw.provider).unwrap_or_default(), rules.is_empty());
        AuthConfig {
            policy: Policy { roles, rules },
            users,
            users_file: raw.users_file.map(|file| self.path(&file.value)),
            providers,
            header: value(raw.header).and_then(|header| self.header(header)),
            session_lifetime: self
                .lasting(raw.session_lifetime, AuthConfig::SESSION_LIFETIME_DEFAULT),
            session_idle: self.lasting(raw.session_idle, AuthConfig::SESSION_IDLE_DEFAULT),
            audit_entries_max: self
                .at_least_one(raw.audit_entries_max)
                .unwrap_or(AuthConfig::AUDIT_ENTRIES_DEFAULT),
            url: master.url.clone(),
            ca_file: master.ca_file.clone(),
        }
    }

    fn lasting(
        &mut self,
        given: Option<At<HumanDuration>>,
        default: std::time::Duration,
    ) -> std::time::Duration {
        let Some(given) = given else { return default };
        if given.value.0.is_zero() {
            self.report
                .at(given.span, "nobody could stay logged in for no time");
        }
        given.value.0
    }

    fn users(&mut self, raw: Keyed<RawUser>) -> BTreeMap<String, UserConfig> {
        let mut users = BTreeMap::new();
        for (name, (span, user)) in raw.0 {
            if name.is_empty() || name.contains([':', '/']) || name.chars().any(char::is_control) {
                self.report.at(
                    span,
                    "the name of a user cannot be empty or have `:` or `/` in it",
                );
            }
            let user = user.value;
            let Some(hash) = user.password_hash else {
                continue;
            };
            if !hash.value.starts_with("$argon2") {
                // It may be a password.
                self.report
                    .at_hidden(hash.span, "this is not a hash of Argon2")
                    .help("make one with `toolpost hash-password`");
            }
            let identity = Identity {
                name: name.clone(),
                full_name: value(user.full_name),
                email: value(user.email),
                groups: texts(list(user.groups)).into_iter().collect(),
            };
            let user = UserConfig {
                identity,
                password_hash: hash.value,
            };
            users.insert(name, user);
        }
        users
    }

    fn name_patterns(&mut self, written: Option<At<Vec<At<String>>>>) -> Vec<NamePattern> {
        let written = list(written);
        self.no_repetition(&written);
        let mut patterns = Vec::new();
        for text in written {
            match NamePattern::new(text.value.as_str()) {
                Ok(pattern) => patterns.push(pattern),
                Err(fault) => {
                    let message = format!("`{}` is not a pattern: {fault}", text.value);
                    self.report.at(text.span, message);
                }
            }
        }
        patterns
    }

    fn roles(&mut self, raw: Keyed<RawRole>) -> Vec<Role> {
        let mut roles = Vec::new();
        for (name, (span, role)) in raw.0 {
            if let Some(fault) = identifier_fault(&name) {
                self.report.at(span, format!("the name of a role {fault}"));
            }
            if BUILT_IN_ROLES.contains(&name.as_str()) {
                self.report
                    .at(span, format!("everybody knows who has the role `{name}`"))
                    .help("give yours another name");
            }
            let role = role.value;
            roles.push(Role {
                name,
                users: self.name_patterns(role.users),
                groups: self.name_patterns(role.groups),
                emails: self.name_patterns(role.emails),
            });
        }
        roles.sort_by(|one, other| one.name.cmp(&other.name));
        roles
    }

    fn rules(&mut self, raw: Vec<At<RawRule>>, roles: &[Role]) -> Vec<Rule> {
        let known: Vec<&str> = BUILT_IN_ROLES
            .into_iter()
            .chain(roles.iter().map(|role| role.name.as_str()))
            .collect();
        let mut rules = Vec::new();
        for rule in raw {
            let rule = rule.value;
            let mut named = BTreeSet::new();
            for role in list(rule.roles) {
                if known.contains(&role.value.as_str()) {
                    named.insert(role.value);
                    continue;
                }
                self.report
                    .at(role.span, format!("there is no role `{}`", role.value))
                    .help_with(|| suggest::help(&role.value, "roles", known.iter().copied()));
            }
            rules.push(Rule {
                actions: self.actions(list(rule.actions)),
                builders: self.name_patterns(rule.builders),
                tags: self.name_patterns(rule.tags),
                projects: self.name_patterns(rule.projects),
                workers: self.name_patterns(rule.workers),
                schedulers: self.name_patterns(rule.schedulers),
                roles: named,
                otherwise: match value(rule.otherwise) {
                    Some(RawOtherwise::Next) => Otherwise::Next,
                    Some(RawOtherwise::Refuse) | None => Otherwise::Refuse,
                },
            });
        }
        rules
    }

    fn actions(&mut self, written: Vec<At<String>>) -> BTreeSet<Action> {
        let mut actions = BTreeSet::new();
        for word in written {
            match (word.value.as_str(), Action::from_name(&word.value)) {
                (ALL, _) => actions.extend(Action::ALL),
                (CONTROL, _) => {
                    actions.extend(Action::ALL.iter().filter(|action| action.is_control()));
                }
                (_, Some(action)) => {
                    actions.insert(action);
                }
                (_, None) => {
                    let names = Action::ALL.iter().map(|action| action.name());
                    let names = names.chain([CONTROL, ALL]);
                    self.report
                        .at(word.span, format!("there is no action `{}`", word.value))
                        .help_with(|| suggest::help(&word.value, "actions", names));
                }
            }
        }
        actions
    }

    fn providers(
        &mut self,
        raw: Keyed<RawProvider>,
        no_rules: bool,
    ) -> BTreeMap<String, ProviderConfig> {
        let mut providers = BTreeMap::new();
        for (name, (span, raw)) in raw.0 {
            if let Some(fault) = identifier_fault(&name) {
                self.report
                    .at(span, format!("the name of a provider {fault}"));
            }
            let named = At {
                value: name.clone(),
                span,
            };
            let Some(provider) = self.provider(&named, raw.value) else {
                continue;
            };
            if no_rules && provider.allow_emails.is_empty() && provider.allow_groups.is_empty() {
                self.report
                    .at(span, "whoever has an account there could do everything here")
                    .help("add `allow_emails` or `allow_groups`, or say with a [[web.auth.rule]] who may do what");
            }
            providers.insert(name, provider);
        }
        providers
    }

    fn provider(&mut self, name: &At<String>, raw: RawProvider) -> Option<ProviderConfig> {
        let kind = value(raw.kind)?;
        let issuer = match (kind, &raw.issuer) {
            (_, Some(issuer)) => {
                self.provider_address(issuer);
                issuer.value.clone()
            }
            (RawProviderKind::Google, None) => GOOGLE.into(),
            (RawProviderKind::GitLab, None) => GITLAB.into(),
            (RawProviderKind::GitHub, None) => GITHUB.into(),
            (RawProviderKind::Oidc, None) => {
                self.report
                    .at(name.span, "it is not said where this provider is")
                    .help("add `issuer = \"https://...\"`");
                return None;
            }
        };
        let kind = match kind {
            RawProviderKind::GitHub => ProviderKind::GitHub,
            _ => ProviderKind::Oidc,
        };
        let scopes = match (raw.scopes, kind) {
            (Some(scopes), _) => texts(scopes.value),
            (None, ProviderKind::Oidc) => vec!["profile".into(), "email".into()],
            (None, ProviderKind::GitHub) => vec!["read:org".into(), "user:email".into()],
        };
        let client_secret = raw
            .client_secret
            .filter(|secret| self.is_secret(secret))
            .map(|secret| secret.value);
        Some(ProviderConfig {
            kind,
            issuer,
            client_id: value(raw.client_id)?,
            client_secret,
            label: value(raw.label).unwrap_or_else(|| name.value.clone()),
            scopes,
            groups_claim: value(raw.groups_claim).unwrap_or_else(|| "groups".into()),
            name_claim: value(raw.name_claim),
            trust_email: value(raw.trust_email).unwrap_or(false),
            allow_emails: self.name_patterns(raw.allow_emails),
            allow_groups: self.name_patterns(raw.allow_groups),
        })
    }

    /// Secrets go there, so it has to be encrypted, unless it stays on this machine.
    fn provider_address(&mut self, issuer: &At<String>) {
        let rest = issuer.value.strip_prefix("http://");
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let is_local = host.is_some_and(|host| {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            ["localhost", "127.0.0.1", "[::1]"].contains(&name)
        });
        if !issuer.value.starts_with("https://") && !is_local {
            self.report
                .at(issuer.span, "expected an address that starts with https://")
                .help("people's names and a secret are sent there");
        }
    }

    fn header(&mut self, raw: RawAuthHeader) -> Option<HeaderConfig> {
        let mut name = |written: Option<At<String>>| {
            let written = written?;
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if written.value.is_empty() || !written.value.bytes().all(good) {
                self.report
                    .at(written.span, "this is not the name of a header")
                    .help("write it like \"X-Forwarded-User\"");
            }
            Some(written.value.to_ascii_lowercase())
        };
        Some(HeaderConfig {
            email: name(raw.email),
            full_name: name(raw.full_name),
            groups: name(raw.groups),
            user: name(raw.user)?,
        })
    }
}
