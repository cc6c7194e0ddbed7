//! Who people are, and what they may do.

mod attacks;
mod login;
mod matrix;
mod oidc;
mod sight;
mod tokens;

use std::fmt::Write as _;
use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::{Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use toolpost_config::config::WebConfig;
use toolpost_config::{Sources, check_web};

use crate::support::{Answer, Asker, TestFarm, build, step};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse";

/// Rules of a farm where most people see most builders, and those of the project `manuals`, which `docs` is, are for few.
const RULES: &str = r#"
[web.auth.role.admin]
groups = ["ops"]

[web.auth.role.insider]
emails = ["ivy@*"]

[[web.auth.rule]]
actions = ["view"]
projects = ["manual*"]
roles = ["admin", "insider"]

[[web.auth.rule]]
actions = ["rebuild", "enable-scheduler"]
builders = ["docs"]
projects = ["manuals"]
roles = ["admin", "insider"]

[[web.auth.rule]]
actions = ["force", "cancel"]
roles = ["user"]

[[web.auth.rule]]
actions = ["stop"]
roles = ["owner", "admin"]
"#;

/// A hash of [`PASSWORD`] that takes no time.
fn hash() -> String {
    let params = Params::new(8, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(PASSWORD.as_bytes());
    hash.expect("a hash").to_string()
}

/// The users eve, ada, ivy and root, who is in the group `ops`.
pub(crate) fn users() -> String {
    let mut users = String::new();
    for (name, groups) in [("eve", ""), ("ada", ""), ("ivy", ""), ("root", "\"ops\"")] {
        writeln!(
            users,
            "[web.auth.user.{name}]\nemail = \"{name}@example.org\"\npassword_hash = \"{}\"\ngroups = [{groups}]",
            hash()
        )
        .expect("a text");
    }
    users
}

/// `[web]` of a text.
pub(crate) fn settings(text: &str) -> Arc<WebConfig> {
    let sources = Sources::from_texts("/farm", [("toolpost.toml", text)]);
    check_web(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A farm with these rules and the four users; ada owns the build of `unit`, ivy that of `docs`.
async fn farm_with(rules: &str) -> TestFarm {
    let farm = TestFarm::new().await;
    farm.in_project("docs", "manuals").await;
    for (builder, owner) in [("unit", "ada"), ("docs", "ivy")] {
        let mut spec = build(builder).runs();
        let owner = format!("{owner}@example.org");
        spec.properties.set("owner", owner, "Force Build Form");
        let spec = spec.step(step("compile").log("stdio", format!("output of {builder}\n")));
        farm.build(spec).await;
        farm.request(&build(builder)).await;
    }
    farm.master.said().web = settings(&format!("{}\n{rules}", users()));
    farm
}

async fn farm() -> TestFarm {
    farm_with(RULES).await
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// The cookie that an answer sets, as a browser sends it.
pub(crate) fn cookie_of(answer: &Answer) -> String {
    let set = answer.header(header::SET_COOKIE);
    let pair = set.split(';').next().unwrap_or_default();
    assert!(pair.contains('='), "{} {set:?}", answer.shown());
    pair.to_owned()
}

/// Logs somebody in as Buildbot's clients do.
async fn log_in(farm: &TestFarm, name: &str) -> String {
    let shown = basic(name, PASSWORD);
    let answer = farm
        .get_with("/auth/login", &[("authorization", &shown)])
        .await;
    assert_eq!(answer.status, 302, "{}", answer.shown());
    cookie_of(&answer)
}

/// A call of an action by somebody who shows this.
pub(crate) async fn call_as(
    farm: &TestFarm,
    shown: (&str, &str),
    path: &str,
    method: &str,
    params: Value,
) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let headers = [("content-type", "application/json"), shown];
    farm.send(Method::POST, path, &headers, &body.to_string())
        .await
}

async fn get_as(farm: &TestFarm, shown: (&str, &str), path: &str) -> Answer {
    farm.get_with(path, &[("accept", "application/json"), shown])
        .await
}

/// Makes a token of somebody.
async fn token_of(farm: &TestFarm, name: &str, params: Value) -> String {
    let cookie = log_in(farm, name).await;
    let made = call_as(
        farm,
        ("cookie", &cookie),
        "/api/v2/tokens",
        "create",
        params,
    )
    .await;
    let made = made.json();
    let token = made["result"]["token"].as_str();
    format!("Bearer {}", token.unwrap_or_else(|| panic!("{made}")))
}
