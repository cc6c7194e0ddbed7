//! What a person may write about any step, whatever its type: Buildbot's parameters common to all steps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Results;
use crate::locks::LockAccess;

/// Whether something applies: fixed, or to be found out for each build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// In every build, or in none.
    Fixed(bool),
    /// Where this template expression is true (`prop.branch == "main"`, without braces).
    Expression(String),
}

impl When {
    /// Always.
    pub const ALWAYS: Self = Self::Fixed(true);
    /// Never.
    pub const NEVER: Self = Self::Fixed(false);
}

/// Which results put the step's summary into the build's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BuildSummaryPolicy {
    /// Those that can make the build look worse, as the result flags say.
    #[default]
    Automatic,
    /// These; all or none of them where a person wrote `true` or `false`.
    On(Vec<Results>),
}

impl BuildSummaryPolicy {
    /// Every result, or none.
    #[must_use]
    pub fn fixed(on: bool) -> Self {
        Self::of(Results::ALL.into_iter().filter(|_| on))
    }

    /// These results.
    #[must_use]
    pub fn of(results: impl IntoIterator<Item = Results>) -> Self {
        Self::On(results.into_iter().collect())
    }

    /// Whether a step with these flags that ended so is named in the build's summary.
    #[must_use]
    pub fn includes(&self, results: Results, flags: ResultFlags) -> bool {
        match self {
            Self::On(list) => list.contains(&results),
            Self::Automatic => match results {
                Results::Exception | Results::Retry | Results::Cancelled => true,
                Results::Failure => {
                    flags.flunk_on_failure || flags.halt_on_failure || flags.warn_on_failure
                }
                Results::Warnings => flags.warn_on_warnings || flags.flunk_on_warnings,
                Results::Success | Results::Skipped => false,
            },
        }
    }
}

/// How a step's result counts for its build. The default is Buildbot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultFlags {
    /// A failure ends the build; only steps that always run come after it.
    pub halt_on_failure: bool,
    /// A failure makes the build a failure.
    pub flunk_on_failure: bool,
    /// Warnings make the build a failure.
    pub flunk_on_warnings: bool,
    /// A failure makes the build one with warnings.
    pub warn_on_failure: bool,
    /// Warnings make the build one with warnings.
    pub warn_on_warnings: bool,
    /// The step runs even after the build was halted or stopped.
    pub always_run: bool,
}

impl ResultFlags {
    /// A step whose failure makes the build a failure, but lets the next steps run.
    pub const DEFAULT: Self = Self {
        halt_on_failure: false,
        flunk_on_failure: true,
        flunk_on_warnings: false,
        warn_on_failure: false,
        warn_on_warnings: false,
        always_run: false,
    };

    /// A step without which the others make no sense (a checkout, a compilation, a file transfer).
    pub const HALTING: Self = Self {
        halt_on_failure: true,
        ..Self::DEFAULT
    };

    /// What a step's result makes of the build's, and whether the build is to end.
    #[must_use]
    pub fn apply(self, build: Results, step: Results) -> (Results, bool) {
        let counts_as = match step {
            Results::Failure if self.flunk_on_failure => Results::Failure,
            Results::Failure if self.warn_on_failure => Results::Warnings,
            Results::Warnings if self.flunk_on_warnings => Results::Failure,
            Results::Warnings if self.warn_on_warnings => Results::Warnings,
            Results::Failure | Results::Warnings => Results::Success,
            other => other,
        };
        let halts = match step {
            Results::Failure => self.halt_on_failure,
            Results::Exception | Results::Retry | Results::Cancelled => true,
            Results::Success | Results::Warnings | Results::Skipped => false,
        };
        (build.worst(counts_as), halts)
    }
}

impl Default for ResultFlags {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens when the plugin of a step fails itself: when it crashes or goes past a limit. An error that it returns is
/// no such failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// The step is an exception, which ends the build.
    #[default]
    Fail,
    /// The step is skipped, and the build goes on.
    Skip,
    /// The step is begun again a few times; then it is an exception.
    Retry,
}

/// The parameters common to all steps, as a person gave them. What is `None` is left to the step type.
///
/// Texts are templates and are rendered for each build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOptions {
    /// Name of the step; made unique in its build. The step type's name by default.
    pub name: Option<String>,
    /// See [`ResultFlags::halt_on_failure`].
    pub halt_on_failure: Option<bool>,
    /// See [`ResultFlags::flunk_on_failure`].
    pub flunk_on_failure: Option<bool>,
    /// See [`ResultFlags::flunk_on_warnings`].
    pub flunk_on_warnings: Option<bool>,
    /// See [`ResultFlags::warn_on_failure`].
    pub warn_on_failure: Option<bool>,
    /// See [`ResultFlags::warn_on_warnings`].
    pub warn_on_warnings: Option<bool>,
    /// See [`ResultFlags::always_run`].
    pub always_run: Option<bool>,
    /// When the step's summary is part of the build's.
    pub update_build_summary_policy: BuildSummaryPolicy,
    /// Whether the step runs; it is skipped otherwise.
    pub do_step_if: When,
    /// Whether pages leave the step out once it has ended.
    pub hide_step_if: When,
    /// Locks that it holds while it runs; all are taken at once.
    pub locks: Vec<LockAccess>,
    /// What it does, shown while it runs.
    pub description: Option<String>,
    /// What it has done, shown when it has ended; [`Self::description`] by default.
    pub description_done: Option<String>,
    /// Put behind both of them.
    pub description_suffix: Option<String>,
    /// What happens when its plugin fails.
    pub on_failure: FailurePolicy,
    /// A command of it that has no limit of its own is ended when it prints nothing for so long.
    pub command_timeout: Option<Duration>,
    /// A command of it that has no limit of its own is ended when it runs for so long.
    pub command_max_time: Option<Duration>,
    /// What the exit codes of its command mean. By default 0 is success and all others are failure.
    pub decode_rc: Option<BTreeMap<i64, Results>>,
    /// Encoding of its command's output (a label of the WHATWG Encoding Standard); the worker's by default.
    pub log_encoding: Option<String>,
    /// Directory that it works in, below the builder's; the builder's choice by default.
    pub workdir: Option<String>,
}

impl Default for StepOptions {
    fn default() -> Self {
        Self {
            name: None,
            halt_on_failure: None,
            flunk_on_failure: None,
            flunk_on_warnings: None,
            warn_on_failure: None,
            warn_on_warnings: None,
            always_run: None,
            update_build_summary_policy: BuildSummaryPolicy::Automatic,
            do_step_if: When::ALWAYS,
            hide_step_if: When::NEVER,
            locks: Vec::new(),
            description: None,
            description_done: None,
            description_suffix: None,
            on_failure: FailurePolicy::Fail,
            command_timeout: None,
            command_max_time: None,
            decode_rc: None,
            log_encoding: None,
            workdir: None,
        }
    }
}

impl StepOptions {
    /// What was given, and `type_default` for the rest.
    #[must_use]
    pub fn result_flags(&self, type_default: ResultFlags) -> ResultFlags {
        ResultFlags {
            halt_on_failure: self.halt_on_failure.unwrap_or(type_default.halt_on_failure),
            flunk_on_failure: self
                .flunk_on_failure
                .unwrap_or(type_default.flunk_on_failure),
            flunk_on_warnings: self
                .flunk_on_warnings
                .unwrap_or(type_default.flunk_on_warnings),
            warn_on_failure: self.warn_on_failure.unwrap_or(type_default.warn_on_failure),
            warn_on_warnings: self
                .warn_on_warnings
                .unwrap_or(type_default.warn_on_warnings),
            always_run: self.always_run.unwrap_or(type_default.always_run),
        }
    }

    /// What an exit code means.
    #[must_use]
    pub fn decode_exit_code(&self, code: i64) -> Results {
        match &self.decode_rc {
            Some(codes) => codes.get(&code).copied().unwrap_or(Results::Failure),
            None if code == 0 => Results::Success,
            None => Results::Failure,
        }
    }
}
