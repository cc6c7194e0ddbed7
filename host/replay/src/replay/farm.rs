//! The build and its farm, as recorded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_core::model::Change;
use toolpost_sandbox::host::{
    Artifact, BuildData, BuildOf, HostError, NewTestSet, StepFarm, TestResult, TestSet,
    TriggerProgress, TriggerRequest, TriggeredBuilds, UploadRoom, UploadedDirectory,
};

use super::host::Trail;
use crate::recording::calls;
use crate::{change, facts};

pub(super) struct ReplayFarm {
    trail: Arc<Trail>,
}

impl ReplayFarm {
    pub(super) fn new(trail: &Arc<Trail>) -> Self {
        let trail = Arc::clone(trail);
        Self { trail }
    }
}

#[async_trait]
impl StepFarm for ReplayFarm {
    async fn changes(&self, _: u32) -> Result<Vec<Change>, HostError> {
        self.trail
            .ask(calls::CHANGES, &json!({}), change::unchanges)
    }

    async fn upload_file(
        &self,
        path: &str,
        name: &str,
        _: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        let about = json!({ "path": path, "name": name });
        let artifact =
            self.trail
                .ask::<_, HostError>(calls::UPLOAD_FILE, &about, facts::unartifact)?;
        self.trail
            .collect(|all| all.artifacts.push(artifact.name.clone()));
        Ok(artifact)
    }

    async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        _: Arc<UploadRoom>,
        _: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let about = json!({ "path": path, "name": name });
        let uploaded =
            self.trail
                .ask::<_, HostError>(calls::UPLOAD_DIRECTORY, &about, facts::unuploaded)?;
        let names = uploaded.files.iter().map(|file| file.name.clone());
        self.trail.collect(|all| all.artifacts.extend(names));
        Ok(uploaded)
    }

    async fn download(&self, of: &BuildOf, name: &str, path: &str) -> Result<Artifact, HostError> {
        let about = json!({ "build": calls::build_of(of), "name": name, "path": path });
        self.trail.ask(calls::DOWNLOAD, &about, facts::unartifact)
    }

    async fn artifacts(
        &self,
        of: &BuildOf,
        prefix: &str,
        _: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        let about = json!({ "build": calls::build_of(of), "prefix": prefix });
        self.trail.ask(calls::ARTIFACTS, &about, facts::unartifacts)
    }

    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            value => Some(Some(BuildData {
                value: facts::unblob(value.get("value")?)?,
                source: value.get("source")?.as_str()?.to_owned(),
            })),
        };
        self.trail
            .ask(calls::BUILD_DATA, &json!({ "name": name }), read)
    }

    async fn set_build_data(
        &self,
        name: &str,
        value: Bytes,
        source: &str,
    ) -> Result<(), HostError> {
        let about = json!({ "name": name, "value": facts::payload(&value), "source": source });
        self.trail
            .done::<HostError>(calls::SET_BUILD_DATA, &about)?;
        self.trail
            .collect(|all| all.build_data.insert(name.to_owned(), value));
        Ok(())
    }

    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError> {
        let about = calls::test_set(&set);
        let read = |value: &Value| value.as_i64().map(TestSet);
        self.trail.ask(calls::TEST_SET, &about, read)
    }

    async fn add_test_results(
        &self,
        set: TestSet,
        results: Vec<TestResult>,
    ) -> Result<(), HostError> {
        let about = calls::test_results(set, &results);
        self.trail.done(calls::TEST_RESULTS, &about)
    }

    async fn complete_test_set(
        &self,
        set: TestSet,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Result<(), HostError> {
        let about = json!({ "set": set.0, "passed": passed, "failed": failed });
        self.trail.done(calls::COMPLETE_TEST_SET, &about)
    }

    async fn trigger(
        &self,
        request: TriggerRequest,
    ) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        let about = calls::trigger(&request);
        let number = self
            .trail
            .ask::<_, HostError>(calls::TRIGGER, &about, |value| Some(value.clone()))?;
        self.trail
            .collect(|all| all.triggered.extend(request.builders));
        Ok(Arc::new(ReplayTrigger {
            number,
            trail: Arc::clone(&self.trail),
        }))
    }
}

struct ReplayTrigger {
    number: Value,
    trail: Arc<Trail>,
}

#[async_trait]
impl TriggeredBuilds for ReplayTrigger {
    async fn progress(&self) -> Result<TriggerProgress, HostError> {
        let about = json!({ "request": self.number });
        self.trail
            .ask(calls::TRIGGER_PROGRESS, &about, facts::unprogress)
    }

    async fn wait(&self) -> Result<TriggerProgress, HostError> {
        let about = json!({ "request": self.number });
        self.trail
            .ask(calls::TRIGGER_WAIT, &about, facts::unprogress)
    }
}
