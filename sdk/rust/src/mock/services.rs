//! What steps and reporters have in common, for tests.

use super::{limit, template};
use crate::services::Services;
use crate::{Error, HttpError, HttpRequest, HttpResponse, Level, MailMessage};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 * 1024;
const STORED_BYTES_MAX: usize = 1024 * 1024;
const RECIPIENTS_MAX: usize = 100;
const RENDERED_BYTES_MAX: usize = 1024 * 1024;

/// An answer to an HTTP request.
#[derive(Debug, Clone)]
pub struct MockResponse(HttpResponse);

impl MockResponse {
    /// An empty answer with this status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self(HttpResponse {
            status,
            ..HttpResponse::default()
        })
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }
}

/// What the mocks know, beside what is for one kind only.
#[derive(Default)]
pub(super) struct MockServices {
    operator_log: RefCell<Vec<(Level, String)>>,
    secrets: RefCell<BTreeMap<String, String>>,
    stored: RefCell<BTreeMap<String, Vec<u8>>>,
    mails: RefCell<Vec<MailMessage>>,
    mail_keys: RefCell<Vec<String>>,
    mail_errors: RefCell<VecDeque<Error>>,
    answers: RefCell<VecDeque<Result<HttpResponse, HttpError>>>,
    requests: RefCell<Vec<HttpRequest>>,
}

impl MockServices {
    pub(super) fn set_secret(&self, name: &str, value: &str) {
        self.secrets
            .borrow_mut()
            .insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn put(&self, key: &str, value: &Value) {
        self.stored
            .borrow_mut()
            .insert(key.to_owned(), value.to_string().into_bytes());
    }

    pub(super) fn answer(&self, answer: Result<MockResponse, HttpError>) {
        let answer = answer.map(|response| response.0);
        self.answers.borrow_mut().push_back(answer);
    }

    pub(super) fn refuse_mail(&self, error: Error) {
        self.mail_errors.borrow_mut().push_back(error);
    }

    pub(super) fn operator_log(&self) -> Vec<(Level, String)> {
        self.operator_log.borrow().clone()
    }

    pub(super) fn requests(&self) -> Vec<HttpRequest> {
        self.requests.borrow().clone()
    }

    pub(super) fn mails(&self) -> Vec<MailMessage> {
        self.mails.borrow().clone()
    }

    pub(super) fn mail_keys(&self) -> Vec<String> {
        self.mail_keys.borrow().clone()
    }

    /// Puts secrets in the place of their placeholders, as the host does where something leaves.
    fn fill(&self, text: &str) -> String {
        let secrets = self.secrets.borrow();
        secrets.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&placeholder(name), value)
        })
    }

    fn fill_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.fill(text).into_bytes(),
            Err(_) => bytes.to_owned(),
        }
    }
}

/// As the host's, it can stand in addresses, headers and JSON as it is.
fn placeholder(name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("placeholder-{digits}-")
}

impl Services for MockServices {
    fn log(&self, level: Level, message: &str) {
        self.operator_log
            .borrow_mut()
            .push((level, message.to_owned()));
    }

    fn placeholder(&self, secret: &str) -> Result<String, Error> {
        if self.secrets.borrow().contains_key(secret) {
            Ok(placeholder(secret))
        } else {
            Err(no_secret(secret))
        }
    }

    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
        let secrets = self.secrets.borrow();
        let key = secrets.get(secret).ok_or_else(|| no_secret(secret))?;
        Ok(hmac_sha256::HMAC::mac(data, key.as_bytes()).to_vec())
    }

    fn stored(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.stored.borrow().get(key).cloned())
    }

    fn store(&self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        limit("the key of a stored value", key.len(), KEY_BYTES_MAX)?;
        let mut stored = self.stored.borrow_mut();
        let Some(value) = value else {
            stored.remove(key);
            return Ok(());
        };
        limit("a stored value", value.len(), VALUE_BYTES_MAX)?;
        let others = stored.iter().filter(|(other, _)| *other != key);
        let size: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        let all = size + key.len() + value.len();
        limit("what the plugin has stored", all, STORED_BYTES_MAX)?;
        stored.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<bool, Error> {
        if self.stored.borrow().get(key).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        self.store(key, value)?;
        Ok(true)
    }

    fn stored_keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let stored = self.stored.borrow();
        let keys = stored.keys().filter(|key| key.starts_with(prefix));
        Ok(keys.cloned().collect())
    }

    fn render(&self, template: &str, values: &Value) -> Result<String, Error> {
        let rendered = template::render(template, values)
            .map_err(|error| Error::config("", format!("the template: {error}")))?;
        let size = rendered.len();
        limit("what comes out of a template", size, RENDERED_BYTES_MAX)?;
        Ok(rendered)
    }

    fn send_mail(&self, message: &MailMessage, key: &str) -> Result<(), Error> {
        let everybody = [&message.to, &message.cc, &message.bcc];
        let recipients: Vec<&String> = everybody.into_iter().flatten().collect();
        limit("the number of recipients", recipients.len(), RECIPIENTS_MAX)?;
        if recipients.is_empty() {
            return Err(Error::config("", "the mail is to nobody"));
        }
        if let Some(wrong) = recipients.iter().find(|address| !address.contains('@')) {
            return Err(Error::config("", format!("`{wrong}` is no address")));
        }
        if message.text.is_none() && message.html.is_none() {
            return Err(Error::permanent("the mail has neither text nor HTML"));
        }
        if message.subject.contains(['\r', '\n']) {
            return Err(Error::permanent("the subject of a mail is one line"));
        }
        if let Some(error) = self.mail_errors.borrow_mut().pop_front() {
            return Err(error);
        }
        let mut message = message.clone();
        message.subject = self.fill(&message.subject);
        message.text = message.text.map(|text| self.fill(&text));
        message.html = message.html.map(|html| self.fill(&html));
        self.mails.borrow_mut().push(message);
        self.mail_keys.borrow_mut().push(key.to_owned());
        Ok(())
    }

    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut sent = request.clone();
        sent.url = self.fill(&sent.url);
        sent.body = self.fill_bytes(&sent.body);
        for (_, value) in &mut sent.headers {
            *value = self.fill(value);
        }
        self.requests.borrow_mut().push(sent);
        let answer = self.answers.borrow_mut().pop_front();
        let response = answer.unwrap_or_else(|| {
            Err(HttpError::Failed(format!(
                "the test has no answer for {} {}",
                request.method, request.url
            )))
        })?;
        if response.body.len() > request.body_bytes_max {
            return Err(HttpError::TooLarge);
        }
        Ok(response)
    }
}

fn no_secret(name: &str) -> Error {
    Error::config("", format!("there is no secret `{name}` for this plugin"))
}

/// The methods of the mocks of steps and reporters that have to do with services, on a field or a
/// path of fields that holds a [`MockServices`].
macro_rules! mock_services {
    ($mock:ty, $($field:ident).+) => {
        impl $mock {
            /// Gives the plugin a secret. What leaves has it in the place of its placeholder.
            #[must_use]
            pub fn secret(self, name: &str, value: &str) -> Self {
                self.$($field).+.set_secret(name, value);
                self
            }

            /// Stores a value, as an earlier call has.
            #[must_use]
            pub fn stored(self, key: &str, value: impl Into<serde_json::Value>) -> Self {
                self.$($field).+.put(key, &value.into());
                self
            }

            /// Answers the next HTTP request for which there is no answer yet.
            #[must_use]
            pub fn http(self, answer: $crate::mock::MockResponse) -> Self {
                self.$($field).+.answer(Ok(answer));
                self
            }

            /// Leaves the next HTTP request without an answer, for this reason.
            #[must_use]
            pub fn http_error(self, error: $crate::HttpError) -> Self {
                self.$($field).+.answer(Err(error));
                self
            }

            /// Does not take the next mail, for this reason.
            #[must_use]
            pub fn mail_error(self, error: $crate::Error) -> Self {
                self.$($field).+.refuse_mail(error);
                self
            }

            /// What was written to the log of the master.
            #[must_use]
            pub fn operator_log(&self) -> Vec<($crate::Level, String)> {
                self.$($field).+.operator_log()
            }

            /// The HTTP requests as the servers have got them: with secrets.
            #[must_use]
            pub fn requests(&self) -> Vec<$crate::HttpRequest> {
                self.$($field).+.requests()
            }

            /// The mails that were sent.
            #[must_use]
            pub fn mails(&self) -> Vec<$crate::MailMessage> {
                self.$($field).+.mails()
            }

            /// The keys with which they were sent.
            #[must_use]
            pub fn mail_keys(&self) -> Vec<String> {
                self.$($field).+.mail_keys()
            }

            /// A stored value.
            #[must_use]
            pub fn stored_value(&self, key: &str) -> Option<serde_json::Value> {
                let bytes = $crate::Services::stored(self, key).ok()??;
                serde_json::from_slice(&bytes).ok()
            }
        }

        impl $crate::Services for $mock {
            fn log(&self, level: $crate::Level, message: &str) {
                self.$($field).+.log(level, message);
            }

            fn placeholder(&self, secret: &str) -> Result<String, $crate::Error> {
                self.$($field).+.placeholder(secret)
            }

            fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, $crate::Error> {
                self.$($field).+.hmac_sha256(secret, data)
            }

            fn stored(&self, key: &str) -> Result<Option<Vec<u8>>, $crate::Error> {
                self.$($field).+.stored(key)
            }

            fn store(&self, key: &str, value: Option<&[u8]>) -> Result<(), $crate::Error> {
                self.$($field).+.store(key, value)
            }

            fn compare_and_set(
                &self,
                key: &str,
                expected: Option<&[u8]>,
                value: Option<&[u8]>,
            ) -> Result<bool, $crate::Error> {
                self.$($field).+.compare_and_set(key, expected, value)
            }

            fn stored_keys(&self, prefix: &str) -> Result<Vec<String>, $crate::Error> {
                self.$($field).+.stored_keys(prefix)
            }

            fn render(
                &self,
                template: &str,
                values: &serde_json::Value,
            ) -> Result<String, $crate::Error> {
                self.$($field).+.render(template, values)
            }

            fn send_mail(
                &self,
                message: &$crate::MailMessage,
                key: &str,
            ) -> Result<(), $crate::Error> {
                self.$($field).+.send_mail(message, key)
            }

            fn send_http(
                &self,
                request: &$crate::HttpRequest,
            ) -> Result<$crate::HttpResponse, $crate::HttpError> {
                self.$($field).+.send_http(request)
            }
        }
    };
}
pub(super) use mock_services;
