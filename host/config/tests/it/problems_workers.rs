//! Workers, and the locks that they and builders share.

use insta::assert_snapshot;

use crate::catalog::problems;

#[test]
fn workers_in_one_directory() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "x"
kind = "local"
base_dir = "workers/w"
"#), @r#"
error: two workers share the directory /farm/workers/w
 --> toolpost.toml:3:8
  |
3 | name = "x"
  |        ^^^
 --> conf.d/base.toml:3:8
  |
3 | name = "w"
  |        --- the other one
  = help: give one of them another `base_dir`

1 problem in the configuration
"#);
}

#[test]
fn remote_workers_are_not_there_yet() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "far"
kind = "remote"
password_env = "FAR_PASSWORD"
password_file = "secrets/far"

[[worker]]
name = "farther"
kind = "remote"
password = "secret"
"#), @r#"
error: remote workers cannot connect to this version yet
 --> toolpost.toml:2:1
  |
2 | [[worker]]
  | ^^^^^^^^^^
  = help: use `kind = "local"` for now; it runs builds on the master's machine

error: the password is named twice
 --> toolpost.toml:5:16
  |
5 | password_env = "FAR_PASSWORD"
  |                ^^^^^^^^^^^^^^
 --> toolpost.toml:6:17
  |
6 | password_file = "secrets/far"
  |                 ------------- named here first
  = help: keep one of the two

error: remote workers cannot connect to this version yet
 --> toolpost.toml:8:1
  |
8 | [[worker]]
  | ^^^^^^^^^^
  = help: use `kind = "local"` for now; it runs builds on the master's machine

error: a remote worker needs a password
 --> toolpost.toml:8:1
  |
8 | [[worker]]
  | ^^^^^^^^^^
  = help: add `password_file = "PATH"` or `password_env = "VARIABLE"`

error: unknown key `password` in a remote worker
  --> toolpost.toml:11:1
   |
11 | password = "secret"
   | ^^^^^^^^
   = help: name where the password is: `password_file` or `password_env`

5 problems in the configuration
"#);
}

#[test]
fn a_kind_of_worker_that_nobody_knows() {
    assert_snapshot!(problems("[[worker]]\nname = \"x\"\nkind = \"locl\"\n"), @r#"
    error: `locl` is not known here
     --> toolpost.toml:3:8
      |
    3 | kind = "locl"
      |        ^^^^^^
      = help: did you mean `local`?

    1 problem in the configuration
    "#);
}

#[test]
fn locks() {
    assert_snapshot!(problems(r#"
[[lock]]
name = "per-worker"
scope = "worker"
max_count = 4
worker_counts = { w = 1, nobody = 2 }

[[lock]]
name = "farm"
max_count = 0
worker_counts = { w = 1 }

[[builder]]
name = "unit"
workers = ["w"]
locks = ["dsik", "disk", "disk", { name = "per-worker", count = 2 }]

[[builder.step]]
use = "shell"
command = "make"
locks = ["disk", { name = "farm", mode = "exclusive", count = 1 }, { mode = "shared" }]
"#), @r#"
error: there is no worker `nobody`
 --> toolpost.toml:6:26
  |
6 | worker_counts = { w = 1, nobody = 2 }
  |                          ^^^^^^
  = help: known workers: `w`

error: must be at least 1
  --> toolpost.toml:10:13
   |
10 | max_count = 0
   |             ^

error: a lock of the whole farm has no counts for single workers
  --> toolpost.toml:11:17
   |
11 | worker_counts = { w = 1 }
   |                 ^^^^^^^^^
   = help: add `scope = "worker"`

error: there is no lock `dsik`
  --> toolpost.toml:16:10
   |
16 | locks = ["dsik", "disk", "disk", { name = "per-worker", count = 2 }]
   |          ^^^^^^
   = help: did you mean `disk`?

error: lock `disk` is asked for twice at once
  --> toolpost.toml:16:26
   |
16 | locks = ["dsik", "disk", "disk", { name = "per-worker", count = 2 }]
   |                          ^^^^^^
   = help: name it once

error: lock `per-worker` gives at most 1 on worker `w`, never 2
  --> toolpost.toml:16:34
   |
16 | locks = ["dsik", "disk", "disk", { name = "per-worker", count = 2 }]
   |                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: raise the lock's `max_count`, or ask for less

error: lock `disk` is held by the whole build
  --> toolpost.toml:21:10
   |
21 | locks = ["disk", { name = "farm", mode = "exclusive", count = 1 }, { mode = "shared" }]
   |          ^^^^^^
   = help: the step would wait for its own build: take it out of one of them

error: exclusive use has no count
  --> toolpost.toml:21:63
   |
21 | locks = ["disk", { name = "farm", mode = "exclusive", count = 1 }, { mode = "shared" }]
   |                                                               ^
   = help: take out `count`, or `mode = "exclusive"`

error: the use of a lock needs `name`
  --> toolpost.toml:21:68
   |
21 | locks = ["disk", { name = "farm", mode = "exclusive", count = 1 }, { mode = "shared" }]
   |                                                                    ^^^^^^^^^^^^^^^^^^^
   = help: add `name = ...`

error: `shared` is not known here
  --> toolpost.toml:21:77
   |
21 | locks = ["disk", { name = "farm", mode = "exclusive", count = 1 }, { mode = "shared" }]
   |                                                                             ^^^^^^^^
   = help: known words: `counting`, `exclusive`

10 problems in the configuration
"#);
}

#[test]
fn more_units_than_a_lock_has() {
    assert_snapshot!(problems(r#"
[[builder]]
name = "unit"
workers = ["w"]
locks = [{ name = "disk", count = 3 }]
"#), @r#"
error: lock `disk` gives at most 2 on worker `w`, never 3
 --> toolpost.toml:5:10
  |
5 | locks = [{ name = "disk", count = 3 }]
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: raise the lock's `max_count`, or ask for less

1 problem in the configuration
"#);
}
