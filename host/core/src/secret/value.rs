//! The value of a secret, which nothing prints by accident.

use std::fmt;
use std::sync::Arc;

/// A shorter secret cannot be hidden: too much that is no secret looks like it.
pub const SECRET_BYTES_MIN: usize = 6;
/// Keys and tokens are smaller; a larger file is not one.
pub const SECRET_BYTES_MAX: usize = 16 << 10;

/// The value of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<str>);

/// Why a text cannot be a secret. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// It is nothing but line ends.
    #[error("it is empty")]
    Empty,
    /// It cannot be hidden in logs.
    #[error("it has fewer than {SECRET_BYTES_MIN} bytes and could not be hidden in logs")]
    TooShort,
    /// It is no key and no token.
    #[error("it has more than {SECRET_BYTES_MAX} bytes")]
    TooLong,
    /// It is not text.
    #[error("it is not UTF-8 text, or has a zero byte in it; encode it as Base64")]
    NoText,
}

impl SecretValue {
    /// The value of what was read: without the line end that editors leave at the end.
    ///
    /// # Errors
    /// When it cannot be kept secret, or is no text.
    pub fn read(bytes: &[u8]) -> Result<Self, SecretFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| SecretFault::NoText)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.contains('\0') {
            return Err(SecretFault::NoText);
        }
        let told: usize = text.lines().map(|line| line.trim().len()).sum();
        match told {
            0 => Err(SecretFault::Empty),
            told if told < SECRET_BYTES_MIN => Err(SecretFault::TooShort),
            _ if text.len() > SECRET_BYTES_MAX => Err(SecretFault::TooLong),
            _ => Ok(Self(text.into())),
        }
    }

    /// The secret itself: for whoever hands it to somebody who may have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}
