//! `[master]` and `[plugin.NAME]`.

use insta::assert_snapshot;
use toolpost_config::{Sources, check_master};

use crate::catalog::problems;

#[test]
fn addresses() {
    assert_snapshot!(problems(r#"
[master]
listen = "localhost"
url = "example.org"
database_url = "mysql://x"
name = ""
links = [{ label = "Manual", url = "javascript:alert(1)" }, { label = "?" }]
"#), @r#"
error: this is not an address and a port
 --> toolpost.toml:3:10
  |
3 | listen = "localhost"
  |          ^^^^^^^^^^^
  = help: write it like "127.0.0.1:8010", or "[::]:8010" for every network

error: expected a URL that starts with http:// or https://
 --> toolpost.toml:4:7
  |
4 | url = "example.org"
  |       ^^^^^^^^^^^^^

error: this is not the URL of a database
 --> toolpost.toml:5:16
  |
5 | database_url = "mysql://x"
  |                ^^^^^^^^^^^
  = help: write "sqlite:PATH" or "postgres://USER@HOST/NAME"

error: must not be empty
 --> toolpost.toml:6:8
  |
6 | name = ""
  |        ^^

error: expected a URL that starts with http:// or https://
 --> toolpost.toml:7:36
  |
7 | links = [{ label = "Manual", url = "javascript:alert(1)" }, { label = "?" }]
  |                                    ^^^^^^^^^^^^^^^^^^^^^

error: a link needs `url`
 --> toolpost.toml:7:61
  |
7 | links = [{ label = "Manual", url = "javascript:alert(1)" }, { label = "?" }]
  |                                                             ^^^^^^^^^^^^^^^
  = help: add `url = ...`

6 problems in the configuration
"#);
    assert_snapshot!(problems("[master]\nlisten = 70000\n"), @r#"
    error: this is not an address and a port
     --> toolpost.toml:2:10
      |
    2 | listen = 70000
      |          ^^^^^
      = help: write it like "127.0.0.1:8010", or "[::]:8010" for every network

    1 problem in the configuration
    "#);
}

#[test]
fn limits() {
    assert_snapshot!(problems("[master.limits]\nlog_lines_size_max = \"1KiB\"\nlog_line_size_max = 10\n\n[[worker]]\nname = \"w2\"\n"), @r#"
    error: unknown key `log_lines_size_max` in [master.limits]
     --> toolpost.toml:2:1
      |
    2 | log_lines_size_max = "1KiB"
      | ^^^^^^^^^^^^^^^^^^
      = help: did you mean `log_line_size_max`?

    error: must be at least 256 bytes
     --> toolpost.toml:3:21
      |
    3 | log_line_size_max = 10
      |                     ^^

    error: a worker needs `kind`
     --> toolpost.toml:5:1
      |
    5 | [[worker]]
      | ^^^^^^^^^^
      = help: `kind` is one of `local`, `remote`

    3 problems in the configuration
    "#);
}

#[test]
fn grants_and_limits_of_plugins() {
    assert_snapshot!(problems(r#"
[plugin."a b"]
memory_mib = 0

[plugin.chat]
grant.http = ["https://chat.example.org/", "chat.example.org:99999", "ok.example.org", "ok.example.org"]
grant.files = ["/"]
cpu = 5
"#), @r#"
error: the name of a plugin consists of letters, digits, `_` and `-`, and does not start with a digit
 --> toolpost.toml:2:9
  |
2 | [plugin."a b"]
  |         ^^^^^

error: must be at least 1
 --> toolpost.toml:3:14
  |
3 | memory_mib = 0
  |              ^

error: `https://chat.example.org/` is not a host
 --> toolpost.toml:6:15
  |
6 | grant.http = ["https://chat.example.org/", "chat.example.org:99999", "ok.example.org", "ok.example.org"]
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: write "host", "host:port" or "*.domain", without http:// and path

error: `chat.example.org:99999` is not a host
 --> toolpost.toml:6:44
  |
6 | grant.http = ["https://chat.example.org/", "chat.example.org:99999", "ok.example.org", "ok.example.org"]
  |                                            ^^^^^^^^^^^^^^^^^^^^^^^^
  = help: write "host", "host:port" or "*.domain", without http:// and path

error: `ok.example.org` is twice in this list
 --> toolpost.toml:6:88
  |
6 | grant.http = ["https://chat.example.org/", "chat.example.org:99999", "ok.example.org", "ok.example.org"]
  |                                                                                        ^^^^^^^^^^^^^^^^

error: unknown key `files` in the grants of a plugin
 --> toolpost.toml:7:7
  |
7 | grant.files = ["/"]
  |       ^^^^^
  = help: known keys: `http`, `http_private`, `secrets`, `environment`, `storage`, `mail`, `trigger`, `artifacts`

error: unknown key `cpu` in the settings of a plugin
 --> toolpost.toml:8:1
  |
8 | cpu = 5
  | ^^^
  = help: did you mean `cpu_ms`?

7 problems in the configuration
"#);
}

/// What a process asks before it knows its step types.
fn told_at_start(text: &str) -> String {
    let sources = Sources::from_texts("/farm", [("toolpost.toml", text)]);
    match check_master(&sources) {
        Ok(master) => format!("plugins are in {}", master.plugin_dir.display()),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn the_master_alone() {
    let wrong_elsewhere = "[master]\nplugin_dir = \"p\"\n\n[[builder]]\nsteps = 5\n";
    assert_snapshot!(told_at_start(wrong_elsewhere), @"plugins are in /farm/p");
    assert_snapshot!(told_at_start(""), @"plugins are in /farm/plugins");
}

#[test]
fn a_wrong_master_tells_of_everything_but_steps() {
    assert_snapshot!(told_at_start(r#"
[master]
plugin_dir = 5

[[builder]]
name = "unit"
workers = ["nowhere"]

[[builder.step]]
use = "exported-by-a-plugin"
"#), @r#"
error: expected a string, found an integer
 --> toolpost.toml:3:14
  |
3 | plugin_dir = 5
  |              ^

error: there is no worker `nowhere`
 --> toolpost.toml:7:12
  |
7 | workers = ["nowhere"]
  |            ^^^^^^^^^
  = help: add a [[worker]]

2 problems in the configuration
"#);
    assert_snapshot!(told_at_start("[master\n"), @r#"
    error: this is not TOML: unclosed table, expected `]`
     --> toolpost.toml:1:8
      |
    1 | [master
      |        ^

    1 problem in the configuration
    "#);
}

#[test]
fn secrets_mail_and_grants() {
    assert_snapshot!(problems(r#"
[secret.both]
file = "a"
environment = "B"

[secret.none]

[secret.chat]
environment = "CHAT"

[mail]
host = "mail.example.org"
user = "ci"
password = "hunter2!"
from = "ci"

[plugin.chat]
grant.secrets = ["chat", "chet"]
grant.http_private = ["*"]

[[builder]]
name = "deploy"
workers = ["w"]
env = { TOKEN = "{{ secret.chet }}" }
properties = { token = "{{ secret.chat }}" }

[[builder.step]]
use = "shell"
command = "curl -u {{ secret.chat }}:{{ secret.other }}"
"#), @r#"
error: the secret is in two places
 --> toolpost.toml:4:15
  |
4 | environment = "B"
  |               ^^^
 --> toolpost.toml:3:8
  |
3 | file = "a"
  |        --- the first is here
  = help: keep one of the two

error: it is not said where the secret is
 --> toolpost.toml:6:9
  |
6 | [secret.none]
  |         ^^^^
  = help: add `file = "PATH"` or `environment = "VARIABLE"`

error: a password is not written here
  --> toolpost.toml:14:12
   |
14 | password = ***
   |            ^^^
   = help: put it in a [secret.NAME] and write "{{ secret.NAME }}"

error: `ci` is not an address
  --> toolpost.toml:15:8
   |
15 | from = "ci"
   |        ^^^^
   = help: write "ci@example.org" or "Farm <ci@example.org>"

error: there is no secret `chet`
  --> toolpost.toml:18:26
   |
18 | grant.secrets = ["chat", "chet"]
   |                          ^^^^^^
   = help: did you mean `chat`?

error: `*` is not a host
  --> toolpost.toml:19:23
   |
19 | grant.http_private = ["*"]
   |                       ^^^
   = help: write "host", "host:port" or "*.domain", without http:// and path

error: in a template: there is no secret `chet`: add a [secret.chet]
  --> toolpost.toml:24:28
   |
24 | env = { TOKEN = "{{ secret.chet }}" }
   |                            ^

error: in a template: secrets are for parameters of steps and for `env` only
  --> toolpost.toml:25:28
   |
25 | properties = { token = "{{ secret.chat }}" }
   |                            ^

error: in a template: there is no secret `other`: add a [secret.other]
  --> toolpost.toml:29:48
   |
29 | command = "curl -u {{ secret.chat }}:{{ secret.other }}"
   |                                                ^

9 problems in the configuration
"#);
}

#[test]
fn the_interface_of_buildbot() {
    assert_snapshot!(problems("[web]\nui_plugins = { grid_view = 3 }\nui_default_config = { home = 3 }\n"), @r#"
    error: this says how `ui` is shown, but there is no `ui`
     --> toolpost.toml:2:14
      |
    2 | ui_plugins = { grid_view = 3 }
      |              ^^^^^^^^^^^^^^^^^
      = help: add `ui = "DIR"`, the directory that buildbot-www is installed in

    error: expected a table, found an integer
     --> toolpost.toml:2:28
      |
    2 | ui_plugins = { grid_view = 3 }
      |                            ^

    error: `home` is not the name of a setting
     --> toolpost.toml:3:23
      |
    3 | ui_default_config = { home = 3 }
      |                       ^^^^
      = help: write group and name, such as "Home.max_recent_builds"

    3 problems in the configuration
    "#);
}
