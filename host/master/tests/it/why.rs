//! What is said of requests that wait, and that it is true.

use toolpost_core::distribute::{Standing, WaitReason};
use toolpost_core::model::Worker;
use toolpost_master::{WaitCause, WaitState, Why};
use toolpost_store::Query;

use crate::farm::{Farm, farm, shell_steps};

/// A line that waits for a file beside the worker's directory.
const WAIT_FOR_GO: &str = "touch started; until test -e ../../../go; do sleep 0.02; done";

async fn reason(farm: &Farm, request: toolpost_core::RequestId) -> (Option<WaitReason>, Why) {
    let why = farm.master().why(request).await.expect("it is known");
    match &why.state {
        WaitState::Waiting(WaitCause::Rule(reason)) => (Some(reason.clone()), why.clone()),
        _ => (None, why),
    }
}

#[tokio::test]
async fn a_request_says_who_is_in_its_way_until_nobody_is() {
    let with_lock = |line: &str| {
        format!(
            "collapse_requests = false\nlocks = [{{ name = \"db\", mode = \"exclusive\" }}]\n{}",
            shell_steps(&[("x", line)])
        )
    };
    let farm = farm()
        .config("[[lock]]\nname = \"db\"")
        .builder("holds", &with_lock(WAIT_FOR_GO))
        .builder("waits", &with_lock("true"))
        .start()
        .await;
    let holds = farm.submit("holds", &[]).await;
    farm.until_file("holds/build/started").await;
    let first = farm.submit("waits", &[]).await;
    let second = farm.submit("waits", &[]).await;
    let holder = farm.running(holds).await;

    let (why, said) = reason(&farm, first).await;
    assert!(matches!(why, Some(WaitReason::Lock(_))), "{said:?}");
    assert_eq!(said.before, Some(0));
    let lock = said.lock.expect("the lock");
    assert_eq!(
        (lock.holders.len(), lock.holders[0].build),
        (1, Some(holder.id))
    );
    assert!(
        matches!(said.workers[0].standing, Standing::Lock(_)),
        "{:?}",
        said.workers
    );
    let (_, said) = reason(&farm, second).await;
    assert_eq!(said.before, Some(1));
    let said = farm.master().why(holds).await.expect("it is known");
    assert!(
        matches!(said.state, WaitState::Running { build: Some(id), .. } if id == holder.id),
        "{said:?}"
    );

    let workers: Vec<Worker> = farm
        .store()
        .list(&Query::new().limit(9))
        .await
        .expect("workers");
    let worker = workers[0].id;
    let paused = farm.master().pause_worker(worker, "oil change").await;
    paused.expect("it is paused");
    let (why, said) = reason(&farm, first).await;
    assert_eq!(why, Some(WaitReason::Paused));
    assert_eq!(said.workers[0].standing, Standing::Paused);
    let resumed = farm.master().unpause_worker(worker).await;
    resumed.expect("it goes on");

    std::fs::write(farm.path().join("go"), "").expect("go");
    for request in [first, second] {
        farm.end_of(request).await;
        let said = farm.master().why(request).await.expect("it is known");
        assert_eq!(said.state, WaitState::Complete);
    }
    assert!(
        farm.master()
            .why(toolpost_core::RequestId(99))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_master_that_drains_says_so() {
    let farm = farm().shell("b", &[("x", "true")]).start().await;
    farm.master().drain();
    let request = farm.submit("b", &[]).await;
    let (why, said) = reason(&farm, request).await;
    assert_eq!(why, Some(WaitReason::Draining));
    assert_eq!(
        said.workers[0].standing,
        Standing::Free,
        "nothing but the master keeps it"
    );
    farm.master().undrain();
    farm.end_of(request).await;
}
