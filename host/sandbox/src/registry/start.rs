//! The first look, when no configuration runs yet that a version could be measured against.
//!
//! What was live last comes first. A file with another version is a candidate: it goes live when the configuration that is
//! about to run can be checked with it. So a version that a running master refused does not win because the master was
//! started again, nor can it keep the master from starting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toolpost_core::Timestamp;

use crate::PluginVersion;
use crate::registry::reconcile::{Refusal, Staged, short};
use crate::registry::slot::Live;
use crate::registry::{Inner, LastGood, LiveTypes, files};

/// Counts what is wrong with the configuration when these are the types of plugins.
pub(super) type Faults<'a> = &'a (dyn Fn(&LiveTypes) -> usize + Send + Sync);

/// A version in a file that is not the one that was live last.
struct Candidate {
    plugin: String,
    staged: Staged,
    live: Live,
    /// What runs without it.
    before: Option<Live>,
}

impl Inner {
    /// Brings up what was live last, and versions of files that the configuration can be checked with. When it cannot be
    /// checked with any choice, the best one is live, and nothing is recorded: the caller is to give up.
    pub(super) async fn start(&self, last_good: Vec<LastGood>, faults: Faults<'_>) {
        let _alone = self.reconciling.lock().await;
        for good in &last_good {
            self.restore(good).await;
        }
        let candidates = self.try_files().await;
        if self.choose(&candidates, faults) == 0 {
            for candidate in candidates {
                self.settle(candidate).await;
            }
        }
        self.with_slots(|slots| {
            slots.values_mut().for_each(|slot| slot.loading = false);
        });
    }

    /// Runs the version that was live last, from the store.
    async fn restore(&self, good: &LastGood) {
        let name = &good.plugin;
        let restored = match self.load_stored(&good.digest).await {
            Ok(version) => self
                .verify(|verifier| verifier.check_former(&version, None))
                .map(|()| version)
                .map_err(|objection| objection.reason),
            Err(reason) => Err(reason),
        };
        let file = self.with_slot(name, |slot| slot.file.clone());
        let has_file = file.is_file();
        let note = match restored {
            Ok(version) => {
                let live = self.live_since(version, good.since);
                self.with_slot(name, |slot| {
                    slot.fallbacks.clone_from(&good.fallbacks);
                    slot.replace(Some(live))
                });
                self.publish();
                "the file is gone; the last good version goes on until the configuration does without it".into()
            }
            Err(reason) => format!("its last good version cannot be used: {reason}"),
        };
        if !has_file {
            self.refuse(name, Refusal::unread(note)).await;
        }
    }

    /// A version that has been live since before this process.
    fn live_since(&self, version: Arc<PluginVersion>, since: Timestamp) -> Live {
        let now = (self.options.now)();
        let age = u64::try_from(now.0.saturating_sub(since.0)).unwrap_or(0);
        let live = self.live(version, now);
        let began = live.since_instant.checked_sub(Duration::from_millis(age));
        Live {
            since,
            // A machine that runs for a shorter time than that does not know so early a moment.
            since_instant: began.unwrap_or(live.since_instant),
            ..live
        }
    }

    /// Lets every file be live that could be, without recording it.
    async fn try_files(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut waiting = Vec::new();
        for (name, path) in files::list(&self.options.dir).unwrap_or_default() {
            match self.try_file(&name, &path).await {
                Ok(found) => candidates.extend(found),
                Err(refusal) if refusal.may_vanish => waiting.push((name, path)),
                Err(refusal) => self.refuse(&name, refusal).await,
            }
        }
        for (name, path) in waiting {
            match self.try_file(&name, &path).await {
                Ok(found) => candidates.extend(found),
                Err(refusal) => self.refuse(&name, refusal).await,
            }
        }
        candidates
    }

    async fn try_file(&self, name: &str, path: &Path) -> Result<Option<Candidate>, Refusal> {
        let Some(staged) = self.verified(name, path, &*self.uses).await? else {
            return Ok(None);
        };
        let live = self.live(Arc::clone(&staged.version), (self.options.now)());
        let before = self.put(name, Some(live.clone()));
        Ok(Some(Candidate {
            plugin: name.to_owned(),
            staged,
            live,
            before,
        }))
    }

    /// Chooses between candidates and what was live before; tells what is wrong with the configuration then.
    fn choose(&self, candidates: &[Candidate], faults: Faults<'_>) -> usize {
        let all = faults(&self.live.load());
        if all == 0
            || candidates
                .iter()
                .all(|candidate| candidate.before.is_none())
        {
            return all;
        }
        for candidate in candidates {
            self.put(&candidate.plugin, candidate.before.clone());
        }
        let mut fewest = faults(&self.live.load());
        for candidate in candidates {
            if fewest == 0 {
                break;
            }
            let fits = self.verify(|verifier| {
                let before = candidate.before.as_ref().map(|live| &*live.version);
                verifier.check(&candidate.plugin, &candidate.staged.version, before)
            });
            if fits.is_err() {
                continue;
            }
            self.put(&candidate.plugin, Some(candidate.live.clone()));
            let with = faults(&self.live.load());
            if with < fewest {
                fewest = with;
            } else {
                self.put(&candidate.plugin, candidate.before.clone());
            }
        }
        fewest
    }

    /// Lets a version be live for a try.
    fn put(&self, plugin: &str, live: Option<Live>) -> Option<Live> {
        let before = self.with_slot(plugin, |slot| std::mem::replace(&mut slot.live, live));
        self.publish();
        before
    }

    /// Records a candidate that was chosen. What was not is looked at again once the configuration runs, and refused with
    /// the reason.
    async fn settle(&self, candidate: Candidate) {
        let Candidate {
            plugin,
            staged,
            live,
            before,
        } = candidate;
        let chosen = self.with_slot(&plugin, |slot| {
            slot.live_digest() == Some(live.version.digest())
        });
        if !chosen {
            let running = before.map_or("none".into(), |live| {
                short(live.version.digest()).to_owned()
            });
            tracing::warn!(
                "the configuration does not fit the version of plugin {plugin} in its file; the last good one goes on ({running})"
            );
            return;
        }
        drop(live);
        self.put(&plugin, before);
        if let Err(refusal) = self.commit(&plugin, staged).await {
            self.refuse(&plugin, refusal).await;
        }
    }
}
