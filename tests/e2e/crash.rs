//! Nothing is lost when the master dies.

use std::collections::HashSet;

use toolpost_harness::eventually;

use crate::support::{config, farm, gate, shell};

#[tokio::test]
async fn ten_running_builds_are_built_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let done = dir.path().join("done");
    let steps = gate(&open) + &shell(&format!("echo x >> '{}'", done.display()));
    let mut farm = farm(&config(&[("slow", &steps)])).start().await;

    let mut requests = Vec::new();
    for _ in 0..10 {
        requests.push(farm.api().force("force", "slow").await);
    }
    assert_eq!(
        requests.iter().collect::<HashSet<_>>().len(),
        10,
        "nothing is collapsed"
    );
    for request in &requests {
        farm.api().running(*request, "gate").await;
    }
    farm.kill().await;
    farm.run().await;
    // Each request has a second build before anything is allowed to finish.
    for request in &requests {
        eventually("a second build of each request", async || {
            (farm.api().builds_of(*request).await.len() == 2).then_some(())
        })
        .await;
    }
    std::fs::write(&open, "").unwrap();

    for request in &requests {
        farm.api().finished(*request).await;
        let results: Vec<_> = farm
            .api()
            .builds_of(*request)
            .await
            .iter()
            .map(|b| b["results"].as_i64())
            .collect();
        assert_eq!(results, [Some(5), Some(0)], "retried once, then good once");
    }
    // The commands of the killed master must not go on beside those of the new one.
    let ran = std::fs::read_to_string(&done).unwrap().lines().count();
    assert_eq!(ran, 10, "each request ran its last step once");
}

#[tokio::test]
async fn a_stop_waits_for_builds_and_puts_back_what_does_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let text = format!(
        "[master]\ndrain_timeout = \"1s\"\n\n{}",
        config(&[("slow", &gate(&open))])
    );
    let mut farm = farm(&text).start().await;
    let request = farm.api().force("force", "slow").await;
    farm.api().running(request, "gate").await;
    let status = farm.terminate().await;
    assert!(status.success(), "{status}: {}", farm.output());

    std::fs::write(&open, "").unwrap();
    farm.run().await;
    let build = farm.api().finished(request).await;
    assert_eq!(build["results"], 0);
    assert_eq!(farm.api().builds_of(request).await.len(), 2);
}

#[tokio::test]
async fn two_masters_do_not_share_one_sqlite_file() {
    let text = config(&[("b", &shell("true"))]);
    let first = farm(&text).start().await;
    let shared = format!(
        "[master]\ndatabase_url = \"sqlite:{}\"\n\n{text}",
        first.path("state/toolpost.db").display()
    );
    let failure = farm(&shared)
        .try_start()
        .await
        .expect_err("the second one is refused");
    assert!(!failure.status.success());
    assert!(failure.output.contains("in use"), "{}", failure.output);
    assert!(first.api().answers().await, "the first one goes on");
}
