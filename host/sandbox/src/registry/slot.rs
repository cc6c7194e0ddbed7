//! What the registry knows about one plugin.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use toolpost_core::Timestamp;

use crate::PluginVersion;
use crate::registry::files::Fingerprint;
use crate::registry::prospect::Waiting;
use crate::registry::{HeldVersion, PluginStatus, Problem, TypeStatus, UseCheck, VersionStatus};

/// Versions that are tried one after the other when new ones fail.
const FALLBACKS_MAX: usize = 8;

/// One plugin: its file, its live version, what it replaced.
pub(super) struct Slot {
    pub(super) file: PathBuf,
    pub(super) live: Option<Live>,
    /// Versions that the breaker goes back to, the last one first.
    pub(super) fallbacks: Vec<String>,
    /// Digest of the file when it was last read.
    pub(super) in_file: Option<String>,
    pub(super) retired: Vec<Retired>,
    pub(super) problem: Option<Problem>,
    pub(super) held: Option<Box<HeldVersion>>,
    /// Held by whoever looks at its file.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// Its file is being looked at.
    pub(super) loading: bool,
    /// The version in the file, when another configuration could let it go live.
    pub(super) waiting: Option<Waiting>,
    /// The file when it was last judged.
    pub(super) judged: Option<Fingerprint>,
    pub(super) reloads: u64,
    pub(super) refusals: u64,
    pub(super) rollbacks: u64,
}

/// The version that builds get.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) version: Arc<PluginVersion>,
    pub(super) loaded_at: Timestamp,
    pub(super) since: Timestamp,
    /// When it went live, on the clock of faults.
    pub(super) since_instant: Instant,
}

/// A replaced version: in memory as long as somebody else holds it.
pub(super) struct Retired {
    version: Weak<PluginVersion>,
    digest: String,
    loaded_at: Timestamp,
}

impl Slot {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            live: None,
            fallbacks: Vec::new(),
            in_file: None,
            retired: Vec::new(),
            problem: None,
            held: None,
            turn: Arc::default(),
            loading: false,
            waiting: None,
            judged: None,
            reloads: 0,
            refusals: 0,
            rollbacks: 0,
        }
    }

    /// Whether somebody is about to do something with it.
    pub(super) fn is_in_hand(&self) -> bool {
        Arc::strong_count(&self.turn) > 1
    }

    pub(super) fn live_digest(&self) -> Option<&str> {
        self.live.as_ref().map(|live| live.version.digest())
    }

    /// Lets another version, or none, be the live one. The caller drops what it gets back after the lock
    /// is free.
    pub(super) fn replace(&mut self, live: Option<Live>) -> Option<Live> {
        if let Some(live) = &live {
            self.reloads += 1;
            self.retired
                .retain(|retired| retired.digest != live.version.digest());
        }
        let old = std::mem::replace(&mut self.live, live);
        if let Some(old) = &old {
            self.retired.push(Retired {
                version: Arc::downgrade(&old.version),
                digest: old.version.digest().to_owned(),
                loaded_at: old.loaded_at,
            });
        }
        old
    }

    /// What the breaker goes back to when another version takes the place of the live one: to that one, unless it is new
    /// itself and has had faults, and then to those that it would have gone back to.
    pub(super) fn fallbacks_of_next(&self, probation: Duration) -> Vec<String> {
        let Some(live) = &self.live else {
            return Vec::new();
        };
        let digest = || live.version.digest().to_owned();
        let is_new = live.since_instant.elapsed() < probation;
        let mut fallbacks = self.fallbacks.clone();
        match is_new {
            false => fallbacks = vec![digest()],
            true if fallbacks.is_empty() || live.version.faults().is_empty() => {
                fallbacks.push(digest());
            }
            true => {}
        }
        let too_many = fallbacks.len().saturating_sub(FALLBACKS_MAX);
        fallbacks.split_off(too_many)
    }

    /// A version that is still in memory.
    pub(super) fn in_memory(&self, digest: &str) -> Option<(Arc<PluginVersion>, Timestamp)> {
        self.retired
            .iter()
            .filter(|retired| retired.digest == digest)
            .find_map(|retired| Some((retired.version.upgrade()?, retired.loaded_at)))
    }

    /// Forgets replaced versions that nobody holds any more, and tells their digests.
    pub(super) fn drained(&mut self) -> Vec<String> {
        let mut drained = Vec::new();
        self.retired.retain(|retired| {
            let held = retired.version.strong_count() > 0;
            if !held {
                drained.push(retired.digest.clone());
            }
            held
        });
        drained
    }

    pub(super) fn status(&self, name: &str, uses: &dyn UseCheck) -> PluginStatus {
        let live = self.live.as_ref();
        let draining = self.retired.iter().rev().filter_map(|retired| {
            let version = retired.version.upgrade()?;
            Some(version_status(&version, retired.loaded_at))
        });
        PluginStatus {
            name: name.to_owned(),
            file: self.file.clone(),
            live: self
                .live
                .as_ref()
                .map(|live| version_status(&live.version, live.loaded_at)),
            draining: draining.collect(),
            problem: self.problem.clone(),
            held: self.held.as_deref().cloned(),
            loading: self.loading,
            not_granted: live.map_or_else(Vec::new, |live| {
                uses.not_granted(name, live.version.wants())
            }),
            live_since: self.live.as_ref().map(|live| live.since),
            reloads: self.reloads,
            refusals: self.refusals,
            rollbacks: self.rollbacks,
        }
    }
}

fn version_status(version: &PluginVersion, loaded_at: Timestamp) -> VersionStatus {
    let usage = version.usage();
    let told = |info: &Arc<crate::TypeInfo>| TypeStatus {
        kind: info.kind(),
        name: info.name().to_owned(),
        summary: info.summary().to_owned(),
        schema: (**info.schema()).clone(),
        force_schema: info.force_schema().map(|schema| (**schema).clone()),
    };
    VersionStatus {
        version: version.version().to_owned(),
        digest: version.digest().to_owned(),
        contract: version.contract().to_owned(),
        description: version.description().to_owned(),
        types: version.types().iter().map(told).collect(),
        wants: version.wants().to_vec(),
        size_bytes: version.size_bytes(),
        loaded_at,
        pins: usage.pins,
        calls_running: usage.calls_running,
        calls_total: usage.calls_total,
        faults_total: usage.faults_total,
        last_fault: version.faults().pop().map(|fault| fault.text),
    }
}
