//! Artifacts, build data, test results.

use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt;
use toolpost_core::kept::{Artifact, BuildData, TestResult, TestResultSet};
use toolpost_core::{BuildId, Event, StepId};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::{
    ArtifactWriter, NewArtifact, NewTestResult, NewTestResultSet, Query, Resource, Store,
    StoreError,
};

async fn begin(farm: &Farm, build: BuildId, step: StepId, name: &str) -> ArtifactWriter {
    let new = NewArtifact {
        build,
        step,
        name: name.to_owned(),
        mode: 0o640,
    };
    farm.store.write_artifact(new).await.unwrap()
}

async fn upload(farm: &Farm, build: BuildId, step: StepId, name: &str, bytes: &[u8]) -> Artifact {
    let mut writer = begin(farm, build, step, name).await;
    for piece in bytes.chunks(1_000_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish(at(9)).await.unwrap()
}

async fn content(store: &Store, artifact: &Artifact) -> Vec<u8> {
    let pieces = store.artifact_bytes(artifact).await.unwrap();
    let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap();
    pieces.concat()
}

/// The files of the object store that belong to artifacts, parts on their way too.
fn objects(db: &TestDb) -> Vec<PathBuf> {
    fn below(dir: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(db.dir.path().join("objects/artifacts"), &mut found);
    found
}

/// All records of a type.
async fn all<R: Resource>(store: &Store) -> Vec<R> {
    store.list(&Query::new()).await.unwrap()
}

both! {
    async fn artifacts_come_back_as_they_were(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let step = farm.step(build, "upload").await;
        let large: Vec<u8> = (0..12_345_678_u32).map(|n| (n % 251) as u8).collect();
        for (name, bytes) in [("empty", &[][..]), ("a/b c.txt", b"text"), ("large", &large)] {
            db.take_events();
            let kept = upload(&farm, build, step, name, bytes).await;
            assert_eq!(db.take_events(), [Event::StepChanged(step, build)]);
            assert_eq!(kept.size_bytes, i64::try_from(bytes.len()).unwrap());
            assert_eq!((kept.mode, kept.created_at), (0o640, at(9)));
            let found = farm.store.artifact(build, name).await.unwrap();
            assert_eq!(found.as_ref(), Some(&kept));
            assert!(content(&farm.store, &kept).await == bytes, "{name}");
        }
        let empty = farm.store.artifact(build, "empty").await.unwrap().unwrap();
        assert_eq!(
            empty.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(farm.store.artifact(build, "nothing").await.unwrap(), None);
        assert_eq!(all::<Artifact>(&farm.store).await.len(), 3);
        farm.store.close().await;
    }

    async fn an_artifact_takes_the_place_of_its_namesake(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let step = farm.step(build, "upload").await;
        let first = upload(&farm, build, step, "a", b"first").await;
        let reading = farm.store.artifact_bytes(&first).await.unwrap();
        let second = upload(&farm, build, step, "a", b"second").await;
        assert_eq!((second.id, objects(db).len()), (first.id, 1));
        assert_eq!(content(&farm.store, &second).await, b"second");
        // Who has begun to read goes on with what was there.
        let read: Vec<Bytes> = reading.try_collect().await.unwrap();
        assert_eq!(read.concat(), b"first");
        farm.store.close().await;
    }

    async fn artifacts_are_found_by_the_beginning_of_their_names(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let step = farm.step(build, "upload").await;
        for name in ["b", "a/2", "a/1", "a%", "A/1"] {
            upload(&farm, build, step, name, b"x").await;
        }
        for (prefix, limit, expected) in [
            ("", 10, vec!["A/1", "a%", "a/1", "a/2", "b"]),
            ("a/", 10, vec!["a/1", "a/2"]),
            ("a%", 10, vec!["a%"]),
            ("a", 2, vec!["a%", "a/1"]),
            ("c", 10, vec![]),
        ] {
            let found = farm.store.artifacts_of(build, prefix, limit).await.unwrap();
            let names: Vec<_> = found.iter().map(|artifact| artifact.name.as_str()).collect();
            assert_eq!(names, expected, "{prefix}");
        }
        farm.store.close().await;
    }

    async fn an_upload_that_breaks_off_leaves_nothing(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        let step = farm.step(build, "upload").await;
        upload(&farm, build, step, "kept", b"x").await;
        let mut writer = begin(&farm, build, step, "broken").await;
        // More than is gathered before something is sent.
        writer.write(Bytes::from(vec![0; 11 << 20])).await.unwrap();
        drop(writer);
        assert_eq!(farm.store.artifact(build, "broken").await.unwrap(), None);
        let writer = begin(&farm, BuildId(99), step, "nowhere").await;
        let error = writer.finish(at(9)).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        // What a killed process left is found by whoever recovers its builds.
        let kept = objects(db).into_iter().find(|path| path.is_file()).unwrap();
        std::fs::write(kept.with_file_name("0123456789abcdef0123456789abcdef"), b"left").unwrap();
        farm.store.recover_master(farm.master, at(10)).await.unwrap();
        while objects(db).len() > 1 {
            // Giving up is done beside.
            tokio::task::yield_now().await;
        }
        let kept = farm.store.artifact(build, "kept").await.unwrap().unwrap();
        assert_eq!(content(&farm.store, &kept).await, b"x");
        farm.store.close().await;
    }

    async fn build_data_is_set_and_replaced(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        let build = farm.running().await;
        let bytes = Bytes::from_static(b"\0\xff\x01");
        store.set_build_data(build, "a", Bytes::from_static(b"x"), "one").await.unwrap();
        db.take_events();
        store.set_build_data(build, "a", bytes.clone(), "two").await.unwrap();
        assert_eq!(db.take_events(), [Event::BuildChanged(build, farm.builder("a"))]);
        let found = store.build_data(build, "a").await.unwrap();
        assert_eq!(found, Some((bytes, "two".to_owned())));
        assert_eq!(store.build_data(build, "b").await.unwrap(), None);
        let listed = all::<BuildData>(store).await;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].length, listed[0].source.as_str()), (3, "two"));
        let unknown = store.set_build_data(BuildId(99), "a", Bytes::new(), "x").await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
        store.close().await;
    }

    async fn test_results_are_added_until_their_set_is_complete(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        let build = farm.running().await;
        let step = farm.step(build, "tests").await;
        let new = NewTestResultSet {
            builder: farm.builder("a"),
            build,
            step,
            description: "unit tests".to_owned(),
            category: "pass_fail".to_owned(),
            value_unit: "boolean".to_owned(),
        };
        let set = store.add_test_result_set(new.clone()).await.unwrap();
        let other = store.add_test_result_set(new.clone()).await.unwrap();
        let result = |n: u32| NewTestResult {
            test_name: Some(format!("test {n}")),
            test_code_path: Some("src/lib.rs".to_owned()),
            line: Some(n),
            duration_ns: Some(i64::from(n) * 1_000),
            value: if n % 100 == 7 { "0" } else { "1" }.to_owned(),
        };
        for batch in 0..3 {
            let results = (batch * 1_000..(batch + 1) * 1_000).map(result);
            store.add_test_results(set, results.collect()).await.unwrap();
        }
        let nameless = NewTestResult { value: "0".to_owned(), ..NewTestResult::default() };
        store.add_test_results(other, vec![nameless]).await.unwrap();
        assert_eq!(store.count::<TestResult>(&Query::new().eq("test_result_setid", set)).await.unwrap(), 3_000);
        let failed = store.failed_tests(set, 4).await.unwrap();
        let lines: Vec<_> = failed.iter().map(|result| result.line).collect();
        assert_eq!(lines, [Some(7), Some(107), Some(207), Some(307)]);
        db.take_events();
        store.complete_test_result_set(set, Some(2_970), Some(30)).await.unwrap();
        assert_eq!(db.take_events(), [Event::StepChanged(step, build)]);
        let sets = all::<TestResultSet>(store).await;
        assert_eq!((sets[0].tests_passed, sets[0].tests_failed, sets[0].complete), (Some(2_970), Some(30), true));
        assert_eq!((sets[1].tests_passed, sets[1].complete), (None, false));
        for refused in [
            store.add_test_results(set, vec![result(1)]).await,
            store.complete_test_result_set(set, None, None).await,
        ] {
            assert!(matches!(refused, Err(StoreError::Conflict { .. })));
        }
        let next = farm.step(build, "more tests").await;
        let kept = NewTestResultSet { step: next, ..new };
        let kept = store.add_test_result_set(kept).await.unwrap();
        store.add_test_results(kept, vec![result(1)]).await.unwrap();
        db.take_events();
        store.remove_test_result_sets(step).await.unwrap();
        assert_eq!(db.take_events(), [Event::StepChanged(step, build)]);
        let sets: Vec<_> = all::<TestResultSet>(store).await.iter().map(|set| set.id).collect();
        assert_eq!(sets, [kept], "another step's are left");
        assert_eq!(store.count::<TestResult>(&Query::new()).await.unwrap(), 1);
        store.close().await;
    }
}
