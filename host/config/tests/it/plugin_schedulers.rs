//! `[[scheduler]]` of a type that a plugin brings: what it becomes, and what is said when it is wrong.

use insta::assert_snapshot;
use serde_json::json;
use toolpost_config::{Paint, SchedulerKind, diff};

use crate::catalog::{good, problems};

const FULL: &str = r#"
[[scheduler]]
name = "night"
use = "nightly"
builders = ["b"]
properties = { kind = "night" }
priority = -5
at = "02:00"
days = ["mon"]
"#;

#[test]
fn a_scheduler_with_everything() {
    let config = good(FULL);
    let scheduler = &config.schedulers["night"];
    assert_eq!(scheduler.builders, ["b"]);
    assert_eq!(scheduler.properties["kind"], json!("night"));
    let SchedulerKind::Plugin(plugin) = &scheduler.kind else {
        panic!("a scheduler of a plugin");
    };
    assert_eq!(
        (plugin.scheduler_type.as_str(), plugin.priority),
        ("nightly", -5)
    );
    assert_eq!(
        json!(plugin.parameters),
        json!({ "at": "02:00", "days": ["mon"] })
    );
    let uses: Vec<&str> = config
        .scheduler_uses_of("nightly")
        .map(|place| place.scheduler.name.as_str())
        .collect();
    assert_eq!(uses, ["night"]);
    assert_eq!(config.scheduler_uses_of("single-branch").count(), 0);
}

#[test]
fn mistakes() {
    assert_snapshot!(problems(r#"
[[scheduler]]
name = "a"
use = "nightli"
builders = ["b"]

[[scheduler]]
name = "b"
use = "nightly"
builders = ["linux"]
at = "two"
dais = ["mon"]

[[scheduler]]
name = "c"
use = "nightly"
days = ["wed"]

[[scheduler]]
name = "c"
builders = ["b"]
"#), @r#"
error: there is no scheduler type `nightli`
 --> toolpost.toml:4:7
  |
4 | use = "nightli"
  |       ^^^^^^^^^
  = help: did you mean `nightly`?

error: there is no builder `linux`
  --> toolpost.toml:10:13
   |
10 | builders = ["linux"]
   |             ^^^^^^^
   = help: known builders: `b`

error: "two" does not match the pattern `^[0-9]{2}:[0-9]{2}$`
  --> toolpost.toml:11:6
   |
11 | at = "two"
   |      ^^^^^

error: scheduler type `nightly` has no parameter `dais`
  --> toolpost.toml:12:1
   |
12 | dais = ["mon"]
   | ^^^^
   = help: did you mean `days`?

error: a scheduler needs `builders`
  --> toolpost.toml:14:1
   |
14 | [[scheduler]]
   | ^^^^^^^^^^^^^
   = help: add `builders = ...`

error: scheduler type `nightly` needs `at`
  --> toolpost.toml:16:7
   |
16 | use = "nightly"
   |       ^^^^^^^^^
   = help: add `at = ...`

error: `wed` is not known here
  --> toolpost.toml:17:9
   |
17 | days = ["wed"]
   |         ^^^^^
   = help: known words: `mon`, `tue`

error: a scheduler needs `use`
  --> toolpost.toml:19:1
   |
19 | [[scheduler]]
   | ^^^^^^^^^^^^^
   = help: add `use = ...`

error: two schedulers have the name `c`
  --> toolpost.toml:20:8
   |
20 | name = "c"
   |        ^^^
  --> toolpost.toml:15:8
   |
15 | name = "c"
   |        --- the first is here
   = help: give one of them another name

9 problems in the configuration
"#);
}

#[test]
fn a_plan_names_what_changed() {
    let other = FULL.replace("02:00", "03:00").replace("-5", "1");
    assert_snapshot!(diff(&good(FULL), &good(&other)).render(Paint::Plain), @r#"
~ scheduler night
    priority: -5 -> 1
    at: "02:00" -> "03:00"

0 to add, 1 to change, 0 to remove
"#);
    let native = "[[scheduler]]\nname = \"night\"\nuse = \"force\"\nbuilders = [\"b\"]\n";
    assert!(!diff(&good(FULL), &good(native)).is_empty());
    assert!(diff(&good(FULL), &good(FULL)).is_empty());
}
