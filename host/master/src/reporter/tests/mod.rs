//! Reporters on a real store, with a clock that stands still and somebody else who delivers.

mod desk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use toolpost_core::journal::JournalKind;
use toolpost_core::model::LogType;
use toolpost_core::report::{Delivery, DeliveryStatus, Failure, ResultsMode, Wants};
use toolpost_core::{DeliveryId, Event, Results};
use toolpost_sandbox::Wanted;
use toolpost_sandbox::host::{HostError, ReporterHost};
use toolpost_sandbox::reporter;
use toolpost_store::{LogStream, NewStep, Query, WorkerEnd};

use super::host::{DeliveryHost, joined};
use super::housekeeping::clean;
use super::report::Reports;
use crate::clock::Clock;
use crate::engine::lock;
use crate::services::Capabilities;

use desk::{Desk, Outcome, PATIENCE, START, Tried, builds_only, everything};

use DeliveryStatus::{Dead, Delivered, Pending};
use JournalKind::{
    BuildFinished, BuildStarted, BuildsetComplete, RequestAdded, WorkerBack, WorkerFound,
    WorkerLost, WorkerMissing,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_reporter_that_closes_tells_what_it_can_and_ends() {
    let desk = Desk::wanting(builds_only()).await;
    desk.messenger.script([Outcome::Fails(Failure::Retryable)]);
    desk.build(Results::Success).await;
    desk.build(Results::Success).await;
    desk.closing.cancel();
    let finished = desk.start().finish(tokio::time::sleep(PATIENCE)).await;
    assert!(finished);
    let deliveries: Vec<Delivery> = desk.store.list(&Query::new()).await.unwrap();
    let mut statuses: Vec<_> = deliveries.iter().map(|one| one.status).collect();
    statuses.sort_by_key(|status| status.name());
    // Of one build everything waits for the second try.
    assert_eq!(statuses, [Delivered, Delivered, Pending, Pending]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_happens_is_told() {
    let desk = Desk::wanting(everything()).await;
    let actor = desk.start();
    desk.build(Results::Success).await;
    let (worker, now) = (desk.worker, desk.clock.now());
    let connected = desk
        .store
        .set_worker_connected(worker, desk.master, true, None, now);
    connected.await.unwrap();
    let end = WorkerEnd {
        reason: "silence".into(),
        lost: true,
        dismissed: false,
    };
    let detached = desk.store.detach_worker(worker, desk.master, end, now);
    detached.await.unwrap();
    assert!(desk.store.miss_worker(worker, now).await.unwrap());
    let connected = desk
        .store
        .set_worker_connected(worker, desk.master, true, None, now);
    connected.await.unwrap();
    let deliveries = desk.statuses(&[Delivered; 8]).await;
    let told: BTreeSet<_> = desk.messenger.told().into_iter().collect();
    let expected = [
        (RequestAdded, 1),
        (BuildStarted, 1),
        (BuildFinished, 1),
        (BuildsetComplete, 1),
        (WorkerLost, worker.0),
        (WorkerMissing, worker.0),
        (WorkerFound, worker.0),
        (WorkerBack, worker.0),
    ];
    assert_eq!(told, expected.into());
    assert_eq!(deliveries[0].text.as_deref(), Some("201 Created"));
    assert_eq!(deliveries[0].attempts, 1);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_names_others_for_its_absence_is_left_to_them() {
    let wants = Wants {
        silent_about: ["w".to_owned()].into(),
        ..everything()
    };
    let desk = Desk::wanting(wants).await;
    let actor = desk.start();
    let (worker, now) = (desk.worker, desk.clock.now());
    assert!(desk.store.miss_worker(worker, now).await.unwrap());
    for connected in [true, false] {
        let set = desk
            .store
            .set_worker_connected(worker, desk.master, connected, None, now);
        set.await.unwrap();
    }
    desk.build(Results::Success).await;
    desk.statuses(&[Delivered; 4]).await;
    let told: BTreeSet<_> = desk.messenger.told().into_iter().collect();
    let builds_alone = [
        (RequestAdded, 1),
        (BuildStarted, 1),
        (BuildFinished, 1),
        (BuildsetComplete, 1),
    ];
    assert_eq!(told, builds_alone.into());
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_told() {
    let wants = Wants {
        events: [BuildFinished].into(),
        results: [ResultsMode::Problem].into(),
        branches: Some(["main".to_owned()].into()),
        schedulers: Some(["commits".to_owned()].into()),
        tags: Some(["fast".to_owned()].into()),
        ..everything()
    };
    let desk = Desk::wanting(wants).await;
    let results = [
        Results::Failure,
        Results::Success,
        // To be run again: not what is compared with.
        Results::Retry,
        Results::Failure,
        Results::Failure,
        Results::Warnings,
        Results::Failure,
    ];
    for results in results {
        desk.build(results).await;
    }
    let actor = desk.start();
    desk.statuses(&[Delivered; 2]).await;
    // Of different builds, so in either order.
    let told: BTreeSet<_> = desk.messenger.told().into_iter().collect();
    assert_eq!(told, [(BuildFinished, 4), (BuildFinished, 7)].into());
    desk.caught_up().await;
    assert_eq!(desk.messenger.tries().len(), 2);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_build_waits_for_its_start_and_other_builds_do_not() {
    let desk = Desk::wanting(builds_only()).await;
    let (first, second) = (desk.running_build().await, desk.running_build().await);
    *lock(&desk.messenger.hanging) = Some((BuildStarted, first.0));
    desk.finish(first, Results::Success).await;
    desk.finish(second, Results::Success).await;
    let actor = desk.start();
    desk.statuses(&[Pending, Delivered, Pending, Delivered])
        .await;
    let told = desk.messenger.told();
    let (hanging, others): (Vec<_>, Vec<_>) = told.into_iter().partition(|what| what.1 == first.0);
    assert_eq!(hanging, [(BuildStarted, first.0)]);
    assert_eq!(
        others,
        [(BuildStarted, second.0), (BuildFinished, second.0)]
    );
    // Somebody decides not to wait for it; what runs is ended with the actor only.
    desk.store
        .discard_delivery(DeliveryId(1), desk.clock.now())
        .await
        .unwrap();
    actor.stop().await;
    let actor = desk.start();
    desk.tries(4).await;
    assert_eq!(desk.messenger.told()[3], (BuildFinished, first.0));
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_try_is_made_again_later_and_at_last_given_up() {
    let desk = Desk::wanting(builds_only()).await;
    desk.running_build().await;
    let failures = [Failure::Retryable; 3].map(Outcome::Fails);
    desk.messenger.script(failures);
    let actor = desk.start();
    for attempt in 1..=3 {
        let tries = desk.tries(attempt).await;
        assert_eq!(tries.len(), attempt);
        let attempts = u32::try_from(attempt).unwrap();
        assert_eq!(tries[attempt - 1].attempt, attempts);
        assert_eq!(tries[attempt - 1].key, tries[0].key);
        if attempt < 3 {
            // Not before its time, which chance makes a little earlier than the longest.
            let recorded = async {
                while desk.store.get::<Delivery>(1).await.unwrap().attempts < attempts {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PATIENCE, recorded).await.unwrap();
            let next_at = desk.store.get::<Delivery>(1).await.unwrap().next_at;
            let wait = next_at.since(desk.clock.now());
            let longest = Duration::from_secs(10 * (1 << (attempt - 1)));
            assert!(wait <= longest && wait >= longest * 3 / 4, "{wait:?}");
            desk.clock.advance(wait);
        }
    }
    let dead = &desk.statuses(&[Dead]).await[0];
    assert_eq!((dead.attempts, dead.text.as_deref()), (3, Some("no route")));
    // Somebody has mended what was broken.
    desk.store
        .resend_delivery(dead.id, desk.clock.now())
        .await
        .unwrap();
    desk.statuses(&[Delivered]).await;
    let tries = desk.messenger.tries();
    assert_eq!((tries.len(), tries[3].attempt), (4, 1));
    assert_eq!(tries[3].key, tries[0].key);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_helped_is_given_up_at_once_and_a_defect_is_not() {
    let desk = Desk::wanting(builds_only()).await;
    desk.running_build().await;
    desk.messenger
        .script([Outcome::Panics, Outcome::Fails(Failure::Permanent)]);
    let actor = desk.start();
    desk.tries(1).await;
    let panicked = async {
        while desk.store.get::<Delivery>(1).await.unwrap().attempts == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, panicked).await.unwrap();
    desk.clock.advance(Duration::from_secs(10));
    let dead = &desk.statuses(&[Dead]).await[0];
    assert_eq!(dead.attempts, 2);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_between_fan_out_and_delivery_forgets_nothing() {
    let desk = Desk::wanting(builds_only()).await;
    // Dies in the middle of its tries: nobody knows whether they were made.
    desk.messenger.script([Outcome::Hangs, Outcome::Hangs]);
    let builds = [desk.running_build().await, desk.running_build().await];
    let actor = desk.start();
    let before = desk.tries(2).await;
    actor.stop().await;
    desk.finish(builds[0], Results::Success).await;
    desk.finish(builds[1], Results::Failure).await;
    // Dies after it has taken in what happened and before it has tried anything.
    *lock(&desk.messenger.held) = Some("its plugin is gone".to_owned());
    let actor = desk.start();
    let reporter = desk.caught_up().await;
    assert_eq!(reporter.pending, 4);
    actor.stop().await;
    assert_eq!(desk.messenger.tries(), before);
    *lock(&desk.messenger.held) = None;
    let actor = desk.start();
    desk.statuses(&[Delivered; 4]).await;
    let tries = desk.messenger.tries();
    let keys = |tries: &[Tried]| -> BTreeMap<_, BTreeSet<String>> {
        let mut keys: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for tried in tries {
            let of = keys.entry((tried.what.0, tried.what.1)).or_default();
            of.insert(tried.key.clone());
        }
        keys
    };
    // Two came twice, with the same keys, and the rest once.
    assert_eq!(tries.len(), 6);
    let by_what = keys(&tries);
    assert_eq!(by_what.len(), 4);
    assert!(by_what.values().all(|keys| keys.len() == 1), "{by_what:?}");
    let all: BTreeSet<_> = by_what.values().flatten().collect();
    assert_eq!(all.len(), 4);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_while_there_is_no_plugin() {
    let desk = Desk::wanting(builds_only()).await;
    *lock(&desk.messenger.held) = Some("its plugin is held".to_owned());
    desk.running_build().await;
    let actor = desk.start();
    desk.caught_up().await;
    desk.shows("its plugin is held").await;
    assert_eq!(desk.messenger.tries(), []);
    *lock(&desk.messenger.held) = None;
    desk.messenger.script([Outcome::NotNow]);
    desk.bus.publish(&[Event::Plugin("chat".to_owned())]);
    desk.tries(1).await;
    desk.shows("the master stops").await;
    // Not its fault: it is no try of the delivery, and made again after a pause.
    desk.clock.advance(Duration::from_secs(5));
    let delivered = &desk.statuses(&[Delivered]).await[0];
    assert_eq!(delivered.attempts, 1);
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_keeps_crashing_slows_its_reporter_down_until_there_is_another() {
    let desk = Desk::wanting(builds_only()).await;
    // Ten builds, each with a queue of its own: without a limit all of them would be tried at once.
    for _ in 0..10 {
        desk.running_build().await;
    }
    let crashes = || std::iter::repeat_with(|| Outcome::Crashes).take(7);
    desk.messenger.script(crashes());
    let actor = desk.start();
    let shows = |count: u32, wait_s: u32| {
        format!(
            "its plugin crashed {count} times in a row, the last time because it panicked; the next try is {wait_s} s after that, or as soon as another version is live"
        )
    };
    desk.shows(&shows(3, 5)).await;
    // Two ran beside each other, so that a fourth had begun.
    desk.tries(4).await;
    desk.rests().await;
    desk.clock.advance(Duration::from_secs(5));
    desk.shows(&shows(4, 10)).await;
    desk.rests().await;
    desk.clock.advance(Duration::from_secs(9));
    assert_eq!(desk.messenger.tries().len(), 5, "one at a time");
    // Another version is tried at once, and all deliveries go out.
    lock(&desk.messenger.script).clear();
    *lock(&desk.messenger.version) = Some("better".to_owned());
    desk.bus.publish(&[Event::Plugin("chat".to_owned())]);
    desk.tries(10).await;
    desk.clock.advance(Duration::from_secs(60));
    desk.statuses(&[Delivered; 10]).await;
    actor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_is_known_of_a_build() {
    let desk = Desk::wanting(everything()).await;
    desk.build(Results::Warnings).await;
    let build = desk.running_build().await;
    let step = NewStep {
        name: "compile".to_owned(),
        plugin_digest: None,
    };
    let step = desk.store.add_step(build, step).await.unwrap();
    let log = desk
        .store
        .add_log(step, "stdio", LogType::Stdio)
        .await
        .unwrap();
    let mut writer = desk.store.log_writer(log, LogType::Stdio);
    writer.append(LogStream::Output, b"one\ntwo\n").await;
    writer.finish(START).await.unwrap();
    desk.finish(build, Results::Failure).await;
    let entries = desk.store.journal_after(0.into(), 100).await.unwrap();
    let of = |kind| {
        let found = entries.iter().rev().find(|entry| entry.fact.kind() == kind);
        *found.expect("it happened")
    };
    let reports = Reports::new(&desk.store, "http://farm/");
    let (event, builds) = reports.event(&of(BuildFinished)).await.unwrap();
    let reporter::Event::BuildFinished(report) = event else {
        panic!("{event:?}");
    };
    assert_eq!(builds, [build].into());
    assert_eq!(
        (report.builder.as_str(), report.number, report.url.as_str()),
        ("linux", 2, "http://farm/builds/2")
    );
    assert_eq!(report.tags, ["fast"]);
    assert_eq!(report.worker, "w");
    assert_eq!(report.reason, "because");
    assert_eq!(report.scheduler.as_deref(), Some("commits"));
    assert_eq!(report.results, Some(reporter::Results::Failure));
    assert_eq!(report.previous_results, Some(reporter::Results::Warnings));
    assert_eq!(report.changes[0].author, "Jo <jo@example.org>");
    assert_eq!(report.source_stamps[0].branch.as_deref(), Some("main"));
    let properties: serde_json::Value = serde_json::from_str(&report.properties).unwrap();
    assert_eq!(properties["buildnumber"], 2);
    let step = &report.steps[0];
    assert_eq!((step.name.as_str(), step.results), ("compile", None));
    assert_eq!(
        (step.logs[0].name.as_str(), step.logs[0].lines),
        ("stdio", 2)
    );
    assert_eq!(step.logs[0].url, format!("http://farm/logs/{log}"));
    let (event, builds) = reports.event(&of(BuildsetComplete)).await.unwrap();
    let reporter::Event::BuildsetComplete(report) = event else {
        panic!("{event:?}");
    };
    assert_eq!(builds, [build].into());
    assert_eq!(report.results, reporter::Results::Failure);
    assert_eq!(report.builds.len(), 1);
    assert!(report.builds[0].steps.is_empty());
    let (event, builds) = reports.event(&of(RequestAdded)).await.unwrap();
    let reporter::Event::RequestAdded(report) = event else {
        panic!("{event:?}");
    };
    assert_eq!((report.builder.as_str(), report.id), ("linux", 2));
    assert_eq!(builds, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_logs_of_what_is_reported_can_be_read() {
    let desk = Desk::wanting(everything()).await;
    let (build, other) = (desk.running_build().await, desk.running_build().await);
    let mut logs = Vec::new();
    for build in [build, other] {
        let step = NewStep {
            name: "x".to_owned(),
            plugin_digest: None,
        };
        let step = desk.store.add_step(build, step).await.unwrap();
        let log = desk.store.add_log(step, "l", LogType::Stdio).await.unwrap();
        let mut writer = desk.store.log_writer(log, LogType::Stdio);
        writer.append(LogStream::Output, b"one\n\ntwo\n").await;
        writer.append(LogStream::Error, b"oops\n").await;
        writer.finish(START).await.unwrap();
        logs.push(u64::try_from(log.0).unwrap());
    }
    let host = DeliveryHost {
        reporter: "room".to_owned(),
        delivery: DeliveryId(1),
        store: desk.store.clone(),
        builds: [build].into(),
        capabilities: Arc::new(Capabilities::new(desk.store.clone())),
        wanted: Wanted::new("chat", &[]),
    };
    let read = |log, first, count, bytes_max| host.read_log(log, first, count, bytes_max);
    assert_eq!(read(logs[0], 0, 10, 99).await.unwrap(), "one\n\ntwo\noops");
    assert_eq!(read(logs[0], 2, 1, 99).await.unwrap(), "two");
    assert_eq!(read(logs[0], 4, 1, 99).await.unwrap(), "");
    assert_eq!(read(logs[0], 0, 10, 8).await.unwrap(), "one\n\ntwo");
    for foreign in [logs[1], 99, u64::MAX] {
        let refused = read(foreign, 0, 1, 99).await;
        assert!(
            matches!(refused, Err(HostError::Permanent(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn lines_are_joined_as_long_as_they_have_room() {
    let table: [(&[u8], LogType, usize, &str); 6] = [
        (b"", LogType::Text, 9, ""),
        (b"a\nb\n", LogType::Text, 9, "a\nb"),
        (b"oa\neb\n", LogType::Stdio, 9, "a\nb"),
        (b"abcd\nef\n", LogType::Text, 6, "abcd"),
        (b"abcd\n", LogType::Html, 3, ""),
        (b"\xff\n", LogType::Text, 9, "\u{fffd}"),
    ];
    for (content, log_type, bytes_max, expected) in table {
        assert_eq!(joined(content, log_type, bytes_max), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_and_done_is_deleted() {
    let desk = Desk::wanting(builds_only()).await;
    let actor = desk.start();
    desk.build(Results::Success).await;
    desk.statuses(&[Delivered; 2]).await;
    desk.caught_up().await;
    actor.stop().await;
    let days = |days: u64| START.after(Duration::from_secs(days * 24 * 60 * 60));
    clean(&desk.store, days(13)).await.unwrap();
    assert_eq!(
        desk.store.count::<Delivery>(&Query::new()).await.unwrap(),
        2
    );
    let journal = desk.store.journal_after(0.into(), 100).await.unwrap();
    assert_eq!(
        journal.len(),
        1,
        "the newest entry says where the journal ends"
    );
    clean(&desk.store, days(15)).await.unwrap();
    assert_eq!(
        desk.store.count::<Delivery>(&Query::new()).await.unwrap(),
        0
    );
}
