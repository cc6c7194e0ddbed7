//! What each resource gives.

use insta::assert_snapshot;
use serde_json::{Value, json};
use toolpost_core::Results;

use crate::support::samples::{digest, plugin, refusal, version};
use crate::support::{Asker, NOW, TestFarm, build, step};

/// A farm with a change, a build of it with two steps, a build that runs and a request that waits.
async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let change = farm
        .change("Fix the \"parser\"\n\nIt lost <tags>.", "abc123")
        .await;
    let spec = build("unit")
        .of(change)
        .ends(Results::Failure, "1 test failed")
        .property("branch", "main", "Source")
        .property("jobs", json!([1, 2]), "Builder")
        .step(step("git").log("stdio", "HEAD is now at abc123\n"))
        .step(
            step("tests")
                .ends(Results::Failure, "3 passed, 1 failed")
                .link("report", "https://example.org/r")
                .log("stdio", "one\ntwo\n"),
        );
    farm.build(spec).await;
    farm.build(
        build("docs")
            .runs()
            .ago(60_000)
            .step(step("make").runs("making")),
    )
    .await;
    farm.request(&build("docs").ago(30_000)).await;
    farm
}

#[tokio::test]
async fn masters() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/masters").await.shown(), @r#"
    200
    {"masters":[{"active":true,"last_active":1763929036,"masterid":1,"name":"alpha"}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/1/masters/1?field=name").await.shown(), @r#"
    200
    {"masters":[{"name":"alpha"}],"meta":{}}
    "#);
}

#[tokio::test]
async fn builders() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/builders").await.shown(), @r#"
    200
    {"builders":[{"builderid":1,"description":null,"description_format":null,"description_html":null,"masterids":[1],"name":"docs","projectid":null,"tags":[]},{"builderid":2,"description":"Compiles and tests the crate.","description_format":null,"description_html":null,"masterids":[1],"name":"unit","projectid":null,"tags":["fast"]}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders?tags__contains=fast&field=name&field=tags").await.shown(), @r#"
    200
    {"builders":[{"name":"unit","tags":["fast"]}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/unit?field=builderid").await.shown(), @r#"
    200
    {"builders":[{"builderid":2}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/masters/1/builders/1?field=name").await.shown(), @r#"
    200
    {"builders":[{"name":"docs"}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/workers/1/builders?field=name").await.shown(), @r#"
    200
    {"builders":[{"name":"docs"},{"name":"unit"}],"meta":{"total":2}}
    "#);
}

#[tokio::test]
async fn workers() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/workers").await.shown(), @r#"
    200
    {"workers":[{"configured_on":[{"builderid":1,"masterid":1},{"builderid":2,"masterid":1}],"connected_to":[{"masterid":1}],"graceful":false,"name":"local","pause_reason":null,"paused":false,"workerid":1,"workerinfo":{"system":"linux","version":"0.1.0"}},{"configured_on":[{"builderid":1,"masterid":1},{"builderid":2,"masterid":1}],"connected_to":[],"graceful":false,"name":"spare","pause_reason":null,"paused":false,"workerid":2,"workerinfo":{}}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/1/workers/spare?field=name").await.shown(), @r#"
    200
    {"workers":[{"name":"spare"}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/masters/1/builders/2/workers?field=workerid").await.shown(), @r#"
    200
    {"workers":[{"workerid":1},{"workerid":2}],"meta":{"total":2}}
    "#);
}

#[tokio::test]
async fn schedulers() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/schedulers").await.shown(), @r#"
    200
    {"schedulers":[{"enabled":true,"error":null,"held":null,"master":{"active":true,"last_active":1763929036,"masterid":1,"name":"alpha"},"name":"force","schedulerid":1,"skipped":[],"stuck":null,"text":"","type":null},{"enabled":true,"error":null,"held":null,"master":{"active":true,"last_active":1763929036,"masterid":1,"name":"alpha"},"name":"on-push","schedulerid":2,"skipped":[],"stuck":null,"text":"","type":null}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/changesources").await.shown(), @r#"
    200
    {"changesources":[{"changesourceid":1,"master":{"active":true,"last_active":1763929036,"masterid":1,"name":"alpha"},"name":"hello"}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn changes() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/changes").await.shown(), @r#"
    200
    {"changes":[{"author":"Ada Lovelace <ada@example.org>","branch":"main","category":null,"changeid":1,"codebase":"","comments":"Fix the \"parser\"\n\nIt lost <tags>.","committer":null,"files":["src/lib.rs","README.md"],"parent_changeids":[],"project":"hello","properties":{"event":["push","Change"]},"repository":"https://example.org/hello.git","revision":"abc123","revlink":"https://example.org/hello/commit/abc123","sourcestamp":{"branch":"main","codebase":"","created_at":1763929036,"patch":null,"project":"hello","repository":"https://example.org/hello.git","revision":"abc123","ssid":1},"when_timestamp":1763921836}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds/1/changes?field=changeid").await.shown(), @r#"
    200
    {"changes":[{"changeid":1}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/unit/builds/1/changes?field=changeid").await.shown(), @r#"
    200
    {"changes":[{"changeid":1}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/changes/1/builds?field=buildid").await.shown(), @r#"
    200
    {"builds":[{"buildid":1}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/sourcestamps/1/changes?field=changeid").await.shown(), @r#"
    200
    {"changes":[{"changeid":1}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/changes/1/properties_list").await.shown(), @r#"
    200
    {"_properties":[{"name":"event","source":"Change","value":"\"push\""}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn source_stamps() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/sourcestamps/1").await.shown(), @r#"
    200
    {"sourcestamps":[{"branch":"main","codebase":"","created_at":1763929036,"patch":null,"project":"hello","repository":"https://example.org/hello.git","revision":"abc123","ssid":1}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildsets/1/sourcestamps?field=ssid").await.shown(), @r#"
    200
    {"sourcestamps":[{"ssid":1}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn buildsets() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/buildsets/1").await.shown(), @r#"
    200
    {"buildsets":[{"bsid":1,"complete":true,"complete_at":1763925438,"external_idstring":null,"parent_buildid":null,"parent_relationship":null,"reason":"a change","rebuilt_buildid":null,"results":2,"sourcestamps":[{"branch":"main","codebase":"","created_at":1763929036,"patch":null,"project":"hello","repository":"https://example.org/hello.git","revision":"abc123","ssid":1}],"submitted_at":1763925436}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildsets?complete=false&field=bsid&field=results&field=complete").await.shown(), @r#"
    200
    {"buildsets":[{"bsid":2,"complete":false,"results":null},{"bsid":3,"complete":false,"results":null}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildsets/1/properties").await.shown(), @r#"
    200
    {"properties":[{"scheduler":["on-push","Scheduler"]}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildsets/1/properties_list").await.shown(), @r#"
    200
    {"_properties":[{"name":"scheduler","source":"Scheduler","value":"\"on-push\""}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn build_requests() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/buildrequests").await.shown(), @r#"
    200
    {"buildrequests":[{"builderid":2,"buildrequestid":1,"buildsetid":1,"claimed":true,"claimed_at":1763925436,"claimed_by_masterid":1,"complete":true,"complete_at":1763925438,"priority":0,"properties":{},"results":2,"submitted_at":1763925436,"waited_for":false},{"builderid":1,"buildrequestid":2,"buildsetid":2,"claimed":true,"claimed_at":1763928976,"claimed_by_masterid":1,"complete":false,"complete_at":null,"priority":0,"properties":{},"results":null,"submitted_at":1763928976,"waited_for":false},{"builderid":1,"buildrequestid":3,"buildsetid":3,"claimed":false,"claimed_at":null,"claimed_by_masterid":null,"complete":false,"complete_at":null,"priority":0,"properties":{},"results":null,"submitted_at":1763929006,"waited_for":false}],"meta":{"total":3}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/1/buildrequests?claimed=false&field=buildrequestid&field=claimed").await.shown(), @r#"
    200
    {"buildrequests":[{"buildrequestid":3,"claimed":false}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildrequests/1?property=scheduler&field=properties").await.shown(), @r#"
    200
    {"buildrequests":[{"properties":{"scheduler":["on-push","Scheduler"]}}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/buildrequests/1/builds?field=buildid").await.shown(), @r#"
    200
    {"builds":[{"buildid":1}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn builds() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/builds?order=-buildid").await.shown(), @r#"
    200
    {"builds":[{"builderid":1,"buildid":2,"buildrequestid":2,"complete":false,"complete_at":null,"locks_duration_s":0,"masterid":1,"number":1,"properties":{},"results":null,"started_at":1763928976,"state_string":"running","workerid":1},{"builderid":2,"buildid":1,"buildrequestid":1,"complete":true,"complete_at":1763925438,"locks_duration_s":0,"masterid":1,"number":1,"properties":{},"results":2,"started_at":1763925436,"state_string":"1 test failed","workerid":1}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/unit/builds/1?field=buildid&field=properties&property=branch").await.shown(), @r#"
    200
    {"builds":[{"buildid":1,"properties":{"branch":["main","Source"]}}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds?property=*&field=properties").await.shown(), @r#"
    200
    {"builds":[{"properties":{"branch":["main","Source"],"buildnumber":[1,"Build"],"jobs":[[1,2],"Builder"]}},{"properties":{"buildnumber":[1,"Build"]}}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/workers/1/builds?complete=true&field=buildid&field=complete").await.shown(), @r#"
    200
    {"builds":[{"buildid":1,"complete":true}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds?results__ge=2&field=results").await.shown(), @r#"
    200
    {"builds":[{"results":2}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds?started_at__lt=1763929000&field=buildid&field=started_at").await.shown(), @r#"
    200
    {"builds":[{"buildid":1,"started_at":1763925436},{"buildid":2,"started_at":1763928976}],"meta":{"total":2}}
    "#);
}

#[tokio::test]
async fn properties_of_a_build() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/builds/1/properties").await.shown(), @r#"
    200
    {"properties":[{"branch":["main","Source"],"buildnumber":[1,"Build"],"jobs":[[1,2],"Builder"]}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/unit/builds/1/properties").await.shown(), @r#"
    200
    {"properties":[{"branch":["main","Source"],"buildnumber":[1,"Build"],"jobs":[[1,2],"Builder"]}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds/1/property_list?name=jobs").await.shown(), @r#"
    200
    {"_properties":[{"name":"jobs","source":"Builder","value":"[1,2]"}],"meta":{"total":1}}
    "#);
}

#[tokio::test]
async fn steps() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/builds/1/steps").await.shown(), @r#"
    200
    {"steps":[{"buildid":1,"complete":true,"complete_at":1763925437,"hidden":false,"locks_acquired_at":1763925436,"name":"git","number":0,"plugin_digest":null,"resources":null,"results":0,"started_at":1763925436,"state_string":"done","stepid":1,"urls":[]},{"buildid":1,"complete":true,"complete_at":1763925438,"hidden":false,"locks_acquired_at":1763925437,"name":"tests","number":1,"plugin_digest":null,"resources":null,"results":2,"started_at":1763925437,"state_string":"3 passed, 1 failed","stepid":2,"urls":[{"name":"report","url":"https://example.org/r"}]}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds/2/steps/make").await.shown(), @r#"
    200
    {"steps":[{"buildid":2,"complete":false,"complete_at":null,"hidden":false,"locks_acquired_at":1763928976,"name":"make","number":0,"plugin_digest":null,"resources":null,"results":null,"started_at":1763928976,"state_string":"making","stepid":3,"urls":[]}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/2/builds/1/steps/1?field=name").await.shown(), @r#"
    200
    {"steps":[{"name":"tests"}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/steps/2?field=name").await.shown(), @r#"
    200
    {"steps":[{"name":"tests"}],"meta":{}}
    "#);
}

#[tokio::test]
async fn logs() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/builds/1/steps/tests/logs").await.shown(), @r#"
    200
    {"logs":[{"complete":true,"logid":2,"name":"stdio","num_lines":2,"slug":"stdio","stepid":2,"type":"s"}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/unit/builds/1/steps/1/logs/stdio?field=logid").await.shown(), @r#"
    200
    {"logs":[{"logid":2}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/steps/2/logs/stdio?field=logid").await.shown(), @r#"
    200
    {"logs":[{"logid":2}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/logs/2?field=num_lines").await.shown(), @r#"
    200
    {"logs":[{"num_lines":2}],"meta":{}}
    "#);
}

#[tokio::test]
async fn force_schedulers() {
    let farm = farm().await;
    let answer = farm.get("/api/v2/forceschedulers").await.json();
    let scheduler = &answer["forceschedulers"][0];
    let head: Vec<_> = scheduler
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(name, _)| *name != "all_fields")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_snapshot!(head.join("\n"), @r#"
    builder_names: ["unit","docs"]
    button_name: "Force a build"
    enabled: true
    label: "Build now"
    name: "force"
    "#);
    let fields: Vec<_> = scheduler["all_fields"]
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::to_string)
        .collect();
    assert_snapshot!(fields.join("\n"), @r#"
    {"autopopulate":null,"columns":1,"default":"","fields":[{"autopopulate":null,"default":"","fullName":"username","hide":false,"label":"Your name","maxsize":null,"multiple":false,"name":"username","need_email":false,"regex":null,"required":false,"size":30,"tablabel":"Your name","tooltip":"","type":"username"},{"autopopulate":null,"default":"force build","fullName":"reason","hide":false,"label":"Reason","maxsize":null,"multiple":false,"name":"reason","regex":null,"required":true,"size":30,"tablabel":"Reason","tooltip":"","type":"text"},{"autopopulate":null,"default":0,"fullName":"priority","hide":false,"label":"Priority","max":null,"maxsize":null,"min":null,"multiple":false,"name":"priority","regex":null,"required":false,"size":30,"tablabel":"Priority","tooltip":"","type":"int"}],"fullName":"","hide":false,"label":"","layout":"vertical","maxsize":null,"multiple":false,"name":"","regex":null,"required":false,"tablabel":"","tooltip":"","type":"nested"}
    {"autopopulate":null,"columns":1,"default":"","fields":[{"autopopulate":null,"default":"main","fullName":"branch","hide":false,"label":"Branch","maxsize":null,"multiple":false,"name":"branch","regex":null,"required":false,"size":30,"tablabel":"Branch","tooltip":"","type":"text"},{"autopopulate":null,"default":"hello","fullName":"project","hide":true,"label":"Project","maxsize":null,"multiple":false,"name":"project","regex":null,"required":false,"size":30,"tablabel":"Project","tooltip":"","type":"text"},{"autopopulate":null,"default":"","fullName":"revision","hide":false,"label":"Revision","maxsize":null,"multiple":false,"name":"revision","regex":null,"required":false,"size":30,"tablabel":"Revision","tooltip":"","type":"text"}],"fullName":"","hide":false,"label":"","layout":"vertical","maxsize":null,"multiple":false,"name":"","regex":null,"required":false,"tablabel":"","tooltip":"","type":"nested"}
    {"autopopulate":null,"default":true,"fullName":"clean","hide":false,"label":"Clean build","maxsize":null,"multiple":false,"name":"clean","regex":null,"required":false,"tablabel":"Clean build","tooltip":"Removes the build directory before it starts.","type":"bool"}
    {"autopopulate":null,"choices":["debug","release","bench <all>"],"default":"release","fullName":"profile","hide":false,"label":"Profile","maxsize":null,"multiple":false,"name":"profile","regex":null,"required":false,"strict":true,"tablabel":"Profile","tooltip":"","type":"list"}
    {"autopopulate":null,"choices":["x86_64","aarch64","riscv64"],"default":["x86_64"],"fullName":"targets","hide":false,"label":"Targets","maxsize":null,"multiple":true,"name":"targets","regex":null,"required":false,"strict":true,"tablabel":"Targets","tooltip":"","type":"list"}
    {"autopopulate":null,"default":4,"fullName":"jobs","hide":false,"label":"Parallel jobs","max":64,"maxsize":null,"min":1,"multiple":false,"name":"jobs","regex":null,"required":false,"size":30,"tablabel":"Parallel jobs","tooltip":"","type":"int"}
    {"autopopulate":null,"cols":80,"default":"","fullName":"notes","hide":false,"label":"Notes","maxsize":null,"multiple":false,"name":"notes","regex":null,"required":false,"rows":4,"tablabel":"Notes","tooltip":"","type":"textarea"}
    "#);
    assert_snapshot!(farm.get("/api/v2/builders/1/forceschedulers?field=name").await.shown(), @r#"
    200
    {"forceschedulers":[{"name":"force"}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/forceschedulers/force?field=label").await.shown(), @r#"
    200
    {"forceschedulers":[{"label":"Build now"}],"meta":{}}
    "#);
}

#[tokio::test]
async fn plugins() {
    let farm = farm().await;
    {
        let mut said = farm.master.said();
        let mut summary = plugin("test-summary", version("test-summary", "0.3.1", 0xb7, NOW));
        summary
            .draining
            .push(version("test-summary", "0.3.0", 0x4e, NOW));
        summary.problem = Some(refusal(NOW, 0x0c, "the file is truncated"));
        said.plugins = vec![summary];
        let place = toolpost_web::Place::Step {
            builder: "unit".into(),
            step: "tests".into(),
        };
        said.uses.insert("test-summary".into(), vec![place]);
    }
    assert_snapshot!(farm.get("/api/v2/plugins").await.shown(), @r#"
    200
    {"plugins":[{"held":null,"last_reload":{"at":1763929036,"digest":"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c","outcome":"refused","reason":"the file is truncated"},"name":"test-summary","not_granted":[],"refusals":0,"reloads":1,"rollbacks":0,"state":"held","uses":[{"builder":"unit","kind":"step","step":"tests","step_type":"test-summary"}],"versions":[{"builds":0,"calls_running":0,"calls_total":41,"contract":"1.0.0","description":"Provides test-summary.","digest":"b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7","faults_total":0,"last_fault":null,"loaded_at":1763929036,"size_bytes":212480,"state":"live","types":[{"force_schema":null,"kind":"step","name":"test-summary","schema":{"properties":{"path":{"type":"string"}},"type":"object"},"summary":"Runs test-summary."}],"version":"0.3.1","wants":[]},{"builds":0,"calls_running":0,"calls_total":41,"contract":"1.0.0","description":"Provides test-summary.","digest":"4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e","faults_total":0,"last_fault":null,"loaded_at":1763929036,"size_bytes":212480,"state":"draining","types":[{"force_schema":null,"kind":"step","name":"test-summary","schema":{"properties":{"path":{"type":"string"}},"type":"object"},"summary":"Runs test-summary."}],"version":"0.3.0","wants":[]}],"waiting":null}],"meta":{"total":1}}
    "#);
    assert_snapshot!(farm.get("/api/v2/plugins/test-summary?field=state").await.shown(), @r#"
    200
    {"plugins":[{"state":"held"}],"meta":{}}
    "#);
    assert_eq!(digest(0xb7).len(), 64);
}

#[tokio::test]
async fn the_root_and_the_specification() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2").await.shown(), @r#"
    200
    {"rootlinks":[{"name":"audit"},{"name":"builders"},{"name":"buildrequests"},{"name":"builds"},{"name":"buildsets"},{"name":"changes"},{"name":"changesources"},{"name":"codebases"},{"name":"deliveries"},{"name":"forceschedulers"},{"name":"masters"},{"name":"plugins"},{"name":"projects"},{"name":"reporters"},{"name":"schedulers"},{"name":"sourcestamps"},{"name":"test_result_sets"},{"name":"tokens"},{"name":"workers"}],"meta":{"total":19}}
    "#);
    assert_snapshot!(farm.get("/api/v2/application.spec?path=builds&path=masters").await.shown(), @r#"
    200
    {"specs":[{"path":"builds","plural":"builds","type":"build","type_spec":{"fields":[{"name":"builderid","type":"integer","type_spec":{"name":"integer"}},{"name":"buildid","type":"integer","type_spec":{"name":"integer"}},{"name":"buildrequestid","type":"integer","type_spec":{"name":"integer"}},{"name":"complete","type":"boolean","type_spec":{"name":"boolean"}},{"name":"complete_at","type":"datetime","type_spec":{"can_be_null":true,"name":"datetime"}},{"name":"locks_duration_s","type":"integer","type_spec":{"name":"integer"}},{"name":"masterid","type":"integer","type_spec":{"name":"integer"}},{"name":"number","type":"integer","type_spec":{"name":"integer"}},{"name":"properties","type":"object","type_spec":{"can_be_null":true,"name":"object"}},{"name":"results","type":"integer","type_spec":{"can_be_null":true,"name":"integer"}},{"name":"started_at","type":"datetime","type_spec":{"name":"datetime"}},{"name":"state_string","type":"string","type_spec":{"name":"string"}},{"name":"workerid","type":"integer","type_spec":{"can_be_null":true,"name":"integer"}}],"type":"build"}},{"path":"masters","plural":"masters","type":"master","type_spec":{"fields":[{"name":"active","type":"boolean","type_spec":{"name":"boolean"}},{"name":"last_active","type":"datetime","type_spec":{"name":"datetime"}},{"name":"masterid","type":"integer","type_spec":{"name":"integer"}},{"name":"name","type":"string","type_spec":{"name":"string"}}],"type":"master"}}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api").await.shown(), @r#"
    200
    {"api_versions":{"v2":"/api/v2"}}
    "#);
}

#[tokio::test]
async fn people_get_lines_and_programs_get_json() {
    let farm = farm().await;
    let path = "/api/v2/masters?field=name";
    let plain = farm.get_with(path, &[]).await;
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    assert_snapshot!(plain.shown(), @r#"
    200
    {
      "masters": [
        {
          "name": "alpha"
        }
      ],
      "meta": {
        "total": 1
      }
    }
    "#);
    let compact = farm.get(path).await;
    assert_eq!(
        compact.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(plain.json(), compact.json());
}
