//! `toolpost plugin list`, `history`, `reload` and `rollback`: the plugins of a running master, through its API.

use anyhow::{Context as _, bail, ensure};
use reqwest::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::Done;
use crate::output::Printer;

/// A running master.
pub(super) struct Master {
    runtime: tokio::runtime::Runtime,
    url: String,
    /// What is sent with each request to say who asks.
    headers: HeaderMap,
}

/// Where a token is, for masters at which people log in.
const TOKEN_VARIABLE: &str = "TOOLPOST_TOKEN";

impl Master {
    pub(super) fn at(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut headers = HeaderMap::new();
        if let Ok(token) = std::env::var(TOKEN_VARIABLE) {
            let shown = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
            let mut shown = shown.with_context(|| format!("{TOKEN_VARIABLE} holds no token"))?;
            shown.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, shown);
        }
        Ok(Self {
            runtime,
            url: format!("{}/api/v2", url.trim_end_matches('/')),
            headers,
        })
    }

    /// The same for somebody who logs in with a password.
    pub(super) fn log_in(url: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        let mut master = Self::at(url)?;
        master.headers.clear();
        let address = format!("{}/auth/login", url.trim_end_matches('/'));
        let no_redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(no_redirects).build()?;
        let asked = client.get(&address).basic_auth(user, Some(password)).send();
        let answer = master
            .runtime
            .block_on(asked)
            .with_context(|| master.unreachable())?;
        let status = answer.status();
        ensure!(
            status != 401,
            "{user} and this password do not fit together"
        );
        ensure!(
            status != 429,
            "too many log-ins failed; wait a minute and try again"
        );
        let cookie = answer.headers().get(header::SET_COOKIE);
        let cookie = cookie.and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.context("people do not log in at this master: it has no [web.auth]")?;
        let mut cookie = HeaderValue::from_str(cookie)?;
        cookie.set_sensitive(true);
        master.headers.insert(header::COOKIE, cookie);
        Ok(master)
    }

    /// Ends what [`Self::log_in`] began.
    pub(super) fn log_out(&self) -> anyhow::Result<()> {
        let address = self.url.replace("/api/v2", "/auth/logout");
        let no_redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(no_redirects).build()?;
        let asked = client.post(&address).headers(self.headers.clone()).send();
        self.runtime.block_on(asked)?;
        Ok(())
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let address = format!("{}/{path}", self.url);
        self.runtime.block_on(async {
            let asked = reqwest::Client::new().get(&address);
            let asked = asked.headers(self.headers.clone()).send();
            let answer = asked.await.with_context(|| self.unreachable())?;
            let status = answer.status();
            ensure!(
                status != 401 && status != 403,
                "{address} answers {status}: give a token that may do this in {TOKEN_VARIABLE}"
            );
            ensure!(status.is_success(), "{address} answers {status}");
            answer
                .json()
                .await
                .with_context(|| format!("{address} gave no JSON"))
        })
    }

    /// Has something done; the error is the master's own.
    pub(super) fn call(&self, path: &str, method: &str, params: &Value) -> anyhow::Result<Value> {
        let address = format!("{}/{path}", self.url);
        let call = json!({"id": 1, "jsonrpc": "2.0", "method": method, "params": params});
        let reply: Value = self.runtime.block_on(async {
            let request = reqwest::Client::new().post(&address).json(&call);
            let request = request.headers(self.headers.clone()).send();
            let answer = request.await.with_context(|| self.unreachable())?;
            answer
                .json()
                .await
                .with_context(|| format!("{address} gave no JSON"))
        })?;
        match &reply["error"]["message"] {
            Value::Null => Ok(reply["result"].clone()),
            Value::String(message) => bail!("{message}"),
            message => bail!("{message}"),
        }
    }

    fn unreachable(&self) -> String {
        let url = self.url.trim_end_matches("/api/v2");
        format!("no master answers at {url}; say where it is with --url")
    }
}

/// A name as a part of a path.
pub(super) fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// `toolpost plugin list`
pub(crate) fn plugin_list(url: &str, json: bool, printer: Printer) -> Done {
    let answer = Master::at(url)?.get("plugins")?;
    if json {
        printer.line(format_args!("{answer:#}"));
        return Ok(());
    }
    for plugin in list(&answer, "plugins") {
        printer.line(text(&plugin["name"]));
        for version in list(plugin, "versions") {
            printer.line(format_args!(
                "  {:<10}{:<12}{:.16}  pinned by {} running builds",
                text(&version["state"]),
                text(&version["version"]),
                text(&version["digest"]),
                version["builds"],
            ));
        }
        for place in list(plugin, "uses") {
            printer.line(format_args!(
                "  used by builder {}, step {}",
                text(&place["builder"]),
                text(&place["step"])
            ));
        }
        for wait in list(plugin, "waiting") {
            printer.line(format_args!(
                "  {} calls wait for {}, the first since {} ms",
                wait["calls"],
                match text(&wait["reason"]) {
                    "memory" => "memory",
                    _ => "calls that run to end",
                },
                wait["longest_ms"]
            ));
        }
        print_grants(plugin, printer);
    }
    Ok(())
}

/// What a plugin waits for, or why its file is not taken.
pub(super) fn print_grants(plugin: &Value, printer: Printer) {
    let texts = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten().map(text);
        texts.map(str::to_owned).collect()
    };
    let held = &plugin["held"];
    let missing = texts(&held["missing"]);
    if !missing.is_empty() {
        let version = text(&held["version"]);
        printer.line(format_args!(
            "  held: version {version} waits until these are granted:"
        ));
        for want in texts(&held["wants"]) {
            let state = if missing.contains(&want) {
                "missing"
            } else {
                "granted"
            };
            printer.line(format_args!("    {state:<8}{want}"));
        }
    } else if let Some(reason) = plugin["last_reload"]["reason"].as_str() {
        printer.line(format_args!("  refused: {reason}"));
    }
    for want in texts(&plugin["not_granted"]) {
        printer.line(format_args!("  not granted any more: {want}"));
    }
}

/// `toolpost plugin history`
pub(crate) fn plugin_history(url: &str, name: &str, json: bool, printer: Printer) -> Done {
    let master = Master::at(url)?;
    let name = segment(name);
    let versions = master.get(&format!("plugins/{name}/versions"))?;
    let events = master.get(&format!("plugins/{name}/events"))?;
    if json {
        let both = json!({"versions": versions["versions"], "events": events["events"]});
        printer.line(format_args!("{both:#}"));
        return Ok(());
    }
    for version in list(&versions, "versions") {
        printer.line(format_args!(
            "{:<10}{:<12}{}",
            text(&version["state"]),
            text(&version["version"]),
            text(&version["digest"]),
        ));
    }
    for event in list(&events, "events") {
        printer.line(format_args!(
            "{}  {:<12}{:.16}  {}",
            moment(&event["at"]),
            text(&event["kind"]),
            text(&event["digest"]),
            text(&event["reason"])
        ));
    }
    Ok(())
}

/// `toolpost plugin reload`
pub(crate) fn plugin_reload(url: &str, json: bool, printer: Printer) -> Done {
    let result = Master::at(url)?.call("plugins/reload", "reload", &json!({}))?;
    if json {
        printer.line(format_args!("{result:#}"));
        return Ok(());
    }
    for plugin in list(&result, "plugins") {
        printer.line(format_args!(
            "{:<24}{:<10}{:.16}  {}",
            text(&plugin["name"]),
            text(&plugin["state"]),
            text(&plugin["digest"]),
            text(&plugin["reason"])
        ));
    }
    Ok(())
}

/// `toolpost plugin rollback`
pub(crate) fn plugin_rollback(
    url: &str,
    name: &str,
    digest: &str,
    reason: Option<&str>,
    printer: Printer,
) -> Done {
    let params = json!({
        "digest": digest,
        "reason": reason.unwrap_or("asked for on the command line"),
    });
    let path = format!("plugins/{}", segment(name));
    let result = Master::at(url)?.call(&path, "rollback", &params)?;
    printer.line(format_args!(
        "{name} is at {:.16} again",
        text(&result["digest"])
    ));
    Ok(())
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Seconds since 1970 as people read them, in UTC.
pub(super) fn moment(seconds: &Value) -> String {
    humantime::format_rfc3339_seconds(
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.as_u64().unwrap_or(0)),
    )
    .to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_parts_of_paths() {
        assert_eq!(super::segment("test-summary"), "test-summary");
        assert_eq!(super::segment("a/b c"), "a%2Fb%20c");
    }
}
