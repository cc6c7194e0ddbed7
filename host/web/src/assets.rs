//! Style sheet, scripts and icon, compiled in. Their paths carry a fingerprint, so that browsers keep them for ever.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::ansi;
use crate::cache::Blob;
use crate::state::Web;

/// A compiled-in file.
pub(crate) struct Asset {
    path: String,
    blob: Blob,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, body: String) -> Self {
        let blob = Blob::immutable(body, content_type);
        Self {
            path: format!("/static/{name}.{}.{extension}", blob.fingerprint()),
            blob,
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// What every page needs, and what the page of a log needs besides.
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) log_script: Asset,
    pub(crate) icon: Asset,
}

/// The compiled-in files.
pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let javascript = "text/javascript; charset=utf-8";
    let style = format!(
        "{}{}",
        include_str!("../assets/app.css"),
        ansi::palette_css()
    );
    Assets {
        style: Asset::new("app", "css", "text/css; charset=utf-8", style),
        script: Asset::new(
            "app",
            "js",
            javascript,
            include_str!("../assets/app.js").into(),
        ),
        log_script: Asset::new(
            "log",
            "js",
            javascript,
            include_str!("../assets/log.js").into(),
        ),
        icon: Asset::new(
            "icon",
            "svg",
            "image/svg+xml",
            include_str!("../assets/icon.svg").into(),
        ),
    }
});

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/static/{name}", get(serve))
        .route("/favicon.ico", get(icon))
}

async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response<Body> {
    let assets = &*ASSETS;
    [
        &assets.style,
        &assets.script,
        &assets.log_script,
        &assets.icon,
    ]
    .into_iter()
    .find(|asset| asset.path.strip_prefix("/static/") == Some(&name))
    .map_or_else(
        || (StatusCode::NOT_FOUND, "there is no such file").into_response(),
        |asset| asset.blob.respond(&headers),
    )
}

async fn icon(headers: HeaderMap) -> Response<Body> {
    ASSETS.icon.blob.respond(&headers)
}
