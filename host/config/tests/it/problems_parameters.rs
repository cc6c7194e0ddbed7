//! Parameters of steps that do not fit the schema of their type.

use insta::assert_snapshot;

use crate::catalog::problems;

fn step(parameters: &str) -> String {
    problems(&format!(
        "[[builder]]\nname = \"unit\"\nworkers = [\"w\"]\n\n[[builder.step]]\n{parameters}\n"
    ))
}

#[test]
fn a_key_is_missing() {
    assert_snapshot!(step("name = \"compile\"\nuse = \"shell\""), @r#"
    error: step type `shell` needs `command`
     --> toolpost.toml:7:7
      |
    7 | use = "shell"
      |       ^^^^^^^
      = help: add `command = ...`

    1 problem in the configuration
    "#);
}

#[test]
fn a_key_is_unknown() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make\"\ntimeot_s = 5\nzzz = 1"), @r#"
    error: step type `shell` has no parameter `timeot_s`
     --> toolpost.toml:8:1
      |
    8 | timeot_s = 5
      | ^^^^^^^^
      = help: did you mean `timeout_s`?

    error: step type `shell` has no parameter `zzz`
     --> toolpost.toml:9:1
      |
    9 | zzz = 1
      | ^^^
      = help: parameters of `shell`: `command`, `env`, `timeout_s`, `want_stdout`

    2 problems in the configuration
    "#);
}

#[test]
fn a_scalar_has_the_wrong_type() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make\"\ntimeout_s = \"5\"\nwant_stdout = \"yes\""), @r#"
    error: expected an integer, found a string
     --> toolpost.toml:8:13
      |
    8 | timeout_s = "5"
      |             ^^^

    error: expected `true` or `false`, found a string
     --> toolpost.toml:9:15
      |
    9 | want_stdout = "yes"
      |               ^^^^^

    2 problems in the configuration
    "#);
}

#[test]
fn an_item_of_a_list_has_the_wrong_type() {
    assert_snapshot!(step("use = \"shell\"\ncommand = [\n    \"make\",\n    5,\n]"), @r#"
    error: expected a string, found an integer
     --> toolpost.toml:9:5
      |
    9 |     5,
      |     ^

    1 problem in the configuration
    "#);
}

#[test]
fn neither_form_fits() {
    assert_snapshot!(step("use = \"shell\"\ncommand = 5"), @r#"
    error: expected a string or an array, found an integer
     --> toolpost.toml:7:11
      |
    7 | command = 5
      |           ^

    1 problem in the configuration
    "#);
    assert_snapshot!(step("use = \"shell\"\ncommand = []"), @r#"
    error: must not be empty
     --> toolpost.toml:7:11
      |
    7 | command = []
      |           ^^

    1 problem in the configuration
    "#);
}

#[test]
fn a_value_in_a_table_is_wrong() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make\"\nenv.PATH = \"/bin\"\nenv.JOBS = 4"), @r#"
    error: expected a string, found an integer
     --> toolpost.toml:9:12
      |
    9 | env.JOBS = 4
      |            ^

    1 problem in the configuration
    "#);
}

#[test]
fn out_of_range() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make\"\ntimeout_s = 0"), @r#"
    error: 0 is less than 1
     --> toolpost.toml:8:13
      |
    8 | timeout_s = 0
      |             ^

    1 problem in the configuration
    "#);
    assert_snapshot!(
        step("use = \"test-summary\"\nsource = { kind = \"file\", path = \"x\" }\nfail_below_percent = 101.5"),
        @r#"
        error: 101.5 is more than 100
         --> toolpost.toml:8:22
          |
        8 | fail_below_percent = 101.5
          |                      ^^^^^

        1 problem in the configuration
        "#
    );
}

#[test]
fn a_word_that_is_not_in_the_list() {
    assert_snapshot!(step("use = \"git\"\nrepository = \"x\"\nmode = \"incremental-ish\""), @r#"
    error: `incremental-ish` is not known here
     --> toolpost.toml:8:8
      |
    8 | mode = "incremental-ish"
      |        ^^^^^^^^^^^^^^^^^
      = help: did you mean `incremental`?

    1 problem in the configuration
    "#);
}

#[test]
fn a_word_of_an_enumeration() {
    assert_snapshot!(step("use = \"set-property\"\nproperty = \"x\"\nstream = \"stdot\""), @r#"
    error: `stdot` is not known here
     --> toolpost.toml:8:10
      |
    8 | stream = "stdot"
      |          ^^^^^^^
      = help: did you mean `stdout`?

    1 problem in the configuration
    "#);
    assert_snapshot!(step("use = \"set-property\"\nproperty = \"x\"\nstream = 1"), @r#"
    error: expected one of `stdout`, `stderr`, found an integer
     --> toolpost.toml:8:10
      |
    8 | stream = 1
      |          ^

    1 problem in the configuration
    "#);
}

#[test]
fn one_of_two_keys_is_missing() {
    assert_snapshot!(step("use = \"set-property\"\nvalue = 1"), @r#"
    error: step type `set-property` needs `property` or `extract`
     --> toolpost.toml:6:7
      |
    6 | use = "set-property"
      |       ^^^^^^^^^^^^^^
      = help: add `property = ...` or `extract = ...`

    1 problem in the configuration
    "#);
}

#[test]
fn an_empty_text() {
    assert_snapshot!(step("use = \"git\"\nrepository = \"\""), @r#"
    error: must not be empty
     --> toolpost.toml:7:14
      |
    7 | repository = ""
      |              ^^

    1 problem in the configuration
    "#);
}

#[test]
fn the_variant_that_was_meant() {
    assert_snapshot!(
        step("use = \"test-summary\"\nsource = { kind = \"command\", argv = \"cat x\", max_line = 5 }"),
        @r#"
        error: expected an array, found a string
         --> toolpost.toml:7:37
          |
        7 | source = { kind = "command", argv = "cat x", max_line = 5 }
          |                                     ^^^^^^^

        error: unknown key `max_line`
         --> toolpost.toml:7:46
          |
        7 | source = { kind = "command", argv = "cat x", max_line = 5 }
          |                                              ^^^^^^^^
          = help: did you mean `max_lines`?

        2 problems in the configuration
        "#
    );
    assert_snapshot!(step("use = \"test-summary\"\n[builder.step.source]\nkind = \"file\"\n"), @r#"
    error: `path` is missing
     --> toolpost.toml:7:1
      |
    7 | [builder.step.source]
      | ^^^^^^^^^^^^^^^^^^^^^
      = help: add `path = ...`

    1 problem in the configuration
    "#);
}

#[test]
fn a_pattern_and_a_repetition() {
    assert_snapshot!(
        step("use = \"test-summary\"\nsource = { kind = \"file\", path = \"x\" }\nname_pattern = \"A B\"\nlabels = [\"a\", \"a\"]"),
        @r#"
        error: "A B" does not match the pattern `^[a-z]+$`
         --> toolpost.toml:8:16
          |
        8 | name_pattern = "A B"
          |                ^^^^^

        error: has an item twice
         --> toolpost.toml:9:10
          |
        9 | labels = ["a", "a"]
          |          ^^^^^^^^^^

        2 problems in the configuration
        "#
    );
}

#[test]
fn the_schema_itself_is_wrong() {
    assert_snapshot!(step("use = \"broken\"\nx = 1"), @r#"
    error: step type `broken` cannot be used: not a valid JSON Schema at `/properties/x/type`: "strnig" is not valid under any of the schemas listed in the 'anyOf' keyword
     --> toolpost.toml:6:7
      |
    6 | use = "broken"
      |       ^^^^^^^^
      = help: its plugin has to describe its parameters with a valid schema

    1 problem in the configuration
    "#);
}

#[test]
fn a_template_may_become_what_is_wanted() {
    assert_snapshot!(
        step(r#"
use = "shell"
command = "{{ prop.command }}"
timeout_s = "{{ prop.timeout }}"
want_stdout = "{{ prop.verbose }}"

[[builder.step]]
use = "git"
repository = "{{ src.repository }}"
mode = "{% if prop.full %}full{% else %}incremental{% endif %}"
shallow = "{{ prop.depth }}"

[[builder.step]]
use = "test-summary"
source = { kind = "file", path = "{{ prop.dir }}/report.xml" }
name_pattern = "x{{ prop.pattern }}"
labels = "{{ prop.labels }}"
"#),
        @"no problem"
    );
}

#[test]
fn a_text_around_a_template_stays_a_text() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make\"\ntimeout_s = \"{{ prop.t }}0\""), @r#"
    error: expected an integer, found a string
     --> toolpost.toml:8:13
      |
    8 | timeout_s = "{{ prop.t }}0"
      |             ^^^^^^^^^^^^^^^

    1 problem in the configuration
    "#);
}

#[test]
fn templates_in_parameters_are_checked() {
    assert_snapshot!(step("use = \"shell\"\ncommand = \"make {{ prop.jobs \""), @r#"
    error: in a template: syntax error: unexpected end of input, expected end of variable block
     --> toolpost.toml:7:25
      |
    7 | command = "make {{ prop.jobs "
      |                         ^

    1 problem in the configuration
    "#);
}
