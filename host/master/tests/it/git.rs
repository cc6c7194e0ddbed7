//! The `git` step on real repositories.

use insta::assert_snapshot;
use toolpost_core::Results;

use crate::farm::{Farm, FarmBuilder, farm};
use crate::repo::Repo;

/// A builder `b` that checks out with these settings and lists what is there.
fn checkout(settings: &str) -> (FarmBuilder, Repo) {
    let farm = farm();
    let repo = Repo::new(farm.path().join("repo"));
    repo.commit("a", "1", "first");
    let url = repo.path().display();
    let body = format!(
        r#"
[[builder.step]]
use = "git"
repository = "{url}"
{settings}

[[builder.step]]
use = "shell"
name = "list"
command = "for f in $(ls); do echo $f $(cat $f 2>/dev/null); done"
"#
    );
    (farm.builder("b", &body), repo)
}

async fn built(farm: &Farm, fields: &[(&str, &str)]) -> String {
    let request = farm.submit("b", fields).await;
    let build = farm.end_of(request).await;
    if build.results != Some(Results::Success) {
        return farm.show(&build).await;
    }
    farm.log(&build, "list", "stdio").await
}

#[tokio::test]
async fn branches_and_revisions_are_checked_out() {
    let (farm, repo) = checkout("");
    let farm = farm.start().await;
    let first = repo.git(&["rev-parse", "HEAD"]);
    let second = repo.commit("a", "2", "second");
    repo.git(&["checkout", "--quiet", "-b", "feature/x"]);
    let feature = repo.commit("a", "3", "third");
    repo.git(&["checkout", "--quiet", "main"]);

    let newest = farm.force("b").await;
    assert_snapshot!(farm.show(&newest).await.replace(&second[..10], "SECOND"), @r"
    b #1: success [build successful]
      git: success [checked out SECOND]
      list: success ['for f in $(ls); do echo $f $(cat $f 2>/d...']
    ");
    let got = farm.property(&newest, "got_revision").await;
    assert_eq!(got, Some((second.clone().into(), "Git".into())));

    assert_eq!(built(&farm, &[("branch", "feature/x")]).await, "a 3\n");
    assert_eq!(built(&farm, &[("revision", &first)]).await, "a 1\n");
    assert_eq!(built(&farm, &[("revision", &second[..12])]).await, "a 2\n");
    assert_eq!(built(&farm, &[("revision", &feature)]).await, "a 3\n");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (farm, repo) = checkout("retry = { attempts = 1 }");
    let farm = farm.start().await;
    let url = repo.path().display().to_string();
    let shown = built(&farm, &[("branch", "nope")])
        .await
        .replace(&url, "URL");
    assert_snapshot!(shown, @r"
    b #1: failure [failed branch nope does not exist in URL (failure)]
      git: failure [branch nope does not exist in URL (failure)]
    ");
    let shown = built(&farm, &[("revision", &"12".repeat(20))])
        .await
        .replace(&url, "URL");
    assert_snapshot!(shown, @r"
    b #2: failure [failed revision 1212121212121212121212121212121212121212 does not exist in URL (failure)]
      git: failure [revision 1212121212121212121212121212121212121212 does not exist in URL (failure)]
    ");
    std::fs::rename(repo.path(), repo.path().with_file_name("moved")).expect("a rename");
    let shown = built(&farm, &[]).await.replace(&url, "URL");
    assert_snapshot!(shown, @r"
    b #3: failure [failed repository URL is gone, or was never there (failure)]
      git: failure [repository URL is gone, or was never there (failure)]
    ");
    // A revision that is there already needs no repository.
    std::fs::rename(repo.path().with_file_name("moved"), repo.path()).expect("a rename");
    assert_eq!(built(&farm, &[]).await, "a 1\n");
    std::fs::rename(repo.path(), repo.path().with_file_name("moved")).expect("a rename");
    let head = Repo::new(repo.path().with_file_name("moved")).git(&["rev-parse", "HEAD"]);
    assert_eq!(built(&farm, &[("revision", &head)]).await, "a 1\n");
}

#[tokio::test]
async fn a_patch_is_in_its_build_and_in_no_other() {
    let patch = "--- x/a\n+++ x/a\n@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+2\n\
        --- /dev/null\n+++ x/new\n@@ -0,0 +1 @@\n+new\n";
    for settings in ["", "mode = \"full\"\nmethod = \"copy\""] {
        let (farm, repo) = checkout(settings);
        repo.commit(".gitignore", "ignored\n", "ignore");
        let farm = farm.start().await;
        assert_eq!(built(&farm, &[]).await, "a 1\n", "{settings}");
        let patched = [("patch_body", patch)];
        assert_eq!(built(&farm, &patched).await, "a 2\nnew new\n", "{settings}");
        let ignored = farm.path().join("work/b/build/ignored");
        std::fs::write(&ignored, "made of the patch").expect("a file");
        assert_eq!(built(&farm, &[]).await, "a 1\n", "{settings}");

        let misfit = patch.replace("-1\n", "-7\n");
        let shown = built(&farm, &[("patch_body", &misfit)]).await;
        let hunk = "the patch does not apply: hunk 1 of 1 of a, at line 1";
        assert!(shown.contains(hunk), "{shown}");
        let below = [("patch_body", patch), ("patch_subdir", "none")];
        let shown = built(&farm, &below).await;
        assert!(
            shown.contains("the patch does not apply: none/a"),
            "{shown}"
        );
        assert_eq!(built(&farm, &[]).await, "a 1\n", "{settings}");

        let request = farm.submit("b", &patched).await;
        let build = farm.end_of(request).await;
        assert_eq!(farm.log(&build, "git", "patch").await, patch);
        let again = farm
            .master()
            .rebuild(build.id, "tester")
            .await
            .expect("a rebuild");
        let again = farm.end_of(again.requests[0].1).await;
        assert_eq!(
            farm.log(&again, "list", "stdio").await,
            "a 2\nnew new\n",
            "{settings}"
        );
    }
}

#[tokio::test]
async fn modes_keep_what_they_say() {
    let table = [
        ("", "a 1\nignored x\nnew x\n"),
        ("mode = \"full\"\nmethod = \"clean\"", "a 1\nignored x\n"),
        ("mode = \"full\"", "a 1\n"),
        ("mode = \"full\"\nmethod = \"clobber\"", "a 1\n"),
        ("mode = \"full\"\nmethod = \"copy\"", "a 1\n"),
    ];
    for (settings, expected) in table {
        let (farm, repo) = checkout(settings);
        repo.commit(".gitignore", "ignored\n", "ignore");
        let farm = farm.start().await;
        assert_eq!(
            built(&farm, &[("revision", "HEAD")]).await,
            "a 1\n",
            "{settings}"
        );
        let dir = farm.path().join("work/b/build");
        for file in ["a", "ignored", "new"] {
            std::fs::write(dir.join(file), "x").expect("a file");
        }
        assert_eq!(built(&farm, &[]).await, expected, "{settings}");
    }
}

#[tokio::test]
async fn history_can_be_cut_and_be_whole_again() {
    let (farm, repo) = checkout("shallow = 2");
    let first = repo.git(&["rev-parse", "HEAD"]);
    for number in 2..6 {
        repo.commit("a", &number.to_string(), "more");
    }
    // Only a server knows how to cut; a path would be copied whole.
    let farm = farm.start().await;
    let config = farm.read_config().replace(
        &format!("\"{}\"", repo.path().display()),
        &format!("\"file://{}\"", repo.path().display()),
    );
    farm.write_config(&config);
    farm.master().reload().await;
    assert_eq!(built(&farm, &[]).await, "a 5\n");
    let checkout = Repo::new(farm.path().join("work/b/build"));
    assert_eq!(checkout.git(&["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(built(&farm, &[("revision", &first)]).await, "a 1\n");

    farm.write_config(&config.replace("shallow = 2", ""));
    farm.master().reload().await;
    assert_eq!(built(&farm, &[]).await, "a 5\n");
    assert_eq!(checkout.git(&["rev-list", "--count", "HEAD"]), "5");
}

#[tokio::test]
async fn submodules_come_along() {
    let (farm, repo) = checkout(
        "submodules = true\ngit_config = { \"protocol.file.allow\" = \"always\" }\nmode = \"full\"",
    );
    let part = Repo::new(farm.path().join("part"));
    part.commit("p", "1", "part");
    let url = part.path().display().to_string();
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
        "sub",
    ];
    repo.git(&add);
    repo.commit("a", "2", "with a submodule");
    let farm = farm.start().await;
    assert_eq!(built(&farm, &[]).await, "a 2\nsub\n");
    let inside = farm.path().join("work/b/build/sub/p");
    assert_eq!(
        std::fs::read_to_string(&inside).expect("the submodule"),
        "1"
    );

    let moved = part.commit("p", "2", "moved");
    repo.git(&["-C", "sub", "fetch", "--quiet"]);
    repo.git(&["-C", "sub", "checkout", "--quiet", &moved]);
    repo.commit("a", "3", "moved");
    std::fs::write(inside.with_file_name("junk"), "x").expect("a file");
    assert_eq!(built(&farm, &[]).await, "a 3\nsub\n");
    assert_eq!(
        std::fs::read_to_string(&inside).expect("the submodule"),
        "2"
    );
    assert!(!inside.with_file_name("junk").exists());
}

#[tokio::test]
async fn what_a_killed_git_left_behind_does_not_matter() {
    let (farm, repo) = checkout("");
    let farm = farm.start().await;
    assert_eq!(built(&farm, &[]).await, "a 1\n");
    let git = farm.path().join("work/b/build/.git");
    std::fs::write(git.join("index.lock"), "").expect("a lock");
    repo.commit("a", "2", "second");
    assert_eq!(built(&farm, &[]).await, "a 2\n");
    // Cut off in the middle of the very first step.
    std::fs::remove_file(git.join("HEAD")).expect("HEAD was there");
    assert_eq!(built(&farm, &[]).await, "a 2\n");
}

#[tokio::test]
async fn a_broken_checkout_is_made_anew_where_that_is_wanted() {
    let (farm, _repo) = checkout("clobber_on_failure = true");
    let farm = farm.start().await;
    assert_eq!(built(&farm, &[]).await, "a 1\n");
    std::fs::write(farm.path().join("work/b/build/.git/config"), "[broken").expect("a file");
    assert_eq!(built(&farm, &[]).await, "a 1\n");
}

#[tokio::test]
async fn files_in_the_way_of_a_checkout_are_replaced() {
    let (farm, repo) = checkout("");
    let farm = farm.start().await;
    assert_eq!(built(&farm, &[]).await, "a 1\n");
    std::fs::write(farm.path().join("work/b/build/b"), "junk").expect("a file");
    repo.commit("b", "real", "second");
    assert_eq!(built(&farm, &[]).await, "a 1\nb real\n");
}
