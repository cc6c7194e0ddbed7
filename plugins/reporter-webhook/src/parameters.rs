//! What the configuration can set.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Posts what happens to builds to a web address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The address. A template.
    #[schemars(length(min = 1))]
    pub(crate) url: String,

    /// The method of the request.
    #[serde(default)]
    pub(crate) method: Method,

    /// Further headers; their values are templates.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,

    /// The body, a template. Without it, the body is all that is known, as JSON.
    pub(crate) body: Option<String>,

    /// The type of the body.
    #[serde(default = "default_content_type")]
    pub(crate) content_type: String,

    /// Names of secrets that templates use, as `{{ secrets['name'] }}`. Each has to be granted.
    #[serde(default)]
    pub(crate) secrets: Vec<String>,

    /// Signs the body with a secret.
    pub(crate) signature: Option<Signature>,

    /// The header with the key that is the same at each try of a delivery.
    #[serde(default = "default_idempotency_header")]
    pub(crate) idempotency_header: String,

    /// How long the receiver has to answer, in seconds.
    #[serde(default = "default_timeout_s")]
    #[schemars(range(min = 1, max = 90))]
    pub(crate) timeout_s: u64,
}

/// How the body is signed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signature {
    /// The name of the secret that is the key. It has to be granted.
    pub(crate) secret: String,

    /// The header that gets it.
    #[serde(default = "default_signature_header")]
    pub(crate) header: String,

    /// What comes before the hexadecimal digits.
    #[serde(default = "default_signature_prefix")]
    pub(crate) prefix: String,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// For most receivers.
    #[default]
    Post,
    /// For receivers that keep one thing at an address.
    Put,
    /// For receivers that change a thing.
    Patch,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

fn default_content_type() -> String {
    "application/json".to_owned()
}

fn default_idempotency_header() -> String {
    "Idempotency-Key".to_owned()
}

fn default_timeout_s() -> u64 {
    30
}

fn default_signature_header() -> String {
    "X-Hub-Signature-256".to_owned()
}

fn default_signature_prefix() -> String {
    "sha256=".to_owned()
}
