//! The master's services, as recorded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_core::hosts::HostPattern;
use toolpost_sandbox::host::{
    HostError, HttpFailure, HttpGrants, HttpRequest, HttpResponse, Message, Network, PluginServices,
};

use super::host::Trail;
use crate::facts;
use crate::recording::{Recording, calls};

pub(super) struct ReplayServices {
    trail: Arc<Trail>,
}

impl ReplayServices {
    pub(super) fn new(trail: &Arc<Trail>) -> Self {
        let trail = Arc::clone(trail);
        Self { trail }
    }
}

fn kept(value: Option<&Bytes>) -> Value {
    value.map_or(Value::Null, |bytes| facts::blob(bytes))
}

/// The hosts of the requests of a recording.
pub(super) fn hosts(recording: &Recording) -> Vec<HostPattern> {
    let requests = recording
        .calls
        .iter()
        .filter(|call| call.call == calls::HTTP);
    let hosts = requests.filter_map(|call| {
        let (_, url) = call.about.get("request")?.as_str()?.split_once(' ')?;
        let uri: http::Uri = url.parse().ok()?;
        uri.authority()?.as_str().parse().ok()
    });
    hosts.collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[async_trait]
impl PluginServices for ReplayServices {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        self.trail
            .ask(calls::SECRET, &json!({ "name": name }), text)
    }

    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError> {
        let about = json!({ "name": secret, "data": facts::payload(&data) });
        let read = |value: &Value| facts::unblob(value).map(Vec::from);
        self.trail.ask(calls::HMAC, &about, read)
    }

    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            value => facts::unblob(value).map(Some),
        };
        self.trail.ask(calls::STORED, &json!({ "key": key }), read)
    }

    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError> {
        let about = json!({ "key": key, "value": kept(value.as_ref()) });
        self.trail.done(calls::STORE, &about)
    }

    async fn compare_and_store(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, HostError> {
        let about = json!({
            "key": key,
            "expected": kept(expected.as_ref()),
            "value": kept(value.as_ref()),
        });
        self.trail
            .ask(calls::COMPARE_AND_STORE, &about, Value::as_bool)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        let about = json!({ "prefix": prefix });
        self.trail.ask(calls::KEYS, &about, facts::texts)
    }

    async fn render(&self, template: String, values: Value) -> Result<String, HostError> {
        let about = json!({ "template": facts::payload(template.as_bytes()), "values": values });
        self.trail.ask(calls::RENDER, &about, text)
    }

    /// Hosts that were granted then, as far as they were asked.
    fn http_grants(&self) -> HttpGrants {
        HttpGrants {
            public: self.trail.hosts.clone(),
            private: Vec::new(),
            ca_file: None,
        }
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        _: &dyn Network,
    ) -> Result<HttpResponse, HttpFailure> {
        let about = calls::http(&request);
        self.trail.ask(calls::HTTP, &about, facts::unresponse)
    }

    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError> {
        let about = calls::mail(&message, key);
        self.trail.done::<HostError>(calls::MAIL, &about)?;
        self.trail
            .collect(|all| all.mails.push((key.to_owned(), message)));
        Ok(())
    }
}
