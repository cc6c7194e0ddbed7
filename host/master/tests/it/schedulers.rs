//! Changes that start builds.

use std::time::Duration;

use toolpost_core::model::Build;
use toolpost_core::{SchedulerId, Timestamp};
use toolpost_master::ControlError;
use toolpost_store::{NewChange, Query};

use crate::farm::{Farm, farm};

const STABLE: &str = r#"
[[scheduler]]
name = "on-push"
use = "single-branch"
branch = "main"
tree_stable_timer = "60s"
builders = ["b"]
"#;

async fn change(farm: &Farm, branch: &str, revision: &str) {
    let change = NewChange {
        author: "Ada <ada@example.org>".into(),
        branch: Some(branch.into()),
        revision: Some(revision.into()),
        repository: "/repo".into(),
        when: Timestamp(1),
        ..NewChange::default()
    };
    farm.store()
        .add_changes("test", vec![change], None, crate::farm::START)
        .await
        .expect("a change");
}

async fn seen(farm: &Farm, changes: i64) {
    farm.until("the scheduler has seen the changes", async || {
        farm.master().schedulers()[0]
            .last_change
            .is_some_and(|last| last.0 == changes)
    })
    .await;
}

async fn builds(farm: &Farm) -> Vec<String> {
    let builds: Vec<Build> = farm.store().list(&Query::new()).await.expect("builds");
    let mut shown = Vec::new();
    for build in builds {
        let (revision, _) = farm.property(&build, "revision").await.expect("a revision");
        shown.push(revision.as_str().unwrap_or("none").to_owned());
    }
    shown
}

async fn until_builds(farm: &Farm, expected: &[&str]) {
    farm.until("the builds are there", async || {
        builds(farm).await == expected
    })
    .await;
}

#[tokio::test]
async fn a_disabled_scheduler_passes_over_what_happens() {
    let config = STABLE.replace("tree_stable_timer = \"60s\"\n", "");
    let farm = farm()
        .shell("b", &[("x", "true")])
        .config(&config)
        .start()
        .await;
    let scheduler = farm.scheduler_id("on-push").await;
    let enable = async |enabled| {
        let master = farm.master();
        master
            .enable_scheduler(scheduler, enabled)
            .await
            .expect("it is there");
    };
    enable(false).await;
    change(&farm, "main", "r1").await;
    seen(&farm, 1).await;
    enable(true).await;
    change(&farm, "main", "r2").await;
    until_builds(&farm, &["r2"]).await;
    let unknown = farm.master().enable_scheduler(SchedulerId(99), true).await;
    assert!(matches!(unknown, Err(ControlError::NoScheduler(_))));
}

#[tokio::test]
async fn a_tree_is_built_once_it_is_stable() {
    let farm = farm()
        .manual_clock()
        .shell("b", &[("x", "true")])
        .config(STABLE)
        .start()
        .await;
    change(&farm, "main", "r1").await;
    change(&farm, "dev", "r2").await;
    seen(&farm, 2).await;
    farm.clock().advance(Duration::from_secs(59));
    change(&farm, "main", "r3").await;
    seen(&farm, 3).await;
    farm.clock().advance(Duration::from_secs(59));
    assert_eq!(
        farm.master().schedulers()[0].fires_at,
        Some(crate::farm::START.after(Duration::from_secs(119)))
    );
    assert!(builds(&farm).await.is_empty());
    farm.clock().advance(Duration::from_secs(1));
    until_builds(&farm, &["r3"]).await;
    let build = farm.all_builds().await.remove(0);
    let owners = farm.property(&build, "owners").await.expect("owners").0;
    assert_eq!(owners, serde_json::json!(["Ada <ada@example.org>"]));
}

#[tokio::test]
async fn a_timer_survives_the_death_of_its_master() {
    let mut farm = farm()
        .manual_clock()
        .shell("b", &[("x", "true")])
        .config(STABLE)
        .start()
        .await;
    change(&farm, "main", "r1").await;
    seen(&farm, 1).await;
    farm.kill().await;
    farm.clock().advance(Duration::from_secs(30));
    farm.restart().await;
    change(&farm, "dev", "r2").await;
    seen(&farm, 2).await;
    assert_eq!(
        farm.master().schedulers()[0].fires_at,
        Some(crate::farm::START.after(Duration::from_secs(60)))
    );
    farm.kill().await;
    farm.clock().advance(Duration::from_secs(40));
    farm.restart().await;
    until_builds(&farm, &["r1"]).await;
    seen(&farm, 2).await;
    assert_eq!(builds(&farm).await, ["r1"]);
}

#[tokio::test]
async fn changes_from_before_a_scheduler_are_not_its_concern() {
    let farm = farm().shell("b", &[("x", "true")]).start().await;
    change(&farm, "main", "old").await;
    let with_scheduler = farm.read_config() + &STABLE.replace("tree_stable_timer = \"60s\"", "");
    farm.write_config(&with_scheduler);
    let status = farm.master().reload().await;
    assert!(status.problems.is_empty(), "{:?}", status.problems);
    change(&farm, "main", "new").await;
    until_builds(&farm, &["new"]).await;
}

#[tokio::test]
async fn each_change_is_built_where_no_timer_waits() {
    let body = format!(
        "collapse_requests = false\n{}",
        crate::farm::shell_steps(&[("x", "true")])
    );
    let farm = farm()
        .builder("b", &body)
        .config(&STABLE.replace(
            "tree_stable_timer = \"60s\"",
            "unimportant_files = [\"docs/**\"]",
        ))
        .start()
        .await;
    for revision in ["r1", "r2", "r3"] {
        change(&farm, "main", revision).await;
    }
    until_builds(&farm, &["r1", "r2", "r3"]).await;
}
