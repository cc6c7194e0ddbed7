//! Death, drain and new life of a master.

use std::time::Duration;

use insta::assert_snapshot;
use toolpost_core::Results;

use crate::farm::{farm, shell_steps};

#[tokio::test]
async fn builds_of_a_killed_master_run_again_and_none_is_lost() {
    // The first run of each waits for ever, the second ends at once.
    let names = ["a", "b", "c", "d", "e"];
    let mut described = farm();
    for name in names {
        let line = format!("test -e ../../ran-{name} || {{ touch ../../ran-{name}; sleep 600; }}");
        described = described.shell(name, &[("x", &line)]);
    }
    let mut farm = described.start().await;
    let mut requests = Vec::new();
    for name in names {
        requests.push(farm.submit(name, &[]).await);
    }
    for name in names {
        farm.until_file(&format!("ran-{name}")).await;
    }
    let waiting = farm.submit("a", &[("revision", "later")]).await;
    farm.kill().await;
    farm.restart().await;
    requests.push(waiting);
    for request in requests {
        let build = farm.end_of(request).await;
        assert_eq!(build.results, Some(Results::Success));
        let good = farm.builds_of(request).await;
        let good = good
            .iter()
            .filter(|build| build.results == Some(Results::Success));
        assert_eq!(good.count(), 1, "request {request}");
    }
    let retried = farm.all_builds().await;
    let retried = retried
        .iter()
        .filter(|build| build.results == Some(Results::Retry));
    assert!(retried.count() >= 5);
}

#[tokio::test]
async fn commands_of_a_killed_master_are_ended_before_their_builds_run_again() {
    let line = "test -e ../pid && exit 0; echo $$ > ../pid.new; mv ../pid.new ../pid; sleep 600";
    let mut farm = farm().shell("b", &[("x", line)]).start().await;
    let request = farm.submit("b", &[]).await;
    farm.until_file("b/pid").await;
    let pid = std::fs::read_to_string(farm.path().join("work/b/pid")).expect("a pid");
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    farm.kill().await;
    farm.restart().await;
    assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    assert!(!process.join("exe").exists(), "process {pid} still runs");
}

#[tokio::test]
async fn a_draining_master_finishes_what_it_runs_and_takes_nothing_new() {
    let line = "touch started; until test -e ../../../go; do sleep 0.02; done";
    let farm = farm()
        .shell("a", &[("x", line)])
        .shell("b", &[("x", "true")])
        .start()
        .await;
    let running = farm.submit("a", &[]).await;
    farm.until_file("a/build/started").await;
    farm.master().drain();
    let waiting = farm.submit("b", &[]).await;
    std::fs::write(farm.path().join("go"), "").expect("go");
    assert_eq!(farm.end_of(running).await.results, Some(Results::Success));
    assert!(farm.master().health().draining);
    assert!(farm.builds_of(waiting).await.is_empty());
    farm.master().undrain();
    assert_eq!(farm.end_of(waiting).await.results, Some(Results::Success));
}

#[tokio::test]
async fn a_shutdown_waits_for_builds_and_then_puts_them_back() {
    let long = "touch started; test -e ../again && exit 0; touch ../again; sleep 600";
    let short = "touch started; sleep 0.3";
    let mut farm = farm()
        .shell("long", &[("x", long)])
        .shell("short", &[("x", short)])
        .start()
        .await;
    let long = farm.submit("long", &[]).await;
    let short = farm.submit("short", &[]).await;
    farm.until_file("long/build/started").await;
    farm.until_file("short/build/started").await;
    farm.stop(Duration::from_millis(1_500)).await;
    farm.restart().await;
    assert_eq!(farm.request(short).await.results, Some(Results::Success));
    assert_eq!(farm.end_of(long).await.results, Some(Results::Success));
    let first = farm.builds_of(long).await.remove(0);
    assert_snapshot!(farm.show(&first).await, @r"
    long #1: retry [retry (the master was stopped) 'touch started; test -e ../again && exit...' (retry)]
      x: retry ['touch started; test -e ../again && exit...' (retry)]
    ");
}

#[tokio::test]
async fn a_farm_without_work_ends_at_once() {
    let steps = shell_steps(&[("x", "true")]);
    let mut farm = farm().builder("b", &steps).start().await;
    let ended = tokio::time::timeout(Duration::from_secs(20), farm.stop(Duration::from_secs(600)));
    assert!(ended.await.is_ok());
}
