//! Log-ins that were begun and have not come back. A restart ends them; people begin again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::CoreProviderMetadata;
use openidconnect::{Nonce, PkceCodeVerifier};
use toolpost_sandbox::Trust;

/// How long somebody may take at a provider, seconds.
pub(super) const GOOD_FOR_S: i64 = 600;
const GOOD_FOR: Duration = Duration::from_secs(600);
/// Log-ins that are begun at one time; the oldest makes room.
const PENDING_MAX: usize = 10_000;

/// A log-in that was begun.
pub(super) struct Pending {
    pub(super) provider: String,
    /// The page of ours that they wanted to see.
    pub(super) redirect: String,
    pub(super) asked: Asked,
}

/// What was asked of a provider, to hold its answer against.
pub(super) enum Asked {
    Oidc(Box<AskedOidc>),
    GitHub { verifier: String },
}

/// The same, of OpenID Connect.
pub(super) struct AskedOidc {
    pub(super) metadata: CoreProviderMetadata,
    pub(super) nonce: Nonce,
    pub(super) verifier: PkceCodeVerifier,
}

/// All of them, by their state.
#[derive(Default)]
pub(crate) struct Logins {
    pending: Mutex<HashMap<String, (Instant, Pending)>>,
    pub(super) trust: Trust,
}

impl Logins {
    pub(super) fn put(&self, state: &str, pending: Pending) {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PENDING_MAX {
            all.retain(|_, (begun, _)| begun.elapsed() < GOOD_FOR);
        }
        if all.len() >= PENDING_MAX {
            let oldest = all.iter().min_by_key(|(_, (begun, _))| *begun);
            if let Some(oldest) = oldest.map(|(state, _)| state.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(state.to_owned(), (Instant::now(), pending));
    }

    /// Each is good once.
    pub(super) fn take(&self, state: &str) -> Option<Pending> {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, pending) = all.remove(state)?;
        (begun.elapsed() < GOOD_FOR).then_some(pending)
    }
}
