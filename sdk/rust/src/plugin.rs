//! A plugin as a table of its step types, and the macro that exports it.

use crate::{Context, Error, Outcome, Step};
use serde_json::Value;

/// A plugin: who it is, and what it brings.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its name, which is the name of its file without `.wasm`.
    pub name: &'static str,
    /// The author's version, for people.
    pub version: &'static str,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// Its step types.
    pub steps: Vec<StepType>,
    /// What it needs beyond the contract.
    pub wants: Vec<Capability>,
}

impl Plugin {
    /// Runs a step type by its name, as the host asks for it.
    ///
    /// # Errors
    ///
    /// Those of the step; [`Error::Permanent`] for a name that the plugin does not have.
    pub fn run(&self, type_name: &str, parameters: Value, ctx: &Context) -> Result<Outcome, Error> {
        let step = self
            .steps
            .iter()
            .find(|step| step.name == type_name)
            .ok_or_else(|| {
                Error::permanent(format!(
                    "the plugin {} has no step type `{type_name}`",
                    self.name
                ))
            })?;
        step.run_with(parameters, ctx)
    }
}

/// Something that only the operator can allow, in the plugin's section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// HTTP requests to this host (`chat.example.org` or `chat.example.org:8443`).
    HttpHost(String),
    /// The secret of this name.
    Secret(String),
    /// This variable of the master's environment.
    Environment(String),
}

/// A step type in the table of a [`Plugin`].
#[derive(Debug, Clone)]
pub struct StepType {
    /// The name that the configuration uses.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Makes the JSON Schema of its parameters.
    schema: fn() -> Value,
    run: fn(Value, &Context) -> Result<Outcome, Error>,
}

impl StepType {
    /// The table entry of a step.
    #[must_use]
    pub fn of<S: Step>() -> Self {
        Self {
            name: S::NAME,
            summary: S::SUMMARY,
            schema: || schemars::schema_for!(S::Parameters).to_value(),
            run: run::<S>,
        }
    }

    /// JSON Schema (draft 2020-12) of its parameters.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    pub(crate) fn run_with(&self, parameters: Value, ctx: &Context) -> Result<Outcome, Error> {
        (self.run)(parameters, ctx)
    }
}

fn run<S: Step>(parameters: Value, ctx: &Context) -> Result<Outcome, Error> {
    let parameters = serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        // The path of the whole is written as a dot.
        let field = if path == "." { String::new() } else { path };
        Error::config(field, error.into_inner())
    })?;
    S::run(parameters, ctx)
}

/// Makes the crate a plugin with these steps.
///
/// ```
/// # use toolpost_sdk::{Context, Error, Outcome, Step};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Parameters {}
/// # struct Deploy;
/// # impl Step for Deploy {
/// #     const NAME: &'static str = "deploy";
/// #     const SUMMARY: &'static str = "Deploys.";
/// #     type Parameters = Parameters;
/// #     fn run(_: Parameters, _: &Context) -> Result<Outcome, Error> {
/// #         Ok(Outcome::success("deployed"))
/// #     }
/// # }
/// toolpost_sdk::plugin! {
///     name: "deployment",
///     description: "Brings what was built to where it runs.",
///     steps: [Deploy],
/// }
///
/// assert_eq!(toolpost_plugin().steps[0].name, "deploy");
/// ```
///
/// These come before `steps`, in this order, and may each be left out:
///
/// * `name: "..."`, else the name of the package;
/// * `description: "..."`, else the description of the package;
///
/// and this may come after it:
///
/// * `wants: [Capability::HttpHost("chat.example.org".into())]`, what the operator has to grant.
///
/// The version is the package's. The macro adds a function `toolpost_plugin() -> Plugin`, which
/// tests can look at, and in WebAssembly the exports of the contract.
#[macro_export]
macro_rules! plugin {
    (
        $(name: $name:expr,)?
        $(description: $description:expr,)?
        steps: [$($step:ty),+ $(,)?]
        $(, wants: [$($wants:expr),* $(,)?])?
        $(,)?
    ) => {
        /// Describes this plugin.
        #[must_use]
        pub fn toolpost_plugin() -> $crate::Plugin {
            $crate::Plugin {
                name: $crate::__first!($($name,)? env!("CARGO_PKG_NAME")),
                version: env!("CARGO_PKG_VERSION"),
                description: $crate::__first!(
                    $($description,)? env!("CARGO_PKG_DESCRIPTION")
                ),
                steps: vec![$($crate::StepType::of::<$step>()),+],
                wants: vec![$($($wants),*)?],
            }
        }

        $crate::__export!(toolpost_plugin);
    };
}

/// The first of its arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

/// Exports a plugin; outside WebAssembly there is nothing to export to.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
#[macro_export]
macro_rules! __export {
    ($plugin:path) => {};
}

/// Exports a plugin.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! __export {
    ($plugin:path) => {
        const _: () = {
            struct Component;

            impl $crate::exports::PluginGuest for Component {
                fn describe() -> $crate::exports::PluginInfo {
                    $crate::exports::describe(&$plugin())
                }
            }

            impl $crate::exports::StepGuest for Component {
                fn run(
                    type_name: String,
                    parameters: String,
                ) -> Result<$crate::exports::StepOutcome, $crate::exports::StepError> {
                    $crate::exports::run(&$plugin(), &type_name, &parameters)
                }
            }

    $crate::bindings::export_plugin!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro is for the root of a crate")]
mod tests {
    use crate::mock::MockHost;
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
}
