//! Schedulers and reporters of plugins lose nothing and do nothing twice, whenever the master dies: changes come in, each is
//! scheduled by a plugin, built, and told to a real HTTP server by another plugin, while the master is killed at random
//! moments of its life and of its start.
//!
//! `cargo xtask chaos` runs it for longer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use toolpost_harness::{Answer, Farm, Received, Receiver, eventually};

use crate::support::{Repository, farm, first_party, hook_key, webhook_grants};

/// How many changes come in, and how often the master is killed meanwhile, unless the variables say otherwise.
const CHANGES: usize = 400;
const CHANGES_VARIABLE: &str = "TOOLPOST_TEST_CHANGES";
const KILLS: usize = 6;
const KILLS_VARIABLE: &str = "TOOLPOST_TEST_KILLS";

/// How long a master lives at most from when it answers.
const LIFE_MAX: Duration = Duration::from_millis(1_500);

/// Each so many kills one meets a master that starts, within this time of its start.
const START_KILLED_EACH: usize = 3;
const START_MAX: Duration = Duration::from_millis(600);

/// How many commits the poller may be behind: it reports no more than the newest 1,000.
const BEHIND_MAX: usize = 400;

/// Rows that are asked for at one time.
const PAGE: usize = 500;

/// The receiver takes up to so long to answer, so that a kill meets reports that were received and not yet recorded.
const ANSWER_MAX: Duration = Duration::from_millis(60);
/// Each so many reports one is not taken.
const REFUSED_EACH: usize = 10;

fn config(repository: &Repository, receiver: &Receiver, key: &Path) -> String {
    let grant = format!("grant.http = [\"{}\"]", receiver.address());
    let text = format!(
        r#"
[[worker]]
name = "local"
kind = "local"
max_builds = 4

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

[[reporter]]
name = "dashboard"
use = "webhook"
events = ["request-added", "build-started", "build-finished", "buildset-complete"]
url = "http://{address}/"
signature = {{ secret = "hook-key" }}
parallel = 24
retry = {{ attempts = 100, first_wait = "100ms", longest_wait = "1s" }}
"#,
        path = repository.path(),
        address = receiver.address(),
    );
    text + &webhook_grants(&grant, key)
}

/// A random part of a time.
fn part_of(longest: Duration) -> Duration {
    let millis = u64::try_from(longest.as_millis()).unwrap();
    Duration::from_millis(RandomState::new().hash_one(0) % millis)
}

fn from_environment(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// How many rows of a resource there are, of those that a filter takes.
async fn total(farm: &Farm, resource: &str, filter: &str) -> usize {
    let path = format!("{resource}?limit=1{filter}");
    let answer = farm.api().get(&path).await;
    let total = answer["meta"]["total"].as_u64().expect("a total");
    usize::try_from(total).unwrap()
}

/// All rows of a resource.
async fn all(farm: &Farm, resource: &str, id: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for offset in (0..total(farm, resource, "").await).step_by(PAGE) {
        let path = format!("{resource}?order={id}&limit={PAGE}&offset={offset}");
        let page = farm.api().get(&path).await;
        rows.extend(page[resource].as_array().unwrap().iter().cloned());
    }
    rows
}

/// How many build sets there are for each revision.
async fn scheduled(farm: &Farm) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for buildset in all(farm, "buildsets", "bsid").await {
        let revision = &buildset["sourcestamps"][0]["revision"];
        let revision = revision.as_str().expect("a revision").to_owned();
        *counts.entry(revision).or_default() += 1;
    }
    counts
}

/// What happened, by the name of the event and the id of what it is about.
type Fact = (String, u64);

/// What has to be told, as it is on record.
async fn happened(farm: &Farm) -> BTreeSet<Fact> {
    let kinds = [
        ("request-added", "buildrequests", "buildrequestid"),
        ("build-started", "builds", "buildid"),
        ("build-finished", "builds", "buildid"),
        ("buildset-complete", "buildsets", "bsid"),
    ];
    let mut facts = BTreeSet::new();
    for (event, resource, id) in kinds {
        let rows = all(farm, resource, id).await;
        facts.extend(
            rows.iter()
                .map(|row| (event.to_owned(), row[id].as_u64().unwrap())),
        );
    }
    facts
}

/// The reports of one fact.
#[derive(Debug, Default)]
struct Told {
    keys: BTreeSet<String>,
    /// Where they came among all reports.
    places: Vec<usize>,
    /// Which try each was.
    attempts: Vec<u64>,
}

fn told(received: &[Received]) -> BTreeMap<Fact, Told> {
    let mut all: BTreeMap<Fact, Told> = BTreeMap::new();
    for (place, report) in received.iter().enumerate() {
        let body: Value = serde_json::from_slice(&report.body).expect("reports are JSON");
        let event = body["event"].as_str().expect("an event").to_owned();
        let subject = ["request", "build", "buildset"].map(|member| body[member]["id"].as_u64());
        let subject = subject.into_iter().flatten().next().expect("a subject");
        assert_eq!(body["key"], report.header("idempotency-key"));
        let told = all.entry((event, subject)).or_default();
        told.keys
            .insert(report.header("idempotency-key").to_owned());
        told.places.push(place);
        told.attempts.push(body["attempt"].as_u64().unwrap());
    }
    all
}

/// Holds the reports against what happened. Gives how many were repeated because the master died before it had recorded
/// what came of a try.
fn check_reports(received: &[Received], happened: &BTreeSet<Fact>) -> usize {
    let told = told(received);
    let known: BTreeSet<Fact> = told.keys().cloned().collect();
    let missing: Vec<_> = happened.difference(&known).collect();
    assert!(missing.is_empty(), "never told: {missing:?}");
    let invented: Vec<_> = known.difference(happened).collect();
    assert!(invented.is_empty(), "did not happen: {invented:?}");
    let mut keys = BTreeSet::new();
    let mut repeated = 0;
    for (fact, reports) in &told {
        assert_eq!(reports.keys.len(), 1, "another key: {fact:?} {reports:?}");
        assert!(keys.insert(&reports.keys), "another's key: {fact:?}");
        let attempts: BTreeSet<_> = reports.attempts.iter().collect();
        repeated += reports.attempts.len() - attempts.len();
        if fact.0 == "build-finished" {
            let started = &told[&("build-started".to_owned(), fact.1)];
            let in_order = started.places.iter().max() < reports.places.iter().min();
            assert!(in_order, "its start came after its end: {fact:?}");
        }
    }
    repeated
}

/// Kills the master at a random moment of its life, or of its start when `in_start`, and starts it again.
async fn kill(farm: &mut Farm, in_start: bool) {
    tokio::time::sleep(part_of(LIFE_MAX)).await;
    farm.kill().await;
    if in_start {
        farm.launch();
        tokio::time::sleep(part_of(START_MAX)).await;
        farm.kill().await;
    }
    farm.run().await;
}

/// Brings all changes in while the master is killed. Gives the revisions.
async fn kill_meanwhile(farm: &mut Farm, repository: &Repository, first: String) -> Vec<String> {
    let changes = from_environment(CHANGES_VARIABLE, CHANGES);
    let kills = from_environment(KILLS_VARIABLE, KILLS);
    let mut revisions = vec![first];
    let mut killed = 0;
    while killed < kills {
        eventually("the poller keeps up", async || {
            (total(farm, "changes", "").await + BEHIND_MAX >= revisions.len()).then_some(())
        })
        .await;
        let share = (changes * (killed + 1) / (kills + 1)).saturating_sub(revisions.len());
        revisions.extend(repository.commit_many(share));
        let in_start = killed % START_KILLED_EACH == START_KILLED_EACH - 2;
        kill(farm, in_start).await;
        killed += 1 + usize::from(in_start);
    }
    revisions.extend(repository.commit_many(changes - revisions.len()));
    revisions
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_scheduled_once_and_all_is_reported_though_the_master_is_killed() {
    let receiver = Receiver::start(|number, _| Answer {
        after: part_of(ANSWER_MAX),
        status: match number % REFUSED_EACH {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NO_CONTENT,
        },
    })
    .await;
    let repository = Repository::new();
    let first = repository.commit("the first", &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut farm = farm(&config(&repository, &receiver, &hook_key(dir.path())))
        .plugin(
            "scheduler-quiet-hours",
            first_party("scheduler-quiet-hours"),
        )
        .plugin("reporter-webhook", first_party("reporter-webhook"))
        .start()
        .await;
    eventually("the poller has found the first change", async || {
        (total(&farm, "changes", "").await == 1).then_some(())
    })
    .await;
    let revisions = kill_meanwhile(&mut farm, &repository, first).await;
    eventually("all changes are built", async || {
        let complete = total(&farm, "buildsets", "&complete=true").await;
        (complete >= revisions.len()).then_some(())
    })
    .await;
    let reporter = eventually("everything is reported", async || {
        let reporters = farm.api().get("reporters").await;
        let reporter = reporters["reporters"][0].clone();
        (reporter["pending"] == 0 && reporter["entries_ahead"] == 0).then_some(reporter)
    })
    .await;

    assert_eq!(reporter["dead"], 0, "{reporter}");
    let expected = revisions.into_iter().map(|revision| (revision, 1));
    assert_eq!(scheduled(&farm).await, expected.collect());
    let happened = happened(&farm).await;
    let received = receiver.received();
    let repeated = check_reports(&received, &happened);
    assert!(repeated > 0, "no kill met a report on its way");
    eprintln!(
        "{} changes, {} reports of {} facts, {repeated} repeated because of a kill",
        total(&farm, "changes", "").await,
        received.len(),
        happened.len()
    );
}
