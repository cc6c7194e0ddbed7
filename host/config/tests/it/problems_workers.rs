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
fn remote_workers_have_one_password_each() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "twice"
kind = "remote"
password_env = "FAR_PASSWORD"
password_file = "secrets/far"

[[worker]]
name = "never"
kind = "remote"

[[worker]]
name = "unknown"
kind = "remote"
password_secret = "nowhere"

[[worker]]
name = "fast"
kind = "remote"
password_hash = "5f4dcc3b5aa765d61d8327deb882cf99"
"#), @r#"
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

error: a remote worker needs a password
 --> toolpost.toml:8:1
  |
8 | [[worker]]
  | ^^^^^^^^^^
  = help: add `password_secret = "NAME"` with a [secret.NAME], or `password_hash`

error: there is no secret `nowhere`
  --> toolpost.toml:15:19
   |
15 | password_secret = "nowhere"
   |                   ^^^^^^^^^
   = help: add a [secret.nowhere]

error: this is not a hash of Argon2
  --> toolpost.toml:20:17
   |
20 | password_hash = "5f4dcc3b5aa765d61d8327deb882cf99"
   |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: make one with `toolpost hash-password`

4 problems in the configuration
"#);
}

#[test]
fn a_wait_for_a_lost_worker_has_an_end() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "patient"
kind = "remote"
password_env = "FAR_PASSWORD"
resume_within = "61m"
keepalive = "1s"
"#), @r#"
    error: a worker keeps what runs for at most an hour
     --> toolpost.toml:6:17
      |
    6 | resume_within = "61m"
      |                 ^^^^^
      = help: give `resume_within = "1h"` or less

    error: a connection is tried after 2 s to 1 h without a word
     --> toolpost.toml:7:13
      |
    7 | keepalive = "1s"
      |             ^^^^
      = help: give `keepalive = "60s"`, or leave it out

    2 problems in the configuration
    "#);
}

#[test]
fn who_tells_of_a_missing_worker_is_a_reporter_that_does_so() {
    assert_snapshot!(problems(r#"
[[worker]]
name = "far"
kind = "remote"
password_env = "FAR_PASSWORD"
notify_on_missing = ["ops@example.org", "builds", "rom"]

[[reporter]]
name = "builds"
use = "chat"
room = "x"

[[reporter]]
name = "room"
use = "chat"
room = "x"
events = ["worker-missing", "worker-back"]
"#), @r#"
error: this is an address, where the names of reporters are expected
 --> toolpost.toml:6:22
  |
6 | notify_on_missing = ["ops@example.org", "builds", "rom"]
  |                      ^^^^^^^^^^^^^^^^^
  = help: add a [[reporter]] with `use = "mail"`, `events = ["worker-missing"]` and this address in `to`

error: reporter `builds` does not tell of missing workers
 --> toolpost.toml:6:41
  |
6 | notify_on_missing = ["ops@example.org", "builds", "rom"]
  |                                         ^^^^^^^^
  = help: add "worker-missing" to its `events`

error: there is no reporter `rom`
 --> toolpost.toml:6:51
  |
6 | notify_on_missing = ["ops@example.org", "builds", "rom"]
  |                                                   ^^^^^
  = help: did you mean `room`?

3 problems in the configuration
"#);
}

#[test]
fn the_port_of_workers() {
    assert_snapshot!(problems(r#"
[workers]
certificate = "tls/workers.pem"
path = "farm?x"
"#), @r#"
error: TLS needs both a certificate and its key
 --> toolpost.toml:3:15
  |
3 | certificate = "tls/workers.pem"
  |               ^^^^^^^^^^^^^^^^^
  = help: add `certificate = "PATH"` and `key = "PATH"`

error: this is no path of a URL
 --> toolpost.toml:4:8
  |
4 | path = "farm?x"
  |        ^^^^^^^^
  = help: give one such as `path = "/workers/connect"`, or leave it out

2 problems in the configuration
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
