//! The git poller on real repositories. Time stands still; polls are asked for.

use insta::assert_snapshot;
use toolpost_core::model::Change;
use toolpost_store::Query;

use crate::farm::{Farm, FarmBuilder, farm};
use crate::repo::Repo;

/// A farm that polls a repository with one commit.
fn polling(settings: &str) -> (FarmBuilder, Repo) {
    let farm = farm().manual_clock();
    let repo = Repo::new(farm.path().join("repo"));
    repo.commit("a", "1", "first");
    let config = format!(
        r#"
[[changes]]
name = "repo"
use = "git-poller"
repository = "{}"
interval = "5m"
{settings}
"#,
        repo.path().display()
    );
    (farm.config(&config), repo)
}

/// Polls once and shows all changes so far.
async fn poll(farm: &Farm) -> String {
    farm.until("a poll is planned", async || next_poll(farm).is_some())
        .await;
    let before = next_poll(farm);
    // The clock moves a little, so that the next poll is planned for another time.
    farm.clock().advance(std::time::Duration::from_millis(1));
    assert!(farm.master().poll_now("repo"));
    farm.until("the poll is done", async || next_poll(farm) != before)
        .await;
    changes(farm).await
}

fn next_poll(farm: &Farm) -> Option<toolpost_core::Timestamp> {
    farm.master().pollers()[0].next_poll_at
}

async fn changes(farm: &Farm) -> String {
    let changes: Vec<Change> = farm.store().list(&Query::new()).await.expect("changes");
    let lines = changes.iter().map(|change| {
        format!(
            "{} {} by {}: {}\n",
            change.branch.as_deref().unwrap_or("-"),
            change.comments,
            change.author,
            change.files.join(" ")
        )
    });
    lines.collect()
}

#[tokio::test]
async fn new_commits_become_changes_once() {
    let (farm, repo) = polling("branches = [\"main\"]");
    let farm = farm.start().await;
    assert_eq!(poll(&farm).await, "");
    repo.commit("b", "2", "second");
    repo.commit("c/d", "3", "third");
    let shown = poll(&farm).await;
    assert_snapshot!(shown, @r"
    main second by Ada <ada@example.org>: b
    main third by Ada <ada@example.org>: c/d
    ");
    assert_eq!(poll(&farm).await, shown);
    let change = farm
        .store()
        .list::<Change>(&Query::new())
        .await
        .expect("changes")
        .remove(0);
    assert_eq!(change.when.seconds(), 1_767_268_800);
    assert_eq!(change.repository, repo.path().display().to_string());
    let status = farm.master().pollers().remove(0);
    assert_eq!(
        status.heads,
        [("main".to_owned(), repo.git(&["rev-parse", "main"]))]
    );
}

#[tokio::test]
async fn the_newest_commit_is_reported_at_first_sight_where_that_is_wanted() {
    let (farm, repo) = polling("branches = [\"main\"]\nbuild_newest = true");
    repo.commit("b", "2", "second");
    let mut farm = farm.start().await;
    assert_snapshot!(poll(&farm).await, @"main second by Ada <ada@example.org>: b");
    farm.kill().await;
    farm.restart().await;
    assert_snapshot!(poll(&farm).await, @"main second by Ada <ada@example.org>: b");
}

#[tokio::test]
async fn new_branches_and_merges_are_reported() {
    let (farm, repo) = polling("branches = \"all\"");
    let farm = farm.start().await;
    poll(&farm).await;
    repo.git(&["branch", "same"]);
    repo.git(&["checkout", "--quiet", "-b", "feature"]);
    repo.commit("f", "1", "on feature");
    assert_snapshot!(poll(&farm).await, @"feature on feature by Ada <ada@example.org>: f");
    // A fast-forward brings no commit, but something else to build.
    repo.git(&["checkout", "--quiet", "main"]);
    repo.git(&["merge", "--quiet", "feature"]);
    assert_snapshot!(poll(&farm).await, @r"
    feature on feature by Ada <ada@example.org>: f
    main on feature by Ada <ada@example.org>: f
    ");
    // A branch leaves room for one below its name.
    repo.git(&["branch", "--quiet", "-D", "same"]);
    repo.git(&["checkout", "--quiet", "-b", "same/deep"]);
    repo.commit("g", "1", "deep");
    let shown = poll(&farm).await;
    assert!(
        shown.ends_with("same/deep deep by Ada <ada@example.org>: g\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_forced_push_brings_what_is_new() {
    let (farm, repo) = polling("branches = [\"main\"]");
    let farm = farm.start().await;
    poll(&farm).await;
    repo.commit("b", "2", "wrong");
    poll(&farm).await;
    repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    repo.commit("b", "3", "right");
    assert_snapshot!(poll(&farm).await, @r"
    main wrong by Ada <ada@example.org>: b
    main right by Ada <ada@example.org>: b
    ");
}

#[tokio::test]
async fn a_repository_that_is_gone_is_told_and_found_again() {
    let (farm, repo) = polling("branches = [\"main\"]");
    let farm = farm.start().await;
    poll(&farm).await;
    let moved = repo.path().with_file_name("moved");
    std::fs::rename(repo.path(), &moved).expect("a rename");
    poll(&farm).await;
    let status = farm.master().pollers().remove(0);
    let error = status
        .error
        .expect("an error")
        .replace(&status.repository, "URL");
    assert_eq!(error, "repository URL is gone, or was never there");
    assert_eq!(status.failures, 1);
    std::fs::rename(&moved, repo.path()).expect("a rename");
    repo.commit("b", "2", "second");
    assert_snapshot!(poll(&farm).await, @"main second by Ada <ada@example.org>: b");
    assert_eq!(farm.master().pollers()[0].error, None);
}

#[tokio::test]
async fn nothing_is_reported_twice_over_a_kill() {
    let (farm, repo) = polling("branches = [\"main\"]");
    let mut farm = farm.start().await;
    poll(&farm).await;
    repo.commit("b", "2", "second");
    poll(&farm).await;
    farm.kill().await;
    repo.commit("b", "3", "third");
    farm.restart().await;
    assert_snapshot!(poll(&farm).await, @r"
    main second by Ada <ada@example.org>: b
    main third by Ada <ada@example.org>: b
    ");
}

#[tokio::test]
async fn polls_come_with_the_clock() {
    let (farm, repo) = polling("branches = [\"main\"]\npoll_at_launch = true");
    let farm = farm.start().await;
    farm.until("the first poll is done", async || {
        farm.master().pollers()[0].polled_at.is_some()
    })
    .await;
    repo.commit("b", "2", "second");
    farm.until("the next poll is planned", async || {
        farm.master().pollers()[0].next_poll_at
            == Some(crate::farm::START.after(std::time::Duration::from_secs(300)))
    })
    .await;
    assert_eq!(changes(&farm).await, "");
    farm.clock().advance(std::time::Duration::from_secs(300));
    farm.until("the change is there", async || {
        !changes(&farm).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn strange_commits_do_no_harm() {
    let (farm, repo) = polling("branches = [\"main\"]");
    let farm = farm.start().await;
    poll(&farm).await;
    repo.commit(
        "with space\tand\nnewline",
        "x",
        "line one\n\nline three: \u{1f980} \"quoted\"",
    );
    assert_eq!(
        poll(&farm).await,
        "main line one\n\nline three: \u{1f980} \"quoted\" by Ada <ada@example.org>: with space\tand\nnewline\n"
    );
}
