//! Which request runs when.

use std::time::Duration;

use insta::assert_snapshot;
use toolpost_core::Results;
use toolpost_core::distribute::WaitReason;
use toolpost_core::model::Worker;

use crate::farm::{farm, shell_steps};

/// A line that waits for a file beside the worker's directory.
const WAIT_FOR_GO: &str = "touch started; until test -e ../../../go; do sleep 0.02; done";

#[tokio::test]
async fn compatible_requests_share_a_build() {
    let farm = farm()
        .shell("b", &[("x", WAIT_FOR_GO)])
        .worker("max_builds = 1")
        .start()
        .await;
    let first = farm.submit("b", &[]).await;
    farm.until_file("b/build/started").await;
    let mut waiting = Vec::new();
    for revision in ["1", "1", "2", "1"] {
        waiting.push(farm.submit("b", &[("revision", revision)]).await);
    }
    std::fs::write(farm.path().join("go"), "").expect("go");
    farm.end_of(first).await;
    let mut shown = Vec::new();
    for request in waiting {
        farm.until("the request is complete", async || {
            farm.request(request).await.complete
        })
        .await;
        let results = farm.request(request).await.results.expect("results");
        shown.push((results, farm.builds_of(request).await.len()));
    }
    let skipped = (Results::Skipped, 0);
    let built = (Results::Success, 1);
    assert_eq!(shown, [skipped, skipped, built, built]);
}

#[tokio::test]
async fn requests_are_kept_apart_where_that_is_wanted() {
    let body = format!(
        "collapse_requests = false\n{}",
        shell_steps(&[("x", WAIT_FOR_GO)])
    );
    let farm = farm()
        .builder("b", &body)
        .worker("max_builds = 1")
        .start()
        .await;
    let requests = [
        farm.submit("b", &[]).await,
        farm.submit("b", &[]).await,
        farm.submit("b", &[]).await,
    ];
    std::fs::write(farm.path().join("go"), "").expect("go");
    for request in requests {
        assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    }
    assert_snapshot!(farm.show_all().await, @r"
    b #1: success
    b #2: success
    b #3: success
    ");
}

#[tokio::test]
async fn higher_priorities_run_first() {
    let farm = farm()
        .shell("first", &[("x", WAIT_FOR_GO)])
        .shell("low", &[("x", "true")])
        .shell("high", &[("x", "true")])
        .worker("max_builds = 1")
        .start()
        .await;
    let first = farm.submit("first", &[]).await;
    farm.until_file("first/build/started").await;
    let low = farm.submit("low", &[]).await;
    let high = farm.submit("high", &[("priority", "5")]).await;
    std::fs::write(farm.path().join("go"), "").expect("go");
    for request in [first, low, high] {
        farm.end_of(request).await;
    }
    assert_snapshot!(farm.show_all().await, @r"
    first #1: success
    high #1: success
    low #1: success
    ");
}

#[tokio::test]
async fn an_exclusive_lock_keeps_builds_apart() {
    // Each build fails if another is between its two lines.
    let line = "mkdir ../../../held && sleep 0.05 && rmdir ../../../held";
    let body = format!(
        "locks = [{{ name = \"db\", mode = \"exclusive\" }}]\n{}",
        shell_steps(&[("x", line)])
    );
    let farm = farm()
        .config("[[lock]]\nname = \"db\"")
        .builder("a", &body)
        .builder("b", &body)
        .builder("c", &body)
        .start()
        .await;
    let mut requests = Vec::new();
    for builder in ["a", "b", "c", "a", "b", "c"] {
        let revision = requests.len().to_string();
        requests.push(farm.submit(builder, &[("revision", &revision)]).await);
    }
    for request in requests {
        assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    }
}

#[tokio::test]
async fn a_counting_lock_of_a_step_lets_so_many_in() {
    let step = |line: &str| {
        format!(
            "[[builder.step]]\nuse = \"shell\"\nname = \"x\"\ncommand = \"{line}\"\nlocks = [\"slots\"]\n"
        )
    };
    let farm = farm()
        .config("[[lock]]\nname = \"slots\"\nmax_count = 2")
        .builder("a", &step(WAIT_FOR_GO))
        .builder("b", &step(WAIT_FOR_GO))
        .builder("c", &step("true"))
        .start()
        .await;
    let a = farm.submit("a", &[]).await;
    let b = farm.submit("b", &[]).await;
    farm.until_file("a/build/started").await;
    farm.until_file("b/build/started").await;
    let c = farm.submit("c", &[]).await;
    let waiting = farm.running(c).await;
    farm.until("the step waits for the lock", async || {
        let steps = farm.steps(waiting.id).await;
        steps
            .first()
            .is_some_and(|step| step.state_string == "acquiring lock `slots`")
    })
    .await;
    std::fs::write(farm.path().join("go"), "").expect("go");
    for request in [a, b, c] {
        assert_eq!(farm.end_of(request).await.results, Some(Results::Success));
    }
}

#[tokio::test]
async fn a_step_that_waits_for_a_lock_can_be_stopped() {
    let step = |line: &str| {
        format!(
            "[[builder.step]]\nuse = \"shell\"\nname = \"x\"\ncommand = \"{line}\"\nlocks = [{{ name = \"db\", mode = \"exclusive\" }}]\n"
        )
    };
    let farm = farm()
        .config("[[lock]]\nname = \"db\"")
        .builder("a", &step(WAIT_FOR_GO))
        .builder("b", &step("true"))
        .start()
        .await;
    let a = farm.submit("a", &[]).await;
    farm.until_file("a/build/started").await;
    let b = farm.submit("b", &[]).await;
    let build = farm.running(b).await;
    farm.until("the step waits", async || {
        !farm.steps(build.id).await.is_empty()
    })
    .await;
    farm.master()
        .stop_build(build.id, "no patience", "")
        .await
        .expect("it runs");
    let build = farm.end_of(b).await;
    assert_snapshot!(farm.show(&build).await, @r"
    b #1: cancelled [cancelled (no patience) finished (cancelled)]
      x: cancelled [finished (cancelled)]
    ");
    std::fs::write(farm.path().join("go"), "").expect("go");
    assert_eq!(farm.end_of(a).await.results, Some(Results::Success));
}

#[tokio::test]
async fn a_paused_worker_takes_nothing_until_it_goes_on() {
    let farm = farm().shell("b", &[("x", "true")]).start().await;
    let worker: Worker = farm
        .store()
        .list(&toolpost_store::Query::new())
        .await
        .expect("workers")
        .remove(0);
    assert_eq!(worker.connected_to, [farm.master().id()]);
    farm.master()
        .pause_worker(worker.id, "maintenance")
        .await
        .expect("it is there");
    let request = farm.submit("b", &[]).await;
    farm.until("the request waits for the worker", async || {
        let waiting = farm.master().waiting();
        waiting
            .first()
            .is_some_and(|waiting| waiting.reason == WaitReason::Paused)
    })
    .await;
    farm.master()
        .unpause_worker(worker.id)
        .await
        .expect("it is there");
    let build = farm.end_of(request).await;
    assert_eq!(build.results, Some(Results::Success));
}

#[tokio::test]
async fn a_build_that_asks_for_another_try_gets_it_after_a_pause() {
    let body = r#"
[[builder.step]]
use = "shell"
name = "flaky"
command = "test -e ../again || { touch ../again; exit 75; }"
decode_rc = { 0 = "success", 75 = "retry" }
"#;
    let farm = farm().manual_clock().builder("b", body).start().await;
    let request = farm.submit("b", &[]).await;
    farm.until("the first build ended", async || {
        farm.builds_of(request)
            .await
            .first()
            .is_some_and(|build| build.complete)
    })
    .await;
    assert!(!farm.request(request).await.complete);
    farm.until("the table knows", async || {
        farm.master().health().running_builds == 0
    })
    .await;
    farm.clock().advance(Duration::from_secs(1));
    farm.end_of(request).await;
    assert_snapshot!(farm.show_all().await, @r"
    b #1: retry
    b #2: success
    ");
}

#[tokio::test]
async fn a_queue_of_many_small_builds_is_worked_off_in_order() {
    const BUILDS: usize = 400;
    let body = format!(
        "collapse_requests = false\n{}",
        shell_steps(&[("x", "true")])
    );
    let farm = farm()
        .builder("b", &body)
        .worker("max_builds = 16")
        .start()
        .await;
    let begin = std::time::Instant::now();
    let mut requests = Vec::new();
    for _ in 0..BUILDS {
        requests.push(farm.submit("b", &[]).await);
    }
    for (index, request) in requests.iter().enumerate() {
        let build = farm.end_of(*request).await;
        assert_eq!(
            (build.results, build.number),
            (Some(Results::Success), index as i64 + 1)
        );
    }
    println!(
        "{:.0} builds per second",
        BUILDS as f64 / begin.elapsed().as_secs_f64()
    );
}
