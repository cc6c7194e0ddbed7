//! Values that outlive a call.

#[cfg(target_family = "wasm")]
use super::Services;
use super::ServicesRef;
use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often [`Storage::update`] starts again because others were quicker.
const UPDATE_ATTEMPTS_MAX: usize = 32;

/// Values that outlive a call, shared by all types of the plugin on all masters. They are JSON unless read and
/// written as bytes. A key has at most 256 bytes, a value 64 KiB.
///
/// ```
/// # use toolpost_sdk::mock::MockHost;
/// # let host = MockHost::new();
/// # let ctx = host.context();
/// let count = ctx.storage().update("runs", |runs: Option<u32>| Some(runs.unwrap_or(0) + 1))?;
/// assert_eq!(count, Some(1));
/// assert_eq!(ctx.storage().get::<u32>("runs")?, Some(1));
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
pub struct Storage {
    services: ServicesRef,
}

impl Storage {
    pub(crate) fn new(services: ServicesRef) -> Self {
        Self { services }
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when it is not of this type, [`Error::Config`] without the grant.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.get_bytes(key)?
            .map(|bytes| parse(key, &bytes))
            .transpose()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when it is too long, [`Error::Config`] without the grant.
    pub fn set(&self, key: &str, value: &impl Serialize) -> Result<(), Error> {
        self.set_bytes(key, &write(key, value)?)
    }

    /// Removes a key, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] without the grant.
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        self.services.store(key, None)
    }

    /// Sets the value of a key to what becomes of its present value (`None`: there is none, or it is
    /// removed), as if nobody else did anything meanwhile. `change` is called again when somebody did.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`set`](Self::set); [`Error::Retryable`] when others change it all the time.
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        for _ in 0..UPDATE_ATTEMPTS_MAX {
            let before = self.get_bytes(key)?;
            let value = before
                .as_deref()
                .map(|bytes| parse(key, bytes))
                .transpose()?;
            let changed = change(value);
            let after = changed
                .as_ref()
                .map(|value| write(key, value))
                .transpose()?;
            if self.compare_and_set(key, before.as_deref(), after.as_deref())? {
                return Ok(changed);
            }
        }
        Err(Error::retryable(format!(
            "the stored value `{key}` is changed by too many at once"
        )))
    }

    /// The bytes of a key.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] without the grant.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.services.stored(key)
    }

    /// Sets the bytes of a key.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when they are too many, [`Error::Config`] without the grant.
    pub fn set_bytes(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.services.store(key, Some(value))
    }

    /// Sets the bytes of a key if the present ones are `expected` (`None`: there are none), and says whether
    /// they were.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when they are too many, [`Error::Config`] without the grant.
    pub fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<bool, Error> {
        self.services.compare_and_set(key, expected, value)
    }

    /// The keys that start with this, sorted. At most 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] without the grant.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.services.stored_keys(prefix)
    }
}

fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::permanent(format!("the stored value `{key}`: {error}")))
}

fn write(key: &str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::permanent(format!("the stored value `{key}`: {error}")))
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::mock::MockHost;

    #[test]
    fn an_update_sees_what_others_wrote_meanwhile() {
        let storage = MockHost::new().context().storage();
        let mut calls = 0;
        let result = storage.update("n", |n: Option<u32>| {
            calls += 1;
            if calls == 1 {
                storage.set("n", &10).expect("it is short");
            }
            Some(n.unwrap_or(0) + 1)
        });
        assert_eq!((result, calls), (Ok(Some(11)), 2));
        let never = storage.update("n", |n: Option<u32>| {
            storage.set("n", &n.map(|n| n + 1)).expect("it is short");
            None
        });
        assert!(matches!(never, Err(Error::Retryable(_))), "{never:?}");
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let storage = MockHost::new().context().storage();
        storage.set("a/1", &["x"]).expect("it is short");
        storage.set_bytes("a/2", b"no JSON").expect("it is short");
        storage.set("b", &1).expect("it is short");
        assert_eq!(storage.get("a/1"), Ok(Some(vec!["x".to_owned()])));
        let error = storage.get::<u32>("a/2").expect_err("it is no number");
        assert!(
            error.to_string().starts_with("the stored value `a/2`"),
            "{error}"
        );
        assert_eq!(
            storage.keys("a/"),
            Ok(vec!["a/1".to_owned(), "a/2".to_owned()])
        );
        storage.remove("a/1").expect("it was there");
        assert_eq!(storage.get::<u32>("a/1"), Ok(None));
        assert!(storage.set("b", &"x".repeat(70_000)).is_err());
        assert!(storage.set(&"k".repeat(257), &1).is_err());
    }
}
