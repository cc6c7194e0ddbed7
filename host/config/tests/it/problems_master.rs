//! `[master]` and `[plugin.NAME]`.

use insta::assert_snapshot;

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
    assert_snapshot!(problems("[master.limits]\nlog_size_max = \"1KiB\"\nlog_line_size_max = 10\n"), @r#"
    error: must be at least 65536 bytes
     --> toolpost.toml:2:16
      |
    2 | log_size_max = "1KiB"
      |                ^^^^^^

    error: must be at least 256 bytes
     --> toolpost.toml:3:21
      |
    3 | log_line_size_max = 10
      |                     ^^

    2 problems in the configuration
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
  = help: write "host" or "host:port", without http:// and path

error: `chat.example.org:99999` is not a host
 --> toolpost.toml:6:44
  |
6 | grant.http = ["https://chat.example.org/", "chat.example.org:99999", "ok.example.org", "ok.example.org"]
  |                                            ^^^^^^^^^^^^^^^^^^^^^^^^
  = help: write "host" or "host:port", without http:// and path

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
  = help: known keys: `http`

error: unknown key `cpu` in the settings of a plugin
 --> toolpost.toml:8:1
  |
8 | cpu = 5
  | ^^^
  = help: did you mean `cpu_ms`?

7 problems in the configuration
"#);
}
