//! Brings what is live in line with the files of the directory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use toolpost_core::Timestamp;

use crate::registry::files::{self, Content, Fingerprint, Reading};
use crate::registry::prospect::Waiting;
use crate::registry::slot::{Live, Slot};
use crate::registry::verify::gone_but_used;
use crate::registry::{
    HeldVersion, Inner, Problem, RecordError, RegistryEvent, RegistryEventKind, UseCheck,
    VersionRecord,
};
use crate::{LoadError, PluginVersion};

/// How often a file that changes while it is read is read again.
const READS_MAX: u32 = 40;

/// Files that are loaded at one time.
const FILES_AT_ONCE_MAX: usize = 64;

/// Components that cannot be loaded and are remembered.
const FAILURES_MAX: usize = 1_000;

/// Why the version in a file is not taken again.
const ROLLED_BACK: &str = "this version was rolled back: replace the file with another one";

/// Which files are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Those that changed.
    Changed,
    /// Also those that were refused.
    AgainRefused,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unchanged,
    Live,
    Refused,
    /// Refused because of something beside the file.
    Waits,
}

/// A file that may go live.
pub(super) struct Staged {
    content: Content,
    pub(super) version: Arc<PluginVersion>,
}

impl Staged {
    pub(super) fn digest(&self) -> &str {
        self.version.digest()
    }
}

/// Why a file is not taken.
pub(super) struct Refusal {
    digest: Option<String>,
    pub(super) reason: String,
    fingerprint: Option<Box<Fingerprint>>,
    pub(super) may_vanish: bool,
    held: Option<Box<HeldVersion>>,
    waiting: Option<Box<Waiting>>,
}

impl Refusal {
    pub(super) fn unread(reason: String) -> Self {
        Self {
            digest: None,
            reason,
            fingerprint: None,
            may_vanish: false,
            held: None,
            waiting: None,
        }
    }

    fn of(content: &Content, reason: String) -> Self {
        Self {
            digest: Some(content.digest.clone()),
            reason,
            fingerprint: content.fingerprint.map(Box::new),
            may_vanish: false,
            held: None,
            waiting: None,
        }
    }
}

impl Inner {
    /// Looks at the directory and takes over what changed.
    pub(super) async fn reconcile(&self, depth: Depth) {
        let Some(names) = self.consider_files(depth).await else {
            return;
        };
        let gone: Vec<String> = self.with_slots(|slots| {
            let gone = slots.keys().filter(|name| !names.contains(name));
            gone.cloned().collect()
        });
        let mut removed = false;
        for name in gone {
            removed |= self.consider_gone(&name).await;
        }
        if removed {
            // A step type may have become free for a plugin that was refused because of it.
            self.consider_files(Depth::AgainRefused).await;
        }
        self.forget_drained().await;
    }

    /// Looks at every file; `None` when the directory cannot be read, which says nothing about the plugins.
    async fn consider_files(&self, depth: Depth) -> Option<Vec<String>> {
        let files = match files::list(&self.options.dir) {
            Ok(files) => files,
            Err(error) => {
                let dir = self.options.dir.display();
                tracing::error!("cannot read the plugin directory {dir}: {error}");
                return None;
            }
        };
        let mut waiting = Vec::new();
        let mut moved = false;
        let considered: Vec<_> = futures::stream::iter(files.clone())
            .map(|(name, path)| async move {
                let verdict = self.consider(&name, &path, depth).await;
                (name, path, verdict)
            })
            .buffer_unordered(FILES_AT_ONCE_MAX)
            .collect()
            .await;
        for (name, path, verdict) in considered {
            match verdict {
                Verdict::Live => moved = true,
                Verdict::Waits => waiting.push((name, path)),
                Verdict::Unchanged | Verdict::Refused => {}
            }
        }
        if moved {
            for (name, path) in waiting {
                self.consider(&name, &path, Depth::AgainRefused).await;
            }
        }
        Some(files.into_keys().collect())
    }

    async fn consider(&self, name: &str, path: &Path, depth: Depth) -> Verdict {
        let turn = self.with_slot(name, |slot| Arc::clone(&slot.turn));
        let _turn = turn.lock().await;
        let now = files::fingerprint(path).ok();
        let known = self.with_slots(|slots| {
            slots.get(name).is_some_and(|slot| {
                let again = depth == Depth::AgainRefused && slot.problem.is_some();
                now.is_some() && slot.judged == now && !again
            })
        });
        if known {
            return Verdict::Unchanged;
        }
        let size = now.map_or(0, |file| {
            file.size_bytes().min(self.sandbox.component_bytes_max())
        });
        let mib = u32::try_from(size >> 20)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let _room = self.reading.acquire_many(mib).await;
        self.with_slot(name, |slot| slot.loading = true);
        let staged = self.stage(name, path).await;
        self.with_slot(name, |slot| slot.loading = false);
        match staged {
            Ok(verdict) => verdict,
            Err(refusal) => {
                let may_vanish = refusal.may_vanish;
                self.refuse(name, refusal).await;
                match may_vanish {
                    true => Verdict::Waits,
                    false => Verdict::Refused,
                }
            }
        }
    }

    /// Reads, loads, verifies and commits one file.
    async fn stage(&self, name: &str, path: &Path) -> Result<Verdict, Refusal> {
        let Some(staged) = self.loaded(name, path).await? else {
            return Ok(Verdict::Unchanged);
        };
        let _alone = self.reconciling.lock().await;
        // It may have been rolled back, or gone back to, meanwhile.
        if self.is_settled(name, &staged.content) {
            return Ok(Verdict::Unchanged);
        }
        if self.is_rejected(staged.digest()) {
            return Err(Refusal::of(&staged.content, ROLLED_BACK.into()));
        }
        self.check(name, &staged, &*self.uses)?;
        self.commit(name, staged).await?;
        Ok(Verdict::Live)
    }

    /// Reads, loads and verifies one file against a configuration; `None` when there is nothing new about it. The caller
    /// holds the reconciliation.
    pub(super) async fn verified(
        &self,
        name: &str,
        path: &Path,
        uses: &dyn UseCheck,
    ) -> Result<Option<Staged>, Refusal> {
        let Some(staged) = self.loaded(name, path).await? else {
            return Ok(None);
        };
        self.check(name, &staged, uses)?;
        Ok(Some(staged))
    }

    /// Reads and loads one file; `None` when there is nothing new about it.
    async fn loaded(&self, name: &str, path: &Path) -> Result<Option<Staged>, Refusal> {
        let (content, version) = loop {
            let content = self.read(path).await?;
            if self.is_settled(name, &content) {
                return Ok(None);
            }
            if self.is_rejected(&content.digest) {
                if self.is_known_problem(name, &content) {
                    return Ok(None);
                }
                return Err(Refusal::of(&content, ROLLED_BACK.into()));
            }
            if let Some(known) = self.with_failures(|known| known.get(&content.digest).cloned()) {
                return Err(Refusal::of(&content, known));
            }
            match self.sandbox.load(content.bytes.clone()).await {
                Ok(version) => break (content, version),
                Err(error) if self.may_be_half_copied(&error, &content) => {
                    tokio::time::sleep(self.options.settle).await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    if error.is_lasting() {
                        self.remember_failure(&content.digest, &reason);
                    }
                    return Err(Refusal::of(&content, reason));
                }
            }
        };
        Ok(Some(Staged { content, version }))
    }

    fn remember_failure(&self, digest: &str, reason: &str) {
        self.with_failures(|known| {
            if known.len() >= FAILURES_MAX {
                known.clear();
            }
            known.insert(digest.to_owned(), reason.to_owned());
        });
    }

    /// Checks a loaded version against a configuration and the other plugins. The caller holds the reconciliation.
    fn check(&self, name: &str, staged: &Staged, uses: &dyn UseCheck) -> Result<(), Refusal> {
        let Staged { content, version } = staged;
        let old = self.with_slot(name, |slot| slot.live.clone());
        let old = old.as_ref().map(|live| &*live.version);
        self.verify_for(uses, |verifier| verifier.check(name, version, old))
            .map_err(|objection| Refusal {
                may_vanish: objection.may_vanish,
                held: objection.held,
                waiting: objection.may_vanish.then(|| Box::new(Waiting::of(version))),
                ..Refusal::of(content, objection.reason)
            })
    }

    fn may_be_half_copied(&self, error: &LoadError, content: &Content) -> bool {
        error.may_be_incomplete() && content.age < self.options.incomplete_patience
    }

    async fn read(&self, path: &Path) -> Result<Content, Refusal> {
        let limit = self.sandbox.component_bytes_max();
        for _ in 0..READS_MAX {
            let path = path.to_owned();
            let reading = tokio::task::spawn_blocking(move || files::read(&path, limit)).await;
            let reading = reading.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            match reading.map_err(|error| Refusal::unread(format!("cannot be read: {error}")))? {
                Reading::Whole(content) => return Ok(content),
                Reading::TooLarge(bytes) => {
                    let error = LoadError::TooLarge { bytes, limit };
                    return Err(Refusal::unread(error.to_string()));
                }
                Reading::Unstable => tokio::time::sleep(self.options.settle).await,
            }
        }
        Err(Refusal::unread(
            "keeps changing while it is read: copy it beside and rename it".into(),
        ))
    }

    /// Whether the file is the live version: a touch, a copy of the same, a bad file that was put right.
    fn is_settled(&self, name: &str, content: &Content) -> bool {
        self.with_slot(name, |slot| {
            slot.in_file = Some(content.digest.clone());
            let settled = slot.live_digest() == Some(content.digest.as_str());
            if settled {
                slot.judged = content.fingerprint;
                slot.settled();
            }
            settled
        })
    }

    /// Whether the problem that is shown is about this file already, and says more than can be said now.
    fn is_known_problem(&self, name: &str, content: &Content) -> bool {
        self.with_slot(name, |slot| {
            slot.judged = content.fingerprint;
            let known = slot.problem.as_ref();
            known.is_some_and(|problem| problem.digest.as_ref() == Some(&content.digest))
        })
    }

    pub(super) async fn refuse(&self, name: &str, refusal: Refusal) {
        let reason = refusal.reason;
        let problem = Problem {
            at: (self.options.now)(),
            digest: refusal.digest.clone(),
            reason: reason.clone(),
        };
        let is_news = self.with_slot(name, |slot| {
            slot.judged = refusal.fingerprint.map(|fingerprint| *fingerprint);
            slot.held = refusal.held;
            slot.waiting = refusal.waiting.map(|waiting| *waiting);
            slot.set_problem(problem)
        });
        if is_news {
            tracing::warn!("plugin {name} is not taken: {reason}");
            let digest = refusal.digest;
            self.tell(name, RegistryEventKind::Refused { digest, reason })
                .await;
        }
    }

    pub(super) async fn commit(&self, name: &str, staged: Staged) -> Result<(), Refusal> {
        let event = self.goes_live(name, &staged);
        let recorded = async {
            self.record(&staged, event.at).await?;
            self.store.record_event(&event).await
        };
        if let Err(error) = recorded.await {
            // Not judged: it is tried again at the next look.
            let reason = format!("cannot be recorded in the store: {error}");
            return Err(Refusal {
                fingerprint: None,
                ..Refusal::of(&staged.content, reason)
            });
        }
        self.go_live(staged, &event);
        Ok(())
    }

    /// What happens to a plugin when a version goes live.
    pub(super) fn goes_live(&self, name: &str, staged: &Staged) -> RegistryEvent {
        let probation = self.options.breaker_probation;
        let kind = self.with_slot(name, |slot| RegistryEventKind::Live {
            digest: staged.version.digest().to_owned(),
            replaced: slot.live_digest().map(str::to_owned),
            fallbacks: slot.fallbacks_of_next(probation),
        });
        self.event(name, kind)
    }

    /// Keeps a version in the store.
    pub(super) async fn record(&self, staged: &Staged, at: Timestamp) -> Result<(), RecordError> {
        let record = record_of(&staged.version, at);
        let component = staged.content.bytes.clone();
        self.store.record_version(record, component).await
    }

    /// Gives a version to new builds, and tells about it.
    pub(super) fn go_live(&self, staged: Staged, event: &RegistryEvent) {
        let Staged { content, version } = staged;
        let name = &event.plugin;
        tracing::info!(
            "plugin {name} {} is live ({})",
            version.version(),
            short(version.digest())
        );
        let live = self.live(version, event.at);
        let old = self.with_slot(name, |slot| {
            slot.judged = content.fingerprint;
            slot.settled();
            slot.fallbacks = event.fallbacks().to_vec();
            slot.replace(Some(live))
        });
        self.publish();
        drop(old);
        (self.options.observer)(event);
    }

    pub(super) fn live(&self, version: Arc<PluginVersion>, loaded_at: Timestamp) -> Live {
        version.watch(self.versions_changed.clone());
        Live {
            version,
            loaded_at,
            since: (self.options.now)(),
            since_instant: Instant::now(),
        }
    }

    /// Whether the plugin was removed, its file being gone.
    async fn consider_gone(&self, name: &str) -> bool {
        let _alone = self.reconciling.lock().await;
        let file = self.with_slot(name, |slot| slot.file.clone());
        if file.is_file() {
            // It has come back, or somebody else has found it in the meantime.
            return false;
        }
        let Some(live) = self.with_slots(|slots| {
            let live = slots.get(name).and_then(|slot| slot.live.clone());
            if live.is_none() {
                slots.retain(|key, slot| {
                    key != name || slot.is_in_hand() || !slot.retired.is_empty()
                });
            }
            live
        }) else {
            return false;
        };
        if let Some(place) = self.verify(|verifier| verifier.used_at(&live.version)) {
            let reason = gone_but_used(&file, &place);
            self.refuse(name, Refusal::unread(reason)).await;
            return false;
        }
        let old = self.with_slot(name, |slot| {
            slot.problem = None;
            slot.fallbacks.clear();
            slot.replace(None)
        });
        self.publish();
        drop(old);
        let digest = live.version.digest().to_owned();
        tracing::info!("plugin {name} is removed, its file being gone");
        drop(live);
        self.tell(name, RegistryEventKind::Removed { digest }).await;
        true
    }

    /// Loads a version whose bytes the store has.
    pub(super) async fn load_stored(&self, digest: &str) -> Result<Arc<PluginVersion>, String> {
        let component: Option<Bytes> = self
            .store
            .component(digest)
            .await
            .map_err(|error| error.to_string())?;
        let component = component.ok_or("the store does not have it any more")?;
        let version = self.sandbox.load(component).await;
        version.map_err(|error| format!("it {error}"))
    }

    /// Tells about versions that nobody holds any more, and forgets removed plugins.
    pub(super) async fn forget_drained(&self) {
        let drained: Vec<(String, String)> = self.with_slots(|slots| {
            let mut drained = Vec::new();
            slots.retain(|name, slot| {
                let digests = slot.drained().into_iter();
                drained.extend(digests.map(|digest| (name.clone(), digest)));
                slot.live.is_some()
                    || slot.problem.is_some()
                    || slot.is_in_hand()
                    || !slot.retired.is_empty()
            });
            drained
        });
        for (name, digest) in drained {
            self.tell(&name, RegistryEventKind::Drained { digest })
                .await;
        }
    }
}

impl Slot {
    /// The file is as it should be.
    fn settled(&mut self) {
        self.problem = None;
        self.held = None;
        self.waiting = None;
    }

    /// Whether the problem is another one than before.
    fn set_problem(&mut self, problem: Problem) -> bool {
        let same = self.problem.as_ref().is_some_and(|known| {
            (&known.digest, &known.reason) == (&problem.digest, &problem.reason)
        });
        if !same {
            self.problem = Some(problem);
            self.refusals += 1;
        }
        !same
    }
}

fn record_of(version: &PluginVersion, loaded_at: Timestamp) -> VersionRecord {
    VersionRecord {
        plugin: version.name().to_owned(),
        version: version.version().to_owned(),
        digest: version.digest().to_owned(),
        contract: version.contract().to_owned(),
        describe: version.describe_json().clone(),
        size_bytes: version.size_bytes(),
        loaded_at,
    }
}

/// As much of a digest as people need.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
