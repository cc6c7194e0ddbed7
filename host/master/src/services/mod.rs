//! What plugins may ask of the master beside their own work, each within its grants.
//!
//! Grants are looked up at each call: one that is taken away in the configuration counts from the next call on. Secrets are
//! placeholders here and are filled in where they leave.

mod grants;
mod mail;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use toolpost_config::Config;
use toolpost_config::config::{Grants, PluginConfig};
use toolpost_core::template::{Scope, Templates};
use toolpost_sandbox::host::{HostError, HttpGrants, Message, PluginServices};
use toolpost_sandbox::{Want, Wanted};
use toolpost_store::{Expected, StorageLimits, Store, StoreError};

pub(crate) use grants::missing;

use crate::build::Recordings;
use crate::properties::TEMPLATES;
use crate::secrets::{Filling, SecretError, Secrets, hmac_sha256};

/// Connections to the mail server at one time, as the contract says: servers refuse clients that have many.
const MAIL_CONNECTIONS_MAX: usize = 4;
/// Keys that a plugin gets in one answer, as the contract says.
const KEYS_MAX: u32 = 10_000;

/// What all services stand on.
pub(crate) struct Capabilities {
    pub(crate) secrets: Secrets,
    config: ArcSwap<Config>,
    store: Store,
    /// Connections to the mail server that there may be.
    mail_places: Semaphore,
    pub(crate) recordings: Recordings,
}

impl Capabilities {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            secrets: Secrets::default(),
            config: ArcSwap::default(),
            store,
            mail_places: Semaphore::new(MAIL_CONNECTIONS_MAX),
            recordings: Recordings::default(),
        }
    }

    /// From now on these grants count.
    pub(crate) async fn configure(&self, config: &Arc<Config>) {
        self.config.store(Arc::clone(config));
        self.secrets.configure(config).await;
    }

    /// The authorities that are trusted beside those of the system.
    fn ca_file(&self) -> Option<PathBuf> {
        self.config.load().master.ca_file.clone()
    }

    fn plugin(&self, name: &str) -> Option<Arc<PluginConfig>> {
        self.config.load().plugins.get(name).cloned()
    }

    /// Whether a plugin may use a secret: it has asked for it, and it is granted.
    pub(crate) fn may_use(&self, wanted: &Wanted, secret: &str) -> bool {
        self.check_secret(wanted, secret).is_ok()
    }

    /// The same; the error says what its author or the operator can do.
    fn check_secret(&self, wanted: &Wanted, secret: &str) -> Result<(), HostError> {
        wanted.check(&Want::Secret(secret.to_owned()))?;
        let plugin = wanted.plugin();
        match self.plugin(plugin) {
            Some(config) if config.grants.secrets.contains(secret) => Ok(()),
            _ => Err(HostError::Config(format!(
                "the secret `{secret}` is not granted: add `grant.secrets = [\"{secret}\"]` to [plugin.{plugin}]"
            ))),
        }
    }

    /// What a plugin is told that cannot have a secret filled in.
    pub(crate) fn refused_secret(&self, wanted: &Wanted, error: &SecretError) -> HostError {
        let refused = match error {
            SecretError::NotAllowed(name) => self.check_secret(wanted, name).err(),
            _ => None,
        };
        // It may have been granted since.
        refused.unwrap_or_else(|| config(error))
    }

    /// Whether a plugin may read artifacts of a builder that is not that of its step.
    pub(crate) fn may_read_artifacts(&self, plugin: &str, builder: &str) -> bool {
        self.plugin(plugin)
            .is_some_and(|plugin| plugin.grants.may_read_artifacts(builder))
    }

    /// Whether a plugin may ask for builds of a builder.
    pub(crate) fn may_trigger(&self, plugin: &str, builder: &str) -> bool {
        self.plugin(plugin)
            .is_some_and(|plugin| plugin.grants.may_trigger(builder))
    }

    /// The secrets that these texts of a plugin have placeholders of, all of which must be granted to it.
    async fn filling<'t>(
        &self,
        wanted: &Wanted,
        texts: impl IntoIterator<Item = &'t [u8]>,
    ) -> Result<Filling, HostError> {
        let may_use = |name: &str| self.may_use(wanted, name);
        let filling = self.secrets.filling(texts, may_use).await;
        filling.map_err(|error| self.refused_secret(wanted, &error))
    }

    /// A text without secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.secrets.masker().mask_text(text).into_owned()
    }

    /// Bytes without secrets.
    pub(crate) fn mask_bytes(&self, bytes: &Bytes) -> Bytes {
        match self.secrets.masker().mask(bytes) {
            Cow::Borrowed(_) => bytes.clone(),
            Cow::Owned(masked) => masked.into(),
        }
    }

    /// Refuses a name with a secret in it: hidden, it would be another name.
    pub(crate) fn refuse_secret_in(&self, what: &str, name: &str) -> Result<(), HostError> {
        match self.secrets.masker().mask(name.as_bytes()) {
            Cow::Borrowed(_) => Ok(()),
            Cow::Owned(_) => Err(HostError::Permanent(format!("{what} has a secret in it"))),
        }
    }
}

/// The services of one plugin.
pub(crate) struct Services {
    shared: Arc<Capabilities>,
    wanted: Wanted,
}

impl Services {
    /// What this plugin may ask for.
    pub(crate) fn of(shared: &Arc<Capabilities>, wanted: &Wanted) -> Arc<dyn PluginServices> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            wanted: wanted.clone(),
        })
    }

    fn plugin(&self) -> &str {
        self.wanted.plugin()
    }

    /// The store, for what this plugin writes wherever it is used.
    fn party(&self) -> Store {
        let name = format!("plugin {}", self.plugin());
        self.shared.store.of_party(&name)
    }

    fn grants(&self) -> Grants {
        let plugin = self.shared.plugin(self.plugin());
        plugin.map_or_else(Grants::default, |plugin| plugin.grants.clone())
    }

    fn refused<T>(&self, what: &str, setting: &str) -> Result<T, HostError> {
        let plugin = self.plugin();
        Err(HostError::Config(format!(
            "{what} is not granted: add {setting} to [plugin.{plugin}]"
        )))
    }

    /// Whether the plugin may use a secret; the error says what the operator can do.
    fn check_secret(&self, name: &str) -> Result<(), HostError> {
        self.shared.check_secret(&self.wanted, name)
    }

    fn storage_limits(&self) -> StorageLimits {
        let mut limits = StorageLimits::default();
        let plugin = self.shared.plugin(self.plugin());
        if let Some(kib) = plugin.and_then(|plugin| plugin.storage_kib) {
            limits.total_bytes_max = usize::try_from(u64::from(kib) << 10).unwrap_or(usize::MAX);
        }
        limits
    }

    fn check_storage(&self) -> Result<(), HostError> {
        match self.grants().storage {
            true => Ok(()),
            false => self.refused("storage", "`grant.storage = true`"),
        }
    }

    /// A text as the plugin may see it.
    fn masked(&self, error: HostError) -> HostError {
        let mask = |text: String| self.shared.mask(&text);
        match error {
            HostError::Retryable(text) => HostError::Retryable(mask(text)),
            HostError::Permanent(text) => HostError::Permanent(mask(text)),
            HostError::Config(text) => HostError::Config(mask(text)),
            HostError::Internal(text) => HostError::Internal(mask(text)),
        }
    }
}

#[async_trait]
impl PluginServices for Services {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        self.check_secret(name)?;
        // Read, so that a secret that is not there is told before something is sent without it.
        self.shared
            .secrets
            .value(name)
            .await
            .map_err(|error| config(&error))?;
        Ok(self.shared.secrets.placeholder(name))
    }

    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError> {
        self.check_secret(secret)?;
        let key = self
            .shared
            .secrets
            .value(secret)
            .await
            .map_err(|error| config(&error))?;
        Ok(hmac_sha256(key.expose().as_bytes(), &data).to_vec())
    }

    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError> {
        self.check_storage()?;
        let value = self.shared.store.plugin_value(self.plugin(), key).await;
        value.map_err(store_error)
    }

    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError> {
        self.check_storage()?;
        let limits = self.storage_limits();
        let store = self.party();
        let set = store.set_plugin_value(self.plugin(), key, Expected::Any, value, limits);
        set.await.map(drop).map_err(store_error)
    }

    async fn compare_and_store(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, HostError> {
        self.check_storage()?;
        let limits = self.storage_limits();
        let expected = Expected::Value(expected);
        let store = self.party();
        let set = store.set_plugin_value(self.plugin(), key, expected, value, limits);
        set.await.map_err(store_error)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        self.check_storage()?;
        let store = &self.shared.store;
        let keys = store.plugin_keys(self.plugin(), prefix, KEYS_MAX).await;
        keys.map_err(store_error)
    }

    async fn render(&self, template: String, values: Value) -> Result<String, HostError> {
        render(&TEMPLATES, &template, &values).map_err(HostError::Config)
    }

    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError> {
        if !self.grants().mail {
            return self.refused("mail", "`grant.mail = true`");
        }
        let config = self.shared.config.load_full();
        let Some(server) = &config.mail else {
            return Err(HostError::Config(
                "there is no mail server: add a [mail] to the configuration".into(),
            ));
        };
        let place = self.shared.mail_places.acquire().await;
        let _place = place.map_err(|error| HostError::Internal(error.to_string()))?;
        let sent = mail::send(&self.shared, &self.wanted, server, message, key).await;
        sent.map_err(|error| self.masked(error))
    }

    fn http_grants(&self) -> HttpGrants {
        let grants = self.grants();
        HttpGrants {
            public: grants.http.into_iter().collect(),
            private: grants.http_private.into_iter().collect(),
            ca_file: self.shared.ca_file(),
        }
    }

    async fn fill_in(&self, bytes: Bytes) -> Result<Bytes, HostError> {
        let filling = self.shared.filling(&self.wanted, [&*bytes]).await?;
        Ok(match filling.is_empty() {
            true => bytes,
            false => filling.bytes(&bytes).into(),
        })
    }

    fn mask(&self, bytes: Bytes) -> Bytes {
        self.shared.mask_bytes(&bytes)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let names = self.grants().environment.into_iter();
        let values = names.filter_map(|name| {
            let value = std::env::var(&name).ok()?;
            Some((name, value))
        });
        values.collect()
    }
}

fn render(templates: &Templates, template: &str, values: &Value) -> Result<String, String> {
    let none = serde_json::Map::new();
    let scope = Scope::of_values(values.as_object().unwrap_or(&none));
    templates
        .render(template, &scope)
        .map_err(|error| error.to_string())
}

fn config(error: &SecretError) -> HostError {
    HostError::Config(error.to_string())
}

fn store_error(error: StoreError) -> HostError {
    match error {
        StoreError::StorageFull { .. } => HostError::Permanent(error.to_string()),
        error => HostError::Internal(error.to_string()),
    }
}
