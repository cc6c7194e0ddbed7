//! The master's services, as a script has them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use toolpost_core::hosts::HostPattern;
use toolpost_core::template::{Scope, Templates};
use toolpost_sandbox::Want;
use toolpost_sandbox::host::{
    HostError, HttpFailure, HttpGrants, HttpRequest, HttpResponse, Message, Network, PluginClock,
    PluginServices,
};

use super::{Notes, text_of};
use crate::script::values::is_like;
use crate::script::{Answers, Common, HttpTable, Source};

/// The services of a test.
pub(crate) struct ScriptedServices {
    notes: Arc<Notes>,
    grants: Grants,
    environment: BTreeMap<String, String>,
    storage: Mutex<BTreeMap<String, Bytes>>,
    mail_fails: Option<HostError>,
    http: Answers<HttpTable>,
    /// Bodies of answers, read from where the script says.
    folder: std::path::PathBuf,
}

/// What the operator grants.
struct Grants {
    http: Vec<HostPattern>,
    /// `None`: whatever the plugin asks for.
    secrets: Option<Vec<String>>,
    environment: Option<Vec<String>>,
    storage: bool,
    mail: bool,
    trigger: Option<Vec<String>>,
    artifacts: Option<Vec<String>>,
}

impl Grants {
    /// What the test grants; without that everything that the plugin asks for.
    fn new(common: &Common, wants: &[Want]) -> Result<Self, String> {
        if let Some(grant) = &common.grant {
            let hosts = grant.http.iter().map(|host| {
                let parsed: Result<HostPattern, _> = host.parse();
                parsed.map_err(|error| format!("`grant.http`: `{host}`: {error}"))
            });
            return Ok(Self {
                http: hosts.collect::<Result<_, _>>()?,
                secrets: Some(grant.secrets.clone()),
                environment: Some(grant.environment.clone()),
                storage: grant.storage,
                mail: grant.mail,
                trigger: Some(grant.trigger.clone()),
                artifacts: Some(grant.artifacts.clone()),
            });
        }
        let mut http = Vec::new();
        for want in wants {
            match want {
                Want::Http(host) if host == "*" => http.extend(scripted_hosts(common)),
                Want::Http(host) => http.extend(host.parse::<HostPattern>().ok()),
                _ => {}
            }
        }
        Ok(Self {
            http,
            secrets: None,
            environment: None,
            storage: wants.contains(&Want::Storage),
            mail: wants.contains(&Want::Mail),
            trigger: None,
            artifacts: None,
        })
    }
}

/// The hosts that the answers of a script are from.
fn scripted_hosts(common: &Common) -> impl Iterator<Item = HostPattern> {
    common.http.iter().filter_map(|answer| {
        let (_, url) = answer.get_ref().request.split_once("://")?;
        let host = url.split(['/', '?', '*']).next()?;
        host.parse().ok()
    })
}

fn allows(granted: Option<&Vec<String>>, name: &str) -> bool {
    granted.is_none_or(|granted| granted.iter().any(|known| known == name || known == "*"))
}

impl ScriptedServices {
    pub(crate) fn new(
        common: &mut Common,
        source: &Source,
        wants: &[Want],
        notes: &Arc<Notes>,
    ) -> Result<Self, String> {
        let folder = source.folder().to_owned();
        let kept = common.storage.iter().map(|(key, content)| {
            let value = content.read(&folder)?;
            Ok::<_, String>((key.clone(), value))
        });
        let storage = kept.collect::<Result<_, _>>()?;
        Ok(Self {
            notes: Arc::clone(notes),
            grants: Grants::new(common, wants)?,
            environment: common.environment.clone(),
            storage: Mutex::new(storage),
            mail_fails: common.mail.fails.clone().map(Into::into),
            http: Answers::new(source, std::mem::take(&mut common.http), |table| {
                table.times
            }),
            folder,
        })
    }

    pub(crate) fn storage(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn http(&self) -> &Answers<HttpTable> {
        &self.http
    }

    pub(crate) fn may_trigger(&self, builder: &str) -> bool {
        allows(self.grants.trigger.as_ref(), builder)
    }

    pub(crate) fn may_read_artifacts(&self, builder: &str) -> bool {
        allows(self.grants.artifacts.as_ref(), builder)
    }

    fn check_storage(&self) -> Result<(), HostError> {
        match self.grants.storage {
            true => Ok(()),
            false => Err(not_granted("storage")),
        }
    }

    fn check_secret(&self, name: &str) -> Result<(), HostError> {
        if !allows(self.grants.secrets.as_ref(), name) {
            return Err(not_granted(&format!("the secret `{name}`")));
        }
        match self.notes.secrets.value(name) {
            Some(_) => Ok(()),
            None => Err(HostError::Config(format!(
                "there is no secret `{name}`: add it to [secrets] of the script"
            ))),
        }
    }

    fn note_request(&self, method: &http::Method, uri: &str, request: &HttpRequest) {
        let secrets = &self.notes.secrets;
        let headers = request.headers().iter().map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), Value::from(secrets.fill_text(&text)))
        });
        let body = secrets.fill(request.body());
        let mut noted = Map::new();
        noted.insert("request".into(), Value::from(format!("{method} {uri}")));
        noted.insert("headers".into(), Value::Object(headers.collect()));
        if let Ok(json) = serde_json::from_slice::<Value>(&body) {
            noted.insert("json".into(), json);
        }
        noted.insert("body".into(), text_of(&body));
        self.notes.lock().requests.push(Value::Object(noted));
    }
}

fn not_granted(what: &str) -> HostError {
    HostError::Config(format!("{what} is not granted by the script"))
}

#[async_trait]
impl PluginServices for ScriptedServices {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        self.check_secret(name)?;
        let placeholder = self.notes.secrets.placeholder(name);
        Ok(placeholder.unwrap_or_default().to_owned())
    }

    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError> {
        self.check_secret(secret)?;
        let key = self.notes.secrets.value(secret).unwrap_or_default();
        let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes())
            .map_err(|error| HostError::Internal(error.to_string()))?;
        code.update(&data);
        Ok(code.finalize().into_bytes().to_vec())
    }

    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError> {
        self.check_storage()?;
        Ok(self.storage().get(key).cloned())
    }

    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError> {
        self.check_storage()?;
        match value {
            Some(value) => self.storage().insert(key.to_owned(), value),
            None => self.storage().remove(key),
        };
        Ok(())
    }

    async fn compare_and_store(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, HostError> {
        if self.stored(key).await? != expected {
            return Ok(false);
        }
        self.store(key, value).await?;
        Ok(true)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        self.check_storage()?;
        let storage = self.storage();
        let keys = storage.keys().filter(|key| key.starts_with(prefix));
        Ok(keys.cloned().collect())
    }

    async fn render(&self, template: String, values: Value) -> Result<String, HostError> {
        let none = Map::new();
        let scope = Scope::of_values(values.as_object().unwrap_or(&none));
        let rendered = Templates::default().render(&template, &scope);
        rendered.map_err(|error| HostError::Config(error.to_string()))
    }

    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError> {
        if !self.grants.mail {
            return Err(not_granted("mail"));
        }
        let mails = &mut self.notes.lock().collected.mails;
        mails.push((key.to_owned(), message));
        self.mail_fails.clone().map_or(Ok(()), Err)
    }

    fn http_grants(&self) -> HttpGrants {
        HttpGrants {
            public: self.grants.http.clone(),
            private: Vec::new(),
            ca_file: None,
        }
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        _: &dyn Network,
    ) -> Result<HttpResponse, HttpFailure> {
        let uri = self.notes.secrets.fill_text(&request.uri().to_string());
        let shown = format!("{} {uri}", request.method());
        self.note_request(request.method(), &uri, &request);
        let answer = self.http.take(|answer| is_like(&answer.request, &shown));
        let Some(answer) = answer else {
            let known: Vec<String> = self.http.tables().map(|all| all.request.clone()).collect();
            let text = self.notes.unanswered("http", &shown, &known);
            return Err(HttpFailure::new("other", &text));
        };
        tokio::time::sleep(answer.takes.0).await;
        if let Some(failure) = &answer.fails {
            return Err(HttpFailure::new(failure, failure));
        }
        response(answer, &self.folder).map_err(|text| HttpFailure::new("other", &text))
    }

    fn mask(&self, bytes: Bytes) -> Bytes {
        self.notes.secrets.mask(&bytes)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let granted = self.grants.environment.as_ref();
        let all = self.environment.iter();
        let granted = all.filter(|(name, _)| allows(granted, name));
        granted
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn clock(&self) -> Option<Arc<dyn PluginClock>> {
        Some(Arc::new(self.notes.clock))
    }
}

fn response(answer: &HttpTable, folder: &std::path::Path) -> Result<HttpResponse, String> {
    let body = match &answer.body {
        Some(body) => body.read(folder)?,
        None => Bytes::new(),
    };
    let mut response = http::Response::builder().status(answer.status.unwrap_or(200));
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(body).map_err(|error| error.to_string())
}
