//! Calls that make the master do something, from programs and from pages.

use axum::http::Method;
use bytes::Bytes;
use insta::assert_snapshot;
use serde_json::json;
use toolpost_store::{PluginEventKind, PluginEventRow, PluginVersionRow};

use crate::support::samples::{digest, plugin, scheduler, version};
use crate::support::{Answer, Asker, NOW, TestFarm, build};

async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    farm.build(build("unit").runs()).await;
    farm.request(&build("docs")).await;
    farm
}

#[tokio::test]
async fn builds_are_stopped_and_repeated() {
    let farm = farm().await;
    assert_snapshot!(farm.call("/api/v2/builds/2", "stop", json!({"reason": "enough"})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    assert_snapshot!(farm.call("/api/v2/builders/unit/builds/1", "rebuild", json!({})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":[70,{"1":71}]}
    "#);
    assert_snapshot!(farm.call("/api/v2/builds/1", "stop", json!({})).await.shown(), @r#"
    409
    {"error":{"code":-32600,"message":"build 1 has ended already"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/builds/99", "stop", json!({})).await.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"there is no build"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/builds/1", "explode", json!({})).await.shown(), @r#"
    501
    {"error":{"code":-32601,"message":"action: explode is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_eq!(
        farm.master.asked(),
        [
            "stop 2 \"enough\" anonymous",
            "rebuild 1 anonymous",
            "stop 1 \"no reason\" anonymous"
        ]
    );
}

#[tokio::test]
async fn requests_are_cancelled() {
    let farm = farm().await;
    assert_snapshot!(farm.call("/api/v2/buildrequests/3", "cancel", json!({})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    assert_snapshot!(farm.call("/api/v2/buildrequests/99", "cancel", json!({})).await.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"there is no buildrequest"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_eq!(farm.master.asked(), ["cancel 3 \"no reason\" anonymous"]);
}

#[tokio::test]
async fn requests_get_another_priority_and_schedulers_are_enabled() {
    let farm = farm().await;
    let (request, scheduler) = ("/api/v2/buildrequests/3", "/api/v2/schedulers/1");
    assert_snapshot!(farm.call(request, "set_priority", json!({"priority": 7})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    for priority in [json!("7"), json!(null), json!(1.5), json!(1_i64 << 40)] {
        let answer = farm.call(request, "set_priority", json!({"priority": priority}));
        assert_eq!(answer.await.status.as_u16(), 400, "{priority}");
    }
    assert_snapshot!(farm.call(scheduler, "enable", json!({"enabled": false})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    assert_snapshot!(farm.call(scheduler, "enable", json!({})).await.shown(), @r#"
    400
    {"error":{"code":-32602,"message":"`enabled` must be true or false"},"id":1,"jsonrpc":"2.0"}
    "#);
    let names = json!({"builderNames": 7});
    assert_snapshot!(farm.call("/api/v2/forceschedulers/force", "force", names).await.shown(), @r#"
    400
    {"error":{"code":-32602,"message":"`builderNames` must be a list of names of builders"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_eq!(farm.master.asked(), ["priority 3 7", "enable 1 false"]);
}

#[tokio::test]
async fn parameters_of_another_type_are_refused_and_unknown_ones_overlooked() {
    let farm = farm().await;
    for (path, method, params, expected) in [
        (
            "builds/2",
            "stop",
            json!({"reason": 7}),
            Err("`reason` must be a text"),
        ),
        (
            "workers/1",
            "pause",
            json!({"reason": []}),
            Err("`reason` must be a text"),
        ),
        (
            "schedulers/1",
            "enable",
            json!({"enabled": "no"}),
            Err("`enabled` must be true or false"),
        ),
        (
            "forceschedulers/force",
            "force",
            json!({"builderNames": ["unit", 7]}),
            Err("`builderNames` must be a list of names of builders"),
        ),
        (
            "builds/2",
            "stop",
            json!({"reason": null}),
            Ok("stop 2 \"no reason\" anonymous"),
        ),
        (
            "buildrequests/3",
            "set_priority",
            json!({"priority": 7.0, "why": 7}),
            Ok("priority 3 7"),
        ),
    ] {
        let answer = farm.call(&format!("/api/v2/{path}"), method, params).await;
        let done = farm.master.asked();
        match expected {
            Ok(expected) => assert_eq!(done, [expected]),
            Err(message) => {
                assert!(done.is_empty(), "{path}: {done:?}");
                assert_eq!(answer.status, 400, "{path}");
                assert_eq!(answer.json()["error"]["message"], message);
            }
        }
    }
}

#[tokio::test]
async fn what_is_called_is_where_the_path_says() {
    let farm = farm().await;
    for (path, method, status) in [
        ("masters/1/workers/1", "pause", 200),
        ("masters/7/workers/1", "pause", 404),
        ("builders/nobody/workers/local", "pause", 404),
        ("masters/7/schedulers/1", "skip", 404),
    ] {
        let answer = farm
            .call(&format!("/api/v2/{path}"), method, json!({}))
            .await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    assert_eq!(farm.master.asked().len(), 1);
}

#[tokio::test]
async fn workers_are_paused() {
    let farm = farm().await;
    farm.call("/api/v2/workers/local", "pause", json!({"reason": "disk"}))
        .await;
    farm.call("/api/v2/workers/1", "unpause", json!({})).await;
    assert_eq!(
        farm.master.asked(),
        ["pause 1 Some(\"disk\")", "pause 1 None"]
    );
    assert_snapshot!(farm.call("/api/v2/workers/nobody", "pause", json!({})).await.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"there is no worker"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/workers/1", "reboot", json!({})).await.shown(), @r#"
    501
    {"error":{"code":-32601,"message":"action: reboot is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
}

#[tokio::test]
async fn workers_are_told_to_end() {
    let farm = farm().await;
    let disk = json!({"reason": "disk"});
    assert_snapshot!(farm.call("/api/v2/workers/local", "stop", disk).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    farm.call("/api/v2/workers/1", "kill", json!({})).await;
    farm.master.said().away = vec![farm.worker("spare")];
    assert_snapshot!(farm.call("/api/v2/workers/2", "kill", json!({})).await.shown(), @r#"
    409
    {"error":{"code":-32600,"message":"worker `spare` is not connected, so that it cannot be told to end"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_eq!(
        farm.master.asked(),
        [
            "stop worker 1 \"disk\" anonymous",
            "kill worker 1 \"no reason\" anonymous",
            "kill worker 2 \"no reason\" anonymous"
        ]
    );
}

#[tokio::test]
async fn schedulers_pass_over_an_event() {
    let farm = farm().await;
    assert_eq!(
        farm.call("/api/v2/schedulers/2", "skip", json!({}))
            .await
            .status,
        404
    );
    farm.master.said().schedulers = vec![scheduler("on-push", "", Some("the plugin crashed"))];
    assert_snapshot!(farm.call("/api/v2/schedulers/2", "skip", json!({"event": "change 12", "reason": "it is odd"})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":{"skipped":"change 12"}}
    "#);
    assert_eq!(
        farm.call("/api/v2/schedulers/2", "skip", json!({"event": 12}))
            .await
            .status,
        400
    );
    let page = farm.page("/changes").await.body;
    for shown in [
        "7 attempts",
        "action=\"/schedulers/2/skip\"",
        "Pass over change 12",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert_eq!(
        farm.master.asked(),
        [
            "skip \"\" of 2 \"no reason\" anonymous",
            "skip \"change 12\" of 2 \"it is odd\" anonymous"
        ]
    );
}

#[tokio::test]
async fn while_a_master_starts_it_can_be_read_and_what_is_asked_for_waits() {
    let farm = farm().await;
    farm.master.said().health.starting = true;
    assert_eq!(farm.get("/api/v2/builders").await.status, 200);
    let page = farm.page("/").await.body;
    assert!(page.contains("This master starts"), "{page}");
    assert!(farm.master.asked().is_empty());

    let params = json!({"builderNames": ["unit"], "reason": "try"});
    let call = farm.call("/api/v2/forceschedulers/force", "force", params);
    let works = async {
        while farm.master.asked() != ["ready"] {
            tokio::task::yield_now().await;
        }
        farm.master.works.notify_one();
    };
    let both = async { tokio::join!(call, works).0 };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), both).await;
    assert_eq!(answer.expect("it waits, and no longer").status, 200);
}

#[tokio::test]
async fn builds_are_forced() {
    let farm = farm().await;
    let params = json!({"builderid": "2", "reason": "try", "owner": "mallory", "branch": "main"});
    assert_snapshot!(farm.call("/api/v2/forceschedulers/force", "force", params).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":[70,{"1":71}]}
    "#);
    let params = json!({"builderNames": ["unit"], "reason": "try"});
    farm.call("/api/v2/forceschedulers/force", "force", params)
        .await;
    assert_eq!(
        farm.master.asked(),
        [
            r#"force force Some(["unit"]) {"reason":"try","branch":"main"}"#,
            r#"force force Some(["unit"]) {"reason":"try"}"#
        ]
    );
    farm.master
        .said()
        .refused
        .insert("reason".into(), "must not be empty".into());
    assert_snapshot!(farm.call("/api/v2/forceschedulers/force", "force", json!({})).await.shown(), @r#"
    400
    {"error":{"code":-32602,"message":{"reason":"must not be empty"}},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/forceschedulers/none", "force", json!({})).await.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"there is no force scheduler `none`"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/forceschedulers/force", "tickle", json!({})).await.shown(), @r#"
    501
    {"error":{"code":-32601,"message":"action: tickle is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
}

#[tokio::test]
async fn a_call_that_is_none_says_what_is_wrong() {
    let farm = farm().await;
    let send = async |headers: &[(&str, &str)], body: &str| -> Answer {
        farm.send(Method::POST, "/api/v2/builds/2", headers, body)
            .await
    };
    let json = ("content-type", "application/json");
    assert_snapshot!(send(&[json], "{").await.shown(), @r#"
    400
    {"error":{"code":-32700,"message":"JSON parse error: EOF while parsing an object at line 1 column 1"},"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(send(&[], "{}").await.shown(), @r#"
    400
    {"error":{"code":-32600,"message":"Invalid content-type (use application/json)"},"jsonrpc":"2.0"}
    "#);
    let elsewhere = [
        json,
        ("host", "ci.example"),
        ("origin", "https://evil.example"),
    ];
    assert_snapshot!(send(&elsewhere, "{}").await.shown(), @r#"
    403
    {"error":{"code":-32600,"message":"the request comes from another site (https://evil.example); open this page under its own address and try again"},"jsonrpc":"2.0"}
    "#);
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    assert_snapshot!(send(&[json], &long).await.shown(), @r#"
    413
    {"error":{"code":-32600,"message":"the body is longer than 1048576 bytes"},"jsonrpc":"2.0"}
    "#);
    let nowhere = farm.call("/api/v2/nothing", "stop", json!({})).await;
    assert_snapshot!(nowhere.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"invalid path: nothing"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert!(farm.master.asked().is_empty());
}

#[tokio::test]
async fn buttons_do_it_and_lead_back() {
    let farm = farm().await;
    for (path, to) in [
        ("/builds/2/stop", "/builds/2?done=stop"),
        ("/builds/1/rebuild", "/builders/1?done=rebuild"),
        ("/requests/3/cancel", "/pending?done=cancel"),
        ("/workers/1/pause", "/workers?done=pause"),
        ("/workers/1/unpause", "/workers?done=unpause"),
        ("/workers/1/stop", "/workers/1?done=finish"),
        ("/workers/1/kill", "/workers/1?done=kill"),
    ] {
        let answer = farm.post(path, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, to),
            "{path}"
        );
        let back = farm.page(to).await;
        assert!(
            back.body.contains("role=\"status\""),
            "{to} says what was done"
        );
    }
    assert_eq!(
        farm.master.asked(),
        [
            "stop 2 \"stopped from the page of the build\" anonymous",
            "rebuild 1 anonymous",
            "cancel 3 \"cancelled from a page\" anonymous",
            "pause 1 Some(\"asked for on a page\")",
            "pause 1 None",
            "stop worker 1 \"asked for on a page\" anonymous",
            "kill worker 1 \"asked for on a page\" anonymous"
        ]
    );
    let from_its_page = farm
        .post("/workers/1/pause", "back=worker&reason=+hot+")
        .await;
    assert_eq!(from_its_page.header("location"), "/workers/1?done=pause");
    assert_eq!(
        farm.master.asked().last().map(String::as_str),
        Some("pause 1 Some(\"hot\")")
    );
    let late = farm.post("/builds/1/stop", "").await;
    assert_eq!(late.status.as_u16(), 409);
    assert!(
        late.body.contains("build 1 has ended already"),
        "{}",
        late.body
    );
}

#[tokio::test]
async fn a_button_on_another_site_does_nothing() {
    let farm = farm().await;
    for headers in [
        [("host", "ci.example"), ("origin", "https://evil.example")],
        [("host", "ci.example"), ("origin", "null")],
        [("host", "ci.example"), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = farm
            .send(Method::POST, "/builds/2/stop", &headers, "")
            .await;
        assert_eq!(answer.status.as_u16(), 403, "{headers:?}");
        assert!(answer.body.contains("another site"), "{}", answer.body);
    }
    assert!(farm.master.asked().is_empty());
}

#[tokio::test]
async fn a_form_sends_its_fields_in_their_types() {
    let farm = farm().await;
    let body = "reason=because&branch=main&revision=&profile=debug&targets=x86_64&targets=riscv64&jobs=8&notes=a%0Ab&username=&priority=0&sneaky=1";
    let answer = farm.post("/force/force?builder=unit", body).await;
    assert_eq!(answer.header("location"), "/builders/2?done=force");
    assert_snapshot!(farm.master.asked().join("\n"), @r#"
    force force Some(["unit"]) {"username":"","reason":"because","priority":"0","branch":"main","revision":"","clean":false,"profile":"debug","targets":["x86_64","riscv64"],"jobs":"8","notes":"a\nb"}
    "#);
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_filled_in() {
    let farm = farm().await;
    farm.master
        .said()
        .refused
        .insert("jobs".into(), "must be at most 64".into());
    let answer = farm
        .post(
            "/force/force?builder=unit",
            "reason=%3Cb%3E&jobs=99&targets=aarch64",
        )
        .await;
    assert_eq!(answer.status.as_u16(), 422);
    for part in [
        "value=\"99\"",
        "value=\"&#60;b&#62;\"",
        "<span class=\"error\">must be at most 64</span>",
        "<option selected>aarch64</option>",
        "aria-invalid=\"true\"",
    ] {
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }
    farm.master
        .said()
        .refused
        .insert("project".into(), "is not known".into());
    let answer = farm.post("/force/force?builder=unit", "reason=x").await;
    assert!(
        answer.body.contains("project: is not known"),
        "a hidden field's message is not lost"
    );
}

#[tokio::test]
async fn a_colour_scheme_is_remembered() {
    let farm = farm().await;
    let answer = farm
        .post("/theme", "theme=dark&here=%2Fbuilders%3Fq%3Dx")
        .await;
    assert_eq!(answer.header("location"), "/builders?q=x");
    assert!(answer.header("set-cookie").starts_with("theme=dark;"));
    let dark = farm.get_with("/", &[("cookie", "a=b; theme=dark")]).await;
    assert!(dark.body.contains("data-theme=\"dark\""));
    let light = farm.get_with("/", &[("cookie", "theme=light")]).await;
    assert!(light.body.contains("data-theme=\"light\""));
    for here in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/a\nb",
    ] {
        let body = format!("theme=dark&here={}", here.replace('\n', "%0A"));
        assert_eq!(
            farm.post("/theme", &body).await.header("location"),
            "/",
            "{here:?}"
        );
    }
}

/// A plugin with two versions on record, of which the second is live.
async fn with_plugin(farm: &TestFarm) {
    for (version, byte) in [("0.3.0", 0x4e), ("0.3.1", 0xb7)] {
        let row = PluginVersionRow {
            name: "test-summary".into(),
            version: version.into(),
            digest: digest(byte),
            contract: "1.0.0".into(),
            describe: json!({}),
            size_bytes: 212_480,
            loaded_at: NOW,
        };
        farm.store
            .record_plugin_version(row, Bytes::from_static(b"component"))
            .await
            .expect("recorded");
        let event = PluginEventRow {
            name: "test-summary".into(),
            kind: PluginEventKind::Live,
            digest: Some(digest(byte)),
            reason: None,
            at: NOW,
            fallbacks: Vec::new(),
        };
        farm.store
            .record_plugin_event(event)
            .await
            .expect("recorded");
    }
    let live = version("test-summary", "0.3.1", 0xb7, NOW);
    farm.master.said().plugins = vec![plugin("test-summary", live)];
}

#[tokio::test]
async fn plugins_are_reloaded_and_rolled_back() {
    let farm = farm().await;
    with_plugin(&farm).await;
    assert_snapshot!(farm.call("/api/v2/plugins/reload", "reload", json!({})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":{"plugins":[{"digest":"b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7","name":"test-summary","reason":null,"state":"live"}]}}
    "#);
    let asked = farm
        .send(Method::POST, "/api/v2/plugins/reload", &[], "")
        .await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let elsewhere = farm
        .send(Method::POST, "/api/v2/plugins/test-summary", &[], "")
        .await;
    assert_eq!(elsewhere.status, 400, "{}", elsewhere.body);
    assert_snapshot!(farm.call("/api/v2/plugins/test-summary", "rollback", json!({"digest": "4e4e"})).await.shown(), @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":{"digest":"4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e"}}
    "#);
    assert_snapshot!(farm.call("/api/v2/plugins/test-summary", "rollback", json!({"digest": "b7", "reason": "why not"})).await.shown(), @r#"
    409
    {"error":{"code":-32600,"message":"it is the live one"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/plugins/test-summary", "rollback", json!({"digest": "00"})).await.shown(), @r#"
    404
    {"error":{"code":-32600,"message":"there is no version 00 of `test-summary`"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/plugins/test-summary", "rollback", json!({})).await.shown(), @r#"
    400
    {"error":{"code":-32602,"message":"`digest` must be the digest of a version, or its first letters: see `versions`"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(farm.call("/api/v2/plugins/test-summary", "explode", json!({})).await.shown(), @r#"
    501
    {"error":{"code":-32601,"message":"action: explode is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
    let asked = farm.master.asked();
    assert_eq!(
        asked,
        [
            "look at the plugins",
            "look at the plugins",
            "roll test-summary back to 4e4e4e4e \"asked for through the API\"",
            "roll test-summary back to b7b7b7b7 \"why not\"",
        ]
    );
}

#[tokio::test]
async fn the_history_of_a_plugin_is_shown_with_a_button_for_each_version() {
    let farm = farm().await;
    with_plugin(&farm).await;
    assert_snapshot!(farm.get("/api/v2/plugins/test-summary/versions?field=version&field=state&order=version").await.shown(), @r#"
    200
    {"versions":[{"state":"past","version":"0.3.0"},{"state":"live","version":"0.3.1"}],"meta":{"total":2}}
    "#);
    assert_snapshot!(farm.get("/api/v2/plugins/test-summary/events?limit=1").await.shown(), @r#"
    200
    {"events":[{"at":1763929036,"digest":"b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7","kind":"live","plugin":"test-summary","reason":null}],"meta":{"total":2}}
    "#);
    let page = farm.page("/plugins/test-summary").await;
    let old = digest(0x4e);
    assert!(
        page.body
            .contains(&format!("name=\"digest\" value=\"{old}\""))
    );
    assert!(!page.body.contains(&format!("value=\"{}\"", digest(0xb7))));
}
