//! `toolpost token create`, `list` and `revoke`: with which programs act for somebody at a running master, through its API.

use std::io::{Read as _, stdin};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Done;
use super::plugin_remote::{Master, moment, text};
use crate::cli::LoginArgs;
use crate::output::Printer;

/// Where the password is, if not on standard input.
const PASSWORD_VARIABLE: &str = "TOOLPOST_PASSWORD";
/// A longer password is a mistake.
const PASSWORD_BYTES_MAX: u64 = 4 * 1024;

fn log_in(login: &LoginArgs) -> anyhow::Result<Master> {
    let password = match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => password,
        Err(_) => {
            let mut password = String::new();
            let read = stdin()
                .take(PASSWORD_BYTES_MAX)
                .read_to_string(&mut password);
            read.context("read the password from standard input")?;
            password
        }
    };
    let password = password.trim_end_matches(['\r', '\n']);
    ensure!(
        !password.is_empty(),
        "there is no password in {PASSWORD_VARIABLE}, nor on standard input"
    );
    Master::log_in(&login.master.url, &login.user, password)
}

/// Does something as somebody who is logged in for as long as it takes.
fn as_person<T>(
    login: &LoginArgs,
    work: impl FnOnce(&Master) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let master = log_in(login)?;
    let done = work(&master);
    let ended = master.log_out();
    let done = done?;
    ended?;
    Ok(done)
}

/// `toolpost token create`
pub(crate) fn token_create(
    login: &LoginArgs,
    name: &str,
    scope: &[String],
    builders: &[String],
    days: Option<u32>,
    printer: Printer,
) -> Done {
    let params = json!({"name": name, "scope": scope, "builders": builders, "days": days});
    let made = as_person(login, |master| master.call("tokens", "create", &params))?;
    printer.line(text(&made["token"]));
    Ok(())
}

/// `toolpost token list`
pub(crate) fn token_list(login: &LoginArgs, json: bool, printer: Printer) -> Done {
    let answer = as_person(login, |master| master.get("tokens"))?;
    if json {
        printer.line(format_args!("{answer:#}"));
        return Ok(());
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_secs())?;
    for token in answer["tokens"].as_array().into_iter().flatten() {
        printer.line(format_args!(
            "{:<6}{:<24}{:<16}{:<32}{}",
            token["tokenid"],
            text(&token["name"]),
            text(&token["owner"]),
            state(token, now),
            words(&token["actions"]),
        ));
    }
    Ok(())
}

fn state(token: &Value, now_s: i64) -> String {
    match (&token["revoked_at"], &token["expires_at"]) {
        (Value::Null, Value::Null) => "good".to_owned(),
        (Value::Null, end) if end.as_i64().is_some_and(|end| end <= now_s) => {
            format!("ended {}", moment(end))
        }
        (Value::Null, end) => format!("until {}", moment(end)),
        (revoked, _) => format!("revoked {}", moment(revoked)),
    }
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().map(text);
    words.collect::<Vec<_>>().join(" ")
}

/// `toolpost token revoke`
pub(crate) fn token_revoke(login: &LoginArgs, id: i64, printer: Printer) -> Done {
    let path = format!("tokens/{id}");
    as_person(login, |master| master.call(&path, "revoke", &json!({})))?;
    printer.line(format_args!("token {id} is revoked"));
    Ok(())
}
