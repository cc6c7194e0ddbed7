//! Buildbot's own web interface, from the packages that the user has installed: its page at `/`, its files beside that, and the
//! configuration that it expects. What it then reads is the REST API and `/ws`.
//!
//! Our pages stay where they are; the first of them, which is at `/` otherwise, is always at `/home` too, and where the interface
//! cannot be served it is at `/`, with the reason.

mod avatar;
mod package;
mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use percent_encoding::percent_decode_str;
use toolpost_config::config::UiConfig;

use self::package::StockUi;
use crate::pages::{Ask, home};
use crate::state::Web;

/// How soon it is noticed that other packages were installed.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What it is called in its own menu, and the script that puts it there.
const OWN_PLUGIN: &str = "toolpost";

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(first))
        .route("/home", get(home::page))
        .route("/config", get(page::configuration))
        .route("/avatar", get(avatar::picture))
}

/// The interface, if there is one; our first page otherwise.
async fn first(State(web): State<Web>, ask: Ask) -> Response<Body> {
    match web.ui.current(&web.master.farm().ui).await {
        Some(Ok(ui)) => page::answer(&web, &ask, &ui),
        Some(Err(_)) | None => home::page(State(web), ask).await,
    }
}

/// A file of the interface, if the path is that of one.
pub(crate) async fn file(web: &Web, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let Ok(ui) = web.ui.current(&web.master.farm().ui).await? else {
        return None;
    };
    // The interface joins some addresses with two slashes.
    let path = path.trim_start_matches('/');
    let path = percent_decode_str(path).decode_utf8().ok()?;
    match page::own_file(&path) {
        Some(blob) => Some(blob.respond(headers)),
        None => ui.file(&path).map(|blob| blob.respond(headers)),
    }
}

/// What is wrong with the interface, for whoever looks after the farm.
pub(crate) async fn problem(web: &Web) -> Option<String> {
    let config = web.master.farm().ui;
    let ui = web.ui.current(&config).await?;
    fault(&ui, &config)
}

/// Reads it once the configuration is known, so that the log says at the start what is wrong with it.
pub(crate) async fn prepare(web: Web) {
    web.master.ready().await;
    web.ui.current(&web.master.farm().ui).await;
}

/// What is wrong with what was read.
fn fault(ui: &Result<Arc<StockUi>, String>, config: &UiConfig) -> Option<String> {
    let ui = match ui {
        Ok(ui) => ui,
        Err(error) => {
            return Some(format!(
                "The web interface of Buildbot cannot be served: {error}"
            ));
        }
    };
    let wanted = config.plugins.iter().flat_map(BTreeMap::keys);
    let is_missing = |name: &&String| ui.plugins.iter().all(|plugin| plugin.name != **name);
    let missing: Vec<_> = wanted.filter(is_missing).map(String::as_str).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "The web interface of Buildbot is served without {}, which `ui_plugins` asks for: install the packages that have them \
             beside buildbot-www (`grid_view` is in buildbot-grid-view)",
            missing.join(", ")
        )
    })
}

/// The interface as it was read last.
#[derive(Default)]
pub(crate) struct Shelf {
    last: RwLock<Option<Loaded>>,
    /// Held by who reads it anew, so that one does.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Loaded {
    dir: PathBuf,
    fingerprint: u64,
    at: Instant,
    ui: Result<Arc<StockUi>, String>,
}

impl Shelf {
    /// The interface, or why it cannot be served; `None` where none is wanted.
    async fn current(&self, config: &UiConfig) -> Option<Result<Arc<StockUi>, String>> {
        let dir = config.dir.as_deref()?;
        if let Some(loaded) = self.fresh(dir) {
            return Some(loaded.ui);
        }
        let _turn = self.reading.lock().await;
        if let Some(loaded) = self.fresh(dir) {
            return Some(loaded.ui);
        }
        let before = self.last().filter(|last| last.dir == dir);
        let of = dir.to_owned();
        let known = before.clone();
        let read = tokio::task::spawn_blocking(move || read(of, known)).await;
        let loaded = read.unwrap_or_else(|error| Loaded {
            dir: dir.to_owned(),
            fingerprint: 0,
            at: Instant::now(),
            ui: Err(format!("reading it failed: {error}")),
        });
        tell(before.as_ref(), &loaded, config);
        let ui = loaded.ui.clone();
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Some(ui)
    }

    fn last(&self) -> Option<Loaded> {
        self.last
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fresh(&self, dir: &Path) -> Option<Loaded> {
        self.last()
            .filter(|last| last.dir == dir && last.at.elapsed() < CHECK_INTERVAL)
    }
}

/// Reads the directory, if it is not as it was.
fn read(dir: PathBuf, before: Option<Loaded>) -> Loaded {
    // Before the files: what changes meanwhile is read again the next time.
    let fingerprint = StockUi::fingerprint(&dir);
    let ui = match before {
        Some(before) if before.fingerprint == fingerprint && before.ui.is_ok() => before.ui,
        _ => StockUi::load(&dir).map(Arc::new),
    };
    Loaded {
        dir,
        fingerprint,
        at: Instant::now(),
        ui,
    }
}

/// Tells the operator what is served, once for each change.
fn tell(before: Option<&Loaded>, now: &Loaded, config: &UiConfig) {
    let is_same = match (&now.ui, before.map(|before| &before.ui)) {
        (Ok(new), Some(Ok(old))) => Arc::ptr_eq(new, old),
        (Err(new), Some(Err(old))) => new == old,
        _ => false,
    };
    if is_same {
        return;
    }
    if let Ok(ui) = &now.ui {
        tracing::info!(
            "serving the web interface of Buildbot {} with {} plugins from {}",
            ui.version,
            ui.plugins.len(),
            now.dir.display()
        );
    }
    if let Some(fault) = fault(&now.ui, config) {
        tracing::error!("{fault}");
    }
}
