//! What the macro makes of the types of a plugin.
#![expect(unreachable_pub, reason = "the macro is for the root of a crate")]

use crate::mock::MockHost;
use crate::plugin;
use crate::{Capability, Context, Error, Outcome, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// How often.
    times: Times,
}

#[derive(Deserialize, JsonSchema)]
struct Times {
    most: u8,
}

struct Repeat;

impl Step for Repeat {
    const NAME: &'static str = "repeat";
    const SUMMARY: &'static str = "Repeats.";
    type Parameters = Parameters;

    fn run(parameters: Parameters, _: &Context) -> Result<Outcome, Error> {
        Ok(Outcome::success(format!("{} times", parameters.times.most)))
    }
}

plugin! {
    description: "For tests.",
    steps: [Repeat],
    wants: [Capability::HttpHost("chat.example.org".into())],
}

#[test]
fn a_plugin_is_described_by_its_package_and_its_steps() {
    let plugin = toolpost_plugin();
    assert_eq!(plugin.name, "toolpost-sdk");
    assert_eq!(plugin.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(plugin.description, "For tests.");
    assert_eq!(
        plugin.wants,
        [Capability::HttpHost("chat.example.org".into())]
    );
    let [step] = plugin.steps.as_slice() else {
        panic!("one step")
    };
    assert_eq!((step.name, step.summary), ("repeat", "Repeats."));
    let schema = step.schema();
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["properties"]["times"]["description"], "How often.");
    assert_eq!(schema["required"], json!(["times"]));
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn a_step_runs_by_its_name() {
    let host = MockHost::new();
    let run = |name, parameters| toolpost_plugin().run(name, parameters, &host.context());
    assert_eq!(
        run("repeat", json!({"times": {"most": 3}})),
        Ok(Outcome::success("3 times"))
    );
    let error = run("rinse", json!({})).expect_err("there is no such step");
    assert!(
        error.to_string().contains("no step type `rinse`"),
        "{error}"
    );
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let check = |parameters, expected: &str| {
        let error = MockHost::new()
            .run::<Repeat>(parameters)
            .expect_err("it does not fit");
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        json!({"times": {"most": 300}}),
        "parameter `times.most`: invalid value",
    );
    check(json!({"time": 3}), "parameter `time`: unknown field `time`");
    check(json!({}), "missing field `times`");
}
