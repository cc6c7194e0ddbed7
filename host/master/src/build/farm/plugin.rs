//! The farm as a plugin step sees it: with what the operator granted.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_core::TestResultSetId;
use toolpost_core::model::Change;
use toolpost_sandbox::Wanted;
use toolpost_sandbox::host::{
    Artifact, BuildData, BuildOf, HostError, NewTestSet, StepFarm, TestResult, TestSet,
    TriggerRequest, TriggeredBuilds, UploadRoom, UploadedDirectory,
};
use toolpost_store::{NewTestResult, NewTestResultSet, StoreError};

use super::{Artifacts, Triggers, internal};
use crate::build::StepContext;
use crate::build::plugin_work::Work;

/// Test results that are written with one transaction, so that others get their turn in between.
const RESULTS_PER_WRITE: usize = 1_000;

/// The build of a plugin step, and the farm around it.
pub(crate) struct PluginFarm {
    step: Arc<StepContext>,
    triggers: Arc<Triggers>,
    work: Arc<Work>,
}

impl PluginFarm {
    pub(crate) fn new(step: Arc<StepContext>, work: Arc<Work>) -> Self {
        Self {
            work,
            triggers: Triggers::new(Arc::clone(&step)),
            step,
        }
    }

    /// Stops the builds that the step waits for.
    pub(crate) async fn cancel_triggered(&self) {
        self.triggers.cancel().await;
    }

    fn artifacts_of_step(&self) -> Artifacts<'_> {
        Artifacts::new(&self.step)
    }
}

#[async_trait]
impl StepFarm for PluginFarm {
    async fn changes(&self, limit: u32) -> Result<Vec<Change>, HostError> {
        let build = &self.step.build;
        let changes = build.store.changes_of_buildset(build.buildset).await;
        let mut changes = changes.map_err(internal)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let newest = changes.len().saturating_sub(limit);
        Ok(changes.split_off(newest))
    }

    async fn upload_file(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        let _begun = self.work.begin()?;
        self.artifacts_of_step()
            .upload_file(path, name, &room)
            .await
    }

    async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
        skipped_max: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let _begun = self.work.begin()?;
        self.artifacts_of_step()
            .upload_directory(path, name, &room, skipped_max)
            .await
    }

    async fn download(&self, of: &BuildOf, name: &str, path: &str) -> Result<Artifact, HostError> {
        let _begun = self.work.begin()?;
        self.artifacts_of_step().download(of, name, path).await
    }

    async fn artifacts(
        &self,
        of: &BuildOf,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        self.artifacts_of_step().find(of, prefix, limit).await
    }

    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError> {
        let build = &self.step.build;
        let found = build.store.build_data(build.build.id, name).await;
        let found = found.map_err(internal)?;
        Ok(found.map(|(value, source)| BuildData { value, source }))
    }

    async fn set_build_data(
        &self,
        name: &str,
        value: Bytes,
        source: &str,
    ) -> Result<(), HostError> {
        let build = &self.step.build;
        let source = match source {
            "" => &self.step.name,
            source => source,
        };
        let capabilities = &build.capabilities;
        capabilities.refuse_secret_in("the name of a value", name)?;
        let value = capabilities.mask_bytes(&value);
        let source = build.mask(source);
        let set = build
            .store
            .set_build_data(build.build.id, name, value, &source);
        set.await.map_err(internal)
    }

    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError> {
        let _begun = self.work.begin()?;
        let build = &self.step.build;
        let new = NewTestResultSet {
            builder: build.build.builder_id,
            build: build.build.id,
            step: self.step.id,
            description: build.mask(&set.description),
            category: build.mask(&set.category),
            value_unit: build.mask(&set.value_unit),
        };
        let added = build.store.add_test_result_set(new).await;
        added.map(|id| TestSet(id.0)).map_err(internal)
    }

    async fn add_test_results(
        &self,
        set: TestSet,
        results: Vec<TestResult>,
    ) -> Result<(), HostError> {
        let _begun = self.work.begin()?;
        let store = &self.step.build.store;
        let masker = self.step.build.capabilities.secrets.masker();
        let masked = |text: String| masker.mask_text(&text).into_owned();
        let mut results = results
            .into_iter()
            .map(|result| NewTestResult {
                test_name: result.name.map(masked),
                test_code_path: result.code_path.map(masked),
                line: result.line,
                duration_ns: result.duration_ns.map(stored),
                value: masked(result.value),
            })
            .peekable();
        while results.peek().is_some() {
            let batch = results.by_ref().take(RESULTS_PER_WRITE).collect();
            let added = store.add_test_results(TestResultSetId(set.0), batch).await;
            added.map_err(set_error)?;
        }
        Ok(())
    }

    async fn complete_test_set(
        &self,
        set: TestSet,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Result<(), HostError> {
        let store = &self.step.build.store;
        let set = TestResultSetId(set.0);
        let (passed, failed) = (passed.map(stored), failed.map(stored));
        let completed = store.complete_test_result_set(set, passed, failed).await;
        completed.map_err(set_error)
    }

    async fn trigger(
        &self,
        request: TriggerRequest,
    ) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        let plugin = self.step.plugin.as_ref().map_or("", Wanted::plugin);
        let capabilities = &self.step.build.capabilities;
        let mut builders = request.builders.iter();
        if let Some(refused) = builders.find(|name| !capabilities.may_trigger(plugin, name)) {
            return Err(HostError::Config(format!(
                "builds of `{refused}` are not granted: add `grant.trigger = [\"{refused}\"]` to [plugin.{plugin}]"
            )));
        }
        Ok(Arc::new(self.triggers.request(request).await?))
    }
}

fn set_error(error: StoreError) -> HostError {
    match error {
        StoreError::Conflict { .. } => {
            HostError::Permanent("the set of test results is complete already".into())
        }
        error => internal(error),
    }
}

/// As the database has numbers.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
