//! Parameters of `set-property` and `set-property-from-command`, and what a command's output becomes.

use std::borrow::Cow;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use toolpost_core::Results;
use toolpost_core::model::LogType;
use toolpost_store::LogStream;

use super::params::{Command, Environment, Span};
use crate::build::StepContext;
use crate::build::command::{self, OutputPlan};
use crate::build::outcome::{Fault, StepEnd};

/// Sets one property of the build.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPropertyParams {
    /// Name of the property.
    #[schemars(length(min = 1))]
    pub(crate) property: String,
    /// Its value: anything; strings in it are templates.
    pub(crate) value: Value,
}

/// Runs a command on the worker and sets properties from what it prints.
///
/// Give `property`, `extract` or both: with `property` alone the whole output is the value, with `extract`
/// its groups are.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{ "required": ["property"] }, { "required": ["extract"] }]))]
pub(crate) struct SetPropertyFromCommandParams {
    /// The command.
    pub(crate) command: Command,
    /// Name of the property.
    #[schemars(length(min = 1))]
    pub(crate) property: Option<String>,
    /// A regular expression that is searched for in the output. Each named group sets the property of its
    /// name. `property`, if given, gets the first group, or all that matched where there is no group.
    pub(crate) extract: Option<Extract>,
    /// Whether white space around values is taken away.
    #[serde(default = "yes")]
    pub(crate) strip: bool,
    /// Environment variables: a string sets one, `false` takes it away.
    #[serde(default)]
    pub(crate) env: Environment,
    /// The command is ended when it prints nothing for this long.
    pub(crate) timeout: Option<Span>,
    /// The command is ended when it runs for this long.
    pub(crate) max_time: Option<Span>,
}

fn yes() -> bool {
    true
}

/// A regular expression that is valid.
#[derive(Debug, Clone)]
pub(crate) struct Extract(Regex);

impl PartialEq for Extract {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Extract {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        Regex::new(&pattern).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Extract {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Extract".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Without `format: regex`: that means ECMA's dialect, which lacks `(?P<name>...)`.
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl SetPropertyFromCommandParams {
    /// What the schema's `anyOf` says.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if self.property.is_none() && self.extract.is_none() {
            return Err("give `property`, `extract` or both".into());
        }
        Ok(self)
    }

    /// The properties that this output sets, in order.
    ///
    /// # Errors
    /// The expression is not found in the output.
    pub(crate) fn values(&self, output: &str) -> Result<Vec<(String, String)>, String> {
        let cut = |text: &str| {
            let text = if self.strip { text.trim() } else { text };
            text.to_owned()
        };
        let Some(Extract(regex)) = &self.extract else {
            return Ok(self
                .property
                .iter()
                .map(|name| (name.clone(), cut(output)))
                .collect());
        };
        let found = regex
            .captures(output)
            .ok_or_else(|| format!("`{regex}` is not in the output"))?;
        let named = regex.capture_names().flatten().filter_map(|name| {
            let group = found.name(name)?;
            Some((name.to_owned(), cut(group.as_str())))
        });
        let main = self.property.iter().filter_map(|name| {
            let group = if found.len() > 1 {
                found.get(1)
            } else {
                found.get(0)
            };
            Some((name.clone(), cut(group?.as_str())))
        });
        Ok(main.chain(named).collect())
    }
}

/// Output that can become a property; what comes after is logged, but left out.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Sets a property to a value of the configuration.
pub(super) async fn set(step: &StepContext, params: &SetPropertyParams) -> Result<StepEnd, Fault> {
    step.build
        .set_property(&params.property, params.value.clone(), &step.name)
        .await?;
    let summary = format!("property '{}' set", params.property);
    Ok(StepEnd::new(Results::Success, summary))
}

/// Runs the command and sets properties from its output; what is set is in a log too.
pub(super) async fn set_from_command(
    step: &StepContext,
    params: &SetPropertyFromCommandParams,
) -> Result<StepEnd, Fault> {
    let log = step.logs.open("stdio", LogType::Stdio).await?;
    let mut spec = step.command(command::invocation(&params.command));
    spec.env.extend(command::environment(&params.env));
    spec.idle_timeout = Some(step.idle_timeout(params.timeout.map(|span| span.0)));
    spec.total_timeout = step.total_timeout(params.max_time.map(|span| span.0));
    let plan = OutputPlan {
        log: Some(&log),
        log_stdout: true,
        log_stderr: true,
        headers: true,
        keep_bytes_max: OUTPUT_BYTES_MAX,
        lines_max: None,
        files: Vec::new(),
    };
    let ended = match step.run(spec, plan).await {
        Err(fault @ (Fault::Failed(_) | Fault::NoProgram(_))) => {
            log.header(&fault.to_string()).await;
            return Err(fault);
        }
        ended => ended?,
    };
    let options = &step.config.options;
    let summary = params.command.quoted_summary();
    let end = command::step_end(&ended.exit, summary, |code| options.decode_exit_code(code));
    if !end.results.is_good() {
        return Ok(end);
    }
    let values = params
        .values(&String::from_utf8_lossy(&ended.stdout))
        .map_err(Fault::Failed)?;
    let changes = step.logs.open("property changes", LogType::Text).await?;
    let mut names = Vec::with_capacity(values.len());
    for (name, value) in values {
        let line = format!("{name}: {value:?}\n");
        changes.append(LogStream::Output, line.as_bytes()).await?;
        step.build
            .set_property(&name, Value::String(value), &step.name)
            .await?;
        names.push(format!("'{name}'"));
    }
    let noun = if names.len() == 1 {
        "property"
    } else {
        "properties"
    };
    let summary = format!("{noun} {} set", names.join(", "));
    Ok(StepEnd {
        summary: Some(summary),
        ..end
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(mut parameters: Value, output: &str) -> Result<Vec<(String, String)>, String> {
        parameters["command"] = json!("x");
        serde_json::from_value::<SetPropertyFromCommandParams>(parameters)
            .map_err(|error| error.to_string())?
            .checked()?
            .values(output)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(pairs
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect())
    }

    #[test]
    fn output_becomes_properties() {
        let output = "  version 1.24 of 2026\n";
        let table = [
            (
                json!({"property": "p"}),
                pairs(&[("p", "version 1.24 of 2026")]),
            ),
            (
                json!({"property": "p", "strip": false}),
                pairs(&[("p", output)]),
            ),
            (
                json!({"property": "p", "extract": r"[\d.]+"}),
                pairs(&[("p", "1.24")]),
            ),
            (
                json!({"property": "p", "extract": r"of (\d+)"}),
                pairs(&[("p", "2026")]),
            ),
            (
                json!({"extract": r"(?P<major>\d+)\.(?P<minor>\d+)"}),
                pairs(&[("major", "1"), ("minor", "24")]),
            ),
            (
                json!({"property": "p", "extract": r"(?<major>\d+)\.(x)?"}),
                pairs(&[("p", "1"), ("major", "1")]),
            ),
        ];
        for (parameters, expected) in table {
            assert_eq!(values(parameters.clone(), output), expected, "{parameters}");
        }
    }

    #[test]
    fn what_cannot_be_extracted_is_named() {
        let error = values(json!({"extract": "nothing"}), "something").unwrap_err();
        assert_eq!(error, "`nothing` is not in the output");
        assert!(values(json!({"extract": "("}), "x").is_err());
        assert!(values(json!({}), "x").is_err());
    }
}
