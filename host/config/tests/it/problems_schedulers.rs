//! Change sources and schedulers.

use insta::assert_snapshot;

use crate::catalog::problems;

#[test]
fn unknown_kinds() {
    assert_snapshot!(problems(r#"
[[changes]]
use = "git-pollr"
repository = "x"

[[changes]]
repository = "x"

[[scheduler]]
name = "s"
use = "single-brunch"
builders = ["b"]
"#), @r#"
error: `git-pollr` is not known here
 --> toolpost.toml:3:7
  |
3 | use = "git-pollr"
  |       ^^^^^^^^^^^
  = help: did you mean `git-poller`?

error: a change source needs `use`
 --> toolpost.toml:6:1
  |
6 | [[changes]]
  | ^^^^^^^^^^^
  = help: `use` is one of `git-poller`

error: there is no scheduler type `single-brunch`
  --> toolpost.toml:11:7
   |
11 | use = "single-brunch"
   |       ^^^^^^^^^^^^^^^
   = help: did you mean `single-branch`?

3 problems in the configuration
"#);
}

#[test]
fn pollers() {
    assert_snapshot!(problems(r#"
[[changes]]
use = "git-poller"
repository = "https://example.org/a.git"
branches = "main"
interval = 0

[[changes]]
use = "git-poller"
repository = "https://example.org/a.git"
branches = ["refs/heads/main", "rel[", "main", "main"]

[[changes]]
use = "git-poller"
repository = ""
branches = []
only_tags = true
"#), @r#"
error: expected "all" or a list, found "main"
 --> toolpost.toml:5:12
  |
5 | branches = "main"
  |            ^^^^^^
  = help: for this branch alone write ["main"]

error: the interval must be at least one second
 --> toolpost.toml:6:12
  |
6 | interval = 0
  |            ^

error: two change sources have the name `https://example.org/a.git`
  --> toolpost.toml:10:14
   |
10 | repository = "https://example.org/a.git"
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  --> toolpost.toml:4:14
   |
 4 | repository = "https://example.org/a.git"
   |              --------------------------- the first is here
   = help: give one of them another name

error: branches go by their short names
  --> toolpost.toml:11:13
   |
11 | branches = ["refs/heads/main", "rel[", "main", "main"]
   |             ^^^^^^^^^^^^^^^^^
   = help: write "main"

error: this is not a pattern: unclosed character class; missing ']'
  --> toolpost.toml:11:32
   |
11 | branches = ["refs/heads/main", "rel[", "main", "main"]
   |                                ^^^^^^
   = help: `*` stands for anything up to a slash, `**` for anything, `?` for one character

error: `main` is twice in this list
  --> toolpost.toml:11:48
   |
11 | branches = ["refs/heads/main", "rel[", "main", "main"]
   |                                                ^^^^^^

error: the name of a change source must not be empty
  --> toolpost.toml:15:14
   |
15 | repository = ""
   |              ^^

error: expected the URL or path of a repository
  --> toolpost.toml:15:14
   |
15 | repository = ""
   |              ^^

error: at least one branch is needed
  --> toolpost.toml:16:12
   |
16 | branches = []
   |            ^^
   = help: write "all" for every branch

error: unknown key `only_tags` in a git-poller
  --> toolpost.toml:17:1
   |
17 | only_tags = true
   | ^^^^^^^^^
   = help: known keys: `name`, `repository`, `branches`, `interval`, `poll_at_launch`, `build_newest`, `project`, `codebase`, `category`

10 problems in the configuration
"#);
}

#[test]
fn single_branch() {
    assert_snapshot!(problems(r#"
[[scheduler]]
name = "s"
use = "single-branch"
branch = "main"
branches = ["main", "next"]
builders = ["unit", "b", "b"]
tree_stable_timer = "soon"
important_files = ["src/**", "{a"]
priority = 5000000000

[scheduler.change_filter]
branch = { regex = "ma(in" }
files = { is = [] }
author = "me"

[[scheduler]]
name = "s"
use = "single-branch"
builders = []
codebases = {}
"#), @r#"
error: the branch is said twice
 --> toolpost.toml:6:12
  |
6 | branches = ["main", "next"]
  |            ^^^^^^^^^^^^^^^^
 --> toolpost.toml:5:10
  |
5 | branch = "main"
  |          ------ said here first
  = help: keep one of `branch`, `branches` and `change_filter.branch`

error: there is no builder `unit`
 --> toolpost.toml:7:13
  |
7 | builders = ["unit", "b", "b"]
  |             ^^^^^^
  = help: known builders: `b`

error: `b` is twice in this list
 --> toolpost.toml:7:26
  |
7 | builders = ["unit", "b", "b"]
  |                          ^^^

error: `soon` is not a duration: expected number at 0
 --> toolpost.toml:8:21
  |
8 | tree_stable_timer = "soon"
  |                     ^^^^^^
  = help: write it like "30s", "5m" or "1h30m", or as whole seconds

error: this is not a pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
 --> toolpost.toml:9:30
  |
9 | important_files = ["src/**", "{a"]
  |                              ^^^^
  = help: `*` stands for anything up to a slash, `**` for anything, `?` for one character

error: the priority does not fit into 32 bits
  --> toolpost.toml:10:12
   |
10 | priority = 5000000000
   |            ^^^^^^^^^^

error: this is not a regular expression: unclosed group
  --> toolpost.toml:13:20
   |
13 | branch = { regex = "ma(in" }
   |                    ^^^^^^^

error: at least one text is needed
  --> toolpost.toml:14:16
   |
14 | files = { is = [] }
   |                ^^

error: unknown key `author` in a change filter
  --> toolpost.toml:15:1
   |
15 | author = "me"
   | ^^^^^^
   = help: known keys: `branch`, `repository`, `project`, `category`, `codebase`, `files`, `properties`

error: two schedulers have the name `s`
  --> toolpost.toml:18:8
   |
18 | name = "s"
   |        ^^^
  --> toolpost.toml:3:8
   |
 3 | name = "s"
   |        --- the first is here
   = help: give one of them another name

error: at least one builder is needed
  --> toolpost.toml:20:12
   |
20 | builders = []
   |            ^^

error: at least one codebase is needed
  --> toolpost.toml:21:13
   |
21 | codebases = {}
   |             ^^
   = help: leave `codebases` out for the only one

12 problems in the configuration
"#);
}

#[test]
fn force() {
    assert_snapshot!(problems(r#"
[[scheduler]]
name = "force"
use = "force"
builders = ["b"]
reason = 5
codebases = [{ codebase = "a" }, { codebase = "a", branch = { defualt = "main" } }]

[[scheduler.parameters]]
type = "int"
name = "jobs"
min = 4
max = 2
default = "x"

[[scheduler.parameters]]
type = "choice"
name = "jobs"
choices = ["debug", "release"]
default = "relaese"

[[scheduler.parameters]]
type = "string"
name = "tag"
regex = "v[0-9"

[[scheduler.parameters]]
type = "string"
name = "2nd"
regex = "v\\d+"
default = "main"

[[scheduler.parameters]]
type = "date"
name = "when"

[[scheduler.parameters]]
type = "nested"
fields = [{ type = "bool", name = "tag", default = 1 }, { type = "text", name = "notes", rows = 0 }]
"#), @r#"
error: expected a string or a table, found an integer
 --> toolpost.toml:6:10
  |
6 | reason = 5
  |          ^

error: codebase `a` is asked for twice
 --> toolpost.toml:7:47
  |
7 | codebases = [{ codebase = "a" }, { codebase = "a", branch = { defualt = "main" } }]
  |                                               ^^^
 --> toolpost.toml:7:27
  |
7 | codebases = [{ codebase = "a" }, { codebase = "a", branch = { defualt = "main" } }]
  |                           --- asked for here first

error: unknown key `defualt` in a field of a form
 --> toolpost.toml:7:63
  |
7 | codebases = [{ codebase = "a" }, { codebase = "a", branch = { defualt = "main" } }]
  |                                                               ^^^^^^^
  = help: did you mean `default`?

error: `max` is less than `min`
  --> toolpost.toml:13:7
   |
13 | max = 2
   |       ^
  --> toolpost.toml:12:7
   |
12 | min = 4
   |       - `min` is here

error: the default does not fit: expected an integer
  --> toolpost.toml:14:11
   |
14 | default = "x"
   |           ^^^

error: two parameters have the name `jobs`
  --> toolpost.toml:18:8
   |
18 | name = "jobs"
   |        ^^^^^^
  --> toolpost.toml:11:8
   |
11 | name = "jobs"
   |        ------ the first is here
   = help: give one of them another name

error: the default does not fit: `relaese` is not one of the choices
  --> toolpost.toml:20:11
   |
20 | default = "relaese"
   |           ^^^^^^^^^
   = help: did you mean `release`?

error: this is not a regular expression: unclosed character class
  --> toolpost.toml:25:9
   |
25 | regex = "v[0-9"
   |         ^^^^^^^

error: the name of a parameter consists of letters, digits, `_` and `-`, and does not start with a digit
  --> toolpost.toml:29:8
   |
29 | name = "2nd"
   |        ^^^^^

error: the default does not fit: it does not match `v\d+`
  --> toolpost.toml:31:11
   |
31 | default = "main"
   |           ^^^^^^

error: `date` is not known here
  --> toolpost.toml:34:8
   |
34 | type = "date"
   |        ^^^^^^
   = help: known words: `string`, `text`, `int`, `bool`, `choice`, `username`, `fixed`, `any`, `file`, `worker`, `inherit`, `nested`

error: two parameters have the name `tag`
  --> toolpost.toml:39:35
   |
39 | fields = [{ type = "bool", name = "tag", default = 1 }, { type = "text", name = "notes", rows = 0 }]
   |                                   ^^^^^
  --> toolpost.toml:24:8
   |
24 | name = "tag"
   |        ----- the first is here
   = help: give one of them another name

error: the default does not fit: expected `true` or `false`
  --> toolpost.toml:39:52
   |
39 | fields = [{ type = "bool", name = "tag", default = 1 }, { type = "text", name = "notes", rows = 0 }]
   |                                                    ^

error: must be at least 1
  --> toolpost.toml:39:97
   |
39 | fields = [{ type = "bool", name = "tag", default = 1 }, { type = "text", name = "notes", rows = 0 }]
   |                                                                                                 ^

14 problems in the configuration
"#);
}

#[test]
fn what_a_form_asks_about_a_patch_is_checked() {
    assert_snapshot!(problems(r#"
[[scheduler]]
name = "force"
use = "force"
builders = ["b"]
codebases = [{ patch = { level = 101, max_size = "1MiB" } }]
parameters = [{ type = "string", name = "patch_body" }]
"#), @r#"
error: must be a number from 0 to 100
 --> toolpost.toml:6:34
  |
6 | codebases = [{ patch = { level = 101, max_size = "1MiB" } }]
  |                                  ^^^

error: must be at most 512KiB
 --> toolpost.toml:6:50
  |
6 | codebases = [{ patch = { level = 101, max_size = "1MiB" } }]
  |                                                  ^^^^^^
  = help: a larger file is for a step to fetch; the form can ask where it is

error: `patch_body` is a field of this form already
 --> toolpost.toml:7:41
  |
7 | parameters = [{ type = "string", name = "patch_body" }]
  |                                         ^^^^^^^^^^^^
  = help: give the parameter another name

3 problems in the configuration
"#);
}

#[test]
fn fields_of_one_form_have_different_names() {
    assert_snapshot!(problems(r#"
[[scheduler]]
name = "force"
use = "force"
builders = ["b"]
codebases = [{ codebase = "app" }]
parameters = [
    { type = "string", name = "reason" },
    { type = "string", name = "app_branch" },
    { type = "string", name = "options_jobs" },
    { type = "nested", name = "options", fields = [{ type = "int", name = "jobs" }, { type = "bool", name = "branch" }] },
    { type = "string", name = "tag", regex = "v\\d", default = "v12" },
]
"#), @r#"
error: `reason` is a field of this form already
 --> toolpost.toml:8:31
  |
8 |     { type = "string", name = "reason" },
  |                               ^^^^^^^^
  = help: give the parameter another name

error: `app_branch` is a field of this form already
 --> toolpost.toml:9:31
  |
9 |     { type = "string", name = "app_branch" },
  |                               ^^^^^^^^^^^^
  = help: give the parameter another name

error: two parameters have the name `options_jobs`
  --> toolpost.toml:11:75
   |
11 |     { type = "nested", name = "options", fields = [{ type = "int", name = "jobs" }, { type = "bool", name = "branch" }] },
   |                                                                           ^^^^^^
  --> toolpost.toml:10:31
   |
10 |     { type = "string", name = "options_jobs" },
   |                               -------------- the first is here
   = help: give one of them another name

error: the default does not fit: it does not match `v\d`
  --> toolpost.toml:12:64
   |
12 |     { type = "string", name = "tag", regex = "v\\d", default = "v12" },
   |                                                                ^^^^^

4 problems in the configuration
"#);
}

#[test]
fn a_scheduler_without_builders() {
    assert_snapshot!(problems("[[scheduler]]\nname = \"s\"\nuse = \"force\"\n"), @r#"
    error: a force scheduler needs `builders`
     --> toolpost.toml:1:1
      |
    1 | [[scheduler]]
      | ^^^^^^^^^^^^^
      = help: add `builders = ...`

    1 problem in the configuration
    "#);
}
