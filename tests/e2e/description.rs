//! A master with builds, asked by `schemathesis` whatever its description of the API allows, and what it does not allow: no failure of
//! the master, no answer that is not described, nothing refused that is described as good, and nothing taken that is not.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use toolpost_harness::{Farm, eventually};

use crate::support::{Repository, farm, first_party, gate, root};

/// How long it may ask.
const PATIENCE: Duration = Duration::from_secs(240);

/// A master that has done something of everything: a change was built, a build runs, and a request waits for its lock.
async fn busy(repository: &Repository, go: &Path) -> Farm {
    let text = format!(
        r#"
[[worker]]
name = "local"
kind = "local"

[[lock]]
name = "db"

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

[[scheduler]]
name = "force"
use = "force"
builders = ["unit", "slow"]

[[builder]]
name = "unit"
workers = ["local"]

[[builder.step]]
use = "git"
repository = {path:?}

[[builder.step]]
use = "test-summary"
name = "tests"
command = "sh check.sh"
format = "tap"

[[builder]]
name = "slow"
workers = ["local"]
collapse_requests = false
locks = [{{ name = "db", mode = "exclusive" }}]

{gate}
"#,
        path = repository.path(),
        gate = gate(go),
    );
    let farm = farm(&text)
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let api = farm.api();
    eventually("a build of what is there", async || {
        let builds = api.get("builds?complete=true").await;
        builds["builds"].as_array().unwrap().first().cloned()
    })
    .await;
    api.force("force", "slow").await;
    api.force("force", "slow").await;
    eventually("a build that runs", async || {
        let builds = api.get("builds?complete=false").await;
        builds["builds"].as_array().unwrap().first().cloned()
    })
    .await;
    farm
}

#[tokio::test]
async fn whatever_is_asked_is_answered_as_described() {
    let program = std::env::var_os("TOOLPOST_TEST_SCHEMATHESIS")
        .expect("TOOLPOST_TEST_SCHEMATHESIS is not set: run the tests with `cargo xtask test`");
    let repository = Repository::new();
    repository.commit("Start", &[("check.sh", "echo 1..1\necho ok 1 - starts\n")]);
    let go = repository.path().join("go");
    let farm = busy(&repository, &go).await;
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(root().join("tests/e2e/description/schemathesis.toml"))
        .env(
            "SCHEMATHESIS_HOOKS",
            root().join("tests/e2e/description/hooks.py"),
        )
        .args(["--no-color", "run"])
        .arg(farm.api().url("api/v2/openapi.json"))
        // It leaves notes there.
        .current_dir(farm.path(""))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.output()).await;
    let ran = ran.expect("it ends in time").expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    let defects = farm.output();
    assert!(
        ran.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(!defects.contains("ERROR"), "{defects}");
    std::fs::write(&go, "").unwrap();
}
