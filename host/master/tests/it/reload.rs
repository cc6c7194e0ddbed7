//! Configurations that change while the farm runs.

use insta::assert_snapshot;
use toolpost_core::Results;

use crate::farm::farm;

const WAIT_FOR_GO: &str = "touch started; until test -e ../../../go; do sleep 0.02; done; echo old";

#[tokio::test]
async fn a_running_build_is_not_touched_by_a_new_configuration() {
    let farm = farm()
        .shell("b", &[("x", WAIT_FOR_GO), ("y", "echo old")])
        .start()
        .await;
    let running = farm.submit("b", &[]).await;
    farm.until_file("b/build/started").await;
    let changed = farm
        .read_config()
        .replace("echo old", "echo new")
        .replace("\"y\"", "\"z\"");
    farm.write_config(&changed);
    // Noticed without being asked.
    farm.until("the new configuration runs", async || {
        farm.master().config().builders["b"].steps[1]
            .options
            .name
            .as_deref()
            == Some("z")
    })
    .await;
    std::fs::write(farm.path().join("go"), "").expect("go");
    let old = farm.end_of(running).await;
    assert_eq!(farm.log(&old, "y", "stdio").await, "old\n");
    let new = farm.force("b").await;
    assert_eq!(farm.log(&new, "z", "stdio").await, "new\n");
    let plan = farm.master().configuration().plan.to_string();
    assert!(plan.contains("builder"), "{plan}");
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_says_where_it_is_broken() {
    let farm = farm()
        .shell("b", &[("x", "echo {{ build.number }}")])
        .start()
        .await;
    let good = farm.read_config();
    farm.write_config(&good.replace("use = \"shell\"", "use = \"shel\""));
    let status = farm.master().reload().await;
    let problem = &status.problems[0];
    let place = problem.place.as_ref().expect("a place");
    assert!(place.file.ends_with("toolpost.toml"), "{place}");
    assert_snapshot!(problem.message, @"there is no step type `shel`");
    assert_eq!(
        good.lines().nth(place.line as usize - 1),
        Some("use = \"shell\"")
    );
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Success));

    farm.write_config("[[worker\n");
    assert!(!farm.master().reload().await.problems.is_empty());
    std::fs::remove_file(farm.path().join("toolpost.toml")).expect("the file was there");
    assert!(!farm.master().reload().await.problems.is_empty());
    assert_eq!(farm.force("b").await.results, Some(Results::Success));

    farm.write_config(&good);
    assert!(farm.master().reload().await.problems.is_empty());
}

#[tokio::test]
async fn builders_workers_and_schedulers_come_and_go() {
    let farm = farm().shell("a", &[("x", "true")]).start().await;
    let good = farm.read_config();
    let more = good.replace("builders = [\"a\"]", "builders = [\"a\", \"b\"]")
        + "\n[[worker]]\nname = \"w2\"\nkind = \"local\"\nbase_dir = \"work2\"\n\
           [[builder]]\nname = \"b\"\nworkers = [\"w2\"]\n\
           [[builder.step]]\nuse = \"shell\"\ncommand = \"true\"\n";
    farm.write_config(&more);
    assert!(farm.master().reload().await.problems.is_empty());
    let build = farm.force("b").await;
    let (worker, _) = farm.property(&build, "workername").await.expect("a worker");
    assert_eq!(worker, "w2");
    farm.write_config(&good);
    assert!(farm.master().reload().await.problems.is_empty());
    let gone = farm.master().rebuild(build.id, "ada").await.unwrap_err();
    assert_eq!(
        gone.to_string(),
        "builder `b` is no longer configured on this master"
    );
    let workers: Vec<toolpost_core::model::Worker> = farm
        .store()
        .list(&toolpost_store::Query::new().eq("name", "w2"))
        .await
        .expect("workers");
    assert!(workers[0].connected_to.is_empty());
}

#[tokio::test]
async fn what_only_a_restart_brings_is_said() {
    let farm = farm()
        .config("[master]\ntitle = \"A\"\n")
        .shell("a", &[("x", "true")])
        .start()
        .await;
    farm.write_config(
        &farm
            .read_config()
            .replace("title = \"A\"", "title = \"B\"\nlisten = \"127.0.0.1:1\""),
    );
    let status = farm.master().reload().await;
    assert_eq!(status.needs_restart, ["master.listen"]);
    assert_eq!(farm.master().config().master.title, "B");
}
