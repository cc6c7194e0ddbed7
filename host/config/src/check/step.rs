//! Steps: the options that every step has, and the parameters of its type.

use std::collections::BTreeMap;

use toolpost_core::locks::LockAccess;
use toolpost_core::step::{BuildSummaryPolicy, FailurePolicy, StepOptions, When};
use toolpost_core::template::Templates;
use toolpost_core::{PluginKind, Results};

use super::{Checker, list, value};
use crate::config::StepConfig;
use crate::decode::Keyed;
use crate::raw::{FailureWord, RawStep, RawSummaryPolicy, RawWhen, ResultsWord};
use crate::tree::At;

/// Step names are columns of a table, and Buildbot's clients expect no longer ones.
const STEP_NAME_CHARS_MAX: usize = 50;

impl Checker<'_, '_> {
    pub(super) fn step(
        &mut self,
        raw: At<RawStep>,
        workers: &[String],
        held: &[LockAccess],
    ) -> Option<StepConfig> {
        let mut raw = raw.value;
        let parameters = std::mem::take(&mut raw.parameters);
        let step_type = raw.r#use.take();
        let options = self.step_options(raw, workers, held);
        let step_type = step_type?;
        let parameters =
            self.type_parameters(PluginKind::Step, &step_type, parameters, RawStep::KEYS);
        Some(StepConfig {
            step_type: step_type.value,
            options,
            parameters,
        })
    }

    fn step_options(
        &mut self,
        raw: RawStep,
        workers: &[String],
        held: &[LockAccess],
    ) -> StepOptions {
        for text in [
            &raw.name,
            &raw.description,
            &raw.description_done,
            &raw.description_suffix,
        ]
        .into_iter()
        .flatten()
        {
            self.template(&text.value, text.span);
        }
        self.check_step_name(raw.name.as_ref());
        StepOptions {
            locks: self.lock_uses(list(raw.locks), workers, held),
            do_step_if: self.when(raw.do_step_if, When::ALWAYS),
            hide_step_if: self.when(raw.hide_step_if, When::NEVER),
            decode_rc: raw.decode_rc.map(|codes| self.decode_rc(codes.value)),
            workdir: self.workdir(raw.workdir),
            name: value(raw.name),
            halt_on_failure: value(raw.halt_on_failure),
            flunk_on_failure: value(raw.flunk_on_failure),
            flunk_on_warnings: value(raw.flunk_on_warnings),
            warn_on_failure: value(raw.warn_on_failure),
            warn_on_warnings: value(raw.warn_on_warnings),
            always_run: value(raw.always_run),
            update_build_summary_policy: summary_policy(raw.update_build_summary_policy),
            description: value(raw.description),
            description_done: value(raw.description_done),
            description_suffix: value(raw.description_suffix),
            on_failure: value(raw.on_failure).map_or(FailurePolicy::Fail, failure_policy),
            command_timeout: value(raw.command_timeout).map(|limit| limit.0),
            command_max_time: value(raw.command_max_time).map(|limit| limit.0),
            log_encoding: value(raw.log_encoding),
        }
    }

    fn check_step_name(&mut self, name: Option<&At<String>>) {
        let Some(name) = name else { return };
        if name.value.trim().is_empty() {
            self.report
                .at(name.span, "the name of a step must not be empty");
        } else if name.value.chars().count() > STEP_NAME_CHARS_MAX
            && !Templates::is_template(&name.value)
        {
            let message =
                format!("the name of a step has at most {STEP_NAME_CHARS_MAX} characters");
            self.report
                .at(name.span, message)
                .help("`description` may be longer");
        }
    }

    fn when(&mut self, raw: Option<At<RawWhen>>, default: When) -> When {
        match raw {
            None => default,
            Some(At {
                value: RawWhen::Fixed(yes),
                ..
            }) => When::Fixed(yes),
            Some(At {
                value: RawWhen::Expression(text),
                span,
            }) => {
                self.expression(&text, span);
                When::Expression(text)
            }
        }
    }

    fn decode_rc(&mut self, raw: Keyed<ResultsWord>) -> BTreeMap<i64, Results> {
        let mut codes = BTreeMap::new();
        for (code, (key, word)) in raw.0 {
            match code.parse() {
                Ok(code) => {
                    codes.insert(code, results(word.value));
                }
                Err(_) => {
                    self.report.at(key, format!("`{code}` is not an exit code"));
                }
            }
        }
        codes
    }
}

fn results(word: ResultsWord) -> Results {
    match word {
        ResultsWord::Success => Results::Success,
        ResultsWord::Warnings => Results::Warnings,
        ResultsWord::Failure => Results::Failure,
        ResultsWord::Skipped => Results::Skipped,
        ResultsWord::Exception => Results::Exception,
        ResultsWord::Retry => Results::Retry,
        ResultsWord::Cancelled => Results::Cancelled,
    }
}

fn failure_policy(word: FailureWord) -> FailurePolicy {
    match word {
        FailureWord::Fail => FailurePolicy::Fail,
        FailureWord::Skip => FailurePolicy::Skip,
        FailureWord::Retry => FailurePolicy::Retry,
    }
}

fn summary_policy(raw: Option<At<RawSummaryPolicy>>) -> BuildSummaryPolicy {
    match value(raw) {
        None => BuildSummaryPolicy::Automatic,
        Some(RawSummaryPolicy::Fixed(on)) => BuildSummaryPolicy::fixed(on),
        Some(RawSummaryPolicy::On(words)) => {
            BuildSummaryPolicy::of(words.into_iter().map(|word| results(word.value)))
        }
    }
}
