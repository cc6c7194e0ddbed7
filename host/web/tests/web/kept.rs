//! Artifacts, build data and test results, over the API and on pages.

use bytes::Bytes;
use insta::assert_snapshot;
use toolpost_core::model::Build;
use toolpost_core::{Results, StepId};
use toolpost_store::{NewArtifact, NewTestResult, NewTestResultSet};

use crate::support::{Asker, BuildSpec, NOW, TestFarm, build, step};

struct Kept {
    farm: TestFarm,
    build: Build,
    step: StepId,
}

async fn farm() -> Kept {
    let farm = TestFarm::new().await;
    let spec: BuildSpec = build("unit").step(step("tests"));
    let build = farm.build(spec.ends(Results::Failure, "failed")).await;
    let step = StepId(1);
    Kept { farm, build, step }
}

impl Kept {
    async fn artifact(&self, name: &str, bytes: impl Into<Bytes>) {
        let new = NewArtifact {
            build: self.build.id,
            step: self.step,
            name: name.into(),
            mode: 0o644,
        };
        let mut writer = self.farm.store.write_artifact(new).await.expect("a writer");
        writer.write(bytes.into()).await.expect("written");
        writer.finish(NOW).await.expect("kept");
    }

    async fn tests(&self) {
        let new = NewTestResultSet {
            builder: self.build.builder_id,
            build: self.build.id,
            step: self.step,
            description: "unit <tests>".into(),
            category: "pass_fail".into(),
            value_unit: "boolean".into(),
        };
        let store = &self.farm.store;
        let set = store.add_test_result_set(new).await.expect("a set");
        let result = |name: &str, value: &str| NewTestResult {
            test_name: Some(name.into()),
            test_code_path: Some("src/lib.rs".into()),
            line: Some(7),
            duration_ns: Some(1_500),
            value: value.into(),
        };
        let results = vec![result("good", "1"), result("<b>bad</b>", "0")];
        store.add_test_results(set, results).await.expect("added");
        let complete = store.complete_test_result_set(set, Some(1), Some(1));
        complete.await.expect("complete");
    }
}

#[tokio::test]
async fn artifacts_are_listed() {
    let kept = farm().await;
    kept.artifact("bin/my tool", "made").await;
    let listed = kept.farm.get("/api/v2/builds/1/artifacts").await;
    assert_snapshot!(listed.shown(), @r#"
    200
    {"artifacts":[{"artifactid":1,"buildid":1,"created_at":1763929036,"mode":420,"name":"bin/my tool","path":"/artifacts/1/bin/my%20tool","sha256":"ea0890697a77af0a2e054cccec587c8a42feb5cf38e778c6c6e2a96bfb945c0b","size_bytes":4,"stepid":1}],"meta":{"total":1}}
    "#);
    for path in [
        "/api/v2/builders/unit/builds/1/artifacts",
        "/api/v2/builders/2/builds/1/artifacts",
    ] {
        assert_eq!(kept.farm.get(path).await.shown(), listed.shown(), "{path}");
    }
    let missing = kept
        .farm
        .get("/api/v2/builders/unit/builds/99/artifacts")
        .await;
    assert_eq!(missing.status.as_u16(), 404);
}

#[tokio::test]
async fn an_artifact_is_given_as_it_was() {
    let kept = farm().await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    kept.artifact("a/large.txt", large.clone()).await;
    let given = kept.farm.page("/artifacts/1/a/large.txt").await;
    assert_eq!(given.header("content-length"), "3000000");
    assert!(given.body.as_bytes() == large);
    let tag = given.header("etag").to_owned();
    let again = kept
        .farm
        .get_with("/artifacts/1/a/large.txt", &[("if-none-match", &tag)])
        .await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
    kept.artifact("a/large.txt", "small").await;
    let changed = kept
        .farm
        .get_with("/artifacts/1/a/large.txt", &[("if-none-match", &tag)])
        .await;
    assert_eq!(
        (changed.status.as_u16(), changed.body.as_str()),
        (200, "small")
    );
    for path in [
        "/artifacts/1/a",
        "/artifacts/1/A/large.txt",
        "/artifacts/2/a/large.txt",
        "/artifacts/x/a",
    ] {
        assert_eq!(kept.farm.page(path).await.status.as_u16(), 404, "{path}");
    }
}

#[tokio::test]
async fn what_was_uploaded_cannot_act_on_the_farm() {
    let kept = farm().await;
    let script = "<script>fetch('/api/v2/builds/1', {method: 'POST'})</script>";
    for (name, content_type, disposition) in [
        (
            "report/index.html",
            "text/html; charset=utf-8",
            "inline; filename=\"index.html\"",
        ),
        ("plot.svg", "image/svg+xml", "inline; filename=\"plot.svg\""),
        (
            "page.xhtml",
            "application/xhtml+xml",
            "attachment; filename=\"page.xhtml\"",
        ),
        (
            "app.js",
            "text/javascript; charset=utf-8",
            "inline; filename=\"app.js\"",
        ),
        (
            "tool",
            "application/octet-stream",
            "attachment; filename=\"tool\"",
        ),
    ] {
        kept.artifact(name, script).await;
        let given = kept.farm.page(&format!("/artifacts/1/{name}")).await;
        assert_eq!(given.body, script);
        assert_eq!(given.header("content-type"), content_type);
        assert_eq!(given.header("content-disposition"), disposition);
        assert_eq!(given.header("x-content-type-options"), "nosniff");
        let policy = given.header("content-security-policy");
        assert!(
            policy.starts_with("sandbox; default-src 'none'; "),
            "{policy}"
        );
        assert!(
            !policy.contains("allow-") && !policy.contains("script"),
            "{policy}"
        );
        let saved = kept
            .farm
            .page(&format!("/artifacts/1/{name}?download=1"))
            .await;
        assert!(
            saved
                .header("content-disposition")
                .starts_with("attachment; ")
        );
    }
}

#[tokio::test]
async fn build_data_is_what_buildbot_has() {
    let kept = farm().await;
    let value = Bytes::from_static(b"83.5 %");
    let set = kept
        .farm
        .store
        .set_build_data(kept.build.id, "coverage", value, "tests");
    set.await.expect("set");
    assert_snapshot!(kept.farm.get("/api/v2/builds/1/data").await.shown(), @r#"
    200
    {"build_data":[{"buildid":1,"length":6,"name":"coverage","source":"tests","value":null}],"meta":{"total":1}}
    "#);
    assert_snapshot!(kept.farm.get("/api/v2/builders/unit/builds/1/data/coverage").await.shown(), @r#"
    200
    {"build_data":[{"buildid":1,"length":6,"name":"coverage","source":"tests","value":null}],"meta":{}}
    "#);
    let value = kept.farm.get("/api/v2/builds/1/data/coverage/value").await;
    assert_eq!(value.body, "83.5 %");
    assert_eq!(value.header("content-type"), "application/octet-stream");
    assert_eq!(
        value.header("content-disposition"),
        "attachment; filename=\"coverage\""
    );
    for path in [
        "/api/v2/builds/1/data/nothing",
        "/api/v2/builds/1/data/nothing/value",
    ] {
        assert_eq!(kept.farm.get(path).await.status.as_u16(), 404, "{path}");
    }
}

#[tokio::test]
async fn test_results_are_what_buildbot_has() {
    let kept = farm().await;
    kept.tests().await;
    let sets = kept.farm.get("/api/v2/test_result_sets/1").await;
    assert_snapshot!(sets.shown(), @r#"
    200
    {"test_result_sets":[{"builderid":2,"buildid":1,"category":"pass_fail","complete":true,"description":"unit <tests>","stepid":1,"test_result_setid":1,"tests_failed":1,"tests_passed":1,"value_unit":"boolean"}],"meta":{}}
    "#);
    for path in [
        "/api/v2/test_result_sets",
        "/api/v2/builders/unit/test_result_sets",
        "/api/v2/builds/1/test_result_sets",
        "/api/v2/steps/1/test_result_sets",
    ] {
        let listed = kept.farm.get(path).await.json();
        assert_eq!(
            listed["test_result_sets"],
            sets.json()["test_result_sets"],
            "{path}"
        );
    }
    let failed = "/api/v2/test_result_sets/1/results?value=0";
    assert_snapshot!(kept.farm.get(failed).await.shown(), @r#"
    200
    {"test_results":[{"builderid":2,"duration_ns":1500,"line":7,"test_code_path":"src/lib.rs","test_name":"<b>bad</b>","test_result_setid":1,"test_resultid":2,"value":"0"}],"meta":{"total":1}}
    "#);
    let empty = kept
        .farm
        .get("/api/v2/builders/docs/test_result_sets")
        .await;
    assert_eq!(empty.json()["meta"]["total"], 0);
}

#[tokio::test]
async fn the_page_of_a_build_shows_what_it_kept() {
    let kept = farm().await;
    let before = kept.farm.page("/builds/1").await.body;
    assert!(!before.contains("Artifacts") && !before.contains("Test results"));
    kept.artifact("bin/<my> tool", "made").await;
    kept.tests().await;
    let set = kept
        .farm
        .store
        .set_build_data(kept.build.id, "coverage", Bytes::from("x"), "tests");
    set.await.expect("set");
    let page = kept.farm.page("/builds/1").await.body;
    for part in [
        "href=\"/artifacts/1/bin/%3Cmy%3E%20tool\"",
        "href=\"/api/v2/test_result_sets/1/results\"",
        "href=\"/api/v2/builds/1/data/coverage/value\"",
        "1 passed, 1 failed",
        "src/lib.rs:7",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<b>bad") && !page.contains("<my>") && !page.contains("<tests>"));
}

#[tokio::test]
async fn a_request_leads_to_its_build() {
    let kept = farm().await;
    let (_, waiting) = kept.farm.request(&build("docs")).await;
    let built = kept.farm.page("/requests/1").await;
    assert_eq!(
        (built.status.as_u16(), built.header("location")),
        (307, "/builds/1")
    );
    let waiting = kept.farm.page(&format!("/requests/{waiting}")).await;
    let builder = format!("/builders/{}", kept.farm.builder("docs"));
    assert_eq!(
        (waiting.status.as_u16(), waiting.header("location")),
        (307, builder.as_str())
    );
    assert_eq!(kept.farm.page("/requests/99").await.status.as_u16(), 404);
}
