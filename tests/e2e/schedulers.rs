//! A scheduler of a plugin loses nothing and does nothing twice, whenever the master dies.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde_json::json;
use toolpost_harness::{Farm, eventually};

use crate::support::{Repository, farm, first_party};

/// How many changes come in.
const CHANGES: usize = 2_000;

/// How often the master is killed meanwhile, unless the variable says otherwise.
const KILLS: usize = 6;
const KILLS_VARIABLE: &str = "TOOLPOST_TEST_KILLS";

/// How long a master lives, at least and at most, from when it answers.
const LIFE_MIN: Duration = Duration::from_millis(100);
const LIFE_MAX: Duration = Duration::from_millis(1_500);

/// How many commits the poller may be behind: it reports no more than the newest 1,000.
const BEHIND_MAX: usize = 400;

/// Build sets that are asked for at one time.
const PAGE: usize = 500;

fn config(repository: &Repository) -> String {
    format!(
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
name = "hours"
use = "quiet-hours"
builders = ["unit"]
open = [{{ from = "00:00", to = "24:00" }}]

[[builder]]
name = "unit"
workers = ["local"]
collapse_requests = false

[[builder.step]]
use = "shell"
command = "true"
"#,
        path = repository.path()
    )
}

async fn total(farm: &Farm, resource: &str) -> usize {
    let answer = farm.api().get(&format!("{resource}?limit=1")).await;
    let total = answer["meta"]["total"].as_u64().expect("a total");
    usize::try_from(total).unwrap()
}

/// How many build sets there are for each revision.
async fn scheduled(farm: &Farm) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let all = total(farm, "buildsets").await;
    for offset in (0..all).step_by(PAGE) {
        let path = format!("buildsets?order=bsid&limit={PAGE}&offset={offset}");
        let page = farm.api().get(&path).await;
        for buildset in page["buildsets"].as_array().unwrap() {
            let revision = &buildset["sourcestamps"][0]["revision"];
            let revision = revision.as_str().expect("a revision").to_owned();
            *counts.entry(revision).or_default() += 1;
        }
    }
    counts
}

fn random_life() -> Duration {
    let spread = u64::try_from((LIFE_MAX - LIFE_MIN).as_millis()).unwrap();
    LIFE_MIN + Duration::from_millis(RandomState::new().hash_one(0) % spread)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_scheduled_once_though_the_master_is_killed() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().unwrap());
    let repository = Repository::new();
    let mut revisions = vec![repository.commit("the first", &[])];
    let mut farm = farm(&config(&repository))
        .plugin(
            "scheduler-quiet-hours",
            first_party("scheduler-quiet-hours"),
        )
        .start()
        .await;
    // What is scheduled is all that matters here: nothing is built.
    let paused = farm
        .api()
        .control("workers/1", "pause", json!({ "reason": "test" }))
        .await;
    assert!(paused.is_ok(), "{paused:?}");
    eventually("the poller has found the first change", async || {
        (total(&farm, "changes").await == 1).then_some(())
    })
    .await;

    let mut lives = Vec::new();
    for round in 0..kills {
        eventually("the poller keeps up", async || {
            (total(&farm, "changes").await + BEHIND_MAX >= revisions.len()).then_some(())
        })
        .await;
        let share = CHANGES * (round + 1) / (kills + 1) - revisions.len();
        revisions.extend(repository.commit_many(share));
        let life = random_life();
        lives.push(life);
        tokio::time::sleep(life).await;
        farm.kill().await;
        farm.run().await;
    }
    revisions.extend(repository.commit_many(CHANGES - revisions.len()));
    eventually("all changes are scheduled", async || {
        let made = total(&farm, "buildsets").await;
        (made >= CHANGES && total(&farm, "changes").await >= CHANGES).then_some(())
    })
    .await;

    let expected: BTreeMap<String, usize> = revisions
        .into_iter()
        .map(|revision| (revision, 1))
        .collect();
    assert_eq!(scheduled(&farm).await, expected, "lives: {lives:?}");
    assert_eq!(total(&farm, "changes").await, CHANGES);
}
