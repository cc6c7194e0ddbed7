//! The host functions about the build and the farm, called as a plugin calls them but without one.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_core::Results;
use toolpost_core::model::Change;

use crate::CallLimits;
use crate::bindings::toolpost::plugin::artifacts::{self, BuildOf};
use crate::bindings::toolpost::plugin::test_results::{HostTestResultSet, TestResult};
use crate::bindings::toolpost::plugin::triggers::{BuildRequest, HostTriggered, Sources};
use crate::bindings::toolpost::plugin::{build_data, types};
use crate::call::Stop;
use crate::host::{
    self, Artifact, BuildData, HostError, NewTestSet, StepFarm, TestSet, TriggerProgress,
    TriggerRequest, TriggeredBuilds, UploadRoom, UploadedDirectory,
};
use crate::tests::imports::{call, refusal, stopped};

/// A farm where all goes well, and every file has a thousand bytes.
pub(super) struct ScriptedFarm;

const FILE_BYTES: u64 = 1_000;

fn kept(name: &str) -> Artifact {
    Artifact {
        name: name.into(),
        size: FILE_BYTES,
        mode: 0o644,
        sha256: String::new(),
        url: format!("/artifacts/1/{name}"),
    }
}

#[async_trait]
impl StepFarm for ScriptedFarm {
    async fn changes(&self, _: u32) -> Result<Vec<Change>, HostError> {
        Ok(Vec::new())
    }

    async fn upload_file(
        &self,
        _: &str,
        name: &str,
        room: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        room.take_file()?;
        room.take_bytes(0, FILE_BYTES)?;
        Ok(kept(name))
    }

    async fn upload_directory(
        &self,
        _: &str,
        name: &str,
        room: Arc<UploadRoom>,
        _: usize,
    ) -> Result<UploadedDirectory, HostError> {
        room.take_file()?;
        Ok(UploadedDirectory {
            files: vec![kept(name)],
            skipped: vec!["link".into()],
        })
    }

    async fn download(
        &self,
        of: &host::BuildOf,
        name: &str,
        _: &str,
    ) -> Result<Artifact, HostError> {
        match of {
            host::BuildOf::This => Ok(kept(name)),
            host::BuildOf::Other(builder, number) => Err(HostError::Permanent(format!(
                "there is no build {number} of `{builder}`"
            ))),
        }
    }

    async fn artifacts(
        &self,
        _: &host::BuildOf,
        prefix: &str,
        _: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        Ok(vec![kept(prefix)])
    }

    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError> {
        Ok(Some(BuildData {
            value: Bytes::from(name.to_owned()),
            source: "step".into(),
        }))
    }

    async fn set_build_data(&self, _: &str, _: Bytes, _: &str) -> Result<(), HostError> {
        Ok(())
    }

    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError> {
        Ok(TestSet(i64::try_from(set.description.len()).unwrap()))
    }

    async fn add_test_results(
        &self,
        _: TestSet,
        results: Vec<host::TestResult>,
    ) -> Result<(), HostError> {
        assert!(results.iter().all(|result| result.value.len() <= 4 << 10));
        Ok(())
    }

    async fn complete_test_set(
        &self,
        _: TestSet,
        _: Option<u64>,
        _: Option<u64>,
    ) -> Result<(), HostError> {
        Ok(())
    }

    async fn trigger(
        &self,
        request: TriggerRequest,
    ) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        assert!(request.reason.is_none_or(|reason| reason.len() <= 1 << 10));
        Ok(Arc::new(Triggered))
    }
}

struct Triggered;

#[async_trait]
impl TriggeredBuilds for Triggered {
    async fn progress(&self) -> Result<TriggerProgress, HostError> {
        Ok(TriggerProgress {
            buildset: 7,
            results: None,
            builds: Vec::new(),
        })
    }

    async fn wait(&self) -> Result<TriggerProgress, HostError> {
        let progress = self.progress().await?;
        Ok(TriggerProgress {
            results: Some(Results::Warnings),
            ..progress
        })
    }
}

#[tokio::test]
async fn ten_thousand_artifacts_are_too_many() {
    let (mut call, _) = call(CallLimits::default()).await;
    let mut taken = 0;
    for number in 0..10_000 {
        let name = format!("file {number}");
        let kept = artifacts::Host::upload_file(&mut call, "file".into(), name).await;
        match kept.unwrap() {
            Ok(_) => taken += 1,
            Err(types::Error::Permanent(text)) => {
                assert_eq!(text, "the step has uploaded as many files as it may");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(taken, 1_000);
}

#[tokio::test]
async fn names_of_artifacts_and_paths_are_checked_before_the_host_is_asked() {
    let (mut call, _) = call(CallLimits::default()).await;
    for name in ["", "..", "../x", "/x", "a//b", "a\\b", "a\nb"] {
        let kept = artifacts::Host::upload_file(&mut call, "file".into(), name.into()).await;
        refusal(kept);
        let this = BuildOf::ThisBuild;
        let got = artifacts::Host::download(&mut call, this, name.into(), "file".into()).await;
        refusal(got);
    }
    for path in [String::new(), "a\0b".into(), "x".repeat(5_000)] {
        let kept = artifacts::Host::upload_directory(&mut call, path, "x".into()).await;
        refusal(kept);
    }
    let all = artifacts::Host::upload_directory(&mut call, "dir".into(), String::new()).await;
    assert_eq!(all.unwrap().unwrap().skipped, ["link"]);
    let other = BuildOf::Other(("docs".into(), 3));
    let missing = artifacts::Host::download(&mut call, other, "a".into(), "a".into()).await;
    assert_eq!(refusal(missing), "there is no build 3 of `docs`");
}

#[tokio::test]
async fn values_of_the_build_are_limited() {
    let limits = CallLimits {
        build_data_max: 3,
        build_data_value_bytes_max: 10,
        ..CallLimits::default()
    };
    let (mut call, _) = call(limits).await;
    for name in ["", "a/b", "1st", &"x".repeat(257)] {
        let set = build_data::Host::set(&mut call, name.into(), Vec::new(), String::new()).await;
        refusal(set);
    }
    let large = build_data::Host::set(&mut call, "a".into(), vec![0; 11], String::new()).await;
    assert_eq!(
        refusal(large),
        "the value `a` has 11 bytes, the limit is 10"
    );
    for _ in 0..3 {
        let set = build_data::Host::set(&mut call, "a".into(), vec![0; 10], String::new()).await;
        set.unwrap().unwrap();
    }
    let one_more = build_data::Host::set(&mut call, "a".into(), Vec::new(), String::new()).await;
    assert_eq!(
        stopped(one_more),
        Stop::Limit {
            what: "values of the build",
            limit: 3
        }
    );
    let got = build_data::Host::get(&mut call, "a".into()).await;
    assert_eq!(got.unwrap().unwrap().unwrap().value, b"a");
}

fn result(name: Option<&str>, value: &str) -> TestResult {
    TestResult {
        name: name.map(str::to_owned),
        code_path: None,
        line: None,
        duration_ns: None,
        value: value.to_owned(),
    }
}

#[tokio::test]
async fn test_results_are_limited_and_cut() {
    let limits = CallLimits {
        test_sets_max: 2,
        test_results_max: 5,
        test_result_batch_max: 4,
        ..CallLimits::default()
    };
    let (mut call, _) = call(limits).await;
    let text = || "x".to_owned();
    refusal(call.create(text(), String::new(), text()).await);
    let set = call.create("x".repeat(5_000), text(), text()).await;
    let set = set.unwrap().unwrap().rep();
    let handle = || wasmtime::component::Resource::new_own(set);
    let long = result(Some("a"), &"ü".repeat(4_000));
    call.add(handle(), vec![long]).await.unwrap().unwrap();
    refusal(call.add(handle(), vec![result(None, "1")]).await);
    let many = vec![result(Some("a"), "1"); 5];
    refusal(call.add(handle(), many).await);
    let some = || vec![result(Some("a"), "1"); 4];
    call.add(handle(), some()).await.unwrap().unwrap();
    assert!(matches!(
        stopped(call.add(handle(), some()).await),
        Stop::Limit { limit: 5, .. }
    ));
    call.complete(handle(), Some(1), None)
        .await
        .unwrap()
        .unwrap();
    refusal(call.complete(handle(), None, None).await);
    refusal(call.add(handle(), Vec::new()).await);
    call.create(text(), text(), text()).await.unwrap().unwrap();
    let third = call.create(text(), text(), text()).await;
    assert!(matches!(stopped(third), Stop::Limit { limit: 2, .. }));
}

fn request(builders: usize, properties: &[(&str, &str)]) -> BuildRequest {
    BuildRequest {
        builders: vec!["b".into(); builders],
        sources: Sources::OfThisBuild,
        properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        reason: Some("x".repeat(5_000)),
        priority: None,
        waited_for: true,
    }
}

#[tokio::test]
async fn requests_for_other_builds_are_limited() {
    let limits = CallLimits {
        triggers_max: 2,
        ..CallLimits::default()
    };
    let (mut call, _) = call(limits).await;
    refusal(call.request(request(0, &[])).await);
    refusal(call.request(request(101, &[])).await);
    refusal(call.request(request(1, &[("", "1")])).await);
    refusal(call.request(request(1, &[("a", "{")])).await);
    let asked = call.request(request(1, &[("a", "[1]")])).await;
    let asked = asked.unwrap().unwrap().rep();
    let handle = || wasmtime::component::Resource::new_own(asked);
    let progress = call.progress(handle()).await.unwrap().unwrap();
    assert_eq!((progress.buildset, progress.results), (7, None));
    let ended = HostTriggered::wait(&mut call, handle())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.results, Some(types::Results::Warnings));
    call.request(request(1, &[])).await.unwrap().unwrap();
    let third = call.request(request(1, &[])).await;
    assert!(matches!(stopped(third), Stop::Limit { limit: 2, .. }));
}
