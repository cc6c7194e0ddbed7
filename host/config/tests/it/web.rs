//! `[web]`: who is let in, and who may do what.

use toolpost_config::config::ProviderKind;
use toolpost_config::diff;
use toolpost_core::access::{Action, Identity, Person, Target};

use crate::catalog::{good, problems};

const AUTH: &str = r#"
[master]
url = "https://ci.example/"

[secret.oidc]
environment = "OIDC"

[web]
proxies = ["127.0.0.1", "10.0.0.0/8"]

[web.auth]
session_lifetime = "1d"

[web.auth.header]
user = "X-User"

[web.auth.user.ada]
password_hash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"
groups = ["ops"]

[web.auth.role.admin]
groups = ["ops"]

[[web.auth.rule]]
actions = ["control"]
builders = ["release-*"]
roles = ["admin"]

[[web.auth.rule]]
actions = ["force"]
roles = ["user"]

[web.auth.provider.company]
kind = "gitlab"
client_id = "farm"
client_secret = "oidc"
"#;

#[test]
fn people_rules_and_providers() {
    let config = good(AUTH);
    let auth = config.web.auth.as_ref().expect("rules");
    assert!(auth.is_https());
    let ada = auth.users["ada"].identity.clone();
    let eve = Identity {
        name: "eve".into(),
        ..Identity::default()
    };
    for (who, builder, expected) in [
        (Some(&ada), "release-1", true),
        (Some(&eve), "release-1", false),
        (Some(&eve), "unit", true),
        (None, "unit", false),
    ] {
        let person = Person {
            identity: who,
            scope: None,
        };
        let target = Target {
            builder: Some(builder),
            ..Target::default()
        };
        let permitted = auth.policy.permits(person, Action::Force, &target);
        assert_eq!(permitted, expected, "{builder}");
    }
    let company = &auth.providers["company"];
    assert_eq!(
        (company.kind, company.issuer.as_str()),
        (ProviderKind::Oidc, "https://gitlab.com")
    );
    assert_eq!(config.web.proxies.len(), 2);
}

#[test]
fn a_plan_shows_no_hash() {
    let old = good(AUTH);
    let plan = diff(&old, &good(&AUTH.replace("aGFzaA", "aGFzaB")));
    let told = plan.to_string();
    assert!(
        told.contains("auth.user.ada") && !told.contains("aGFza"),
        "{told}"
    );
    let plan = diff(&old, &good(""));
    assert!(plan.to_string().contains("~ web server"), "{plan}");
    assert!(diff(&old, &good(AUTH)).is_empty());
}

#[test]
fn what_is_wrong_is_told() {
    let table = [
        (
            "[web]\nproxies = [\"10.0.0.0/99\"]",
            "`10.0.0.0/99` is no address or network",
        ),
        (
            "[web.auth.header]\nuser = \"X-User\"",
            "nobody is believed who says who somebody is",
        ),
        (
            "[web]\nproxies = [\"::1\"]\n[web.auth.header]\nuser = \"X User\"",
            "this is not the name of a header",
        ),
        (
            "[web.auth.user.\"a:b\"]\npassword_hash = \"$argon2id$x\"",
            "the name of a user cannot be empty",
        ),
        (
            "[web.auth.user.ada]\npassword_hash = \"hunter2\"",
            "this is not a hash of Argon2",
        ),
        (
            "[web.auth.role.anyone]\nusers = [\"x\"]",
            "everybody knows who has the role `anyone`",
        ),
        ("[web.auth.role.x]\nusers = [\"[\"]", "`[` is not a pattern"),
        (
            "[[web.auth.rule]]\nroles = [\"admn\"]\nactions = [\"view\"]",
            "there is no role `admn`",
        ),
        (
            "[[web.auth.rule]]\nroles = [\"user\"]\nactions = [\"stopp\"]",
            "there is no action `stopp`",
        ),
        (
            "[web.auth]\nsession_idle = \"0s\"",
            "nobody could stay logged in for no time",
        ),
        (
            "[web.auth.provider.x]\nkind = \"oidc\"\nclient_id = \"y\"",
            "it is not said where this provider is",
        ),
        (
            "[web.auth.provider.x]\nkind = \"google\"\nclient_id = \"y\"",
            "whoever has an account there could do everything here",
        ),
        (
            "[web.auth.provider.x]\nkind = \"oidc\"\nissuer = \"http://evil.example\"\nclient_id = \"y\"\nallow_groups = [\"z\"]",
            "expected an address that starts with https://",
        ),
        (
            "[web.auth.provider.x]\nkind = \"google\"\nclient_id = \"y\"\nclient_secret = \"z\"\nallow_groups = [\"z\"]",
            "there is no secret `z`",
        ),
        ("[web]\nrequests_per_second = 0", "must be at least 1"),
    ];
    for (text, expected) in table {
        let told = problems(text);
        assert!(told.contains(expected), "{text}\n{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let local = "[web.auth.provider.x]\nkind = \"oidc\"\nissuer = \"http://127.0.0.1:80/x\"\nclient_id = \"y\"\nallow_groups = [\"z\"]";
    good(local);
}
