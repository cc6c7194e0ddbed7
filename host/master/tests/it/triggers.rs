//! Builds that ask for other builds.

use insta::assert_snapshot;
use serde_json::json;
use toolpost_core::Results;
use toolpost_core::model::{Build, BuildRequest, Buildset};

use crate::farm::{Farm, farm, shell_steps};

/// A step that triggers.
fn trigger(builders: &str, more: &str) -> String {
    format!("[[builder.step]]\nuse = \"trigger\"\nbuilders = {builders}\n{more}\n")
}

const WAIT: &str = "wait_for_finish = true";

/// The builds that a build asked for, oldest first.
async fn children(farm: &Farm, parent: &Build) -> Vec<Build> {
    let mut found = Vec::new();
    for build in farm.all_builds().await {
        if set_of(farm, &build).await.parent_buildid == Some(parent.id) {
            found.push(build);
        }
    }
    found
}

async fn set_of(farm: &Farm, build: &Build) -> Buildset {
    let request: BuildRequest = farm.request(build.request_id).await;
    let set = farm.store().get(request.buildset_id.0).await;
    set.expect("the build set")
}

#[tokio::test]
async fn a_triggered_build_is_a_child_with_the_same_sources() {
    let more = format!("{WAIT}\ncopy_properties = [\"colour\"]\nset_properties = {{ size = 3 }}\n");
    let steps = format!(
        "properties = {{ colour = \"red\" }}\n{}{}",
        "[[builder.step]]\nuse = \"set-property\"\nproperty = \"got_revision\"\nvalue = \"abc\"\n",
        trigger("[\"one\", \"two\"]", &more)
    );
    let farm = farm()
        .builder("parent", &steps)
        .shell("one", &[("x", "true")])
        .shell("two", &[("x", "true")])
        .start()
        .await;
    let request = farm
        .submit("parent", &[("branch", "main"), ("priority", "7")])
        .await;
    let parent = farm.end_of(request).await;
    assert_eq!(parent.results, Some(Results::Success));
    let children = children(&farm, &parent).await;
    assert_eq!(children.len(), 2);
    for child in &children {
        let set = set_of(&farm, child).await;
        assert_eq!(set.parent_relationship.as_deref(), Some("Triggered from"));
        assert_eq!(
            set.reason,
            "triggered by step `trigger` of build 1 of parent"
        );
        let stamp = &set.sourcestamps[0].spec;
        assert_eq!(stamp.branch.as_deref(), Some("main"));
        assert_eq!(stamp.revision.as_deref(), Some("abc"));
        let request = farm.request(child.request_id).await;
        assert!(request.waited_for);
        let colour = farm.property(child, "colour").await;
        assert_eq!(colour, Some((json!("red"), "trigger".into())));
        let size = farm.property(child, "size").await;
        assert_eq!(size, Some((json!(3), "trigger".into())));
    }
    let step = farm.steps(parent.id).await.remove(1);
    assert_eq!(step.state_string, "triggered one, two");
    let mut names: Vec<_> = step.urls.iter().map(|url| url.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["one #1", "one (request 2)", "two #1", "two (request 3)"]
    );
    let path = |name: &str| {
        let found = step.urls.iter().find(|url| url.name == name);
        found
            .expect("a link")
            .url
            .rsplit_once('/')
            .expect("a path")
            .1
            .to_owned()
    };
    let one = children
        .iter()
        .find(|child| child.builder_id != children[1].builder_id);
    assert_eq!(path("one #1"), one.expect("a child").id.to_string());
}

#[tokio::test]
async fn a_build_that_waits_leaves_its_place_to_others() {
    let farm = farm()
        .builder("parent", &trigger("\"middle\"", WAIT))
        .builder("middle", &trigger("\"child\"", WAIT))
        .shell("child", &[("x", "true")])
        .worker("max_builds = 1")
        .start()
        .await;
    let parent = farm.force("parent").await;
    assert_eq!(parent.results, Some(Results::Success));
    assert_snapshot!(farm.show_all().await, @"
    parent #1: success
    middle #1: success
    child #1: success
    ");
}

#[tokio::test]
async fn the_step_ends_with_the_worst_result() {
    let farm = farm()
        .builder("parent", &trigger("[\"good\", \"bad\"]", WAIT))
        .shell("good", &[("x", "true")])
        .shell("bad", &[("x", "false")])
        .start()
        .await;
    let parent = farm.force("parent").await;
    assert_snapshot!(farm.show(&parent).await, @"
    parent #1: failure [failed triggered good, bad (failure)]
      trigger: failure [triggered good, bad (failure)]
    ");
}

#[tokio::test]
async fn who_does_not_wait_goes_on_at_once() {
    let steps = trigger("\"child\"", "") + &shell_steps(&[("go", "touch ../../../go")]);
    let wait = "until test -e ../../../go; do sleep 0.02; done";
    let farm = farm()
        .builder("parent", &steps)
        .shell("child", &[("x", wait)])
        .start()
        .await;
    let parent = farm.force("parent").await;
    assert_eq!(parent.results, Some(Results::Success));
    farm.until("the child has ended", async || {
        let children = children(&farm, &parent).await;
        children
            .first()
            .is_some_and(|child| child.results == Some(Results::Success))
    })
    .await;
}

#[tokio::test]
async fn stopping_a_build_stops_those_that_it_waits_for() {
    let farm = farm()
        .builder("parent", &trigger("[\"runs\", \"waits\"]", WAIT))
        .shell("runs", &[("x", "touch started; sleep 600")])
        .builder(
            "waits",
            &format!(
                "max_builds = 1\n{}",
                shell_steps(&[("x", "touch started; sleep 600")])
            ),
        )
        .start()
        .await;
    let blocker = farm.submit("waits", &[]).await;
    farm.until_file("waits/build/started").await;
    let request = farm.submit("parent", &[]).await;
    let parent = farm.running(request).await;
    farm.until_file("runs/build/started").await;
    farm.master()
        .stop_build(parent.id, "enough", "tester")
        .await
        .expect("the build is stopped");
    let parent = farm.end_of(request).await;
    assert_eq!(parent.results, Some(Results::Cancelled));
    farm.until("its children have ended", async || {
        let requests: Vec<BuildRequest> = farm
            .store()
            .list(&toolpost_store::Query::new())
            .await
            .expect("requests");
        let children = requests.iter().filter(|request| request.waited_for);
        let results: Vec<_> = children.map(|request| request.results).collect();
        results == [Some(Results::Cancelled), Some(Results::Cancelled)]
    })
    .await;
    let child = children(&farm, &parent).await.remove(0);
    assert_snapshot!(child.state_string, @"cancelled (step `trigger` of build 1 of parent, which waits for it, was stopped) 'touch started; sleep 600' (cancelled)");
    // Somebody else's request goes on.
    assert!(!farm.request(blocker).await.complete);
}

#[tokio::test]
async fn a_recipe_that_triggers_itself_comes_to_an_end() {
    let farm = farm()
        .builder("b", &trigger("\"b\"", WAIT))
        .worker("max_builds = 1")
        .start()
        .await;
    let first = farm.force("b").await;
    assert_eq!(first.results, Some(Results::Failure));
    let builds = farm.all_builds().await;
    assert_eq!(builds.len(), 17);
    let last = farm.steps(builds[16].id).await.remove(0);
    assert_eq!(
        last.state_string,
        "this build was triggered through 16 others already (failure)"
    );
}

#[tokio::test]
async fn an_unknown_builder_is_an_exception() {
    let farm = farm()
        .builder("b", &trigger("\"nobody\"", ""))
        .start()
        .await;
    let build = farm.force("b").await;
    assert_snapshot!(farm.show(&build).await, @"
    b #1: exception [exception there is no builder `nobody` (exception)]
      trigger: exception [there is no builder `nobody` (exception)]
    ");
}

#[tokio::test]
async fn builds_that_wait_for_each_other_say_so_and_go_on_when_there_is_room() {
    let limited = |steps: &str| format!("max_builds = 1\n{steps}");
    let once = "do_step_if = 'build.number == 1'";
    let farm = farm()
        .builder("a", &limited(&trigger("\"b\"", &format!("{WAIT}\n{once}"))))
        .builder("b", &trigger("\"a\"", WAIT))
        .start()
        .await;
    let request = farm.submit("a", &[]).await;
    let first = farm.running(request).await;
    let state = async |build: &Build| {
        let steps = farm.steps(build.id).await;
        steps.first().map(|step| step.state_string.clone())
    };
    let hopeless = "waiting for ever: request 2 waits for a build that waits for this one";
    farm.until("the first build says that it waits for ever", async || {
        state(&first).await.as_deref() == Some(hopeless)
    })
    .await;
    let second = children(&farm, &first).await.remove(0);
    let reason =
        "waiting for ever: builder `a` runs as many builds as it may, and they wait for this one";
    farm.until("the second build says why", async || {
        state(&second).await.as_deref() == Some(reason)
    })
    .await;

    farm.write_config(&farm.read_config().replacen("max_builds = 1", "", 1));
    let first = farm.end_of(request).await;
    assert_eq!(first.results, Some(Results::Success));
}
