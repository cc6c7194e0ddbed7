//! The page of the interface, and the configuration in it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::OWN_PLUGIN;
use super::package::{CONFIG_PLACE, StockUi};
use crate::cache::Blob;
use crate::pages::Ask;
use crate::state::Web;

/// Puts a way to our pages into its menu.
static OWN_SCRIPT: LazyLock<Blob> = LazyLock::new(|| {
    Blob::new(
        include_str!("../../assets/ui-plugin.js"),
        "text/javascript; charset=utf-8",
    )
});
static OWN_STYLE: LazyLock<Blob> = LazyLock::new(|| Blob::new("", "text/css; charset=utf-8"));

/// Our own part of the interface.
pub(super) fn own_file(path: &str) -> Option<&'static Blob> {
    match path.strip_prefix("plugins/")?.strip_prefix(OWN_PLUGIN)? {
        "/scripts.js" => Some(&OWN_SCRIPT),
        "/styles.css" => Some(&OWN_STYLE),
        _ => None,
    }
}

/// The interface writes styles into its page while it runs, so these are allowed; scripts are its own files and the one with the
/// nonce. Icons that it draws are `data:` and `blob:`.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The page for whoever asks.
pub(super) fn answer(web: &Web, ask: &Ask, ui: &StockUi) -> Response<Body> {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let configuration = frontend(web, ask, Some(ui)).to_string();
    // Nothing in it may end the script.
    let configuration = configuration.replace('<', "\\u003c");
    let script = format!(
        "<script id=\"bb-config\" nonce=\"{nonce}\">window.buildbotFrontendConfig = {configuration};</script>"
    );
    let html = ui.index.replacen(CONFIG_PLACE, &script, 1);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // It says who is logged in.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = (headers, html).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy(&nonce)) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `/config`: the same configuration, for who builds an interface of his own.
pub(super) async fn configuration(State(web): State<Web>, ask: Ask) -> Response<Body> {
    let ui = web.ui.current(&web.master.farm().ui).await;
    let ui = ui.and_then(Result::ok);
    let body = frontend(&web, &ask, ui.as_deref()).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// What the interface expects to know, by Buildbot's names.
fn frontend(web: &Web, ask: &Ask, ui: Option<&StockUi>) -> Value {
    let farm = web.master.farm();
    let mut versions = vec![json!(["Toolpost", env!("CARGO_PKG_VERSION")])];
    if let Some(ui) = ui {
        versions.push(json!(["buildbot-www", ui.version]));
        let plugins = ui.plugins.iter();
        versions.extend(plugins.map(|plugin| json!([plugin.name, plugin.version])));
    }
    let (auth, user) = identity(web, ask);
    let mut configuration = json!({
        "auth": auth,
        "avatar_methods": [{ "name": "initials" }],
        "buildbotURL": farm.url,
        "multiMaster": web.options.database_is_shared,
        "plugins": plugins(ui, farm.ui.plugins.as_ref()),
        "title": farm.title,
        "titleURL": farm.url,
        "ui_default_config": farm.ui.default_config,
        "user": user,
        "versions": versions,
    });
    if is_known_by_another_name(&ask.headers, &farm.url) {
        // Otherwise the interface takes the address of the configuration for a mistake.
        configuration["isProxy"] = Value::Bool(true);
    }
    configuration
}

/// How people log in, and who asks.
fn identity(web: &Web, ask: &Ask) -> (Value, Value) {
    let auth = match web.rules() {
        None => "NoAuth",
        // It leads to `/auth/login` then, and from there to our page for people.
        Some(_) => "UserPasswordAuth",
    };
    let user = match &ask.caller.identity {
        None => json!({ "anonymous": true }),
        Some(identity) => json!({
            "anonymous": false,
            "username": identity.name,
            "email": identity.email,
            "full_name": identity.full_name,
            "groups": identity.groups,
        }),
    };
    (json!({ "name": auth }), user)
}

/// The plugins that the interface loads, with their settings: those that are configured, or each that is installed.
fn plugins(
    ui: Option<&StockUi>,
    configured: Option<&BTreeMap<String, Map<String, Value>>>,
) -> Value {
    let installed = ui.map_or(&[][..], |ui| &ui.plugins);
    let mut plugins: Map<String, Value> = installed
        .iter()
        .filter_map(|plugin| {
            let settings = match configured {
                Some(configured) => configured.get(&plugin.name)?.clone(),
                None => Map::new(),
            };
            Some((plugin.name.clone(), Value::Object(settings)))
        })
        .collect();
    if ui.is_some() {
        plugins.insert(OWN_PLUGIN.into(), json!({}));
    }
    Value::Object(plugins)
}

/// Whether this server was asked for under another name than that of its address; which names it has was checked before.
fn is_known_by_another_name(headers: &HeaderMap, url: &str) -> bool {
    let authority = url.parse::<Uri>().ok();
    let authority = authority.as_ref().and_then(Uri::authority);
    let given = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match (authority, given) {
        (Some(authority), Some(given)) => !authority.as_str().eq_ignore_ascii_case(given),
        _ => false,
    }
}
