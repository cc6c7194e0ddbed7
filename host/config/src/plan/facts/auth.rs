//! `[web.auth]`: hashes of passwords are not shown, only whether they are the same.

use serde_json::{Value, json};
use toolpost_core::access::{NamePattern, Otherwise, Policy, Role, Rule};

use super::{FactList, duration, fact, secrets};
use crate::config::{AuthConfig, HeaderConfig, ProviderConfig, ProviderKind, UserConfig};

pub(super) fn facts(auth: &AuthConfig) -> FactList {
    let AuthConfig {
        policy: Policy { roles, rules },
        users,
        users_file,
        providers,
        header,
        session_lifetime,
        session_idle,
        audit_entries_max,
        // They are settings of the master, and told there.
        url: _,
        ca_file: _,
    } = auth;
    let mut facts = vec![
        fact(
            "auth.users_file",
            users_file.as_ref().map(|file| file.display().to_string()),
        ),
        fact("auth.session_lifetime", duration(*session_lifetime)),
        fact("auth.session_idle", duration(*session_idle)),
        fact("auth.audit_entries_max", *audit_entries_max),
        fact("auth.header", header.as_ref().map(header_json)),
        fact("auth.rule", rules.iter().map(rule_json).collect::<Value>()),
    ];
    let of_users = users.iter().map(|(name, user)| {
        let UserConfig {
            identity,
            password_hash,
        } = user;
        let shown = json!({
            "email": identity.email,
            "full_name": identity.full_name,
            "groups": identity.groups,
            "password_hash": secrets::hidden(password_hash),
        });
        (format!("auth.user.{name}"), shown)
    });
    facts.extend(of_users);
    facts.extend(roles.iter().map(role_fact));
    let of_providers = providers.iter();
    facts.extend(
        of_providers
            .map(|(name, provider)| (format!("auth.provider.{name}"), provider_json(provider))),
    );
    facts
}

fn names(patterns: &[NamePattern]) -> Vec<&str> {
    patterns.iter().map(NamePattern::as_str).collect()
}

fn role_fact(role: &Role) -> (String, Value) {
    let Role {
        name,
        users,
        groups,
        emails,
    } = role;
    let shown = json!({ "users": names(users), "groups": names(groups), "emails": names(emails) });
    (format!("auth.role.{name}"), shown)
}

fn rule_json(rule: &Rule) -> Value {
    let Rule {
        actions,
        builders,
        tags,
        projects,
        workers,
        schedulers,
        roles,
        otherwise,
    } = rule;
    let actions: Vec<&str> = actions.iter().map(|action| action.name()).collect();
    json!({
        "actions": actions,
        "builders": names(builders),
        "tags": names(tags),
        "projects": names(projects),
        "workers": names(workers),
        "schedulers": names(schedulers),
        "roles": roles,
        "otherwise": match otherwise { Otherwise::Refuse => "refuse", Otherwise::Next => "next" },
    })
}

fn header_json(header: &HeaderConfig) -> Value {
    let HeaderConfig {
        user,
        email,
        full_name,
        groups,
    } = header;
    json!({ "user": user, "email": email, "full_name": full_name, "groups": groups })
}

fn provider_json(provider: &ProviderConfig) -> Value {
    let ProviderConfig {
        kind,
        issuer,
        client_id,
        client_secret,
        label,
        scopes,
        groups_claim,
        name_claim,
        trust_email,
        allow_emails,
        allow_groups,
    } = provider;
    json!({
        "kind": match kind { ProviderKind::Oidc => "oidc", ProviderKind::GitHub => "github" },
        "issuer": issuer,
        "client_id": client_id,
        "client_secret": client_secret,
        "label": label,
        "scopes": scopes,
        "groups_claim": groups_claim,
        "name_claim": name_claim,
        "trust_email": trust_email,
        "allow_emails": names(allow_emails),
        "allow_groups": names(allow_groups),
    })
}
