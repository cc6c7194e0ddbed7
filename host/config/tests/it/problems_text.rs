//! TOML that is none, keys that nobody knows, values of the wrong type, several files.

use insta::assert_snapshot;

use crate::catalog::{problems, problems_in};

#[test]
fn an_open_string() {
    assert_snapshot!(problems("[master]\ntitle = \"Example\nurl = \"http://x/\"\n"), @r#"
    error: this is not TOML: invalid basic string, expected `"`
     --> toolpost.toml:2:17
      |
    2 | title = "Example
      |                 ^

    1 problem in the configuration
    "#);
}

#[test]
fn an_open_table_header() {
    assert_snapshot!(problems("[[builder]\nname = \"b2\"\n"), @r#"
    error: this is not TOML: unclosed array table, expected `]`
     --> toolpost.toml:1:11
      |
    1 | [[builder]
      |           ^

    1 problem in the configuration
    "#);
}

#[test]
fn a_key_without_a_value() {
    assert_snapshot!(problems("[master]\ntitle =\n\n[master.limits]\nbuilds_max = 1x\n"), @r#"
    error: this is not TOML: a value is missing after `=`
     --> toolpost.toml:2:8
      |
    2 | title =
      |        ^

    error: this is not TOML: string values must be quoted, expected literal string
     --> toolpost.toml:5:14
      |
    5 | builds_max = 1x
      |              ^^

    2 problems in the configuration
    "#);
}

#[test]
fn a_key_twice() {
    assert_snapshot!(problems("[master]\ntitle = \"a\"\ntitle = \"b\"\n"), @r#"
    error: this is not TOML: duplicate key
     --> toolpost.toml:3:1
      |
    3 | title = "b"
      | ^^^^^

    1 problem in the configuration
    "#);
}

#[test]
fn every_broken_file_is_named() {
    assert_snapshot!(
        problems_in([("toolpost.toml", "[master\n"), ("conf.d/a.toml", "x = [1,\n"), ("conf.d/b.toml", "[surprise]\n")]),
        @r#"
        error: this is not TOML: unclosed table, expected `]`
         --> toolpost.toml:1:8
          |
        1 | [master
          |        ^

        error: this is not TOML: unclosed array, expected `]`
         --> conf.d/a.toml:1:8
          |
        1 | x = [1,
          |        ^

        2 problems in the configuration
        "#
    );
}

#[test]
fn unknown_keys_with_the_nearest_known_one() {
    assert_snapshot!(problems(r#"
[master]
titel = "Example"

[[workers]]
name = "local"

[[builder]]
name = "unit"
workers = ["w"]
hooks = true

[[builder.step]]
use = "shell"
command = "make"
haltOnFailure = true
"#), @r#"
error: unknown key `titel` in [master]
 --> toolpost.toml:3:1
  |
3 | titel = "Example"
  | ^^^^^
  = help: did you mean `title`?

error: expected one table for [workers], found several
 --> toolpost.toml:5:1
  |
5 | [[workers]]
  | ^^^^^^^^^^^
  = help: each worker is a [[worker]]; [workers] says where they connect

error: unknown key `hooks` in a builder
  --> toolpost.toml:11:1
   |
11 | hooks = true
   | ^^^^^
   = help: known keys: `name`, `workers`, `description`, `project`, `tags`, `env`, `properties`, `default_properties`, `locks`, `max_builds`, `collapse_requests`, `build_dir`, `workdir`, `step`

error: step type `shell` has no parameter `haltOnFailure`
  --> toolpost.toml:16:1
   |
16 | haltOnFailure = true
   | ^^^^^^^^^^^^^
   = help: did you mean `halt_on_failure`?

4 problems in the configuration
"#);
}

#[test]
fn steps_belong_to_a_builder() {
    assert_snapshot!(problems("[[step]]\nuse = \"shell\"\n"), @r#"
    error: unknown key `step` in the configuration
     --> toolpost.toml:1:3
      |
    1 | [[step]]
      |   ^^^^
      = help: steps belong to a builder: [[builder.step]] after its [[builder]]

    1 problem in the configuration
    "#);
}

#[test]
fn wrong_types() {
    assert_snapshot!(problems(r#"
[master]
title = 7
drain_timeout = true
links = "none"

[[worker]]
name = "w2"
kind = "local"
max_builds = "two"

[[builder]]
name = "unit"
workers = "w"
tags = ["fast", 3]
env = { PATH = 1, HOME = true }
"#), @r#"
error: expected a string, found an integer
 --> toolpost.toml:3:9
  |
3 | title = 7
  |         ^

error: expected a duration like "5m", or whole seconds, found a boolean
 --> toolpost.toml:4:17
  |
4 | drain_timeout = true
  |                 ^^^^

error: expected an array, found a string
 --> toolpost.toml:5:9
  |
5 | links = "none"
  |         ^^^^^^
  = help: put it in brackets: ["none"]

error: expected an integer, found a string
  --> toolpost.toml:10:14
   |
10 | max_builds = "two"
   |              ^^^^^

error: expected an array, found a string
  --> toolpost.toml:14:11
   |
14 | workers = "w"
   |           ^^^
   = help: put it in brackets: ["w"]

error: expected a string, found an integer
  --> toolpost.toml:15:17
   |
15 | tags = ["fast", 3]
   |                 ^

error: expected a string, found an integer
  --> toolpost.toml:16:16
   |
16 | env = { PATH = 1, HOME = true }
   |                ^
   = help: put the value in quotes; `false` unsets a variable

error: expected a string, found a boolean
  --> toolpost.toml:16:26
   |
16 | env = { PATH = 1, HOME = true }
   |                          ^^^^
   = help: put the value in quotes; `false` unsets a variable

8 problems in the configuration
"#);
}

#[test]
fn one_table_where_several_are_wanted() {
    assert_snapshot!(problems("[builder.step]\nuse = \"shell\"\n"), @r#"
    error: `builder` is one table here and a list elsewhere
     --> conf.d/base.toml:6:3
      |
    6 | [[builder]]
      |   ^^^^^^^
     --> toolpost.toml:1:2
      |
    1 | [builder.step]
      |  ------- the other one
      = help: write it in the same way in both files, as [[name]] if there may be several

    1 problem in the configuration
    "#);
    assert_snapshot!(problems("[worker]\nname = \"x\"\nkind = \"local\"\n"), @r#"
    error: `worker` is one table here and a list elsewhere
     --> conf.d/base.toml:2:3
      |
    2 | [[worker]]
      |   ^^^^^^
     --> toolpost.toml:1:2
      |
    1 | [worker]
      |  ------ the other one
      = help: write it in the same way in both files, as [[name]] if there may be several

    1 problem in the configuration
    "#);
}

#[test]
fn one_table_in_the_only_file() {
    let told = problems_in([(
        "toolpost.toml",
        "[worker]\nname = \"x\"\nkind = \"local\"\n",
    )]);
    assert_snapshot!(told, @r#"
    error: expected an array of tables, found one table
     --> toolpost.toml:1:1
      |
    1 | [worker]
      | ^^^^^^^^
      = help: write its name in two brackets: [[name]]

    1 problem in the configuration
    "#);
    let told = problems_in([("toolpost.toml", "[builder.step]\nuse = \"shell\"\n")]);
    assert_snapshot!(told, @r#"
    error: expected an array of tables, found one table
     --> toolpost.toml:1:2
      |
    1 | [builder.step]
      |  ^^^^^^^
      = help: write its name in two brackets: [[name]]

    1 problem in the configuration
    "#);
}

#[test]
fn several_tables_where_one_is_wanted() {
    assert_snapshot!(problems("[[master]]\ntitle = \"x\"\n"), @r#"
    error: expected one table for [master], found several
     --> toolpost.toml:1:1
      |
    1 | [[master]]
      | ^^^^^^^^^^
      = help: write it once, with its name in single brackets

    1 problem in the configuration
    "#);
}

#[test]
fn missing_keys() {
    assert_snapshot!(problems("[[builder]]\ndescription = \"no name\"\n\n[[worker]]\nname = \"x\"\n"), @r#"
    error: a builder needs `name`
     --> toolpost.toml:1:1
      |
    1 | [[builder]]
      | ^^^^^^^^^^^
      = help: add `name = ...`

    error: a builder needs `workers`
     --> toolpost.toml:1:1
      |
    1 | [[builder]]
      | ^^^^^^^^^^^
      = help: add `workers = ...`

    error: a worker needs `kind`
     --> toolpost.toml:4:1
      |
    4 | [[worker]]
      | ^^^^^^^^^^
      = help: `kind` is one of `local`, `remote`

    3 problems in the configuration
    "#);
}

#[test]
fn durations_and_sizes() {
    assert_snapshot!(problems(r#"
[master]
drain_timeout = "5 parsecs"

[master.limits]
log_line_size_max = "1 lot"
builds_max = 0
"#), @r#"
error: `5 parsecs` is not a duration: unknown time unit "parsecs", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)
 --> toolpost.toml:3:17
  |
3 | drain_timeout = "5 parsecs"
  |                 ^^^^^^^^^^^
  = help: write it like "30s", "5m" or "1h30m", or as whole seconds

error: `1 lot` is not a size
 --> toolpost.toml:6:21
  |
6 | log_line_size_max = "1 lot"
  |                     ^^^^^^^
  = help: write it like "64KiB", "100MB" or "1GiB", or as bytes

error: must be at least 1
 --> toolpost.toml:7:14
  |
7 | builds_max = 0
  |              ^

3 problems in the configuration
"#);
}

#[test]
fn numbers_that_fit_nowhere() {
    assert_snapshot!(problems("[builder_defaults]\na = 99999999999999999999\nb = inf\n"), @r#"
    error: 99999999999999999999 does not fit into 64 bits
     --> toolpost.toml:2:5
      |
    2 | a = 99999999999999999999
      |     ^^^^^^^^^^^^^^^^^^^^

    error: inf is not a finite number
     --> toolpost.toml:3:5
      |
    3 | b = inf
      |     ^^^

    2 problems in the configuration
    "#);
}

#[test]
fn the_same_setting_in_two_files() {
    assert_snapshot!(
        problems_in([
            ("toolpost.toml", "[master]\ntitle = \"one\"\n\n[plugin.x]\nmemory_mib = 8\n"),
            ("conf.d/a.toml", "[master]\ntitle = \"two\"\n\n[plugin.x]\nwall_s = 8\n"),
        ]),
        @r#"
        error: `master.title` is set in two files
         --> conf.d/a.toml:2:1
          |
        2 | title = "two"
          | ^^^^^
         --> toolpost.toml:2:1
          |
        2 | title = "one"
          | ----- set here first
          = help: keep one of the two

        1 problem in the configuration
        "#
    );
}

#[test]
fn a_byte_order_mark_and_other_line_ends() {
    assert_snapshot!(problems("\u{feff}[master]\r\ntitel = 1\r\n"), @r#"
    error: unknown key `titel` in [master]
     --> toolpost.toml:2:1
      |
    2 | titel = 1
      | ^^^^^
      = help: did you mean `title`?

    1 problem in the configuration
    "#);
    assert_snapshot!(problems("\u{feff}titel = 1"), @r#"
    error: unknown key `titel` in the configuration
     --> toolpost.toml:1:1
      |
    1 | titel = 1
      | ^^^^^
      = help: known keys: `master`, `worker`, `workers`, `project`, `changes`, `scheduler`, `reporter`, `builder`, `lock`, `plugin`, `secret`, `mail`, `web`

    1 problem in the configuration
    "#);
}

#[test]
fn tabs_long_lines_and_control_characters_are_shown_safely() {
    let long = format!("[master]\n\tadmin = \"{}\", oops\n", "x".repeat(300));
    assert_snapshot!(problems(&long), @r#"
    error: this is not TOML: unexpected key or value, expected newline, `#`
     --> toolpost.toml:2:312
      |
    2 | …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", oops
      |                                          ^

    1 problem in the configuration
    "#);
    assert_snapshot!(problems("[master]\n\ttitel = \"a\"\u{202e}\n"), @r#"
    error: this is not TOML: unexpected key or value, expected newline, `#`
     --> toolpost.toml:2:13
      |
    2 |     titel = "a"�
      |                ^

    1 problem in the configuration
    "#);
}

#[test]
fn colour_marks_the_place() {
    let sources = toolpost_config::Sources::from_texts("", [("t.toml", "[master]\ntitel = 1\n")]);
    let problems = toolpost_config::check(&sources, &crate::catalog::catalog()).unwrap_err();
    let coloured = problems.render(toolpost_config::Paint::Colour);
    assert_snapshot!(coloured.replace('\x1b', "<esc>"), @r#"
    <esc>[1;31merror<esc>[0m<esc>[1m: unknown key `titel` in [master]<esc>[0m
     <esc>[1;34m--><esc>[0m t.toml:2:1
      <esc>[1;34m|<esc>[0m
    <esc>[1;34m2<esc>[0m <esc>[1;34m|<esc>[0m titel = 1
      <esc>[1;34m|<esc>[0m <esc>[1;31m^^^^^<esc>[0m
      <esc>[1;34m=<esc>[0m <esc>[1;36mhelp<esc>[0m: did you mean `title`?

    <esc>[1m1 problem in the configuration<esc>[0m
    "#);
    let plain = problems.to_string();
    let stripped = coloured
        .split('\x1b')
        .map(|part| match part.split_once('m') {
            Some((code, text)) if code.starts_with('[') => text,
            _ => part,
        });
    assert_eq!(stripped.collect::<String>(), plain);
}

#[test]
fn one_line_for_logs() {
    let sources = toolpost_config::Sources::from_texts("", [("t.toml", "[master]\ntitel = 1\n")]);
    let problems = toolpost_config::check(&sources, &crate::catalog::catalog()).unwrap_err();
    assert_snapshot!(problems.list[0].to_string(), @"t.toml:2:1: unknown key `titel` in [master] (did you mean `title`?)");
}

#[test]
fn a_thousand_problems_are_counted_not_listed() {
    let text: String = (0..1000).map(|n| format!("key{n} = {n}\n")).collect();
    let sources = toolpost_config::Sources::from_texts("", [("t.toml", text)]);
    let problems = toolpost_config::check(&sources, &crate::catalog::catalog()).unwrap_err();
    assert_eq!((problems.list.len(), problems.left_out), (200, 800));
    let rendered = problems.to_string();
    assert_snapshot!(rendered.lines().last().unwrap_or_default(), @"1000 problems in the configuration, the first 200 are shown");
}
