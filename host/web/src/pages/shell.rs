//! What all pages share: the frame around them, how they are asked for and answered.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use toolpost_core::Timestamp;
use toolpost_core::access::Action;

use crate::assets::{ASSETS, Assets};
use crate::auth::{Caller, Sight};
use crate::cache::{Blob, Depends, Form};
use crate::control::Farm;
use crate::error::ApiError;
use crate::state::Web;

/// The main sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Home,
    Builders,
    Pending,
    Workers,
    Changes,
    Plugins,
    Reporters,
    /// None of them.
    Other,
}

/// An entry of the navigation.
pub(crate) struct NavItem {
    pub(crate) label: &'static str,
    pub(crate) path: &'static str,
    pub(crate) current: bool,
}

/// The frame around a page.
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) farm: Farm,
    pub(crate) assets: &'static Assets,
    pub(crate) theme: Option<&'static str>,
    /// Where the page hears that it changed; empty when it never does.
    pub(crate) live: String,
    pub(crate) now: Timestamp,
    /// Where the reader is, to come back to.
    pub(crate) here: String,
    pub(crate) version: &'static str,
    pub(crate) notice: Option<&'static str>,
    pub(crate) is_log: bool,
    /// Whether Buildbot's interface is meant to be at `/`, and our first page elsewhere.
    pub(crate) has_ui: bool,
    /// Who is logged in.
    pub(crate) user: Option<String>,
    /// Whether anybody can log in.
    pub(crate) can_log_in: bool,
    /// Whether the reader may read the audit log.
    pub(crate) reads_audit: bool,
    section: Section,
}

impl Shell {
    /// The frame for a page of a section.
    pub(crate) fn new(web: &Web, ask: &Ask, section: Section, title: impl Into<String>) -> Self {
        let farm = web.master.farm();
        Self {
            title: title.into(),
            has_ui: farm.ui.dir.is_some(),
            farm,
            assets: &ASSETS,
            theme: ask.theme.name(),
            live: String::new(),
            now: web.now(),
            here: ask
                .uri
                .path_and_query()
                .map_or("/", |here| here.as_str())
                .to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            notice: ask.param("done").and_then(|done| notice(&done)),
            is_log: false,
            user: ask
                .caller
                .identity
                .as_ref()
                .map(|user| user.full_name.as_ref().unwrap_or(&user.name).clone()),
            can_log_in: web.rules().is_some(),
            reads_audit: web.rules().is_some() && web.permits(&ask.caller, Action::ReadAudit),
            section,
        }
    }

    /// The page is read again when one of these happens.
    pub(crate) fn watch<P: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        let watched: Vec<_> = patterns
            .into_iter()
            .map(|pattern| format!("watch={}", pattern.as_ref()))
            .collect();
        self.live = format!("/live?{}", watched.join("&"));
        self
    }

    /// Where our first page is.
    pub(crate) fn home(&self) -> &'static str {
        if self.has_ui { "/home" } else { "/" }
    }

    /// The navigation.
    pub(crate) fn nav(&self) -> Vec<NavItem> {
        [
            (Section::Home, "Home", self.home()),
            (Section::Builders, "Builders", "/builders"),
            (Section::Pending, "Pending", "/pending"),
            (Section::Workers, "Workers", "/workers"),
            (Section::Changes, "Changes", "/changes"),
            (Section::Plugins, "Plugins", "/plugins"),
            (Section::Reporters, "Reporters", "/reporters"),
        ]
        .into_iter()
        .map(|(section, label, path)| NavItem {
            label,
            path,
            current: section == self.section,
        })
        .collect()
    }
}

/// What was done before this page was shown; the words are ours, whatever the address says.
fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "stop" => "The build was asked to stop.",
        "rebuild" => "A new build with the same sources was asked for.",
        "force" => "The build was asked for.",
        "cancel" => "The request was cancelled.",
        "pause" => "The worker takes no new builds.",
        "resend" => "It is sent again.",
        "discard" => "It will not be sent.",
        "skip" => "The scheduler passes over that event.",
        "rollback" => "The earlier version is the live one now.",
        "reload" => "The plugin directory was looked at.",
        "unpause" => "The worker takes builds again.",
        "finish" => "The worker finishes its builds and is then told to end.",
        "kill" => "The worker is told to end; what it ran is built again.",
        _ => return None,
    })
}

/// The colour scheme that a reader chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    fn of(headers: &HeaderMap) -> Self {
        let chosen = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .find_map(|cookie| cookie.trim().strip_prefix("theme="));
        match chosen {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    fn form(self) -> Form {
        match self {
            Self::System => Form::Page,
            Self::Light => Form::PageLight,
            Self::Dark => Form::PageDark,
        }
    }
}

/// How a page is asked for.
pub(crate) struct Ask {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) theme: Theme,
    pub(crate) caller: Arc<Caller>,
    pub(crate) sight: Sight,
}

impl<S: Sync> FromRequestParts<S> for Ask {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

impl Ask {
    /// How the page of this request is asked for.
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            theme: Theme::of(&parts.headers),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            caller: Caller::of(&parts.extensions),
            sight: parts.extensions.get().cloned().unwrap_or_default(),
        }
    }

    /// Whether a request is of somebody who reads pages.
    pub(crate) fn is_for_people(parts: &Parts) -> bool {
        takes_html(&parts.headers)
    }

    /// The same.
    pub(crate) fn is_page(&self) -> bool {
        takes_html(&self.headers)
    }

    /// What a page is kept under: it shows who is logged in.
    fn key(&self) -> Cow<'_, str> {
        let key = self.uri.path_and_query().map_or("/", |key| key.as_str());
        let key = self.sight.key(key);
        match &self.caller.identity {
            None => key,
            Some(identity) => Cow::Owned(format!("{key}\0{}\0{}", identity.name, self.caller.via)),
        }
    }

    /// A parameter of the query string.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?.as_bytes();
        form_urlencoded::parse(query)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A whole number of the query string; the default when it is missing or something else.
    pub(crate) fn number(&self, name: &str, default: i64) -> i64 {
        self.param(name)
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(default)
    }

    /// Answers with a page, which is kept while it is true.
    pub(crate) async fn answer(
        &self,
        web: &Web,
        page: impl Future<Output = Result<String, ApiError>>,
    ) -> Response<Body> {
        let key = &*self.key();
        let form = self.theme.form();
        if let Some(blob) = web.cache.hit(form, key, web) {
            return blob.respond(&self.headers);
        }
        let read = async {
            page.await
                .map(|html| Blob::new(html, "text/html; charset=utf-8"))
        };
        match web
            .cache
            .get(form, key, Depends::Everything, web, read)
            .await
        {
            Ok(blob) => blob.respond(&self.headers),
            Err(error) => self.fail(web, &error),
        }
    }

    /// Answers with a page that is never kept.
    pub(crate) fn answer_once(
        &self,
        web: &Web,
        status: StatusCode,
        page: Result<String, ApiError>,
    ) -> Response<Body> {
        match page {
            Ok(html) => {
                let headers = [
                    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                    (header::CACHE_CONTROL, "no-store"),
                ];
                (status, headers, html).into_response()
            }
            Err(error) => self.fail(web, &error),
        }
    }

    /// Answers with the page of an error.
    pub(crate) fn fail(&self, web: &Web, error: &ApiError) -> Response<Body> {
        error.log(self.uri.path());
        let status = error.status();
        let html = super::error::render(web, self, error).unwrap_or_else(|_| error.to_string());
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, html).into_response()
    }
}

/// Browsers ask for pages; programs ask for anything else.
fn takes_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

impl From<askama::Error> for ApiError {
    fn from(error: askama::Error) -> Self {
        Self::Internal(format!("the page could not be written: {error}"))
    }
}
