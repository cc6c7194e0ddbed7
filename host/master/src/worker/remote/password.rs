//! Whether somebody who connects knows a worker's password.
//!
//! Secrets are compared by a keyed hash, so that the time it takes tells nothing. A slow hash is made once for each password
//! that was right: ten thousand workers that come back at once would keep every core busy otherwise.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use tokio::sync::Semaphore;
use toolpost_config::config::WorkerPassword;

use crate::secrets::{Secrets, hmac_sha256};

/// Slow hashes that are made at one time.
const HASHES_AT_ONCE: usize = 2;

/// Knows which passwords were right.
pub(super) struct Passwords {
    /// What remembered passwords are hashed with; new at each start.
    key: [u8; 32],
    slots: Semaphore,
    /// By worker: the configured hash, and the keyed hash of the password that fits it.
    right: Mutex<HashMap<String, (String, [u8; 32])>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            key: rand::random(),
            slots: Semaphore::new(HASHES_AT_ONCE),
            right: Mutex::default(),
        }
    }
}

impl Passwords {
    /// Whether this is the worker's password. The error is for the operator.
    pub(super) async fn fits(
        &self,
        secrets: &Secrets,
        worker: &str,
        expected: &WorkerPassword,
        given: &str,
    ) -> Result<bool, String> {
        match expected {
            WorkerPassword::Secret(name) => {
                let value = secrets
                    .value(name)
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(self.same(value.expose().as_bytes(), given.as_bytes()))
            }
            WorkerPassword::Reference(place) => {
                let value = secrets.read(place).await?;
                Ok(self.same(value.expose().as_bytes(), given.as_bytes()))
            }
            WorkerPassword::Plain(plain) => {
                Ok(self.same(plain.expose().as_bytes(), given.as_bytes()))
            }
            WorkerPassword::Hash(hash) => self.fits_hash(worker, hash, given).await,
        }
    }

    fn same(&self, one: &[u8], other: &[u8]) -> bool {
        hmac_sha256(&self.key, one) == hmac_sha256(&self.key, other)
    }

    async fn fits_hash(&self, worker: &str, hash: &str, given: &str) -> Result<bool, String> {
        let code = hmac_sha256(&self.key, given.as_bytes());
        let known = |right: &HashMap<String, (String, [u8; 32])>| {
            let (of, right) = right.get(worker)?;
            (of == hash && *right == code).then_some(())
        };
        if known(&self.right.lock().unwrap_or_else(PoisonError::into_inner)).is_some() {
            return Ok(true);
        }
        // Closed never.
        let _slot = self.slots.acquire().await;
        let (of, given) = (hash.to_owned(), given.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let parsed = PasswordHash::new(&of)
                .map_err(|error| format!("`password_hash` cannot be used: {error}"))?;
            let fits = Argon2::default().verify_password(given.as_bytes(), &parsed);
            Ok(fits.is_ok())
        });
        let fits = verified
            .await
            .unwrap_or_else(|error| Err(error.to_string()))?;
        if fits {
            let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            right.insert(worker.to_owned(), (hash.to_owned(), code));
        }
        Ok(fits)
    }
}
