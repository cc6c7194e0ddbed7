//! Notes what a step asks of its build and the farm around it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_core::model::Change;
use toolpost_sandbox::host::{
    Artifact, BuildData, BuildOf, HostError, NewTestSet, StepFarm, TestResult, TestSet,
    TriggerProgress, TriggerRequest, TriggeredBuilds, UploadRoom, UploadedDirectory,
};

use super::calls;
use super::tape::Tape;
use crate::{change, facts};

pub(super) struct RecordedFarm {
    inner: Arc<dyn StepFarm>,
    tape: Arc<Tape>,
}

impl RecordedFarm {
    pub(super) fn new(inner: Arc<dyn StepFarm>, tape: &Arc<Tape>) -> Self {
        let tape = Arc::clone(tape);
        Self { inner, tape }
    }
}

#[async_trait]
impl StepFarm for RecordedFarm {
    async fn changes(&self, limit: u32) -> Result<Vec<Change>, HostError> {
        let question = self.inner.changes(limit);
        let keep = |changes: &Vec<Change>| change::changes(changes);
        self.tape
            .ask(calls::CHANGES, json!({}), question, keep)
            .await
    }

    async fn upload_file(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        let about = json!({ "path": path, "name": name });
        let question = self.inner.upload_file(path, name, room);
        self.tape
            .ask(calls::UPLOAD_FILE, about, question, facts::artifact)
            .await
    }

    async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
        skipped_max: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let about = json!({ "path": path, "name": name });
        let question = self.inner.upload_directory(path, name, room, skipped_max);
        self.tape
            .ask(calls::UPLOAD_DIRECTORY, about, question, facts::uploaded)
            .await
    }

    async fn download(&self, of: &BuildOf, name: &str, path: &str) -> Result<Artifact, HostError> {
        let about = json!({ "build": calls::build_of(of), "name": name, "path": path });
        let question = self.inner.download(of, name, path);
        self.tape
            .ask(calls::DOWNLOAD, about, question, facts::artifact)
            .await
    }

    async fn artifacts(
        &self,
        of: &BuildOf,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        let about = json!({ "build": calls::build_of(of), "prefix": prefix });
        let question = self.inner.artifacts(of, prefix, limit);
        let keep = |found: &Vec<Artifact>| facts::artifacts(found);
        self.tape.ask(calls::ARTIFACTS, about, question, keep).await
    }

    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError> {
        let keep = |found: &Option<BuildData>| match found {
            Some(data) => json!({ "value": facts::blob(&data.value), "source": data.source }),
            None => Value::Null,
        };
        let question = self.inner.build_data(name);
        let about = json!({ "name": name });
        self.tape
            .ask(calls::BUILD_DATA, about, question, keep)
            .await
    }

    async fn set_build_data(
        &self,
        name: &str,
        value: Bytes,
        source: &str,
    ) -> Result<(), HostError> {
        let about = json!({ "name": name, "value": facts::payload(&value), "source": source });
        let question = self.inner.set_build_data(name, value, source);
        self.tape.done(calls::SET_BUILD_DATA, about, question).await
    }

    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError> {
        let about = calls::test_set(&set);
        let question = self.inner.add_test_set(set);
        self.tape
            .ask(calls::TEST_SET, about, question, |set| json!(set.0))
            .await
    }

    async fn add_test_results(
        &self,
        set: TestSet,
        results: Vec<TestResult>,
    ) -> Result<(), HostError> {
        let about = calls::test_results(set, &results);
        let question = self.inner.add_test_results(set, results);
        self.tape.done(calls::TEST_RESULTS, about, question).await
    }

    async fn complete_test_set(
        &self,
        set: TestSet,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Result<(), HostError> {
        let about = json!({ "set": set.0, "passed": passed, "failed": failed });
        let question = self.inner.complete_test_set(set, passed, failed);
        self.tape
            .done(calls::COMPLETE_TEST_SET, about, question)
            .await
    }

    async fn trigger(
        &self,
        request: TriggerRequest,
    ) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        let slot = self.tape.begin(calls::TRIGGER, calls::trigger(&request));
        match self.inner.trigger(request).await {
            Ok(inner) => {
                // Its place among the calls names it from now on.
                let number = json!(slot.number());
                self.tape.answer(slot, number.clone());
                Ok(Arc::new(RecordedTrigger {
                    inner,
                    number,
                    tape: Arc::clone(&self.tape),
                }))
            }
            Err(error) => {
                self.tape.fail(slot, (&error).into());
                Err(error)
            }
        }
    }
}

struct RecordedTrigger {
    inner: Arc<dyn TriggeredBuilds>,
    /// The call that asked for them.
    number: Value,
    tape: Arc<Tape>,
}

#[async_trait]
impl TriggeredBuilds for RecordedTrigger {
    async fn progress(&self) -> Result<TriggerProgress, HostError> {
        let about = json!({ "request": self.number });
        self.tape
            .ask(
                calls::TRIGGER_PROGRESS,
                about,
                self.inner.progress(),
                facts::progress,
            )
            .await
    }

    async fn wait(&self) -> Result<TriggerProgress, HostError> {
        let about = json!({ "request": self.number });
        self.tape
            .ask(
                calls::TRIGGER_WAIT,
                about,
                self.inner.wait(),
                facts::progress,
            )
            .await
    }
}
