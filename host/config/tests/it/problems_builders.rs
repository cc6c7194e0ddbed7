//! Builders and steps, and what they refer to.

use insta::assert_snapshot;

use crate::catalog::problems;

#[test]
fn unknown_workers_and_step_types() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "linux-1"
kind = "local"

[[builder]]
name = "unit"
workers = ["linux1", "windows"]

[[builder.step]]
use = "shel"

[[builder.step]]
use = "junit"
"#), @r#"
error: there is no worker `linux1`
 --> toolpost.toml:8:12
  |
8 | workers = ["linux1", "windows"]
  |            ^^^^^^^^
  = help: did you mean `linux-1`?

error: there is no worker `windows`
 --> toolpost.toml:8:22
  |
8 | workers = ["linux1", "windows"]
  |                      ^^^^^^^^^
  = help: known workers: `linux-1`, `w`

error: there is no step type `shel`
  --> toolpost.toml:11:7
   |
11 | use = "shel"
   |       ^^^^^^
   = help: did you mean `shell`?

error: there is no step type `junit`
  --> toolpost.toml:14:7
   |
14 | use = "junit"
   |       ^^^^^^^
   = help: known step types: `broken`, `git`, `set-property`, `shell`, `test-summary`

4 problems in the configuration
"#);
}

#[test]
fn projects_and_their_codebases() {
    assert_snapshot!(problems(r#"
[[project]]
name = "things"
slug = "the things"
codebase = [
    { name = "thing" },
    { name = "thing" },
]
[[builder]]
name = "unit"
project = "thing"
workers = ["w"]
"#), @r#"
error: a slug consists of letters, digits, `_` and `-`, and does not start with a digit
 --> toolpost.toml:4:8
  |
4 | slug = "the things"
  |        ^^^^^^^^^^^^

error: two codebases have the name `thing`
 --> toolpost.toml:7:14
  |
7 |     { name = "thing" },
  |              ^^^^^^^
 --> toolpost.toml:6:14
  |
6 |     { name = "thing" },
  |              ------- the first is here
  = help: give one of them another name

error: there is no project `thing`
  --> toolpost.toml:11:11
   |
11 | project = "thing"
   |           ^^^^^^^
   = help: did you mean `things`?

3 problems in the configuration
"#);
}

#[test]
fn no_workers_at_all() {
    assert_snapshot!(problems("[[builder]]\nname = \"unit\"\nworkers = []\n"), @r#"
    error: at least one worker is needed
     --> toolpost.toml:3:11
      |
    3 | workers = []
      |           ^^

    1 problem in the configuration
    "#);
    assert_snapshot!(
        crate::catalog::problems_in([("toolpost.toml", "[[builder]]\nname = \"unit\"\nworkers = [\"x\"]\n")]),
        @r#"
        error: there is no worker `x`
         --> toolpost.toml:3:12
          |
        3 | workers = ["x"]
          |            ^^^
          = help: add a [[worker]]

        1 problem in the configuration
        "#
    );
}

#[test]
fn a_builder_that_is_wrong_elsewhere_is_still_known() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["nowhere"]

[[scheduler]]
name = "s"
use = "single-branch"
branch = "main"
builders = ["unit"]
"#), @r#"
error: there is no worker `nowhere`
 --> toolpost.toml:4:12
  |
4 | workers = ["nowhere"]
  |            ^^^^^^^^^
  = help: known workers: `w`

1 problem in the configuration
"#);
}

#[test]
fn names_twice() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["w"]

[[builder]]
name = "unit"
workers = ["w", "w"]
tags = ["x", "y", "x"]

[[worker]]
name = "w"
kind = "local"

[[lock]]
name = "disk"
"#), @r#"
error: two builders have the name `unit`
 --> toolpost.toml:7:8
  |
7 | name = "unit"
  |        ^^^^^^
 --> toolpost.toml:3:8
  |
3 | name = "unit"
  |        ------ the first is here
  = help: give one of them another name

error: `w` is twice in this list
 --> toolpost.toml:8:17
  |
8 | workers = ["w", "w"]
  |                 ^^^

error: `x` is twice in this list
 --> toolpost.toml:9:19
  |
9 | tags = ["x", "y", "x"]
  |                   ^^^

error: two workers have the name `w`
  --> conf.d/base.toml:3:8
   |
 3 | name = "w"
   |        ^^^
  --> toolpost.toml:12:8
   |
12 | name = "w"
   |        --- the first is here
   = help: give one of them another name

error: two locks have the name `disk`
  --> conf.d/base.toml:11:8
   |
11 | name = "disk"
   |        ^^^^^^
  --> toolpost.toml:16:8
   |
16 | name = "disk"
   |        ------ the first is here
   = help: give one of them another name

5 problems in the configuration
"#);
}

#[test]
fn names_that_cannot_be() {
    let long = "x".repeat(201);
    assert_snapshot!(problems(&format!(r#"
[[builder]]
name = "_unit"
workers = ["w"]

[[builder]]
name = " unit"
workers = ["w"]

[[builder]]
name = ""
workers = ["w"]

[[builder]]
name = "{long}"
workers = ["w"]

[[worker]]
name = "4 cores"
kind = "local"

[[lock]]
name = "a/b"
"#)), @r#"
error: the name of a builder must not start with an underscore
 --> toolpost.toml:3:8
  |
3 | name = "_unit"
  |        ^^^^^^^

error: the name of a builder has no control characters, and no space at its ends
 --> toolpost.toml:7:8
  |
7 | name = " unit"
  |        ^^^^^^^

error: two builders share the directory `_unit`
 --> toolpost.toml:7:8
  |
7 | name = " unit"
  |        ^^^^^^^
 --> toolpost.toml:3:8
  |
3 | name = "_unit"
  |        ------- the other one
  = help: give one of them another `build_dir`

error: the name of a builder must not be empty
  --> toolpost.toml:11:8
   |
11 | name = ""
   |        ^^

error: the name of a builder has at most 200 characters
  --> toolpost.toml:15:8
   |
15 | name = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
   |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: the name of a worker consists of letters, digits, `_` and `-`, and does not start with a digit
  --> toolpost.toml:19:8
   |
19 | name = "4 cores"
   |        ^^^^^^^^^

error: the name of a lock consists of letters, digits, `_` and `-`, and does not start with a digit
  --> toolpost.toml:23:8
   |
23 | name = "a/b"
   |        ^^^^^

7 problems in the configuration
"#);
}

#[test]
fn two_builders_in_one_directory() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit test"
workers = ["w"]

[[builder]]
name = "unit_test"
workers = ["w"]
"#), @r#"
error: two builders share the directory `unit_test`
 --> toolpost.toml:7:8
  |
7 | name = "unit_test"
  |        ^^^^^^^^^^^
 --> toolpost.toml:3:8
  |
3 | name = "unit test"
  |        ----------- the other one
  = help: give one of them another `build_dir`

1 problem in the configuration
"#);
}

#[test]
fn directories_that_lead_elsewhere() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["w"]
build_dir = "../other"
workdir = "/tmp"

[[builder.step]]
use = "shell"
command = "make"
workdir = "a/../../b"
"#), @r#"
error: expected a relative directory without `..`
 --> toolpost.toml:5:13
  |
5 | build_dir = "../other"
  |             ^^^^^^^^^^

error: expected a relative directory without `..`
 --> toolpost.toml:6:11
  |
6 | workdir = "/tmp"
  |           ^^^^^^

error: expected a relative directory without `..`
  --> toolpost.toml:11:11
   |
11 | workdir = "a/../../b"
   |           ^^^^^^^^^^^

3 problems in the configuration
"#);
}

#[test]
fn templates_and_expressions() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["w"]
env = { BRANCH = "{{ prop.branch", OK = "{{ src.revision }}", "A=B" = "x" }
properties = { nested = { list = ["{{ propp.x }}"] } }

[[builder.step]]
use = "shell"
command = ["echo", "{{ prop.x | frobnicate }}"]
do_step_if = "{{ prop.x }}"
hide_step_if = "result =="
description = "ünd {% if %}"
"#), @r#"
error: in a template: syntax error: unexpected end of input, expected end of variable block
 --> toolpost.toml:5:27
  |
5 | env = { BRANCH = "{{ prop.branch", OK = "{{ src.revision }}", "A=B" = "x" }
  |                           ^

error: `A=B` cannot be the name of a variable
 --> toolpost.toml:5:63
  |
5 | env = { BRANCH = "{{ prop.branch", OK = "{{ src.revision }}", "A=B" = "x" }
  |                                                               ^^^^^

error: in a template: there is no `propp` in templates; there are `prop`, `src`, `build`, `worker`, `results`, `result`
 --> toolpost.toml:6:39
  |
6 | properties = { nested = { list = ["{{ propp.x }}"] } }
  |                                       ^

error: in a template: there is no filter `frobnicate`
  --> toolpost.toml:10:33
   |
10 | command = ["echo", "{{ prop.x | frobnicate }}"]
   |                                 ^

error: expected an expression, found a template
  --> toolpost.toml:11:14
   |
11 | do_step_if = "{{ prop.x }}"
   |              ^^^^^^^^^^^^^^
   = help: write the expression without braces: prop.branch == "main"

error: in a template: syntax error: unexpected end of input, expected expression
  --> toolpost.toml:12:24
   |
12 | hide_step_if = "result =="
   |                        ^

error: in a template: syntax error: unexpected end of block
  --> toolpost.toml:13:26
   |
13 | description = "ünd {% if %}"
   |                          ^

7 problems in the configuration
"#);
}

#[test]
fn step_options() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["w"]

[[builder.step]]
use = "shell"
command = "make"
name = "a name that is far too long for a column of a table in a database"
decode_rc = { 0 = "success", 1 = "warning", many = "failure" }
update_build_summary_policy = ["failure", "sometimes"]
always_run = "yes"
"#), @r#"
error: the name of a step has at most 50 characters
 --> toolpost.toml:9:8
  |
9 | name = "a name that is far too long for a column of a table in a database"
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: `description` may be longer

error: `warning` is not known here
  --> toolpost.toml:10:34
   |
10 | decode_rc = { 0 = "success", 1 = "warning", many = "failure" }
   |                                  ^^^^^^^^^
   = help: did you mean `warnings`?

error: `many` is not an exit code
  --> toolpost.toml:10:45
   |
10 | decode_rc = { 0 = "success", 1 = "warning", many = "failure" }
   |                                             ^^^^

error: `sometimes` is not known here
  --> toolpost.toml:11:43
   |
11 | update_build_summary_policy = ["failure", "sometimes"]
   |                                           ^^^^^^^^^^^
   = help: known words: `success`, `warnings`, `failure`, `skipped`, `exception`, `retry`, `cancelled`

error: expected `true` or `false`, found a string
  --> toolpost.toml:12:14
   |
12 | always_run = "yes"
   |              ^^^^^

5 problems in the configuration
"#);
}
