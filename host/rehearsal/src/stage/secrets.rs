//! The secrets of a test, and who may use them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use toolpost_core::secret::{
    Masked, Masker, SecretValue, TOKEN_BYTES, fill, fill_text, placeholder,
};

/// The secrets of a test.
#[derive(Default)]
pub(crate) struct Secrets {
    by_name: BTreeMap<String, (String, SecretValue)>,
    masker: Masker,
}

impl Secrets {
    /// These secrets. Placeholders are the same in each run.
    ///
    /// # Errors
    /// When a value is none that a secret can have.
    pub(crate) fn new(values: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut by_name = BTreeMap::new();
        for (name, value) in values {
            let value = SecretValue::read(value.as_bytes())
                .map_err(|fault| format!("the secret `{name}` {fault}"))?;
            let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
            let mut token = [0; TOKEN_BYTES];
            token.copy_from_slice(&digest[..TOKEN_BYTES]);
            by_name.insert(name.clone(), (placeholder(token), value));
        }
        let masked = by_name.iter().map(|(name, (placeholder, value))| Masked {
            name,
            placeholder,
            values: std::slice::from_ref(value),
        });
        let masker = Masker::new(masked).map_err(|error| error.to_string())?;
        Ok(Self { by_name, masker })
    }

    pub(crate) fn placeholder(&self, name: &str) -> Option<&str> {
        let (placeholder, _) = self.by_name.get(name)?;
        Some(placeholder)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.by_name.get(name)?;
        Some(value.expose())
    }

    fn filled(&self, placeholder: &str) -> Option<&str> {
        let mut all = self.by_name.values();
        let (_, value) = all.find(|(known, _)| known == placeholder)?;
        Some(value.expose())
    }

    /// A text with the secrets in it, as it would leave.
    pub(crate) fn fill_text(&self, text: &str) -> String {
        fill_text(text, |placeholder| self.filled(placeholder))
    }

    /// Bytes with the secrets in them.
    pub(crate) fn fill(&self, bytes: &[u8]) -> Bytes {
        let filled = fill(bytes, |placeholder| self.filled(placeholder));
        filled.into_owned().into()
    }

    pub(crate) fn mask(&self, bytes: &[u8]) -> Bytes {
        match self.masker.mask(bytes) {
            Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Cow::Owned(masked) => masked.into(),
        }
    }

    pub(crate) fn mask_value(&self, value: Value) -> Value {
        self.masker.mask_value(value)
    }
}
