//! Goes back to an earlier version: when a new one keeps failing, or when a person says so.

use std::sync::PoisonError;
use std::time::Instant;

use crate::registry::reconcile::short;
use crate::registry::slot::Slot;
use crate::registry::{Inner, Problem, RegistryError, RegistryEventKind, RegistryOptions};

/// A new version that has failed too often.
struct Tripped {
    plugin: String,
    fallbacks: Vec<String>,
    reason: String,
}

impl Inner {
    /// Takes back new versions that keep failing.
    pub(crate) async fn check_breakers(&self) {
        let _alone = self.reconciling.lock().await;
        let now = Instant::now();
        let tripped: Vec<Tripped> = self.with_slots(|slots| {
            let tripped = slots
                .iter()
                .filter_map(|(name, slot)| tripped(name, slot, &self.options, now));
            tripped.collect()
        });
        for Tripped {
            plugin,
            fallbacks,
            reason,
        } in tripped
        {
            self.fall_back(&plugin, fallbacks, &reason).await;
        }
    }

    /// Goes back to the newest of these versions that can be gone back to.
    async fn fall_back(&self, plugin: &str, mut fallbacks: Vec<String>, reason: &str) {
        let mut obstacles = Vec::new();
        while let Some(to) = fallbacks.pop() {
            match self.rollback(plugin, &to, reason).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!("plugin {plugin}: {reason}, but {error}");
                    obstacles.push(error.to_string());
                }
            }
        }
        let problem = Problem {
            at: (self.options.now)(),
            digest: None,
            reason: format!("{reason}, but {}", obstacles.join("; ")),
        };
        // Not tried again: the same would happen.
        self.with_slot(plugin, |slot| {
            slot.fallbacks.clear();
            slot.problem = Some(problem);
        });
    }

    /// Makes another version of a plugin the live one. The caller holds the reconciliation.
    pub(super) async fn rollback(
        &self,
        plugin: &str,
        to: &str,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let known = self.with_slots(|slots| {
            let slot = slots.get(plugin)?;
            let live = slot.live.as_ref()?;
            let older = slot.fallbacks.iter().position(|known| known == to);
            let fallbacks = slot.fallbacks[..older.unwrap_or(0)].to_vec();
            Some((live.version.clone(), slot.in_memory(to), fallbacks))
        });
        let Some((current, in_memory, fallbacks)) = known else {
            return Err(RegistryError::UnknownPlugin(plugin.to_owned()));
        };
        let refuse = |reason: String| RegistryError::Rollback {
            plugin: plugin.to_owned(),
            digest: to.to_owned(),
            reason,
        };
        let from = current.digest().to_owned();
        if from == to {
            return Err(refuse("it is the live one".into()));
        }
        let (version, loaded_at) = match in_memory {
            Some(found) => found,
            None => {
                let version = self.load_stored(to).await.map_err(refuse)?;
                (version, (self.options.now)())
            }
        };
        self.verify(|verifier| verifier.check_former(&version, Some(&current)))
            .map_err(|objection| refuse(format!("it {}", objection.reason)))?;
        tracing::warn!(
            "plugin {plugin} goes back from {} to {}: {reason}",
            short(&from),
            short(to)
        );
        let kind = RegistryEventKind::RolledBack {
            from: from.clone(),
            to: to.to_owned(),
            reason: reason.to_owned(),
            fallbacks: fallbacks.clone(),
        };
        let event = self.event(plugin, kind);
        // Before the swap: a kill in between must not bring the other version back.
        let recorded = self.store.record_event(&event).await;
        recorded.map_err(|error| refuse(format!("it cannot be recorded in the store: {error}")))?;
        self.with_rejected(|rejected| {
            rejected.remove(to);
            rejected.insert(from.clone());
        });
        let live = self.live(version, loaded_at);
        let problem = Problem {
            at: event.at,
            digest: Some(from.clone()),
            reason: format!(
                "rolled back to version {}: {reason}; replace the file with another version",
                short(to)
            ),
        };
        let old = self.with_slot(plugin, |slot| {
            // There is nothing to be done about a file that has this very version.
            slot.problem = Some(problem).filter(|_| slot.in_file.as_deref() != Some(to));
            slot.fallbacks = fallbacks;
            slot.rollbacks += 1;
            slot.replace(Some(live))
        });
        self.publish();
        drop((old, current));
        (self.options.observer)(&event);
        Ok(())
    }

    fn with_rejected<T>(
        &self,
        act: impl FnOnce(&mut std::collections::BTreeSet<String>) -> T,
    ) -> T {
        act(&mut self.rejected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn tripped(name: &str, slot: &Slot, options: &RegistryOptions, now: Instant) -> Option<Tripped> {
    let live = slot.live.as_ref()?;
    let fallbacks = slot.fallbacks.clone();
    let is_new = now.duration_since(live.since_instant) < options.breaker_probation;
    let recent = live
        .version
        .faults()
        .into_iter()
        .filter(|fault| now.duration_since(fault.at) < options.breaker_window);
    let recent: Vec<_> = recent.collect();
    let last = recent.last()?;
    let trips = is_new && !fallbacks.is_empty() && recent.len() >= options.breaker_faults_max;
    trips.then(|| Tripped {
        plugin: name.to_owned(),
        fallbacks,
        reason: format!(
            "the new version {} failed {} times in a short time, the last time because {}",
            live.version.version(),
            recent.len(),
            last.text
        ),
    })
}
