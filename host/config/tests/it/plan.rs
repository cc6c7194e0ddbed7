//! What would change from one configuration to another.

use insta::{assert_json_snapshot, assert_snapshot};
use toolpost_config::{Paint, Plan, diff};

use crate::catalog::good;

const OLD: &str = r#"
[master]
title = "Farm"
database_url = "postgres://toolpost:hunter2@db/farm"

[[worker]]
name = "old"
kind = "local"

[[changes]]
name = "poll"
use = "git-poller"
repository = "https://jo:secret@example.org/a.git"
branches = ["main"]

[[scheduler]]
name = "s"
use = "single-branch"
branch = "main"
builders = ["unit"]

[[builder]]
name = "unit"
workers = ["w"]

[[builder.step]]
use = "git"
repository = "x"

[[builder.step]]
use = "shell"
command = ["make"]

[[builder.step]]
use = "shell"
command = "make check"

[plugin.chat]
memory_mib = 8
"#;

fn plan(change: impl Fn(&str) -> String) -> Plan {
    diff(&good(OLD), &good(&change(OLD)))
}

#[test]
fn nothing() {
    let plan = plan(str::to_owned);
    assert!(plan.is_empty());
    assert_snapshot!(plan, @"nothing changes");
    assert_json_snapshot!(plan.to_json(), @r#"
    {
      "items": [],
      "needs_restart": []
    }
    "#);
}

#[test]
fn added_changed_and_removed() {
    let plan = plan(|old| {
        old.replace("name = \"old\"", "name = \"new\"")
            .replace(
                "workers = [\"w\"]",
                "workers = [\"w\", \"new\"]\ntags = [\"x\"]",
            )
            .replace(
                "branch = \"main\"",
                "branch = \"next\"\ntree_stable_timer = \"1m\"",
            )
            .replace("memory_mib = 8", "grant.http = [\"chat.example.org\"]")
    });
    assert_snapshot!(plan, @r#"
    ~ plugin chat
        grant.http: [] -> ["chat.example.org"]
        memory_mib: 8 -> none
    + worker new
    - worker old
    ~ builder unit
        tags: [] -> ["x"]
        workers: ["w"] -> ["w","new"]
    ~ scheduler s
        change_filter: {"branch":{"is":["main"]}} -> {"branch":{"is":["next"]}}
        tree_stable_timer: none -> "1m"

    1 to add, 3 to change, 1 to remove
    "#);
    assert_json_snapshot!(plan.items[3], @r#"
    {
      "kind": "builder",
      "name": "unit",
      "action": "changed",
      "fields": [
        {
          "field": "tags",
          "old": [],
          "new": [
            "x"
          ],
          "needs_restart": false
        },
        {
          "field": "workers",
          "old": [
            "w"
          ],
          "new": [
            "w",
            "new"
          ],
          "needs_restart": false
        }
      ]
    }
    "#);
}

#[test]
fn what_needs_a_restart() {
    let plan = plan(|old| {
        old.replace("title = \"Farm\"", "title = \"Big farm\"\nlisten = 9000")
            .replace("hunter2@db", "hunter3@db2")
    });
    assert_snapshot!(plan, @r#"
    ~ master
        title: "Farm" -> "Big farm"
        url: "http://127.0.0.1:8010/" -> "http://127.0.0.1:9000/"
        listen: "127.0.0.1:8010" -> "127.0.0.1:9000" (needs a restart)
        database_url: "postgres://toolpost:***@db/farm" -> "postgres://toolpost:***@db2/farm" (needs a restart)

    0 to add, 1 to change, 0 to remove
    not before a restart of the master: listen, database_url
    "#);
    assert_eq!(plan.restart_fields().count(), 2);
    assert!(plan.render(Paint::Colour).contains("\x1b["));
}

#[test]
fn steps() {
    assert_snapshot!(plan(|old| old.replace("[\"make\"]", "[\"make\", \"-j4\"]\nhalt_on_failure = true")), @r#"
    ~ builder unit
        step 2 (shell) halt_on_failure: none -> true
        step 2 (shell) command: ["make"] -> ["make","-j4"]

    0 to add, 1 to change, 0 to remove
    "#);
    assert_snapshot!(
        plan(|old| old.replace(
            "[[builder.step]]\nuse = \"git\"",
            "[[builder.step]]\nuse = \"shell\"\nname = \"first\"\ncommand = \"env\"\n\n[[builder.step]]\nuse = \"git\""
        )),
        @r#"
        ~ builder unit
            step 1 (first): none -> {"use":"shell","name":"first","command":"env"}

        0 to add, 1 to change, 0 to remove
        "#
    );
    assert_snapshot!(plan(|old| old.replace("use = \"shell\"\ncommand = \"make check\"", "use = \"git\"\nrepository = \"y\"")), @r#"
    ~ builder unit
        step 3 (shell): {"use":"shell","command":"make check"} -> {"use":"git","repository":"y"}

    0 to add, 1 to change, 0 to remove
    "#);
    assert_snapshot!(plan(|old| old.replace("[[builder.step]]\nuse = \"shell\"\ncommand = \"make check\"", "")), @r#"
    ~ builder unit
        step 3 (shell): {"use":"shell","command":"make check"} -> none

    0 to add, 1 to change, 0 to remove
    "#);
}

#[test]
fn passwords_are_not_shown() {
    let plan = plan(|old| {
        old.replace("secret@example.org", "geheim@example.org")
            .replace(
                "[\"make\"]",
                "[\"git\", \"clone\", \"https://jo:s:3@example.org:81/x?y#z\"]",
            )
    });
    assert!(!plan.to_json().to_string().contains("geheim"));
    assert_snapshot!(plan, @r#"
    ~ change source poll
        repository: another password
    ~ builder unit
        step 2 (shell) command: ["make"] -> ["git","clone","https://jo:***@example.org:81/x?y#z"]

    0 to add, 2 to change, 0 to remove
    "#);
}

#[test]
fn a_scheduler_of_another_kind() {
    let plan = plan(|old| {
        old.replace(
            "use = \"single-branch\"\nbranch = \"main\"",
            "use = \"force\"",
        )
    });
    assert!(!plan.is_empty());
    assert!(
        plan.to_string()
            .contains("use: \"single-branch\" -> \"force\"")
    );
}

/// Every setting, changed alone, is in the plan under its own name.
#[test]
fn no_setting_is_forgotten() {
    let changes = [
        ("title = \"Farm\"", "title = \"F\"", "title"),
        ("[master]", "[master]\nadmin = \"jo\"", "admin"),
        (
            "[master]",
            "[master]\nlimits.builds_max = 3",
            "limits.builds_max",
        ),
        (
            "[master]",
            "[master]\nlimits.log_line_size_max = 4096",
            "limits.log_line_size_max",
        ),
        ("[master]", "[master]\nplugins.calls = 100", "plugins.calls"),
        (
            "name = \"poll\"",
            "name = \"poll\"\nbuild_newest = true",
            "build_newest",
        ),
        (
            "[master]",
            "[master]\nlinks = [{ label = \"a\", url = \"http://a\" }]",
            "links",
        ),
        (
            "[master]",
            "[master]\ndrain_timeout = \"9m\"",
            "drain_timeout",
        ),
        (
            "name = \"old\"",
            "name = \"old\"\nmax_builds = 3",
            "max_builds",
        ),
        (
            "name = \"old\"",
            "name = \"old\"\nbase_dir = \"x\"",
            "base_dir",
        ),
        (
            "name = \"poll\"",
            "name = \"poll\"\ninterval = \"9m\"",
            "interval",
        ),
        ("branches = [\"main\"]", "branches = \"all\"", "branches"),
        ("name = \"s\"", "name = \"s\"\npriority = 2", "priority"),
        (
            "name = \"s\"",
            "name = \"s\"\nimportant_files = [\"a\"]",
            "important_files",
        ),
        (
            "name = \"s\"",
            "name = \"s\"\ncodebases.a.branch = \"x\"",
            "codebases",
        ),
        (
            "name = \"unit\"",
            "name = \"unit\"\nenv = { A = false }",
            "env",
        ),
        (
            "name = \"unit\"",
            "name = \"unit\"\nlocks = [\"disk\"]",
            "locks",
        ),
        (
            "name = \"unit\"",
            "name = \"unit\"\ncollapse_requests = false",
            "collapse_requests",
        ),
        (
            "name = \"unit\"",
            "name = \"unit\"\nworkdir = \"src\"",
            "workdir",
        ),
        (
            "command = \"make check\"",
            "command = \"make check\"\nalways_run = true",
            "step 3 (shell) always_run",
        ),
        (
            "command = \"make check\"",
            "command = \"make check\"\ndo_step_if = false",
            "step 3 (shell) do_step_if",
        ),
        (
            "command = \"make check\"",
            "command = \"make check\"\non_failure = \"skip\"",
            "step 3 (shell) on_failure",
        ),
        (
            "command = \"make check\"",
            "command = \"make check\"\ndecode_rc = { 1 = \"warnings\" }",
            "step 3 (shell) decode_rc",
        ),
        ("memory_mib = 8", "memory_mib = 8\nwall_s = 9", "wall_s"),
    ];
    for (old, new, field) in changes {
        let plan = plan(|text| text.replacen(old, new, 1));
        let fields: Vec<&str> = plan
            .items
            .iter()
            .flat_map(|item| match &item.action {
                toolpost_config::plan::Action::Changed(fields) => fields.as_slice(),
                _ => panic!("{new}: {plan}"),
            })
            .map(|change| change.field.as_str())
            .collect();
        assert_eq!(fields, [field], "{new}");
    }
}

#[test]
fn a_plan_tells_where_secrets_are_and_what_plugins_may() {
    let old = good("[secret.a]\nfile = \"a\"\n[plugin.p]\ngrant.secrets = [\"a\"]\n");
    let new = good(
        "[secret.a]\nenvironment = \"A\"\n[plugin.p]\ngrant.http_private = [\"[::1]:80\"]\n[mail]\nhost = \"h\"\nfrom = \"a@b\"\nuser = \"u\"\npassword = \"{{ secret.a }}\"\n",
    );
    assert_snapshot!(diff(&old, &new), @r#"
    ~ plugin p
        grant.http_private: [] -> ["[::1]:80"]
        grant.secrets: ["a"] -> []
    ~ secret a
        file: "/farm/a" -> none
        environment: none -> "A"
    + mail

    1 to add, 2 to change, 0 to remove
    "#);
    assert!(diff(&new, &new).is_empty());
}
