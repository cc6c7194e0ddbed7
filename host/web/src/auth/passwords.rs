//! Whether somebody knows a password, told in the same time whoever they say they are.
//!
//! A slow hash is made for each password that is tried, also for names that nobody has, by a few threads at one time. One that was
//! right is remembered as a keyed hash, so that programs which log in again and again cost little, and are not stopped because somebody
//! else guesses at their name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use toolpost_config::config::{AuthConfig, UserConfig};

use crate::error::ApiError;

/// Slow hashes that are made at one time.
const HASHES_AT_ONCE: usize = 2;
/// How long somebody waits for their turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);
/// A longer password is not looked at, bytes.
const PASSWORD_BYTES_MAX: usize = 4 * 1024;
/// Passwords that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Knows which passwords were right.
pub(super) struct Passwords {
    /// What remembered passwords are hashed with; new at each start.
    key: [u8; 32],
    slots: Arc<Semaphore>,
    /// By name: a hash of the configured hash and of the password that fits it.
    right: Mutex<HashMap<String, [u8; 32]>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            key: rand::random(),
            slots: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            right: Mutex::default(),
        }
    }
}

impl Passwords {
    /// Whether a password is known to be somebody's, without much work.
    pub(super) fn is_remembered(&self, user: Option<&UserConfig>, password: &str) -> bool {
        let Some(user) = user else { return false };
        let code = self.code(&user.password_hash, password);
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(&user.identity.name) == Some(&code)
    }

    /// Whether a password is somebody's; for nobody it takes as long, and is not.
    pub(super) async fn fits(
        &self,
        auth: &AuthConfig,
        user: Option<&UserConfig>,
        password: &str,
    ) -> Result<bool, ApiError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        // For nobody one that is as slow as those of others.
        let other = || auth.users.values().next();
        let hash = user.or_else(other).map(|user| user.password_hash.clone());
        let busy = |_| ApiError::TooMany("too many people log in at the moment; try again".into());
        let turn = tokio::time::timeout(TURN_WAIT_MAX, Arc::clone(&self.slots).acquire_owned());
        let turn = turn.await.map_err(busy)?;
        let given = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let hash = hash.as_deref().unwrap_or_else(nobody);
            let parsed = PasswordHash::new(hash).ok()?;
            let fits = Argon2::default().verify_password(given.as_bytes(), &parsed);
            Some(fits.is_ok())
        });
        let broken = || {
            ApiError::Internal(
                "a hash of a password cannot be used; make it with `toolpost hash-password`".into(),
            )
        };
        let fits = verified.await.ok().flatten().ok_or_else(broken)?;
        let Some(user) = user.filter(|_| fits) else {
            return Ok(false);
        };
        let code = self.code(&user.password_hash, password);
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED_MAX {
            right.clear();
        }
        right.insert(user.identity.name.clone(), code);
        Ok(true)
    }

    /// The key is secret and comes first and last, so that nobody can make or lengthen one.
    fn code(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update((hash.len() as u64).to_le_bytes());
        hasher.update(hash);
        hasher.update(password);
        hasher.update(self.key);
        hasher.finalize().into()
    }
}

/// A hash of no password.
fn nobody() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let random: [u8; 32] = rand::random();
        let made = Argon2::default().hash_password(&random);
        made.map(|hash| hash.to_string()).unwrap_or_default()
    })
}
