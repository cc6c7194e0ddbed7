//! The secrets of a master: where they are, what stands for them, and who hides them.
//!
//! A value is read when it is used, so that a new one counts from the next use on. Invariant: a value leaves this module only
//! after the masker knows it, and the masker never forgets a value that may still come out of something that runs.

mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use toolpost_config::Config;
use toolpost_config::config::SecretReference;
use toolpost_core::secret::{
    Masked, Masker, SecretFault, SecretValue, TOKEN_BYTES, fill, fill_text, placeholder,
    placeholders,
};
use tracing::warn;

/// Values of one secret that are hidden: the one that it has, and those that it had.
const VALUES_KEPT_MAX: usize = 4;

/// Why a secret cannot be used. Never says what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("there is no secret `{0}`: add a [secret.{0}]")]
    Unknown(String),
    #[error("the secret `{0}` is not granted")]
    NotAllowed(String),
    #[error("the secret `{name}` cannot be used: {reason}")]
    Unusable { name: String, reason: String },
}

/// All secrets of a master.
pub(crate) struct Secrets {
    /// What placeholders are made of; new at each start.
    key: [u8; 32],
    places: ArcSwap<Places>,
    known: Mutex<BTreeMap<String, Known>>,
    masker: ArcSwap<Masker>,
}

/// Where secrets are.
#[derive(Debug, Default)]
struct Places {
    named: BTreeMap<String, SecretReference>,
    dir: Option<PathBuf>,
}

struct Known {
    placeholder: String,
    /// The newest first.
    values: VecDeque<SecretValue>,
}

/// Values that are about to be filled in.
#[derive(Debug, Default)]
pub(crate) struct Filling(HashMap<String, SecretValue>);

impl Default for Secrets {
    fn default() -> Self {
        Self {
            key: rand::random(),
            places: ArcSwap::default(),
            known: Mutex::default(),
            masker: ArcSwap::default(),
        }
    }
}

impl Secrets {
    /// From now on secrets are where this configuration says. Reads all of them, so that each is hidden before
    /// it is used, and tells the operator which cannot be read.
    pub(crate) async fn configure(&self, config: &Config) {
        let named = config
            .secrets
            .iter()
            .map(|(name, secret)| (name.clone(), secret.source.clone()));
        let places = Places {
            named: named.collect(),
            dir: config.master.secrets_dir.clone(),
        };
        let mut names: Vec<String> = places.named.keys().cloned().collect();
        if let Some(dir) = &places.dir {
            match read::names_in(dir).await {
                Ok(more) => names.extend(more),
                Err(error) => warn!("the secrets in {} cannot be listed: {error}", dir.display()),
            }
        }
        self.places.store(Arc::new(places));
        for name in names {
            if let Err(error) = self.value(&name).await {
                warn!(secret.name = %name, "{error}");
            }
        }
    }

    /// What hides all secrets that are known now.
    pub(crate) fn masker(&self) -> Arc<Masker> {
        self.masker.load_full()
    }

    /// What stands for the secret of this name.
    pub(crate) fn placeholder(&self, name: &str) -> String {
        let code = self.code(name.as_bytes());
        let mut token = [0; TOKEN_BYTES];
        token.copy_from_slice(&code[..TOKEN_BYTES]);
        placeholder(token)
    }

    fn code(&self, data: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.key, data)
    }

    /// The secrets that there are, each with what stands for it.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: BTreeMap<String, String> = known
            .iter()
            .map(|(name, known)| (name.clone(), known.placeholder.clone()))
            .collect();
        drop(known);
        for name in self.places.load().named.keys() {
            names
                .entry(name.clone())
                .or_insert_with(|| self.placeholder(name));
        }
        names.into_iter().collect()
    }

    /// The value of a secret, as it is now.
    pub(crate) async fn value(&self, name: &str) -> Result<SecretValue, SecretError> {
        let places = self.places.load_full();
        let unusable = |reason: String| SecretError::Unusable {
            name: name.to_owned(),
            reason,
        };
        let bytes = match places.named.get(name) {
            Some(place) => bytes_at(place).await.map_err(unusable)?,
            None => {
                let dir = places.dir.as_deref().filter(|_| read::is_file_name(name));
                let path = dir.map(|dir| dir.join(name)).filter(|path| path.exists());
                let path = path.ok_or_else(|| SecretError::Unknown(name.to_owned()))?;
                read::file(&path).await.map_err(unusable)?
            }
        };
        let value =
            SecretValue::read(&bytes).map_err(|fault: SecretFault| unusable(fault.to_string()))?;
        self.learn(name, &value).map_err(unusable)?;
        Ok(value)
    }

    /// What is at a place that is no secret with a name. Nobody can put it anywhere, so that nothing has to hide it.
    pub(crate) async fn read(&self, place: &SecretReference) -> Result<SecretValue, String> {
        let bytes = bytes_at(place).await?;
        SecretValue::read(&bytes).map_err(|fault: SecretFault| fault.to_string())
    }

    /// Lets the masker know a value.
    fn learn(&self, name: &str, value: &SecretValue) -> Result<(), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(name)
            && let Some(at) = known.values.iter().position(|given| given == value)
        {
            known.values.swap(0, at);
            return Ok(());
        }
        let entry = known.entry(name.to_owned()).or_insert_with(|| Known {
            placeholder: self.placeholder(name),
            values: VecDeque::new(),
        });
        entry.values.push_front(value.clone());
        entry.values.truncate(VALUES_KEPT_MAX);
        let masked = known.iter_mut().map(|(name, known)| Masked {
            name,
            placeholder: &known.placeholder,
            values: known.values.make_contiguous(),
        });
        let masker = Masker::new(masked).map_err(|error| error.to_string())?;
        self.masker.store(Arc::new(masker));
        Ok(())
    }

    /// Reads the secrets that these texts have placeholders of. One that may not be used is an error: whoever gets the text
    /// could do nothing with what stands for it.
    pub(crate) async fn filling<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t [u8]>,
        may_use: impl Fn(&str) -> bool,
    ) -> Result<Filling, SecretError> {
        let mut found: Vec<String> = Vec::new();
        for text in texts {
            found.extend(placeholders(text).map(str::to_owned));
        }
        let mut filling = Filling::default();
        if found.is_empty() {
            return Ok(filling);
        }
        let names = self.names();
        for placeholder in found {
            let named = names.iter().find(|(_, known)| *known == placeholder);
            let Some((name, _)) = named.filter(|_| !filling.0.contains_key(&placeholder)) else {
                continue;
            };
            if !may_use(name) {
                return Err(SecretError::NotAllowed(name.clone()));
            }
            let value = self.value(name).await?;
            filling.0.insert(placeholder, value);
        }
        Ok(filling)
    }
}

async fn bytes_at(place: &SecretReference) -> Result<Vec<u8>, String> {
    match place {
        SecretReference::File(path) => read::file(path).await,
        SecretReference::Environment(variable) => {
            let value = std::env::var_os(variable);
            let missing = || format!("the variable `{variable}` of the master is not set");
            Ok(value.ok_or_else(missing)?.into_encoded_bytes())
        }
    }
}

impl Filling {
    /// Whether there is nothing to fill in.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn text(&self, text: &str) -> String {
        fill_text(text, |placeholder| {
            self.0.get(placeholder).map(SecretValue::expose)
        })
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let filled = fill(bytes, |placeholder| {
            self.0.get(placeholder).map(SecretValue::expose)
        });
        filled.into_owned()
    }
}

/// HMAC with SHA-256.
pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    // Keys of HMAC have any length.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    code.update(data);
    code.finalize().into_bytes().into()
}
