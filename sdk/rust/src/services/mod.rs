//! What the host does for steps and reporters alike: secrets, stored values, templates, mail, HTTP.

mod http;
mod mail;
mod storage;

pub use http::{Http, HttpError, HttpRequest, HttpResponse, Request};
pub use mail::{Attachment, Mail, MailMessage};
pub use storage::Storage;

use crate::{Error, Level};
use serde_json::Value;

/// Everything that a host does for steps and reporters alike.
pub trait Services {
    /// Writes a line to the log of the master.
    fn log(&self, level: Level, message: &str);
    /// The placeholder of a secret.
    fn placeholder(&self, secret: &str) -> Result<String, Error>;
    /// The HMAC with SHA-256 of these bytes, with a secret as its key.
    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, Error>;
    /// A stored value.
    fn stored(&self, key: &str) -> Result<Option<Vec<u8>>, Error>;
    /// Stores a value; `None` removes it.
    fn store(&self, key: &str, value: Option<&[u8]>) -> Result<(), Error>;
    /// Stores a value if the stored one is as expected; whether it was.
    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<bool, Error>;
    /// The keys of stored values that start with this, sorted.
    fn stored_keys(&self, prefix: &str) -> Result<Vec<String>, Error>;
    /// Renders a template.
    fn render(&self, template: &str, values: &Value) -> Result<String, Error>;
    /// Hands a message to the mail server.
    fn send_mail(&self, message: &MailMessage, key: &str) -> Result<(), Error>;
    /// Sends a request, and waits for the whole response.
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// How things hold their services.
#[cfg(not(target_family = "wasm"))]
pub(crate) type ServicesRef = std::rc::Rc<dyn Services>;

/// In WebAssembly there is one host, known to the compiler, so that a component imports no more than its
/// plugin calls.
#[cfg(target_family = "wasm")]
pub(crate) type ServicesRef = std::rc::Rc<crate::wasm::WasmHost>;

/// The methods that the contexts of steps and reporters share, on a field `services`.
macro_rules! service_methods {
    () => {
        /// The placeholder of a secret: a text that means nothing, in whose place the host puts the secret
        /// when it leaves for somebody who may have it: in HTTP requests to granted hosts, in mail, and in the
        /// command line, environment and standard input of commands. Wants
        /// [`Capability::Secret`](crate::Capability::Secret).
        ///
        /// # Errors
        ///
        /// [`Error::Config`] when it is not granted, or there is none.
        pub fn secret(&self, name: &str) -> Result<String, Error> {
            $crate::Services::placeholder(&*self.services, name)
        }

        /// The HMAC with SHA-256 of these bytes, with a secret as its key. The host computes it, because a
        /// plugin never sees a secret. Wants [`Capability::Secret`](crate::Capability::Secret).
        ///
        /// # Errors
        ///
        /// [`Error::Config`] when it is not granted, or there is none.
        pub fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
            $crate::Services::hmac_sha256(&*self.services, secret, data)
        }

        /// Values that outlive a call, shared by all types of the plugin. Wants
        /// [`Capability::Storage`](crate::Capability::Storage).
        pub fn storage(&self) -> $crate::Storage {
            $crate::Storage::new(std::rc::Rc::clone(&self.services))
        }

        /// Renders a template (the Jinja dialect of the configuration) with the values of an object as its
        /// variables.
        ///
        /// # Errors
        ///
        /// [`Error::Config`] says what is wrong in which line; a name that is not there is wrong, too.
        pub fn render(
            &self,
            template: &str,
            values: impl serde::Serialize,
        ) -> Result<String, Error> {
            let values = serde_json::to_value(values)
                .map_err(|error| Error::permanent(format!("values of a template: {error}")))?;
            $crate::Services::render(&*self.services, template, &values)
        }

        /// Sends HTTP requests. Wants [`Capability::HttpHost`](crate::Capability::HttpHost).
        pub fn http(&self) -> $crate::Http {
            $crate::Http::new(std::rc::Rc::clone(&self.services))
        }

        /// A mail with this subject. Wants [`Capability::Mail`](crate::Capability::Mail).
        pub fn mail(&self, subject: impl Into<String>) -> $crate::Mail {
            $crate::Mail::new(std::rc::Rc::clone(&self.services), subject.into())
        }

        /// Writes a line to the log of the master, which its operator reads.
        pub fn log(&self, level: $crate::Level, message: &str) {
            $crate::Services::log(&*self.services, level, message);
        }
    };
}
pub(crate) use service_methods;
