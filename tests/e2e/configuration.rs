//! Configuration is applied while builds run, or not at all.

use toolpost_harness::eventually;

use crate::support::{config, farm, gate, shell};

#[tokio::test]
async fn an_edit_is_applied_beside_a_running_build() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let before = gate(&open) + &shell("echo before");
    let farm = farm(&config(&[("b", &before)])).start().await;
    let api = farm.api();
    let running = api.force("force", "b").await;
    api.running(running, "gate").await;

    farm.write_config(&config(&[
        ("b", &shell("echo after")),
        ("c", &shell("echo new")),
    ]));
    // A builder has its name in the store a moment before the configuration that names it runs.
    eventually("the form offers the new builder", async || {
        let form = api.get("forceschedulers/force").await;
        form["forceschedulers"][0]["builder_names"]
            .as_array()
            .unwrap()
            .iter()
            .any(|builder| builder == "c")
            .then_some(())
    })
    .await;

    let new = api.force("force", "c").await;
    assert_eq!(api.finished(new).await["results"], 0);
    std::fs::write(&open, "").unwrap();
    let build = api.finished(running).await;
    assert_eq!(build["results"], 0);
    let log = api.log(&build, "shell", "stdio").await;
    assert!(
        log.contains("before"),
        "the running build kept its steps: {log}"
    );
    let again = api.force("force", "b").await;
    let build = api.finished(again).await;
    assert!(api.log(&build, "shell", "stdio").await.contains("after"));
}

#[tokio::test]
async fn a_broken_edit_changes_nothing_and_says_where() {
    let text = config(&[("b", &shell("echo fine"))]);
    let farm = farm(&text).start().await;
    let api = farm.api();
    for (broken, place) in [
        (format!("{text}\nbuilder = [oops\n"), "toolpost.toml:"),
        (
            text.replace("workers =", "wokers ="),
            "did you mean `workers`",
        ),
        (
            text.replace("workers = [\"local\"]", "workers = [\"locla\"]"),
            "locla",
        ),
        (text.replace("\"echo fine\"", "[1, 2]"), "toolpost.toml:"),
    ] {
        let seen = farm.output().len();
        farm.write_config(&broken);
        eventually(&format!("the reason {place}"), async || {
            farm.output()[seen..].contains(place).then_some(())
        })
        .await;
        let request = api.force("force", "b").await;
        let build = api.finished(request).await;
        assert!(api.log(&build, "shell", "stdio").await.contains("fine"));
    }
}
