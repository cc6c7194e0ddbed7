//! Schedulers that plugins bring, with the first-party ones.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use toolpost_core::model::{Build, Buildset, Master};
use toolpost_core::{Results, Timestamp};
use toolpost_master::{ForceError, ForceRequest, Forced, SchedulerStatus};
use toolpost_store::{NewChange, Query, SchedulerCommit};

use crate::farm::{Farm, FarmBuilder, START, farm};

/// A component of the project itself.
fn first_party(name: &str) -> Vec<u8> {
    let dir = std::env::var_os("TOOLPOST_TEST_PLUGINS")
        .expect("TOOLPOST_TEST_PLUGINS is not set: run the tests with `cargo xtask test`");
    let path = Path::new(&dir).join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask plugins`", path.display()))
}

/// A farm with a builder `b` and a scheduler `hours` that passes changes on within this window. The manual clock
/// starts at 08:00 UTC.
fn open(from: &str, to: &str) -> FarmBuilder {
    let body = format!(
        "collapse_requests = false\n{}",
        crate::farm::shell_steps(&[("x", "true")])
    );
    farm()
        .manual_clock()
        .plugin(
            "scheduler-quiet-hours",
            &first_party("scheduler-quiet-hours"),
        )
        .builder("b", &body)
        .config(&hours(from, to))
}

fn hours(from: &str, to: &str) -> String {
    format!(
        "[[scheduler]]\nname = \"hours\"\nuse = \"quiet-hours\"\nbuilders = [\"b\"]\n\
         properties = {{ night = true }}\nopen = [{{ from = \"{from}\", to = \"{to}\" }}]\n"
    )
}

async fn change(farm: &Farm, revision: &str) {
    let change = NewChange {
        author: "Ada <ada@example.org>".into(),
        branch: Some("main".into()),
        revision: Some(revision.into()),
        repository: "/repo".into(),
        when: Timestamp(1),
        ..NewChange::default()
    };
    let added = farm
        .store()
        .add_changes("test", vec![change], None, farm.clock_now())
        .await;
    added.expect("a change");
}

fn status(farm: &Farm, name: &str) -> SchedulerStatus {
    let all = farm.master().schedulers();
    let found = all.into_iter().find(|status| status.name == name);
    found.expect("the scheduler")
}

async fn until_status(farm: &Farm, name: &str, wanted: &str) {
    farm.until(&format!("{name} says {wanted}"), async || {
        status(farm, name).text == wanted
    })
    .await;
}

/// Revisions of all builds that have ended, oldest first.
async fn built(farm: &Farm) -> Vec<String> {
    let builds: Vec<Build> = farm.store().list(&Query::new()).await.expect("builds");
    let mut revisions = Vec::new();
    for build in builds.iter().filter(|build| build.complete) {
        let (revision, _) = farm.property(build, "revision").await.expect("a revision");
        revisions.push(revision.as_str().unwrap_or("none").to_owned());
    }
    revisions
}

async fn until_built(farm: &Farm, expected: &[&str]) {
    farm.until(&format!("{expected:?} are built"), async || {
        built(farm).await == expected
    })
    .await;
}

#[tokio::test]
async fn each_change_goes_through_the_plugin() {
    let farm = open("00:00", "24:00").start().await;
    for revision in ["r1", "r2", "r3"] {
        change(&farm, revision).await;
    }
    until_built(&farm, &["r1", "r2", "r3"]).await;
    assert_eq!(status(&farm, "hours").text, "open");
    assert_eq!(status(&farm, "hours").scheduler_type, "quiet-hours");
    let build = farm.all_builds().await.remove(0);
    let night = farm.property(&build, "night").await;
    assert_eq!(night, Some((json!(true), "Scheduler".into())));
    let owners = farm.property(&build, "owners").await.expect("owners").0;
    assert_eq!(owners, json!(["Ada <ada@example.org>"]));
}

/// A farm whose scheduler `hours` cannot take in a change with the revision `bad`.
pub(crate) fn stumbling() -> FarmBuilder {
    let body = crate::farm::shell_steps(&[("x", "true")]);
    let config = hours("00:00", "24:00").replace(
        "night = true",
        "half = \"{{ 8 // (src.revision|length - 3) }}\"",
    );
    farm()
        .plugin(
            "scheduler-quiet-hours",
            &first_party("scheduler-quiet-hours"),
        )
        .builder("b", &format!("collapse_requests = false\n{body}"))
        .config(&config)
}

pub(crate) async fn passes_over_an_event(farm: &Farm) {
    for revision in ["r1", "bad", "r2"] {
        change(farm, revision).await;
    }
    farm.until("it stands at the change", async || {
        status(farm, "hours").stuck.is_some()
    })
    .await;
    let stuck = status(farm, "hours").stuck.expect("it stands");
    assert_eq!(stuck.event, "change 2");
    until_built(farm, &["r1"]).await;
    let id = farm.scheduler_id("hours").await;
    let master = farm.master();
    let other = master.skip_event(id, "change 1", "why not", "ann").await;
    assert_eq!(
        other.expect_err("another event").to_string(),
        "scheduler `hours` does not fail at change 1: it may have gone on in the meantime"
    );
    let skipped = master
        .skip_event(id, &stuck.event, "it is odd", "ann")
        .await;
    assert_eq!(skipped.expect("it is passed over"), "change 2");
    until_built(farm, &["r1", "r2"]).await;
    farm.until("it goes on", async || status(farm, "hours").stuck.is_none())
        .await;
    let again = master.skip_event(id, "", "again", "ann").await;
    assert!(again.is_err(), "{again:?}");
    let skips = farm.store().scheduler_skips(Some(id), 10).await;
    let [row] = &skips.expect("skips")[..] else {
        panic!("one event was passed over");
    };
    assert_eq!(
        [&row.skip.who, &row.skip.reason, &row.skip.event],
        ["ann", "it is odd", "change 2"]
    );
    assert!(row.skip.error.contains("half"), "{}", row.skip.error);
}

#[tokio::test]
async fn a_scheduler_passes_over_an_event_when_it_is_told_to() {
    passes_over_an_event(&stumbling().start().await).await;
}

#[tokio::test]
async fn what_waits_for_a_time_survives_the_death_of_the_master() {
    let mut farm = open("20:00", "06:00").start().await;
    change(&farm, "r1").await;
    until_status(
        &farm,
        "hours",
        "closed until Fri 2027-01-15 20:00 UTC, 1 change waits",
    )
    .await;
    let opens = START.after(Duration::from_secs(12 * 3600));
    assert_eq!(status(&farm, "hours").fires_at, Some(opens));
    farm.kill().await;
    farm.restart().await;
    change(&farm, "r2").await;
    until_status(
        &farm,
        "hours",
        "closed until Fri 2027-01-15 20:00 UTC, 2 changes wait",
    )
    .await;
    assert_eq!(built(&farm).await, [""; 0]);
    farm.kill().await;
    farm.clock().advance(Duration::from_secs(13 * 3600));
    farm.restart().await;
    until_built(&farm, &["r2"]).await;
    let sets: Vec<Buildset> = farm.store().list(&Query::new()).await.expect("build sets");
    assert_eq!(sets.len(), 1, "both changes are one build set");
}

#[tokio::test]
async fn a_patch_that_there_is_not_is_refused() {
    const WAITS: &str = "closed until Fri 2027-01-15 20:00 UTC, 1 change waits";
    let mut farm = open("20:00", "06:00").start().await;
    change(&farm, "r1").await;
    until_status(&farm, "hours", WAITS).await;
    let (store, id) = (farm.store(), farm.scheduler_id("hours").await);
    let masters: Vec<Master> = store.list(&Query::new()).await.expect("masters");
    let kept = store.scheduler_state(id).await.expect("its state");
    let (before, nobodys) = ("\"patch\":null", "\"patch\":4711");
    let text = kept.state.to_string();
    assert!(text.contains(before), "{text}");
    let commit = SchedulerCommit {
        state: text.replace(before, nobodys).parse().expect("JSON"),
        buildsets: Vec::new(),
        forced: Vec::new(),
    };
    let done = store
        .commit_scheduler(id, masters[0].id, kept.version, commit, START)
        .await;
    done.expect("it is stored");
    farm.kill().await;
    farm.clock().advance(Duration::from_secs(13 * 3600));
    farm.restart().await;
    farm.until("it says why", async || {
        status(&farm, "hours").error.is_some()
    })
    .await;
    let error = status(&farm, "hours").error.expect("an error");
    assert!(error.contains("there is no patch 4711: hand on"), "{error}");
    assert_eq!(built(&farm).await, [""; 0]);
}

#[tokio::test]
async fn a_form_of_a_plugin_is_handled_once() {
    let mut farm = open("20:00", "06:00").start().await;
    let forms = farm.master().force_forms();
    let form = forms.iter().find(|form| form.name == "hours");
    assert!(!form.expect("a form").chooses_builders);
    change(&farm, "r1").await;
    until_status(
        &farm,
        "hours",
        "closed until Fri 2027-01-15 20:00 UTC, 1 change waits",
    )
    .await;
    let mut fields = Map::new();
    fields.insert("reason".into(), "release today".into());
    fields.insert("values".into(), json!({ "nonsense": 1 }));
    let send = async |farm: &Farm, fields: &Map<String, Value>| {
        let request = ForceRequest {
            owner: Some("ann".into()),
            builders: None,
            fields: fields.clone(),
        };
        farm.master().force("hours", request).await
    };
    let refused = send(&farm, &fields).await;
    assert!(matches!(refused, Err(ForceError::Values(_))), "{refused:?}");
    fields.remove("values");
    let sent = send(&farm, &fields).await.expect("it is taken");
    assert!(matches!(sent, Forced::Queued(_)), "{sent:?}");
    farm.kill().await;
    farm.restart().await;
    until_built(&farm, &["r1"]).await;
    farm.kill().await;
    farm.restart().await;
    change(&farm, "r2").await;
    until_status(
        &farm,
        "hours",
        "closed until Fri 2027-01-15 20:00 UTC, 1 change waits",
    )
    .await;
    assert_eq!(built(&farm).await, ["r1"]);
    let waiting = farm
        .store()
        .forced(farm.scheduler_id("hours").await, 10)
        .await;
    assert_eq!(waiting.expect("forms"), []);
}

#[tokio::test]
async fn a_plugin_that_cannot_go_on_keeps_what_it_was_told_and_nobody_else_waits() {
    let native = "[[scheduler]]\nname = \"push\"\nuse = \"single-branch\"\nbranch = \"main\"\n\
        builders = [\"b\"]\n";
    let bad = hours("00:00", "24:00") + "zone = \"Mars\"\n";
    let farm = open("00:00", "24:00")
        .config(native)
        .config(&bad.replace("\"hours\"", "\"bad\""))
        .start()
        .await;
    change(&farm, "r1").await;
    until_built(&farm, &["r1", "r1"]).await;
    farm.until("the error is shown", async || {
        status(&farm, "bad").error.is_some()
    })
    .await;
    let error = status(&farm, "bad").error.expect("an error");
    assert!(error.contains("`Mars` is no time zone"), "{error}");
    assert!(error.contains("its configuration"), "{error}");
    farm.write_config(&farm.read_config().replace("Mars", "Europe/Berlin"));
    let reloaded = farm.master().reload().await;
    assert!(reloaded.problems.is_empty(), "{:?}", reloaded.problems);
    until_built(&farm, &["r1", "r1", "r1"]).await;
    assert_eq!(status(&farm, "bad").error, None);
}

#[tokio::test]
async fn a_type_that_is_used_is_not_taken_away() {
    let farm = open("00:00", "24:00").start().await;
    farm.drop_plugin("scheduler-quiet-hours", &first_party("scheduler-bisect"))
        .await;
    let plugin = farm.master().plugins().remove(0);
    assert!(plugin.problem.is_some());
    change(&farm, "r1").await;
    until_built(&farm, &["r1"]).await;
}

#[tokio::test]
async fn another_type_of_the_same_name_starts_anew() {
    let farm = open("20:00", "06:00").start().await;
    change(&farm, "old").await;
    until_status(
        &farm,
        "hours",
        "closed until Fri 2027-01-15 20:00 UTC, 1 change waits",
    )
    .await;
    let text = farm.read_config();
    let native = "[[scheduler]]\nname = \"hours\"\nuse = \"single-branch\"\nbranch = \"main\"\n\
        builders = [\"b\"]\n";
    for (config, revision) in [
        (text.replace(&hours("20:00", "06:00"), native), "r1"),
        (
            text.replace("20:00", "00:00").replace("06:00", "24:00"),
            "r2",
        ),
    ] {
        farm.write_config(&config);
        let reloaded = farm.master().reload().await;
        assert!(reloaded.problems.is_empty(), "{:?}", reloaded.problems);
        change(&farm, revision).await;
        farm.until("it is built", async || {
            built(&farm)
                .await
                .last()
                .is_some_and(|last| last == revision)
        })
        .await;
    }
    assert_eq!(built(&farm).await, ["r1", "r2"]);
}

/// Everything that a scheduler can hear, and labels that it gets back: a search for the change that broke a builder.
#[tokio::test]
async fn a_scheduler_hears_of_builds_and_of_its_own_build_sets() {
    let step = "case '{{ prop.revision }}' in r[1-4]) true;; *) false;; esac";
    let farm = farm()
        .plugin("scheduler-bisect", &first_party("scheduler-bisect"))
        .shell("b", &[("x", step)])
        .config(
            "[[scheduler]]\nname = \"hunt\"\nuse = \"bisect\"\nbuilders = [\"b\"]\nconfirm = false\n",
        )
        .start()
        .await;
    let build = async |revision: &str| {
        let fields = [
            ("branch", "main"),
            ("repository", "/repo"),
            ("revision", revision),
        ];
        let request = farm.submit("b", &fields).await;
        farm.end_of(request).await.results
    };
    change(&farm, "r1").await;
    assert_eq!(build("r1").await, Some(Results::Success));
    for number in 2..=9 {
        change(&farm, &format!("r{number}")).await;
    }
    assert_eq!(build("r9").await, Some(Results::Failure));
    until_status(&farm, "hunt", "change 5 (r5) broke b").await;
    assert_eq!(status(&farm, "hunt").error, None);
}
