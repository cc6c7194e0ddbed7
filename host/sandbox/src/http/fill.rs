//! Secrets on their way out: each in the encoding of the place where it stands.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use toolpost_core::secret::{fill, placeholders};
use wasmtime_wasi_http::{Error, Result};

use super::{config, internal};
use crate::host::{HostError, PluginServices};

/// How basic authentication begins, after which names and passwords are encoded.
const BASIC: &str = "Basic ";

/// Fills placeholders in.
pub(super) struct Filler<'a> {
    pub(super) services: &'a dyn PluginServices,
    /// Whether anything was filled in.
    pub(super) has_filled: bool,
}

impl Filler<'_> {
    /// The bytes with secrets in them, each written by `encode`.
    async fn fill(&mut self, bytes: &[u8], encode: fn(&str) -> String) -> Result<Option<Bytes>> {
        let mut values: HashMap<String, String> = HashMap::new();
        for placeholder in placeholders(bytes) {
            if values.contains_key(placeholder) {
                continue;
            }
            let asked = Bytes::copy_from_slice(placeholder.as_bytes());
            let value = self
                .services
                .fill_in(asked)
                .await
                .map_err(|error| failed(&error))?;
            if value != placeholder {
                let value = String::from_utf8_lossy(&value);
                values.insert(placeholder.to_owned(), encode(&value));
            }
        }
        if values.is_empty() {
            return Ok(None);
        }
        self.has_filled = true;
        let filled = fill(bytes, |placeholder| {
            values.get(placeholder).map(String::as_str)
        });
        Ok(Some(filled.into_owned().into()))
    }

    /// Path and query, where a secret is percent-encoded.
    pub(super) async fn path(&mut self, path: &PathAndQuery) -> Result<PathAndQuery> {
        match self.fill(path.as_str().as_bytes(), percent_encoded).await? {
            None => Ok(path.clone()),
            Some(filled) => {
                PathAndQuery::from_maybe_shared(filled).map_err(|_| Error::HttpRequestUriInvalid)
            }
        }
    }

    /// Headers, where a secret stands as it is; within basic authentication, too.
    pub(super) async fn headers(&mut self, headers: &mut HeaderMap) -> Result<()> {
        for (name, value) in headers.iter_mut() {
            let filled = match basic(name == AUTHORIZATION, value) {
                None => self.fill(value.as_bytes(), str::to_owned).await?,
                Some(login) => self
                    .fill(&login, str::to_owned)
                    .await?
                    .map(|login| format!("{BASIC}{}", STANDARD.encode(login)).into()),
            };
            if let Some(filled) = filled {
                let mut filled = HeaderValue::from_maybe_shared(filled).map_err(|_| {
                    internal(format!("a secret in `{name}` has more than one line"))
                })?;
                filled.set_sensitive(true);
                *value = filled;
            }
        }
        Ok(())
    }

    /// A body, where a secret is written as its content type wants it.
    pub(super) async fn body(&mut self, headers: &HeaderMap, body: Bytes) -> Result<Bytes> {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let content_type = String::from_utf8_lossy(content_type.unwrap_or_default());
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let encode = match kind.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => percent_encoded,
            "application/json" => json_escaped,
            kind if kind.ends_with("+json") => json_escaped,
            _ => str::to_owned,
        };
        Ok(self.fill(&body, encode).await?.unwrap_or(body))
    }
}

fn failed(error: &HostError) -> Error {
    match error {
        HostError::Config(text) | HostError::Permanent(text) => config(text),
        error => internal(error.to_string()),
    }
}

/// User name and password of basic authentication.
fn basic(is_authorization: bool, value: &HeaderValue) -> Option<Cow<'static, [u8]>> {
    let text = value.to_str().ok().filter(|_| is_authorization)?;
    let scheme = text.get(..BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) {
        return None;
    }
    let login = STANDARD.decode(text[BASIC.len()..].trim()).ok()?;
    Some(login.into())
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
