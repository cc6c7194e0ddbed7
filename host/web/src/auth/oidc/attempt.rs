//! One log-in at a provider, from its beginning to its end. All that is asked of the provider is made of one secret, which only the
//! browser has: so whoever comes back, and to whichever master, can be held against it, and the database knows no more than its hash.
//!
//! Invariant: the secret is in no address. Of what is made of it, the state and the nonce are seen on the way, the verifier by the
//! provider alone; none of them leads back to the secret or to another one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use sha2::{Digest as _, Sha256};

use crate::auth::new_secret;

/// How long somebody may take at a provider, seconds.
pub(super) const GOOD_FOR_S: u32 = 600;

/// A log-in.
pub(super) struct Attempt {
    secret: String,
}

impl Attempt {
    /// One that begins.
    pub(super) fn new() -> Self {
        Self {
            secret: new_secret(),
        }
    }

    /// The one that a browser began which shows this secret, if it comes back with the state of it.
    pub(super) fn returned(secret: &str, state: &str) -> Option<Self> {
        let attempt = Self {
            secret: secret.to_owned(),
        };
        (!secret.is_empty() && attempt.state() == state).then_some(attempt)
    }

    /// What the browser keeps.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// What comes back in the address.
    pub(super) fn state(&self) -> String {
        self.derive("state")
    }

    /// What an identity token has to name.
    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// What proves that the code was asked for here (RFC 7636).
    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derive("verifier"))
    }

    /// What is told of that at the beginning.
    pub(super) fn challenge(&self) -> PkceCodeChallenge {
        PkceCodeChallenge::from_code_verifier_sha256(&self.verifier())
    }

    fn derive(&self, what: &str) -> String {
        let hash = Sha256::digest(format!("toolpost log-in {what} {}", self.secret));
        URL_SAFE_NO_PAD.encode(hash)
    }
}
