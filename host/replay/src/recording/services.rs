//! Notes what a step asks of the master's services.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_sandbox::host::{
    HostError, HttpFailure, HttpGrants, HttpRequest, HttpResponse, Message, Network, PluginClock,
    PluginServices,
};

use super::calls;
use super::tape::Tape;
use crate::facts;

pub(super) struct RecordedServices {
    inner: Arc<dyn PluginServices>,
    tape: Arc<Tape>,
}

impl RecordedServices {
    pub(super) fn new(inner: Arc<dyn PluginServices>, tape: &Arc<Tape>) -> Self {
        let tape = Arc::clone(tape);
        Self { inner, tape }
    }
}

/// A value of the plugin's storage.
fn kept(value: Option<&Bytes>) -> Value {
    value.map_or(Value::Null, |bytes| facts::blob(bytes))
}

#[async_trait]
impl PluginServices for RecordedServices {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        let question = self.inner.secret_placeholder(name);
        self.tape
            .ask(calls::SECRET, json!({ "name": name }), question, |text| {
                json!(text)
            })
            .await
    }

    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError> {
        let about = json!({ "name": secret, "data": facts::payload(&data) });
        let question = self.inner.hmac_sha256(secret, data);
        let keep = |bytes: &Vec<u8>| facts::blob(bytes);
        self.tape.ask(calls::HMAC, about, question, keep).await
    }

    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError> {
        let question = self.inner.stored(key);
        let keep = |value: &Option<Bytes>| kept(value.as_ref());
        let about = json!({ "key": key });
        self.tape.ask(calls::STORED, about, question, keep).await
    }

    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError> {
        let about = json!({ "key": key, "value": kept(value.as_ref()) });
        let question = self.inner.store(key, value);
        self.tape.done(calls::STORE, about, question).await
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
        let question = self.inner.compare_and_store(key, expected, value);
        self.tape
            .ask(calls::COMPARE_AND_STORE, about, question, |done| {
                json!(done)
            })
            .await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        let question = self.inner.keys(prefix);
        let about = json!({ "prefix": prefix });
        self.tape
            .ask(calls::KEYS, about, question, |keys| json!(keys))
            .await
    }

    async fn render(&self, template: String, values: Value) -> Result<String, HostError> {
        let about = json!({ "template": facts::payload(template.as_bytes()), "values": values });
        let question = self.inner.render(template, values);
        self.tape
            .ask(calls::RENDER, about, question, |text| json!(text))
            .await
    }

    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError> {
        let about = calls::mail(&message, key);
        let question = self.inner.send_mail(message, key);
        self.tape.done(calls::MAIL, about, question).await
    }

    fn http_grants(&self) -> HttpGrants {
        self.inner.http_grants()
    }

    async fn fill_in(&self, bytes: Bytes) -> Result<Bytes, HostError> {
        // What is filled in are secrets, on their way past the plugin: nothing to note.
        self.inner.fill_in(bytes).await
    }

    fn mask(&self, bytes: Bytes) -> Bytes {
        self.inner.mask(bytes)
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        network: &dyn Network,
    ) -> Result<HttpResponse, HttpFailure> {
        let about = calls::http(&request);
        let question = self.inner.exchange(request, network);
        let keep = |response: &HttpResponse| facts::response(response);
        self.tape.ask(calls::HTTP, about, question, keep).await
    }

    fn clock(&self) -> Option<Arc<dyn PluginClock>> {
        self.inner.clock()
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.inner.environment()
    }
}
