//! One build from request to result.

use insta::assert_snapshot;
use serde_json::json;
use toolpost_core::Results;

use crate::farm::{farm, shell_steps};

#[tokio::test]
async fn a_forced_build_runs_its_steps_and_keeps_their_output() {
    let farm = farm()
        .shell(
            "hello",
            &[
                ("greet", "echo hello; echo again"),
                ("complain", "echo oops >&2"),
            ],
        )
        .start()
        .await;
    let build = farm.force("hello").await;
    assert_snapshot!(farm.show(&build).await, @r"
    hello #1: success [build successful]
      greet: success ['echo hello; echo again']
      complain: success ['echo oops >&2']
    ");
    assert_snapshot!(farm.log(&build, "greet", "stdio").await, @r"
    hello
    again
    ");
    assert_snapshot!(farm.log(&build, "complain", "stdio").await, @"oops");
    let headers = farm.headers(&build, "greet", "stdio").await;
    assert!(
        headers.starts_with("echo hello; echo again\n in directory "),
        "{headers}"
    );
    assert!(headers.contains("exit code 0 after "), "{headers}");
}

#[tokio::test]
async fn properties_have_buildbots_names_and_sources() {
    let farm = farm().shell("b", &[("x", "true")]).start().await;
    let request = farm
        .submit(
            "b",
            &[
                ("branch", "dev"),
                ("revision", "abc"),
                ("reason", "why not"),
            ],
        )
        .await;
    let build = farm.end_of(request).await;
    let mut text = String::new();
    for name in [
        "branch",
        "buildername",
        "buildnumber",
        "codebase",
        "owner",
        "project",
        "reason",
        "repository",
        "revision",
        "scheduler",
        "workername",
    ] {
        let (value, source) = farm.property(&build, name).await.expect(name);
        text += &format!("{name} = {value} ({source})\n");
    }
    assert_snapshot!(text, @r#"
    branch = "dev" (Build)
    buildername = "b" (Builder)
    buildnumber = 1 (Build)
    codebase = "" (Build)
    owner = "tester" (Force Build Form)
    project = "" (Build)
    reason = "why not" (Force Build Form)
    repository = "" (Build)
    revision = "abc" (Build)
    scheduler = "force" (Scheduler)
    workername = "w" (Worker)
    "#);
}

#[tokio::test]
async fn flags_of_steps_decide_about_the_build() {
    let body = r#"
[[builder.step]]
use = "shell"
name = "warns"
command = "exit 3"
decode_rc = { 0 = "success", 3 = "warnings" }
warn_on_warnings = true

[[builder.step]]
use = "shell"
name = "unimportant"
command = "exit 1"
flunk_on_failure = false

[[builder.step]]
use = "shell"
name = "skipped"
command = "exit 1"
do_step_if = 'prop.branch == "main"'

[[builder.step]]
use = "shell"
name = "hidden"
command = "true"
hide_step_if = 'result == "success"'

[[builder.step]]
use = "shell"
name = "halts"
command = "exit 2"
halt_on_failure = true

[[builder.step]]
use = "shell"
name = "never"
command = "true"

[[builder.step]]
use = "shell"
name = "cleanup"
command = "true"
always_run = true
"#;
    let farm = farm().builder("b", body).start().await;
    let build = farm.force("b").await;
    assert_snapshot!(farm.show(&build).await, @r"
    b #1: failure [failed 'exit 3' (warnings) 'exit 2' (failure)]
      warns: warnings ['exit 3' (warnings)]
      unimportant: failure ['exit 1' (failure)]
      skipped: skipped [finished (skipped)]
      hidden: success ['true'] hidden
      halts: failure ['exit 2' (failure)]
      cleanup: success ['true']
    ");
}

#[tokio::test]
async fn parameters_are_rendered_when_the_step_starts() {
    let body = r#"
properties = { target = "all" }
env = { GREETING = "hello {{ prop.target }}", HOME = false }

[[builder.step]]
use = "set-property-from-command"
name = "version"
command = "echo 'v1.24 '"
property = "version"
extract = 'v(\S+)'

[[builder.step]]
use = "set-property"
property = "list"
value = ["{{ prop.version }}", 5]

[[builder.step]]
use = "shell"
name = "show {{ build.number }}"
command = "echo {{ prop.version }} {{ prop.list[1] }} $GREETING ${HOME-none} {{ worker.name }}"
description_done = "showed {{ prop.version }}"
"#;
    let farm = farm().builder("b", body).start().await;
    let build = farm.force("b").await;
    assert_snapshot!(farm.show(&build).await, @r"
    b #1: success [build successful]
      version: success [property 'version' set]
      set-property: success [property 'list' set]
      show 1: success [showed 1.24]
    ");
    assert_snapshot!(farm.log(&build, "show 1", "stdio").await, @"1.24 5 hello all none w");
    let list = farm.property(&build, "list").await;
    assert_eq!(list, Some((json!(["1.24", 5]), "set-property".into())));
}

#[tokio::test]
async fn what_cannot_be_rendered_is_an_exception_with_its_reason() {
    let steps = shell_steps(&[
        ("fine", "true"),
        ("bad", "echo {{ prop.nope }}"),
        ("after", "true"),
    ]);
    let farm = farm().builder("b", &steps).start().await;
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Exception));
    let shown = farm.show(&build).await;
    assert!(
        shown.contains("bad: exception [parameter `command`: there is no property `nope`"),
        "{shown}"
    );
    assert!(!shown.contains("after"), "{shown}");
    let reason = farm.log(&build, "bad", "err").await;
    assert!(
        reason.starts_with("parameter `command`: there is no property `nope`"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_builder_whose_properties_cannot_be_rendered_says_so_on_the_build() {
    let body = format!(
        "properties = {{ x = \"{{{{ prop.nope }}}}\" }}\n{}",
        shell_steps(&[("x", "true")])
    );
    let farm = farm().builder("b", &body).start().await;
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Exception));
    let state = farm.build(build.id).await.state_string;
    assert!(
        state.contains("property `x` of the configuration: there is no property `nope`"),
        "{state}"
    );
}

#[tokio::test]
async fn commands_that_cannot_run_say_why() {
    let body = r#"
properties = { up = "../.." }

[[builder.step]]
use = "shell"
name = "missing"
command = ["no-such-program", "--x"]

[[builder.step]]
use = "shell"
name = "killed"
command = "kill -SEGV $$"

[[builder.step]]
use = "shell"
name = "outside"
command = "true"
workdir = "{{ prop.up }}/elsewhere"
"#;
    let farm = farm().builder("b", body).start().await;
    let build = farm.force("b").await;
    let shown = farm.show(&build).await;
    assert!(
        shown.contains("missing: failure [command `no-such-program` was not found in PATH="),
        "{shown}"
    );
    assert!(
        shown.contains("killed: failure ['kill -SEGV $$': killed by SIGSEGV"),
        "{shown}"
    );
    assert!(
        shown.contains("outside: failure [the working directory cannot be used: "),
        "{shown}"
    );
    let headers = farm.headers(&build, "missing", "stdio").await;
    assert!(headers.contains("was not found"), "{headers}");
}

#[tokio::test]
async fn silent_and_long_commands_are_ended() {
    let body = r#"
[[builder.step]]
use = "shell"
name = "silent"
command = "sleep 60"
timeout = 0.2
flunk_on_failure = false

[[builder.step]]
use = "shell"
name = "long"
command = "while true; do echo x; sleep 0.05; done"
timeout = "30s"
max_time = "300ms"
"#;
    let farm = farm().builder("b", body).start().await;
    let build = farm.force("b").await;
    let shown = farm.show(&build).await;
    assert_snapshot!(shown, @r"
    b #1: failure [failed 'while true; do echo x; sleep 0.05; done' (failure) (timed out)]
      silent: failure ['sleep 60' (failure) (timed out)]
      long: failure ['while true; do echo x; sleep 0.05; done' (failure) (timed out)]
    ");
}

#[tokio::test]
async fn a_stopped_build_is_cancelled_but_cleans_up() {
    let body = r#"
[[builder.step]]
use = "shell"
name = "long"
command = "touch started; sleep 60"

[[builder.step]]
use = "shell"
name = "next"
command = "true"

[[builder.step]]
use = "shell"
name = "cleanup"
command = "true"
always_run = true
"#;
    let farm = farm().builder("b", body).start().await;
    let request = farm.submit("b", &[]).await;
    farm.until_file("b/build/started").await;
    let build = farm.running(request).await;
    farm.master()
        .stop_build(build.id, "wrong branch", "ada")
        .await
        .expect("it runs");
    let build = farm.end_of(request).await;
    assert_snapshot!(farm.show(&build).await, @r"
    b #1: cancelled [cancelled (stopped by ada: wrong branch) 'touch started; sleep 60' (cancelled)]
      long: cancelled ['touch started; sleep 60' (cancelled)]
      cleanup: success ['true']
    ");
    let again = farm
        .master()
        .stop_build(build.id, "", "ada")
        .await
        .unwrap_err();
    assert_eq!(
        again.to_string(),
        format!("build {} has ended already", build.id)
    );
}

#[tokio::test]
async fn a_request_is_cancelled_before_or_while_it_runs() {
    let farm = farm()
        .shell("b", &[("long", "touch started; sleep 60")])
        .config("[[lock]]\nname = \"unused\"")
        .worker("max_builds = 1")
        .start()
        .await;
    let first = farm.submit("b", &[("revision", "1")]).await;
    farm.until_file("b/build/started").await;
    let second = farm.submit("b", &[("revision", "2")]).await;
    let master = farm.master();
    master
        .cancel_request(second, "changed my mind", "ada")
        .await
        .expect("it waits");
    assert_eq!(farm.request(second).await.results, Some(Results::Cancelled));
    master
        .cancel_request(first, "this one too", "ada")
        .await
        .expect("it runs");
    assert_eq!(farm.end_of(first).await.results, Some(Results::Cancelled));
    assert!(farm.builds_of(second).await.is_empty());
    assert!(master.cancel_request(second, "", "ada").await.is_err());
}

#[tokio::test]
async fn a_rebuild_builds_the_same_again() {
    let farm = farm()
        .shell("b", &[("x", "echo {{ src.revision }}")])
        .start()
        .await;
    let request = farm
        .submit("b", &[("revision", "abc"), ("reason", "why not")])
        .await;
    let first = farm.end_of(request).await;
    let submitted = farm
        .master()
        .rebuild(first.id, "ada")
        .await
        .expect("a rebuild");
    let second = farm.end_of(submitted.requests[0].1).await;
    assert_eq!(second.number, 2);
    assert_eq!(farm.log(&second, "x", "stdio").await, "abc\n");
}

#[tokio::test]
async fn binary_output_is_kept_line_by_line() {
    let farm = farm()
        .shell(
            "b",
            &[("x", r"printf 'a\377\000b\nc'; sleep 0.01; printf 'd\n'")],
        )
        .start()
        .await;
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Success));
    let log = farm.log(&build, "x", "stdio").await;
    assert_eq!(log.lines().collect::<Vec<_>>(), ["a\u{fffd}\0b", "cd"]);
}

#[tokio::test]
async fn output_is_visible_while_the_command_runs() {
    let farm = farm()
        .shell("b", &[("x", "echo first; touch started; sleep 60")])
        .start()
        .await;
    let request = farm.submit("b", &[]).await;
    let build = farm.running(request).await;
    farm.until("the first line is there", async || {
        let steps = farm.steps(build.id).await;
        let Some(step) = steps.first() else {
            return false;
        };
        let query = toolpost_store::Query::new().eq("stepid", step.id.0);
        let logs: Vec<toolpost_core::model::Log> = farm.store().list(&query).await.expect("logs");
        let Some(log) = logs.first() else {
            return false;
        };
        let lines = farm.store().log_lines(log.id, 0, 100).await.expect("lines");
        lines.lines().any(|line| line == b"ofirst")
    })
    .await;
    farm.master()
        .stop_build(build.id, "", "")
        .await
        .expect("it runs");
    assert_eq!(farm.end_of(request).await.results, Some(Results::Cancelled));
}

#[tokio::test]
async fn forms_are_checked_field_by_field() {
    let farm = farm()
        .shell("b", &[("x", "echo {{ prop.count + 1 }} {{ prop.how }}")])
        .config(
            r#"
[[scheduler]]
name = "typed"
use = "force"
builders = ["b"]
reason = { required = true, default = "" }

[[scheduler.parameters]]
name = "count"
type = "int"
max = 10
default = 1

[[scheduler.parameters]]
name = "how"
type = "choice"
choices = ["fast", "slow"]
default = "fast"

[[scheduler]]
name = "again"
use = "force"
builders = ["b"]

[[scheduler.parameters]]
name = "like"
type = "inherit"
builders = ["b"]
"#,
        )
        .start()
        .await;
    let request = |fields: serde_json::Value| toolpost_master::ForceRequest {
        owner: None,
        builders: None,
        fields: fields.as_object().cloned().unwrap_or_default(),
    };
    let bad = request(json!({"count": "many", "how": "never", "username": "ada"}));
    let refused = farm.master().force("typed", bad).await.unwrap_err();
    assert_snapshot!(refused, @"count: `count` takes a whole number; how: `never` is not one of `fast`, `slow`; reason: `Reason` needs a value");
    let good = request(json!({"count": "4", "reason": "try", "username": "ada"}));
    let forced = farm.master().force("typed", good).await;
    let Ok(toolpost_master::Forced::Made(submitted)) = forced else {
        panic!("a good form was not taken: {forced:?}");
    };
    let build = farm.end_of(submitted.requests[0].1).await;
    assert_eq!(farm.log(&build, "x", "stdio").await, "5 fast\n");
    let again = async |like: &str| {
        let request = request(json!({"like": like, "username": "eve"}));
        farm.master().force("again", request).await
    };
    for (like, message) in [
        ("b/99", "like: there is no build b/99"),
        (
            "c/1",
            "like: builds of `c` cannot be taken over; those of `b` can",
        ),
    ] {
        assert_eq!(again(like).await.unwrap_err().to_string(), message);
    }
    let forced = again("b/1 (the good one)").await;
    let Ok(toolpost_master::Forced::Made(submitted)) = forced else {
        panic!("a build is taken over: {forced:?}");
    };
    let build = farm.end_of(submitted.requests[0].1).await;
    assert_eq!(farm.log(&build, "x", "stdio").await, "5 fast\n");
    for (name, expected) in [
        ("owner", json!("eve")),
        ("orig_owner", json!("ada")),
        ("reason", json!("force build")),
        ("like", json!("b/1")),
    ] {
        let (value, _) = farm.property(&build, name).await.expect(name);
        assert_eq!(value, expected, "{name}");
    }
    let unknown = farm
        .master()
        .force("nope", request(json!({})))
        .await
        .unwrap_err();
    assert_eq!(unknown.to_string(), "there is no force scheduler `nope`");
}

#[tokio::test]
async fn a_build_runs_on_the_worker_that_was_chosen() {
    let farm = farm()
        .config(
            r#"
[[worker]]
name = "v"
kind = "local"

[[builder]]
name = "both"
workers = ["w", "v"]

[[builder.step]]
use = "shell"
name = "x"
command = "true"

[[scheduler]]
name = "choose"
use = "force"
builders = ["both"]

[[scheduler.parameters]]
name = "where"
type = "worker"
"#,
        )
        .start()
        .await;
    // Without a choice they would take turns.
    for worker in ["v", "v", "w", "w"] {
        let request = toolpost_master::ForceRequest {
            owner: None,
            builders: None,
            fields: json!({"where": worker})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        let forced = farm.master().force("choose", request).await;
        let Ok(toolpost_master::Forced::Made(submitted)) = forced else {
            panic!("the form is taken: {forced:?}");
        };
        let build = farm.end_of(submitted.requests[0].1).await;
        let (value, _) = farm.property(&build, "workername").await.expect("a worker");
        assert_eq!(value, json!(worker));
    }
}

#[tokio::test]
async fn other_encodings_become_utf_8() {
    let body = r#"
[[builder.step]]
use = "shell"
name = "old"
command = "printf 'caf\\351\\n'"
log_encoding = "latin1"

[[builder.step]]
use = "shell"
name = "unknown"
command = "true"
log_encoding = "klingon"
"#;
    let farm = farm().builder("b", body).start().await;
    let build = farm.force("b").await;
    assert_eq!(farm.log(&build, "old", "stdio").await, "caf\u{e9}\n");
    let reason = farm.log(&build, "unknown", "err").await;
    assert_eq!(reason, "`log_encoding`: there is no encoding `klingon`\n");
}

#[tokio::test]
async fn a_log_ends_at_its_limit_and_says_so() {
    let farm = farm()
        .config("[master.limits]\nlog_size_max = 20000\n")
        .shell("b", &[("x", "yes 123456789 | head -n 3000; echo the end")])
        .start()
        .await;
    let build = farm.force("b").await;
    assert_eq!(build.results, Some(Results::Success));
    let log = farm.log(&build, "x", "stdio").await;
    let headers = farm.headers(&build, "x", "stdio").await;
    assert!((19_000..=20_000).contains(&log.len()), "{}", log.len());
    assert!(
        headers.contains("the log ends here, at its limit of 20000 bytes"),
        "{headers}"
    );
    assert!(headers.contains("exit code 0 after"), "{headers}");
}
