//! Watches the configuration files: reads, checks and applies them, and keeps what runs on any error.
//!
//! Woken by the file system, by a new or changed plugin (whose step types the configuration may use) and
//! by a timer, because not every file system tells. Files that did not change are not checked again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use toolpost_bus::{Signal, Subscription};
use toolpost_config::{
    Config, Problem, Problems, Sources, TypeCatalog, check, check_plugins, load,
};
use toolpost_core::Event;
use toolpost_sandbox::registry::RegistryError;
use toolpost_sandbox::{PluginKind, Prospect};
use tracing::{error, info, warn};

use crate::applied::record_applied;
use crate::engine::Engine;
use crate::error::ApplyError;
use crate::status::ConfigurationStatus;
use crate::uses::RunningUses;

/// Editors write a file in several steps; wait until it was quiet for this long.
const QUIET_WAIT: Duration = Duration::from_millis(100);

/// Readings of files that go on changing, before the last one has to do.
const READINGS_MAX: usize = 20;

/// Time between two looks at the files without a sign.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The actor.
pub(crate) struct Reloader {
    engine: Arc<Engine>,
    /// What was last read and applied or refused.
    seen: Option<Sources>,
    bus: Subscription,
    signs: mpsc::Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
}

/// Why the reloader looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The files may have changed.
    Files,
    /// The step types may have changed: check also what did not change.
    Types,
    /// The process ends.
    End,
}

impl Reloader {
    /// Watches what the engine's configuration was read from; `applied` is what was read there.
    pub(crate) fn new(engine: Arc<Engine>, applied: Sources) -> Self {
        let bus = engine.bus.subscribe();
        let (sign, signs) = mpsc::channel(1);
        let watcher = watch(&engine.config_path, sign);
        Self {
            engine,
            seen: Some(applied),
            bus,
            signs,
            _watcher: watcher,
        }
    }

    /// Follows the files until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let reason = self.wait().await;
            if reason == Reason::End {
                return;
            }
            let engine = Arc::clone(&self.engine);
            let seen = self.seen.take().filter(|_| reason == Reason::Files);
            self.seen = engine.look(seen).await;
        }
    }

    async fn wait(&mut self) -> Reason {
        let look = tokio::time::sleep(LOOK_INTERVAL);
        tokio::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => return Reason::Files,
                Some(()) = self.signs.recv() => {
                    // Each further sign begins the wait anew.
                    while let Ok(Some(())) =
                        tokio::time::timeout(QUIET_WAIT, self.signs.recv()).await {}
                    return Reason::Files;
                }
                signal = self.bus.recv() => match signal {
                    Some(Signal::Event(Event::Plugin(_)) | Signal::Lagged(_)) => {
                        return Reason::Types;
                    }
                    Some(Signal::Event(_)) => {}
                    None => return Reason::End,
                },
            }
        }
    }
}

impl Engine {
    /// Reads the files now and applies them if they are good.
    pub(crate) async fn reload(&self) -> ConfigurationStatus {
        self.look(None).await;
        self.configuration().clone()
    }

    /// Reads the files; unless they are as they were `seen`, checks and applies them. Gives what was read.
    async fn look(&self, seen: Option<Sources>) -> Option<Sources> {
        let sources = match self.read(seen.as_ref()).await {
            Ok(Ok(sources)) => sources,
            Ok(Err(problems)) => {
                self.refuse(&problems);
                return None;
            }
            Err(error) => {
                warn!("the configuration cannot be read: {error}");
                return seen;
            }
        };
        if seen.as_ref() == Some(&sources) {
            return seen;
        }
        match self.judge(&sources) {
            Ok((config, _)) if config == *self.config() => self.note_checked(),
            Ok((config, prospect)) => {
                let applied = self.apply(config, &prospect).await;
                if let Err(ApplyError::Plugin(RegistryError::Changed)) = applied {
                    // Its event wakes whoever looks.
                    info!("{}", RegistryError::Changed);
                    return None;
                }
                if let Err(error) = applied {
                    error!("{error}");
                    self.refuse_text(error.to_string());
                    // To be tried again at the next look.
                    return None;
                }
                record_applied(&self.config().master, &sources);
            }
            Err(problems) => self.refuse(&problems),
        }
        Some(sources)
    }

    /// Reads the files until two readings agree, unless they are as they were `seen`: who writes a file in place empties it
    /// first, and an empty file is a configuration as well.
    async fn read(&self, seen: Option<&Sources>) -> Result<Result<Sources, Problems>, JoinError> {
        let load_now = || {
            let path = self.config_path.clone();
            tokio::task::spawn_blocking(move || load(path))
        };
        let mut last = load_now().await?;
        for _ in 1..READINGS_MAX {
            if last.as_ref().ok() == seen && seen.is_some() {
                break;
            }
            tokio::time::sleep(QUIET_WAIT).await;
            let again = load_now().await?;
            let agree = last.as_ref().ok() == again.as_ref().ok();
            last = again;
            if agree {
                break;
            }
        }
        Ok(last)
    }

    /// Checks what was read: with the types that there are, or else with those of plugins that wait for this very
    /// configuration, because it grants what they ask for or uses them as they are now.
    fn judge(&self, sources: &Sources) -> Result<(Config, Prospect), Problems> {
        let mut best = self.registry.outlook();
        let mut checked = check(sources, self.catalog.as_ref());
        let Ok(plugins) = check_plugins(sources) else {
            return checked.map(|config| (config, best));
        };
        let grants = RunningUses::with_plugins(plugins);
        for one in self.registry.prospects(&grants) {
            let Err(problems) = &checked else { break };
            let Some(prospect) = best.and(&one) else {
                continue;
            };
            let catalog = Prospective {
                now: self.catalog.as_ref(),
                prospect: &prospect,
            };
            let with = check(sources, &catalog);
            // A version that does not help goes on waiting.
            if with.as_ref().err().map_or(0, count) < count(problems) {
                (best, checked) = (prospect, with);
            }
        }
        checked.map(|config| (config, best))
    }

    /// The files say what runs already.
    fn note_checked(&self) {
        let had_problems = {
            let mut status = self.configuration();
            status.checked_at = self.clock.now();
            !std::mem::take(&mut status.problems).is_empty()
        };
        if had_problems {
            info!("the configuration files say what runs already");
            self.bus.publish(&[Event::Configuration]);
        }
    }

    fn refuse(&self, problems: &Problems) {
        let is_new = {
            let mut status = self.configuration();
            status.checked_at = self.clock.now();
            let is_new = status.problems != problems.list;
            status.problems.clone_from(&problems.list);
            is_new
        };
        if is_new {
            error!("the configuration is not applied, the former one goes on:\n{problems}");
            self.bus.publish(&[Event::Configuration]);
        }
    }

    fn refuse_text(&self, message: String) {
        let problem = Problem {
            message,
            place: None,
            related: Vec::new(),
            help: None,
        };
        self.refuse(&Problems {
            list: vec![problem],
            left_out: 0,
        });
    }
}

/// The types as they would be.
struct Prospective<'a> {
    now: &'a (dyn TypeCatalog + Send + Sync),
    prospect: &'a Prospect,
}

impl TypeCatalog for Prospective<'_> {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        self.prospect.names(kind, self.now.names(kind))
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        let now = self.now.parameters_schema(kind, type_name);
        self.prospect.schema(kind, type_name, now)
    }
}

fn count(problems: &Problems) -> usize {
    problems.list.len() + problems.left_out
}

/// Watches the directory of the main file, which sees renames over it too, and `conf.d` beside it.
fn watch(path: &Path, sign: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One sign that waits is enough.
            let _ = sign.try_send(());
        }
    };
    let started = notify::recommended_watcher(told).and_then(|mut watcher| {
        let dir = directory(path);
        watcher.watch(&dir, RecursiveMode::NonRecursive)?;
        let parts = dir.join("conf.d");
        if parts.is_dir() {
            watcher.watch(&parts, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    match started {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!(
                "changed configuration files are noticed only every {} s: {error}",
                LOOK_INTERVAL.as_secs()
            );
            None
        }
    }
}

fn directory(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
