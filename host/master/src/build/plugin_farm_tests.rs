//! What plugins may do with their build and the farm, asked without a plugin: on a real store and a real worker.

use std::sync::Arc;

use bytes::Bytes;
use toolpost_config::Config;
use toolpost_config::config::{Grants, PluginConfig};
use toolpost_core::kept::{BuildData, TestResult as StoredResult, TestResultSet};
use toolpost_core::model::SourceStampSpec;
use toolpost_core::patch::Patch;
use toolpost_core::{BuildsetId, PatchId, Timestamp};
use toolpost_sandbox::StepHost;
use toolpost_sandbox::host::{
    Artifact, BuildOf, HostError, NewTestSet, StepFarm, TestResult, TriggerRequest, TriggerSources,
    UploadRoom, WriteMode,
};
use toolpost_store::{NewBuildset, Query};

use super::plugin_host_tests::{Stage, stage};

/// Room for so many files of ten bytes, and a hundred bytes in all.
fn room(files: u32) -> Arc<UploadRoom> {
    Arc::new(UploadRoom::new(10, files, 100))
}

impl Stage {
    fn farm(&self) -> Arc<dyn StepFarm> {
        self.host.farm()
    }

    async fn write(&self, path: &str, text: &str) {
        let bytes = Bytes::from(text.to_owned());
        let written = self.host.write_file(path, bytes, WriteMode::Replace).await;
        written.unwrap();
    }

    /// Grants builds, and the artifacts, of these builders.
    async fn grant(&self, builders: &[&str]) {
        let plugin = PluginConfig {
            grants: Grants {
                trigger: builders.iter().map(|name| (*name).to_owned()).collect(),
                artifacts: builders.iter().map(|name| (*name).to_owned()).collect(),
                ..Grants::default()
            },
            ..PluginConfig::default()
        };
        let mut config = Config::default();
        config.plugins.insert("tests".into(), Arc::new(plugin));
        let capabilities = &self.step.build.capabilities;
        capabilities.configure(&Arc::new(config)).await;
    }
}

fn permanent<T>(answer: Result<T, HostError>) -> String {
    match answer.err().expect("a refusal") {
        HostError::Permanent(text) => text,
        error => panic!("not permanent: {error:?}"),
    }
}

fn names(artifacts: &[Artifact]) -> Vec<&str> {
    artifacts.iter().map(|kept| kept.name.as_str()).collect()
}

#[tokio::test]
async fn uploads_stay_within_their_room() {
    let stage = stage().await;
    let farm = stage.farm();
    stage.write("ten", "0123456789").await;
    stage.write("eleven", "0123456789x").await;
    let large = farm.upload_file("eleven", "a", room(9)).await;
    assert_eq!(
        permanent(large),
        "a file that is uploaded has at most 10 bytes"
    );
    let few = room(12);
    for number in 0..10 {
        let name = format!("file {number}");
        let kept = farm.upload_file("ten", &name, few.clone()).await.unwrap();
        assert_eq!(kept.url, format!("http://farm/artifacts/1/file%20{number}"));
    }
    let full = farm.upload_file("ten", "more", few.clone()).await;
    assert_eq!(
        permanent(full),
        "the step has uploaded as many bytes as it may"
    );
    let last = farm.upload_file("ten", "more", few).await;
    assert_eq!(
        permanent(last),
        "the step has uploaded as many bytes as it may"
    );
    let none = farm.upload_file("ten", "more", room(0)).await;
    assert_eq!(
        permanent(none),
        "the step has uploaded as many files as it may"
    );
    let found = farm.artifacts(&BuildOf::This, "", 100).await.unwrap();
    assert_eq!(found.len(), 10);
}

#[tokio::test]
async fn a_directory_without_end_is_not_looked_through() {
    let stage = stage().await;
    stage.write("dir/0/first", "").await;
    let dir = stage.path("dir");
    for folder in 1..=100 {
        let folder = dir.join(folder.to_string());
        std::fs::create_dir(&folder).unwrap();
        for file in 0..999 {
            std::fs::File::create(folder.join(file.to_string())).unwrap();
        }
    }
    let farm = stage.farm();
    // 101 directories and 99,901 files.
    let refused = farm.upload_directory("dir", "", room(0), 5).await;
    let text = permanent(refused);
    assert!(text.contains("more than 100000"), "{text}");
}

#[tokio::test]
async fn a_directory_that_is_too_large_is_kept_in_part() {
    let stage = stage().await;
    let farm = stage.farm();
    for name in ["c", "a", "b"] {
        stage.write(&format!("dir/{name}"), name).await;
    }
    let refused = farm.upload_directory("dir", "", room(2), 5).await;
    permanent(refused);
    let found = farm.artifacts(&BuildOf::This, "", 100).await.unwrap();
    assert_eq!(names(&found), ["a", "b"]);
    let uploaded = farm.upload_directory("dir", "x", room(3), 5).await.unwrap();
    assert_eq!(names(&uploaded.files), ["x/a", "x/b", "x/c"]);
    let other = BuildOf::Other("b".into(), 1);
    let found = farm.artifacts(&other, "x/", 2).await.unwrap();
    assert_eq!(names(&found), ["x/a", "x/b"]);
    let nowhere = BuildOf::Other("b".into(), 2);
    let missing = farm.artifacts(&nowhere, "", 2).await;
    assert_eq!(permanent(missing), "there is no build 2 of `b`");
    let foreign = BuildOf::Other("library".into(), 1);
    let refused = farm.download(&foreign, "a", "a").await;
    assert_eq!(
        refused.unwrap_err(),
        HostError::Config(
            "artifacts of `library` are not granted: add `grant.artifacts = [\"library\"]` to [plugin.tests]".into()
        )
    );
    stage.grant(&["lib*"]).await;
    let granted = farm.download(&foreign, "a", "a").await;
    assert_eq!(permanent(granted), "there is no build 1 of `library`");
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_nothing() {
    let stage = stage().await;
    let farm = stage.farm();
    stage.write("a", "text").await;
    farm.upload_file("a", "a", room(1)).await.unwrap();
    for outside in ["../../x", "/tmp/x"] {
        permanent(farm.download(&BuildOf::This, "a", outside).await);
    }
    permanent(farm.download(&BuildOf::This, "b", "there").await);
    farm.download(&BuildOf::This, "a", "deep/there")
        .await
        .unwrap();
    let read = stage.host.read_file("deep/there", 0, 10).await.unwrap();
    assert_eq!(read, "text");
    stage.step.cancel.cancel();
    // What begins after the cancellation is part of the clean-up.
    farm.upload_file("a", "late", room(1)).await.unwrap();
}

#[tokio::test]
async fn values_and_results_are_recorded() {
    let stage = stage().await;
    let farm = stage.farm();
    let value = Bytes::from_static(b"\x00\x01");
    farm.set_build_data("coverage", value.clone(), "")
        .await
        .unwrap();
    let data = farm.build_data("coverage").await.unwrap().unwrap();
    assert_eq!((data.value, data.source.as_str()), (value, "tests"));
    assert_eq!(farm.build_data("other").await.unwrap(), None);
    let listed: Vec<BuildData> = stage.store.list(&Query::new()).await.unwrap();
    assert_eq!(listed[0].length, 2);

    let set = farm.add_test_set(NewTestSet {
        description: "unit".into(),
        category: "pass_fail".into(),
        value_unit: "boolean".into(),
    });
    let set = set.await.unwrap();
    let result = |number: u32| TestResult {
        name: Some(format!("test {number}")),
        code_path: None,
        line: Some(number),
        duration_ns: Some(u64::MAX),
        value: "1".into(),
    };
    let results = (0..2_500).map(result).collect();
    farm.add_test_results(set, results).await.unwrap();
    farm.complete_test_set(set, Some(2_500), Some(0))
        .await
        .unwrap();
    permanent(farm.add_test_results(set, vec![result(1)]).await);
    let count = stage
        .store
        .count::<StoredResult>(&Query::new())
        .await
        .unwrap();
    assert_eq!(count, 2_500);
    let sets: Vec<TestResultSet> = stage.store.list(&Query::new()).await.unwrap();
    assert_eq!((sets[0].step_id, sets[0].complete), (stage.step.id, true));
}

fn request(builders: &[&str]) -> TriggerRequest {
    TriggerRequest {
        builders: builders.iter().map(|name| (*name).to_owned()).collect(),
        sources: TriggerSources::OfThisBuild,
        properties: Vec::new(),
        reason: None,
        priority: None,
        waited_for: true,
    }
}

#[tokio::test]
async fn only_granted_builders_are_triggered() {
    let stage = stage().await;
    let farm = stage.farm();
    let refused = |answer: Result<_, HostError>| match answer.err() {
        Some(HostError::Config(text)) => text,
        other => panic!("{other:?}"),
    };
    let none = farm.trigger(request(&["b"])).await;
    assert_eq!(
        refused(none.map(drop)),
        "builds of `b` are not granted: add `grant.trigger = [\"b\"]` to [plugin.tests]"
    );
    stage.grant(&["b*", "nobody"]).await;
    let unknown = farm.trigger(request(&["b", "nobody"])).await;
    assert_eq!(refused(unknown.map(drop)), "there is no builder `nobody`");
    let triggered = farm.trigger(request(&["b"])).await.unwrap();
    let progress = triggered.progress().await.unwrap();
    assert_eq!((progress.results, progress.builds.len()), (None, 1));
    assert_eq!(progress.builds[0].url, "http://farm/requests/2");
    stage.step.cancel.cancel();
    // Nobody builds it, but the wait ends with the step.
    let waited = triggered.wait().await.unwrap();
    assert_eq!(waited.results, None);
    let late = farm.trigger(request(&["b"])).await;
    assert_eq!(permanent(late.map(drop)), "the step was cancelled");
}

#[tokio::test]
async fn what_is_triggered_has_the_patch_that_is_handed_on() {
    let stage = stage().await;
    stage.grant(&["b"]).await;
    let patch = Patch {
        level: 1,
        body: b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n".to_vec(),
        author: String::new(),
        comment: String::new(),
        subdir: String::new(),
    };
    let tried = NewBuildset {
        sourcestamps: vec![SourceStampSpec::default()],
        patches: [(String::new(), patch)].into(),
        ..NewBuildset::default()
    };
    let tried = stage.store.add_buildset(tried, Timestamp(0)).await.unwrap();
    let patched = stage
        .store
        .sourcestamps_of(tried.id)
        .await
        .unwrap()
        .remove(0);
    let given = |stamp: &SourceStampSpec| TriggerRequest {
        sources: TriggerSources::Given(vec![stamp.clone()]),
        ..request(&["b"])
    };
    let triggered = stage.farm().trigger(given(&patched.spec)).await.unwrap();
    let set = BuildsetId(i64::try_from(triggered.progress().await.unwrap().buildset).unwrap());
    assert_eq!(stage.store.sourcestamps_of(set).await.unwrap(), [patched]);

    let nobodys = SourceStampSpec {
        patch: Some(PatchId(4_711)),
        ..SourceStampSpec::default()
    };
    let refused = stage.farm().trigger(given(&nobodys)).await;
    assert_eq!(
        permanent(refused.map(drop)),
        "there is no patch 4711: hand on that of a source stamp, or none"
    );
}
