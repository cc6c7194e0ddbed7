//! `secrets`, `key-value`, `templates`, `mail`, `reports`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::Want;
use crate::bindings::toolpost::plugin::{key_value, mail, reports, secrets, templates};
use crate::call::{CallState, Caller, Effort, Stop};
use crate::host::{HostError, PluginServices};
use crate::imports::{Answer, answer, refuse, within};

/// Bytes of the name of a secret.
const SECRET_NAME_BYTES_MAX: usize = 256;
/// Recipients of a message.
const RECIPIENTS_MAX: usize = 100;

impl CallState {
    /// Asks a service that only computes, here and now: that is the plugin's own time, on the plugins' threads.
    async fn compute<T, F>(
        &mut self,
        what: &'static str,
        question: impl FnOnce(Arc<dyn PluginServices>) -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<T, HostError>> + Send,
    {
        self.host_calls.count(what);
        answer(question(self.home(what)?.services()).await)
    }

    /// Asks a service of the master, if the plugin has said that it needs it.
    async fn serve<T, F>(
        &mut self,
        what: &'static str,
        need: Want,
        question: impl FnOnce(Arc<dyn PluginServices>) -> F,
    ) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HostError>> + Send + 'static,
    {
        self.host_calls.count(what);
        let home = self.home(what)?;
        if let Err(refused) = home.wanted.check(&need) {
            return answer(Err(refused));
        }
        let question = question(home.services());
        let leave = self.pace.enter(Effort::Small).await;
        let answered = self.home(what)?.run(question).await;
        drop(leave);
        answer(answered?)
    }

    fn key_objection(&self, key: &str) -> Option<String> {
        let limit = self.limits.key_bytes_max;
        (key.is_empty() || key.len() > limit).then(|| format!("a key must have 1 to {limit} bytes"))
    }

    fn value_objection(&self, value: Option<&Vec<u8>>) -> Option<String> {
        let (length, limit) = (value.map_or(0, Vec::len), self.limits.value_bytes_max);
        (length > limit).then(|| format!("a value has {length} bytes, the limit is {limit}"))
    }
}

impl secrets::Host for CallState {
    async fn placeholder(&mut self, name: String) -> Answer<String> {
        if name.len() > SECRET_NAME_BYTES_MAX {
            return refuse(format!(
                "the name of a secret has at most {SECRET_NAME_BYTES_MAX} bytes"
            ));
        }
        let need = Want::Secret(name.clone());
        self.serve("secrets.placeholder", need, async move |services| {
            services.secret_placeholder(&name).await
        })
        .await
    }

    async fn hmac_sha256(&mut self, name: String, data: Vec<u8>) -> Answer<Vec<u8>> {
        const WHAT: &str = "secrets.hmac-sha256";
        if name.len() > SECRET_NAME_BYTES_MAX {
            return refuse(format!(
                "the name of a secret has at most {SECRET_NAME_BYTES_MAX} bytes"
            ));
        }
        let need = Want::Secret(name.clone());
        if let Err(refused) = self.home(WHAT)?.wanted.check(&need) {
            return answer(Err(refused));
        }
        self.compute(WHAT, async move |services| {
            services.hmac_sha256(&name, data.into()).await
        })
        .await
    }
}

impl key_value::Host for CallState {
    async fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        if let Some(objection) = self.key_objection(&key) {
            return refuse(objection);
        }
        let value = self
            .serve("key-value.get", Want::Storage, async move |services| {
                services.stored(&key).await
            })
            .await?;
        Ok(value.map(|value| value.map(Vec::from)))
    }

    async fn set(&mut self, key: String, value: Option<Vec<u8>>) -> Answer<()> {
        let objection = self.key_objection(&key);
        if let Some(objection) = objection.or_else(|| self.value_objection(value.as_ref())) {
            return refuse(objection);
        }
        self.pace.count_bytes(value.as_ref().map_or(0, Vec::len));
        self.serve("key-value.set", Want::Storage, async move |services| {
            services.store(&key, value.map(Bytes::from)).await
        })
        .await
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> Answer<bool> {
        let objection = self.key_objection(&key);
        if let Some(objection) = objection.or_else(|| self.value_objection(value.as_ref())) {
            return refuse(objection);
        }
        let (expected, value) = (expected.map(Bytes::from), value.map(Bytes::from));
        self.pace.count_bytes(value.as_ref().map_or(0, Bytes::len));
        self.serve(
            "key-value.compare-and-set",
            Want::Storage,
            async move |services| services.compare_and_store(&key, expected, value).await,
        )
        .await
    }

    async fn keys(&mut self, prefix: String) -> Answer<Vec<String>> {
        self.serve("key-value.keys", Want::Storage, async move |services| {
            services.keys(&prefix).await
        })
        .await
    }
}

impl templates::Host for CallState {
    async fn render(&mut self, template: String, values: String) -> Answer<String> {
        let values: Value = match serde_json::from_str(&values) {
            Ok(values @ Value::Object(_)) => values,
            Ok(_) => return refuse("the values of a template must be a JSON object"),
            Err(error) => return refuse(format!("the values of a template are not JSON: {error}")),
        };
        self.compute("templates.render", async move |services| {
            services.render(template, values).await
        })
        .await
    }
}

impl mail::Host for CallState {
    async fn send(&mut self, message: mail::Message, key: String) -> Answer<()> {
        let recipients = message.to.len() + message.cc.len() + message.bcc.len();
        if recipients == 0 || recipients > RECIPIENTS_MAX {
            return refuse(format!(
                "a message has {recipients} recipients, it must have 1 to {RECIPIENTS_MAX}"
            ));
        }
        if message.text.is_none() && message.html.is_none() {
            return refuse("a message must have a text, HTML, or both");
        }
        self.counts.mails += 1;
        let (count, limit) = (self.counts.mails, self.limits.mails_max);
        within("mails sent in one call", count.into(), limit.into())?;
        self.serve("mail.send", Want::Mail, async move |services| {
            services.send_mail(message, &key).await
        })
        .await
    }
}

impl reports::Host for CallState {
    async fn read_log(&mut self, log: u64, first: u64, count: u32) -> Answer<String> {
        const WHAT: &str = "reports.read-log";
        self.host_calls.count(WHAT);
        let bytes_max = self.limits.log_read_bytes_max;
        let home = self.home(WHAT)?;
        let Caller::Reporter(host) = &home.caller else {
            return Err(Stop::NotAllowed(WHAT).into());
        };
        let host = host.clone();
        let read = async move { host.read_log(log, first, count, bytes_max).await };
        let leave = self.pace.enter(Effort::Large).await;
        let read = self.home(WHAT)?.run(read).await;
        drop(leave);
        answer(read?)
    }
}
