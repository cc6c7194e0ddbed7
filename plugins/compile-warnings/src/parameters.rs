//! What the configuration can set.

use crate::parse::{CustomFormat, Rules, Suppression};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toolpost_sdk::{CommandLine, Error};

/// Runs a build, and counts and collects the warnings of its compilers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The command that builds. Its output is shown in the log `stdio`.
    pub(crate) command: CommandLine,

    /// The directory of the command, relative to that of the step.
    pub(crate) workdir: Option<String>,

    /// Variables for the command's environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,

    /// Further formats, as regular expressions that are tried on each line. The groups `file`,
    /// `line`, `column`, `message` and `code` say what is what, such as
    /// `^W (?<file>\S+)@(?<line>\d+) (?<message>.*)$`.
    #[serde(default)]
    pub(crate) patterns: Vec<String>,

    /// Only what `patterns` find counts, not what the formats of GCC, Clang, rustc, Visual C++, javac,
    /// go vet, TypeScript and CMake find.
    #[serde(default)]
    pub(crate) patterns_only: bool,

    /// Warnings that do not count.
    #[serde(default)]
    pub(crate) suppress: Vec<Suppress>,

    /// With more warnings than this, the step ends with warnings.
    #[serde(default)]
    pub(crate) warn_above: u64,

    /// With more warnings than this, the step fails.
    pub(crate) fail_above: Option<u64>,

    /// The name of a property of the build with an earlier count. With more warnings than that,
    /// the step fails. Without such a property, nothing is compared.
    pub(crate) baseline_property: Option<String>,

    /// The property of the build that becomes the count.
    #[serde(default = "default_property")]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) property: String,

    /// So many of the lines that a compiler shows with a warning are kept in the log `warnings`.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub(crate) context_lines: u8,
}

/// Warnings that do not count. All parts that are given have to fit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppress {
    /// A regular expression for the name of the file, such as `^vendor/`.
    pub(crate) file: Option<String>,
    /// A regular expression for the message or the compiler's name for the kind of warning.
    pub(crate) text: Option<String>,
    /// The first and the last line in the file.
    pub(crate) lines: Option<[u32; 2]>,
}

impl Parameters {
    /// The rules for collecting, with all regular expressions compiled.
    pub(crate) fn rules(&self) -> Result<Rules, Error> {
        let mut rules = Rules {
            custom_only: self.patterns_only,
            context_lines: usize::from(self.context_lines),
            ..Rules::default()
        };
        for (number, pattern) in self.patterns.iter().enumerate() {
            let format = CustomFormat::new(pattern)
                .map_err(|reason| Error::config(format!("patterns[{number}]"), reason.0))?;
            rules.custom.push(format);
        }
        for (number, suppress) in self.suppress.iter().enumerate() {
            rules
                .suppressions
                .push(suppress.compile(&format!("suppress[{number}]"))?);
        }
        if self.patterns_only && self.patterns.is_empty() {
            return Err(Error::config(
                "patterns",
                "none are given, but only they shall count",
            ));
        }
        if self
            .fail_above
            .is_some_and(|fail_above| fail_above < self.warn_above)
        {
            return Err(Error::config("fail_above", "is less than `warn_above`"));
        }
        Ok(rules)
    }
}

impl Suppress {
    fn compile(&self, field: &str) -> Result<Suppression, Error> {
        let compile = |pattern: &Option<String>, part: &str| {
            let compiled = pattern.as_deref().map(Regex::new).transpose();
            compiled.map_err(|error| Error::config(format!("{field}.{part}"), error))
        };
        if self.file.is_none() && self.text.is_none() && self.lines.is_none() {
            return Err(Error::config(
                field,
                "is empty, and would suppress every warning",
            ));
        }
        Ok(Suppression {
            file: compile(&self.file, "file")?,
            text: compile(&self.text, "text")?,
            lines: self.lines.map(|[first, last]| first..=last),
        })
    }
}

fn default_property() -> String {
    "warnings_count".to_owned()
}
