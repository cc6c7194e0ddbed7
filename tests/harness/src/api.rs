//! The REST API as a client sees it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::eventually;

/// A client of one master.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct ApiFailure {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: String,
}

impl Api {
    /// A client of the master at `base` (`http://host:port`).
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// The text at a path.
    ///
    /// # Errors
    /// When the status is not a success.
    ///
    /// # Panics
    /// When the master does not answer.
    pub async fn text(&self, path: &str) -> Result<String, ApiFailure> {
        let answer = self
            .client
            .get(self.url(path))
            .send()
            .await
            .expect("the master answers");
        let status = answer.status();
        let body = answer.text().await.expect("the answer is complete");
        if status.is_success() {
            Ok(body)
        } else {
            Err(ApiFailure { status, body })
        }
    }

    /// The JSON at `/api/v2/PATH`.
    ///
    /// # Panics
    /// When the master does not answer with JSON.
    pub async fn get(&self, path: &str) -> Value {
        let text = match self.text(&format!("api/v2/{path}")).await {
            Ok(text) => text,
            Err(failure) => panic!("GET {path}: {} {}", failure.status, failure.body),
        };
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("GET {path} is not JSON ({e}): {text}"))
    }

    /// Whether the master answers.
    pub async fn answers(&self) -> bool {
        self.client
            .get(self.url("api/v2/"))
            .send()
            .await
            .is_ok_and(|a| a.status().is_success())
    }

    /// Calls a control method of a resource.
    ///
    /// # Errors
    /// When the master refuses.
    ///
    /// # Panics
    /// When the master does not answer with JSON.
    pub async fn control(
        &self,
        path: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, ApiFailure> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self
            .client
            .post(self.url(&format!("api/v2/{path}")))
            .json(&request)
            .send()
            .await
            .expect("the master answers");
        let status = answer.status();
        let body = answer.text().await.expect("the answer is complete");
        if !status.is_success() {
            return Err(ApiFailure { status, body });
        }
        let mut body: Value = serde_json::from_str(&body).expect("control answers are JSON");
        Ok(body["result"].take())
    }

    /// Forces a builder through the force scheduler of this name and gives the request's id.
    ///
    /// # Panics
    /// When the master refuses.
    pub async fn force(&self, scheduler: &str, builder: &str) -> i64 {
        let builder_id = self.builder_id(builder).await;
        let params =
            json!({"builderid": builder_id.to_string(), "reason": "test", "owner": "tester"});
        let result = self
            .control(&format!("forceschedulers/{scheduler}"), "force", params)
            .await
            .unwrap_or_else(|e| panic!("force {builder}: {} {}", e.status, e.body));
        result[1][builder_id.to_string()]
            .as_i64()
            .unwrap_or_else(|| panic!("force {builder} made no request: {result}"))
    }

    /// Id of the builder of this name.
    ///
    /// # Panics
    /// When there is none.
    pub async fn builder_id(&self, name: &str) -> i64 {
        let builders = self.get("builders").await;
        rows(&builders, "builders")
            .iter()
            .find(|b| b["name"] == name)
            .and_then(|b| b["builderid"].as_i64())
            .unwrap_or_else(|| panic!("no builder {name} in {builders}"))
    }

    /// Builds of a request, oldest first.
    pub async fn builds_of(&self, request: i64) -> Vec<Value> {
        let list = self
            .get(&format!("builds?buildrequestid={request}&order=buildid"))
            .await;
        rows(&list, "builds").to_vec()
    }

    /// Waits until the request is complete and gives its last build.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn finished(&self, request: i64) -> Value {
        eventually(&format!("request {request} to finish"), async || {
            let list = self.get(&format!("buildrequests/{request}")).await;
            if list["buildrequests"][0]["complete"] != true {
                return None;
            }
            self.builds_of(request).await.pop()
        })
        .await
    }

    /// Waits until a build of the request runs a step of this name and gives the build.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn running(&self, request: i64, step: &str) -> Value {
        eventually(
            &format!("request {request} to run step {step}"),
            async || {
                let build = self.builds_of(request).await.pop()?;
                let steps = self.steps(&build).await;
                steps
                    .iter()
                    .any(|s| {
                        s["name"] == step && !s["started_at"].is_null() && s["complete"] == false
                    })
                    .then_some(build)
            },
        )
        .await
    }

    /// Steps of a build in their order.
    pub async fn steps(&self, build: &Value) -> Vec<Value> {
        let list = self
            .get(&format!("builds/{}/steps?order=number", build["buildid"]))
            .await;
        rows(&list, "steps").to_vec()
    }

    /// The whole text of a step's log.
    ///
    /// # Panics
    /// When there is no such step or log.
    pub async fn log(&self, build: &Value, step: &str, slug: &str) -> String {
        let path = log_path(build, step, slug);
        self.text(&path)
            .await
            .unwrap_or_else(|e| panic!("{path}: {} {}", e.status, e.body))
    }

    /// Waits until a step's log has this text. A step that runs may not have the log yet.
    pub async fn logged(&self, build: &Value, step: &str, slug: &str, text: &str) {
        let path = log_path(build, step, slug);
        eventually(&format!("{path} to have {text:?}"), async || {
            let log = self.text(&path).await.ok()?;
            log.contains(text).then_some(())
        })
        .await;
    }

    /// What `/api/v2/plugins` says of the plugin of this name.
    pub async fn plugin(&self, name: &str) -> Option<Value> {
        let list = self.get("plugins").await;
        rows(&list, "plugins")
            .iter()
            .find(|p| p["name"] == name)
            .cloned()
    }
}

fn log_path(build: &Value, step: &str, slug: &str) -> String {
    let build = &build["buildid"];
    format!("api/v2/builds/{build}/steps/{step}/logs/{slug}/raw")
}

/// The list of a REST answer.
fn rows<'a>(answer: &'a Value, resource: &str) -> &'a [Value] {
    answer[resource]
        .as_array()
        .unwrap_or_else(|| panic!("no list of {resource} in {answer}"))
}
