//! Steps of plugins: what they leave behind when they end, and when they begin again.

use serde_json::{Value, json};
use toolpost_harness::Farm;

use crate::support::{config, farm, first_party, shell};

/// Grants for what the plugin `script` asks for.
pub(crate) const GRANTS: &str = "\n[plugin.script]\ngrant.http = [\"example.org\"]\n\
    grant.secrets = [\"unused\"]\ngrant.mail = true\n\n\
    [secret.unused]\nenvironment = \"TOOLPOST_TEST_NO_SECRET\"\n\n";

/// A step of the plugin `script` with these options, as TOML, that does these things.
pub(crate) fn script(options: &str, actions: &Value) -> String {
    let actions: Vec<String> = actions.as_array().unwrap().iter().map(toml_of).collect();
    format!(
        "[[builder.step]]\nuse = \"script\"\n{options}\nactions = [{}]\n",
        actions.join(", ")
    )
}

/// JSON as TOML on one line.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name} = {}", toml_of(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_of).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

/// A farm with one builder `b` and the plugin `script`.
pub(crate) async fn scripted(steps: &str, more: &str) -> Farm {
    farm(&(config(&[("b", steps)]) + GRANTS + more))
        .plugin("script", first_party("script"))
        .start()
        .await
}

/// A line of shell that goes on for long, takes a while to end when it is asked to, and says so.
const LINGERS: &str = "echo $$ > pid; trap 'sleep 1; echo last words; exit' TERM INT; \
    : > ready; while :; do sleep 0.1; done";
const UNTIL_READY: &str = "until [ -e ready ]; do sleep 0.05; done";
/// Fails when that still runs.
const IS_GONE: &str = "! kill -0 $(cat pid)";

#[tokio::test]
async fn a_step_has_ended_when_its_commands_have() {
    let steps = script(
        "",
        &json!([
            {"do": "start", "shell": [LINGERS], "log": "stdio"},
            {"do": "run", "argv": ["sh", "-c", UNTIL_READY]},
        ]),
    ) + &shell(IS_GONE);
    let farm = scripted(&steps, "").await;
    let api = farm.api();
    let build = api.finished(api.force("force", "b").await).await;
    assert_eq!(
        build["results"],
        0,
        "{:#?}\n{}",
        api.steps(&build).await,
        farm.output()
    );
    let log = api.log(&build, "script", "stdio").await;
    assert!(log.contains("last words"), "{log}");
    assert!(log.contains("interrupted"), "{log}");
}

#[tokio::test]
async fn another_attempt_begins_with_nothing_of_the_one_before() {
    let steps = script(
        "on_failure = \"retry\"",
        &json!([
            {"do": "log", "name": "report", "text": "all is well"},
            {"do": "test-set", "description": "half", "is_complete": false},
            {"do": "test-set", "description": "whole", "is_complete": true},
            {"do": "run", "argv": ["sh", "-c", "[ ! -e pid ] || ! kill -0 $(cat pid)"]},
            {"do": "start", "shell": [LINGERS]},
            {"do": "run", "argv": ["sh", "-c", UNTIL_READY]},
            {"do": "trap-once", "file": "tried", "text": "the first time it does not work"},
        ]),
    );
    let farm = scripted(&steps, "").await;
    let api = farm.api();
    let build = api.finished(api.force("force", "b").await).await;
    let steps = api.steps(&build).await;
    assert_eq!(build["results"], 0, "{steps:#?}\n{}", farm.output());
    let step = &steps[0];
    assert_eq!(step["state_string"], "done");
    let logs = api.get(&format!("steps/{}/logs", step["stepid"])).await;
    let names: Vec<_> = logs["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| &log["name"])
        .collect();
    assert_eq!(
        names,
        [
            "report",
            "stdio",
            "err",
            "report (attempt 2)",
            "stdio (attempt 2)"
        ]
    );
    for log in logs["logs"].as_array().unwrap() {
        assert_eq!(log["complete"], true, "{log}");
    }
    let again = api.log(&build, "script", "report__attempt_2_").await;
    assert_eq!(again, "all is well\n");
    let why = api.log(&build, "script", "err").await;
    assert!(why.contains("the first time it does not work"), "{why}");
    assert!(why.contains("attempt 2 of 3 begins"), "{why}");
    let sets = api
        .get(&format!("steps/{}/test_result_sets", step["stepid"]))
        .await;
    let sets: Vec<_> = sets["test_result_sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| {
            (
                set["description"].as_str().unwrap(),
                set["complete"] == true,
            )
        })
        .collect();
    assert_eq!(sets, [("half", false), ("whole", true)]);
}

/// A command of a farm with gcc's words.
const GCC: &str = "printf 'gcc -c a.c\\na.c:3:9: warning: unused variable [-Wunused-variable]\\n\
    a.c:7:1: warning: odd [-Wodd]\\nvendor/b.h:1:1: warning: odd [-Wodd]\\n' >&2";

#[tokio::test]
async fn warnings_of_compilers_are_counted_and_collected() {
    let steps = format!(
        "[[builder.step]]\nuse = \"compile-warnings\"\ncommand = {GCC:?}\n\
         suppress = [{{ file = \"^vendor/\" }}]\n"
    );
    let farm = farm(&config(&[("b", &steps)]))
        .plugin("compile-warnings", first_party("compile-warnings"))
        .start()
        .await;
    let api = farm.api();
    let build = api.finished(api.force("force", "b").await).await;
    let steps = api.steps(&build).await;
    // Only a step with `warn_on_warnings` makes the build one with warnings.
    assert_eq!(build["results"], 0, "{steps:#?}\n{}", farm.output());
    assert_eq!(steps[0]["results"], 1, "{steps:#?}");
    assert_eq!(
        steps[0]["state_string"],
        "2 warnings, 1 suppressed (warnings)"
    );
    let warnings = api.log(&build, "compile-warnings", "warnings").await;
    assert!(warnings.contains("a.c:7:1: odd [-Wodd]"), "{warnings}");
    assert!(!warnings.contains("vendor/"), "{warnings}");
    let output = api.log(&build, "compile-warnings", "stdio").await;
    assert!(output.contains("vendor/b.h:1:1"), "{output}");
    let properties = format!("builds/{}/properties", build["buildid"]);
    let counted = &api.get(&properties).await["properties"][0]["warnings_count"];
    assert_eq!(counted, &json!([2, "compile-warnings"]));
}

#[tokio::test]
async fn commands_without_a_limit_of_their_own_have_that_of_the_step() {
    let steps = script(
        "command_max_time = \"1s\"",
        &json!([{"do": "run", "argv": ["sleep", "100"]}]),
    );
    let farm = scripted(&steps, "").await;
    let api = farm.api();
    let build = api.finished(api.force("force", "b").await).await;
    let step = &api.steps(&build).await[0];
    let text = step["state_string"].as_str().unwrap();
    assert!(
        text.contains("ran for too long"),
        "{text}\n{}",
        farm.output()
    );
}
