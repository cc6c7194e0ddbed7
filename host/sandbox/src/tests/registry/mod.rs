//! A plugin directory that changes while its plugins run.

mod breaker;
mod changes;
mod directory;
mod reload;
mod restart;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_core::Timestamp;

use crate::registry::{MemoryStore, PluginStatus, TypeUse};
use crate::tests::support::{options, run};
use crate::{
    PluginKind, PluginRegistry, RegistryEvent, RegistryEventKind, RegistryOptions, Sandbox,
    SandboxOptions, UseCheck, Want,
};

/// A directory, what it is used for, and what happened.
struct Farm {
    dir: TempDir,
    sandbox: Sandbox,
    store: Arc<MemoryStore>,
    uses: Arc<Uses>,
}

/// The running configuration: uses as step type and parameters, and what is granted, in words.
#[derive(Default)]
struct Uses {
    uses: Mutex<Vec<(String, Value)>>,
    grants: Mutex<Vec<String>>,
}

impl UseCheck for Uses {
    fn uses_of(&self, _: PluginKind, step_type: &str) -> Vec<TypeUse> {
        let uses = self.uses.lock().unwrap();
        let of_type = uses.iter().filter(|(name, _)| name == step_type);
        of_type
            .map(|(name, parameters)| TypeUse {
                place: format!("builder `unit`, step `{name}`"),
                parameters: parameters.clone(),
            })
            .collect()
    }

    fn not_granted(&self, _: &str, wants: &[Want]) -> Vec<Want> {
        let grants = self.grants.lock().unwrap();
        let missing = |want: &&Want| !grants.contains(&want.to_string());
        wants.iter().filter(missing).cloned().collect()
    }
}

impl Farm {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new(SandboxOptions {
            cache_dir: Some(dir.path().join("compiled")),
            ..options()
        });
        Self {
            dir,
            sandbox: sandbox.unwrap(),
            store: Arc::default(),
            uses: Arc::default(),
        }
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.plugins().join(name)
    }

    fn put(&self, name: &str, component: &Bytes) {
        fs::create_dir_all(self.plugins()).unwrap();
        let temporary = self.path("next.part");
        fs::write(&temporary, component).unwrap();
        fs::rename(temporary, self.path(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn uses(&self, step_type: &str, parameters: Value) {
        let mut uses = self.uses.uses.lock().unwrap();
        uses.push((step_type.into(), parameters));
    }

    fn grant(&self, what: &str) {
        self.uses.grants.lock().unwrap().push(what.into());
    }

    fn grant_nothing(&self) {
        self.uses.grants.lock().unwrap().clear();
    }

    fn uses_nothing(&self) {
        self.uses.uses.lock().unwrap().clear();
    }

    fn options(&self) -> RegistryOptions {
        RegistryOptions {
            native_types: vec![(PluginKind::Step, "shell".into())],
            now: Arc::new(|| Timestamp(1_000)),
            settle: Duration::from_millis(10),
            incomplete_patience: Duration::ZERO,
            ..RegistryOptions::new(self.plugins())
        }
    }

    async fn open(&self) -> PluginRegistry {
        self.open_with(self.options()).await
    }

    async fn open_with(&self, options: RegistryOptions) -> PluginRegistry {
        let (store, uses) = (self.store.clone(), self.uses.clone());
        PluginRegistry::open(options, self.sandbox.clone(), store, uses)
            .await
            .unwrap()
    }

    /// What happened, with versions instead of digests.
    fn history(&self) -> Vec<String> {
        self.store.events().iter().map(tell).collect()
    }
}

fn tell(event: &RegistryEvent) -> String {
    let plugin = &event.plugin;
    match &event.kind {
        RegistryEventKind::Live { replaced: None, .. } => format!("{plugin} is live"),
        RegistryEventKind::Live { .. } => format!("{plugin} is replaced"),
        RegistryEventKind::Refused { reason, .. } => format!("{plugin} {reason}"),
        RegistryEventKind::Removed { .. } => format!("{plugin} is removed"),
        RegistryEventKind::RolledBack { reason, .. } => format!("{plugin} goes back: {reason}"),
        RegistryEventKind::Drained { .. } => format!("{plugin} is drained"),
    }
}

fn status_of(registry: &PluginRegistry, name: &str) -> Option<PluginStatus> {
    let status = registry.status();
    status.into_iter().find(|plugin| plugin.name == name)
}

/// The live version of a plugin as it says itself, and what is wrong with its file.
fn live(registry: &PluginRegistry, name: &str) -> (Option<String>, Option<String>) {
    let status = status_of(registry, name);
    let problem = status.as_ref().and_then(|plugin| plugin.problem.clone());
    (
        status.and_then(|plugin| Some(plugin.live?.version)),
        problem.map(|problem| problem.reason),
    )
}

fn good(version: &str) -> (Option<String>, Option<String>) {
    (Some(version.into()), None)
}

fn bad(version: Option<&str>, problem: &str) -> (Option<String>, Option<String>) {
    (version.map(Into::into), Some(problem.into()))
}

/// What the live version of a step type says when it runs: its version.
async fn says(registry: &PluginRegistry, step_type: &str) -> String {
    let step = registry.step_type(step_type).expect("a live step type");
    run(step.plugin()).await.unwrap().summary
}

fn no_parameters() -> Value {
    json!({})
}
