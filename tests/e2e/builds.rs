//! From a push, a form or a click to a finished build.

use serde_json::{Value, json};
use toolpost_harness::eventually;

use crate::support::{Repository, config, farm, first_party, gate, shell};

/// Names, results and state strings of the steps.
fn summary(steps: &[Value]) -> Vec<(String, i64, String)> {
    steps
        .iter()
        .map(|s| {
            (
                s["name"].as_str().unwrap().to_owned(),
                s["results"].as_i64().unwrap_or(-1),
                s["state_string"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_push_is_polled_checked_out_and_summed_up_by_a_plugin() {
    let repository = Repository::new();
    repository.commit("Start", &[("check.sh", "echo 1..1\necho ok 1 - starts\n")]);
    let text = format!(
        r#"
[[worker]]
name = "local"
kind = "local"

[[changes]]
name = "repository"
use = "git-poller"
repository = {path:?}
branches = ["main"]
interval = "1s"
poll_at_launch = true
build_newest = true

[[scheduler]]
name = "on-push"
use = "single-branch"
branch = "main"
builders = ["unit"]

[[builder]]
name = "unit"
workers = ["local"]

[[builder.step]]
use = "git"
repository = {path:?}

[[builder.step]]
use = "test-summary"
command = "sh check.sh"
format = "tap"
"#,
        path = repository.path()
    );
    let farm = farm(&text)
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let api = farm.api();

    let first = eventually("a build of what is there", async || {
        let builds = api.get("builds?complete=true").await;
        builds["builds"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(first["results"], 0, "{first}");
    let revision = repository.commit(
        "Break it",
        &[(
            "check.sh",
            "echo 1..3\necho ok 1 - starts\necho not ok 2 - runs\necho ok 3 - ends\n",
        )],
    );
    let build = eventually("a finished build of the push", async || {
        let builds = api.get("builds?complete=true&number=2").await;
        builds["builds"].as_array().unwrap().first().cloned()
    })
    .await;

    let steps = api.steps(&build).await;
    assert_eq!(
        build["results"], 2,
        "a failed test fails the build: {steps:?}"
    );
    let summary = summary(&steps);
    assert_eq!(summary[0].0, "git");
    assert_eq!(summary[0].1, 0);
    assert_eq!(summary[1].1, 2);
    assert!(summary[1].2.contains("2 passed, 1 failed"), "{summary:?}");
    let properties = api
        .get(&format!("builds/{}/properties", build["buildid"]))
        .await;
    assert_eq!(
        properties["properties"][0]["got_revision"][0],
        json!(revision)
    );
    assert!(
        api.log(&build, "test-summary", "failures")
            .await
            .contains("runs")
    );
    let changes = api.get("changes").await;
    assert_eq!(
        changes["changes"].as_array().unwrap().last().unwrap()["comments"],
        "Break it"
    );
}

#[tokio::test]
async fn a_running_build_is_stopped_and_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let farm = farm(&config(&[("slow", &gate(&open))])).start().await;
    let api = farm.api();

    let request = api.force("force", "slow").await;
    let build = api.running(request, "gate").await;
    let path = format!("builds/{}", build["buildid"]);
    api.control(&path, "stop", json!({"reason": "no longer needed"}))
        .await
        .unwrap();
    let build = api.finished(request).await;
    assert_eq!(build["results"], 6, "cancelled");
    let steps = api.steps(&build).await;
    assert_eq!(steps[0]["results"], 6, "{steps:?}");

    std::fs::write(&open, "").unwrap();
    api.control(&path, "rebuild", json!({})).await.unwrap();
    let rebuilt = eventually("the second build", async || {
        let builds = api.get("builds?complete=true&order=-buildid").await;
        let newest = builds["builds"][0].clone();
        (newest["number"] == 2).then_some(newest)
    })
    .await;
    assert_eq!(rebuilt["results"], 0);
}

#[tokio::test]
async fn a_long_binary_log_is_kept_to_the_byte_and_opens_anywhere() {
    let steps = shell(
        "i=0; while [ $i -lt 2000 ]; do printf 'line %06d \\377\\000 %.60d\\n' $i 0; i=$((i+1)); done",
    );
    let farm = farm(&config(&[("log", &steps)])).start().await;
    let api = farm.api();
    let request = api.force("force", "log").await;
    let build = api.finished(request).await;
    assert_eq!(build["results"], 0);

    let logs = api
        .get(&format!("builds/{}/steps/0/logs", build["buildid"]))
        .await;
    let log = &logs["logs"][0];
    let lines = log["num_lines"].as_i64().unwrap();
    assert!(lines >= 2000, "{log}");
    let middle = api
        .get(&format!(
            "logs/{}/contents?offset={}&limit=2",
            log["logid"],
            lines - 1001
        ))
        .await;
    let content = middle["logchunks"][0]["content"].as_str().unwrap();
    assert_eq!(content.lines().count(), 2, "{content}");
    let raw = reqwest::get(api.url(&format!("api/v2/logs/{}/raw", log["logid"])))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let found = raw.windows(2).filter(|w| w == b"\xff\x00").count();
    assert_eq!(found, 2000, "binary bytes survive");
}

#[tokio::test]
async fn a_command_or_repository_that_is_missing_is_said_clearly() {
    let gone = "[[builder.step]]\nuse = \"git\"\nrepository = \"/nonexistent/repository\"\n";
    let missing =
        "[[builder.step]]\nuse = \"shell\"\ncommand = [\"no-such-program\", \"--version\"]\n";
    let farm = farm(&config(&[("gone", gone), ("missing", missing)]))
        .start()
        .await;
    let api = farm.api();
    for (builder, word) in [
        ("gone", "/nonexistent/repository"),
        ("missing", "no-such-program"),
    ] {
        let request = api.force("force", builder).await;
        let build = api.finished(request).await;
        assert!(matches!(build["results"].as_i64(), Some(2 | 4)), "{build}");
        let steps = api.steps(&build).await;
        let mut said = steps[0]["state_string"].to_string();
        let logs = api
            .get(&format!("builds/{}/steps/0/logs", build["buildid"]))
            .await;
        for log in logs["logs"].as_array().unwrap() {
            said.push_str(
                &api.text(&format!("api/v2/logs/{}/raw", log["logid"]))
                    .await
                    .unwrap(),
            );
        }
        assert!(said.contains(word), "{builder}: {said}");
    }
}
