//! `[[reporter]]`: what it becomes, and what is said when it is wrong.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use toolpost_config::diff;
use toolpost_core::journal::JournalKind;
use toolpost_core::report::{ResultsMode, RetryPolicy};

use crate::catalog::{good, problems};

const SCHEDULER: &str = r#"
[[scheduler]]
name = "commits"
use = "single-branch"
builders = ["b"]
"#;

const FULL: &str = r#"
[[reporter]]
name = "room"
use = "chat"
events = ["build-started", "build-finished"]
builders = ["b"]
tags = ["fast"]
schedulers = ["commits"]
branches = ["main", ""]
results = ["problem", "change"]
retry = { attempts = 3, first_wait = "1s", longest_wait = 60 }
parallel = 2
room = "farm"
message = "{{ build.number }} {% nothing of ours"
"#;

#[test]
fn a_reporter_with_everything() {
    let config = good(&format!("{SCHEDULER}{FULL}"));
    let reporter = &config.reporters["room"];
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(reporter.reporter_type, "chat");
    let wants = &reporter.wants;
    assert_eq!(
        wants.events,
        [JournalKind::BuildStarted, JournalKind::BuildFinished].into()
    );
    assert_eq!(wants.builders, names(&["b"]));
    assert_eq!(wants.tags, names(&["fast"]));
    assert_eq!(wants.schedulers, names(&["commits"]));
    assert_eq!(wants.branches, names(&["main", ""]));
    assert_eq!(
        wants.results,
        [ResultsMode::Problem, ResultsMode::Change].into()
    );
    let retry = RetryPolicy {
        attempts_max: 3,
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(60),
    };
    assert_eq!((reporter.retry, reporter.parallel), (retry, 2));
    // Templates in it are the plugin's, and are not looked at.
    assert_eq!(
        json!(reporter.parameters),
        json!({ "room": "farm", "message": "{{ build.number }} {% nothing of ours" })
    );
}

#[test]
fn a_reporter_with_nothing_but_its_parameters() {
    let config = good("[[reporter]]\nname = \"r\"\nuse = \"chat\"\nroom = \"x\"\n");
    let reporter = &config.reporters["r"];
    let wants = &reporter.wants;
    assert_eq!(wants.events, [JournalKind::BuildFinished].into());
    assert_eq!(wants.results, [ResultsMode::All].into());
    let filters = [
        &wants.builders,
        &wants.tags,
        &wants.schedulers,
        &wants.branches,
    ];
    assert_eq!(filters, [&None; 4]);
    assert_eq!(reporter.retry, RetryPolicy::default());
    assert_eq!(reporter.parallel, 4);
}

#[test]
fn every_event_and_result_has_a_word() {
    for kind in JournalKind::ALL {
        let text = format!(
            "[[reporter]]\nname = \"r\"\nuse = \"chat\"\nroom = \"x\"\nevents = \"{kind}\"\n"
        );
        if kind == JournalKind::ChangeAdded {
            assert_ne!(problems(&text), "no problem", "schedulers hear of changes");
        } else {
            assert_eq!(good(&text).reporters["r"].wants.events, [kind].into());
        }
    }
    for mode in ResultsMode::ALL {
        let name = mode.name();
        let text = format!(
            "[[reporter]]\nname = \"r\"\nuse = \"chat\"\nroom = \"x\"\nresults = \"{name}\"\n"
        );
        assert_eq!(good(&text).reporters["r"].wants.results, [mode].into());
    }
}

#[test]
fn a_worker_says_who_tells_that_it_is_missing_and_the_others_do_not() {
    let config = good(
        r#"
        [[worker]]
        name = "far"
        kind = "remote"
        password_env = "FAR_PASSWORD"
        notify_on_missing = ["ops"]

        [[reporter]]
        name = "ops"
        use = "chat"
        room = "ops"
        events = ["worker-missing", "worker-back"]

        [[reporter]]
        name = "all"
        use = "chat"
        room = "all"
        events = ["worker-missing", "worker-lost"]
        "#,
    );
    let wants = |name: &str| config.reporters[name].wants.clone();
    for kind in [JournalKind::WorkerMissing, JournalKind::WorkerBack] {
        assert!(wants("ops").take_worker(kind, "far"));
        assert!(!wants("all").take_worker(kind, "far"), "{kind}");
        assert!(wants("all").take_worker(kind, "near"), "{kind}");
    }
    assert!(wants("all").take_worker(JournalKind::WorkerLost, "far"));
}

#[test]
fn a_template_is_a_text_to_reporters_and_schedulers() {
    assert_snapshot!(
        problems("[[reporter]]\nname = \"r\"\nuse = \"chat\"\nroom = \"{{ x }}\"\nlines = \"{{ build.number }}\"\n"),
        @r#"
        error: expected an integer, found a string
         --> toolpost.toml:5:9
          |
        5 | lines = "{{ build.number }}"
          |         ^^^^^^^^^^^^^^^^^^^^

        1 problem in the configuration
        "#
    );
}

#[test]
fn mistakes() {
    assert_snapshot!(problems(r#"
[[reporter]]
name = "a b"
use = "chatt"
events = ["build-finish", "build-started"]

[[reporter]]
name = "r"
use = "chat"
events = []
builders = ["linux"]
tags = []
schedulers = ["nightly"]
branches = ["main", "main"]
results = "failed"
retry = { attempts = 0, first_wait = 0, wait = 1 }
parallel = 1000
lines = 0

[[reporter]]
name = "r"
use = "chat"
room = "x"
mesage = "y"
"#), @r#"
error: the name of a reporter consists of letters, digits, `_` and `-`, and does not start with a digit
 --> toolpost.toml:3:8
  |
3 | name = "a b"
  |        ^^^^^

error: there is no reporter type `chatt`
 --> toolpost.toml:4:7
  |
4 | use = "chatt"
  |       ^^^^^^^
  = help: did you mean `chat`?

error: `build-finish` is not known here
 --> toolpost.toml:5:11
  |
5 | events = ["build-finish", "build-started"]
  |           ^^^^^^^^^^^^^^
  = help: did you mean `build-finished`?

error: reporter type `chat` needs `room`
 --> toolpost.toml:9:7
  |
9 | use = "chat"
  |       ^^^^^^
  = help: add `room = ...`

error: at least one word is needed
  --> toolpost.toml:10:10
   |
10 | events = []
   |          ^^

error: there is no builder `linux`
  --> toolpost.toml:11:13
   |
11 | builders = ["linux"]
   |             ^^^^^^^
   = help: known builders: `b`

error: at least one text is needed
  --> toolpost.toml:12:8
   |
12 | tags = []
   |        ^^

error: there is no scheduler `nightly`
  --> toolpost.toml:13:15
   |
13 | schedulers = ["nightly"]
   |               ^^^^^^^^^
   = help: add a [[scheduler]]

error: `main` is twice in this list
  --> toolpost.toml:14:21
   |
14 | branches = ["main", "main"]
   |                     ^^^^^^

error: `failed` is not known here
  --> toolpost.toml:15:11
   |
15 | results = "failed"
   |           ^^^^^^^^
   = help: did you mean `failing`?

error: must be at least 1
  --> toolpost.toml:16:22
   |
16 | retry = { attempts = 0, first_wait = 0, wait = 1 }
   |                      ^

error: must be more than nothing
  --> toolpost.toml:16:38
   |
16 | retry = { attempts = 0, first_wait = 0, wait = 1 }
   |                                      ^

error: unknown key `wait` in `retry`
  --> toolpost.toml:16:41
   |
16 | retry = { attempts = 0, first_wait = 0, wait = 1 }
   |                                         ^^^^
   = help: known keys: `attempts`, `first_wait`, `longest_wait`

error: must be 1 to 64
  --> toolpost.toml:17:12
   |
17 | parallel = 1000
   |            ^^^^

error: 0 is less than 1
  --> toolpost.toml:18:9
   |
18 | lines = 0
   |         ^

error: two reporters have the name `r`
  --> toolpost.toml:21:8
   |
21 | name = "r"
   |        ^^^
  --> toolpost.toml:8:8
   |
 8 | name = "r"
   |        --- the first is here
   = help: give one of them another name

error: reporter type `chat` has no parameter `mesage`
  --> toolpost.toml:24:1
   |
24 | mesage = "y"
   | ^^^^^^
   = help: did you mean `message`?

17 problems in the configuration
"#);
}

#[test]
fn a_plan_says_what_becomes_of_reporters() {
    let old = format!("{SCHEDULER}{FULL}");
    let new = old
        .replace("results = [\"problem\", \"change\"]\n", "")
        .replace("room = \"farm\"", "room = \"silence\"")
        .replace("attempts = 3, ", "");
    assert_snapshot!(diff(&good(&old), &good(&new)), @r#"
~ reporter room
    results: ["change","problem"] -> ["all"]
    retry.attempts: 3 -> 20
    room: "farm" -> "silence"

0 to add, 1 to change, 0 to remove
"#);
    let gone = diff(&good(&old), &good(SCHEDULER));
    assert_snapshot!(gone, @r#"
- reporter room

0 to add, 0 to change, 1 to remove
"#);
    assert!(diff(&good(&old), &good(&old)).is_empty());
}
