//! What the configuration can set.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toolpost_sdk::{CommandLine, Error};

/// Runs tests or reads their reports, and says how many passed and which failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// A command that runs the tests. Its output is shown in the log `stdio`, and read unless
    /// `files` are given.
    pub(crate) command: Option<CommandLine>,

    /// Reports on the worker, as one or several patterns such as `target/**/TEST-*.xml`. They are
    /// read after the command has ended.
    pub(crate) files: Option<OneOrMany>,

    /// What the tests print or write. `auto` finds it out.
    #[serde(default)]
    pub(crate) format: Format,

    /// The directory of the command, relative to that of the step. `files` are looked for from
    /// the directory of the step.
    pub(crate) workdir: Option<String>,

    /// Variables for the command's environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,

    /// The result of the step when tests failed.
    #[serde(default = "Verdict::failure")]
    pub(crate) on_failures: Verdict,

    /// So many failed tests make the step end with warnings only.
    #[serde(default)]
    pub(crate) max_failures: u64,

    /// The result of the step when no tests were found.
    #[serde(default = "Verdict::failure")]
    pub(crate) on_no_tests: Verdict,

    /// The step fails when fewer tests than this ran; skipped ones do not count.
    #[serde(default)]
    pub(crate) min_tests: u64,

    /// The numbers become the properties `PREFIX_passed`, `PREFIX_failed`, `PREFIX_errors`,
    /// `PREFIX_skipped`, `PREFIX_expected_failures` and `PREFIX_total` of the build; the results of single tests become
    /// a set of test results called `PREFIX`.
    #[serde(default = "default_prefix")]
    #[schemars(length(min = 1, max = 200))]
    pub(crate) property_prefix: String,

    /// How many of the slowest tests the log `slowest` lists; 0 for no such log.
    #[serde(default = "default_slowest")]
    #[schemars(range(max = 20))]
    pub(crate) slowest: u8,
}

/// One text or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

impl OneOrMany {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What tests print or write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Whichever fits.
    #[default]
    Auto,
    /// JUnit's XML, as most test runners can write it. Read from files only.
    JUnit,
    /// The Test Anything Protocol, versions 12 to 14.
    Tap,
    /// What `cargo test` and `cargo nextest` print.
    Cargo,
    /// What pytest prints.
    Pytest,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Nothing.
    Success,
    /// The step ends with warnings.
    Warnings,
    /// The step fails.
    Failure,
}

impl Verdict {
    const fn failure() -> Self {
        Self::Failure
    }
}

impl Parameters {
    /// What the schema cannot express.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.command.is_none() && self.files.is_none() {
            return Err(Error::config(
                "command",
                "there is nothing to read: give a `command`, or `files`, or both",
            ));
        }
        if self.format == Format::JUnit && self.files.is_none() {
            return Err(Error::config(
                "files",
                "JUnit reports are read from files, so `format = \"junit\"` needs `files`",
            ));
        }
        Ok(())
    }
}

fn default_prefix() -> String {
    "tests".to_owned()
}

const fn default_slowest() -> u8 {
    10
}
