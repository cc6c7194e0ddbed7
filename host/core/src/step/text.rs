//! One line about a step, while it runs and when it has ended.

use crate::Results;

/// What a person wrote about a step, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepTexts {
    /// What it does.
    pub description: Option<String>,
    /// What it has done.
    pub description_done: Option<String>,
    /// Put behind both.
    pub description_suffix: Option<String>,
}

/// Why a step ended before its own end, beside its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutShort {
    /// It took longer than allowed.
    TimedOut,
    /// It wrote more than allowed.
    TooMuchOutput,
}

impl StepTexts {
    /// While the step runs. `own` is what the step says of itself.
    #[must_use]
    pub fn running(&self, own: Option<&str>) -> String {
        let text = self.description.as_deref().or(own).unwrap_or("running");
        self.with_suffix(text)
    }

    /// When the step has ended. What the person wrote for that goes before what the step says of itself,
    /// and that before what the person wrote for the time when it runs.
    #[must_use]
    pub fn finished(
        &self,
        own: Option<&str>,
        results: Results,
        cut_short: Option<CutShort>,
    ) -> String {
        let text = self
            .description_done
            .as_deref()
            .or(own)
            .or(self.description.as_deref())
            .unwrap_or("finished");
        let mut text = self.with_suffix(text);
        if results != Results::Success {
            text.push_str(&format!(" ({results})"));
        }
        match cut_short {
            Some(CutShort::TimedOut) => text.push_str(" (timed out)"),
            Some(CutShort::TooMuchOutput) => text.push_str(" (too much output)"),
            None => {}
        }
        text
    }

    fn with_suffix(&self, text: &str) -> String {
        match &self.description_suffix {
            Some(suffix) => format!("{text} {suffix}"),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(description: &str, done: &str, suffix: &str) -> StepTexts {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        StepTexts {
            description: given(description),
            description_done: given(done),
            description_suffix: given(suffix),
        }
    }

    #[test]
    fn the_most_specific_text_is_shown() {
        let finished = |t: StepTexts, own| t.finished(own, Results::Success, None);
        assert_eq!(texts("", "", "").running(None), "running");
        assert_eq!(texts("", "", "").running(Some("3 of 9")), "3 of 9");
        assert_eq!(texts("testing", "", "core").running(None), "testing core");
        assert_eq!(finished(texts("", "", ""), None), "finished");
        assert_eq!(finished(texts("testing", "", ""), None), "testing");
        assert_eq!(
            finished(texts("testing", "", ""), Some("9 passed")),
            "9 passed"
        );
        assert_eq!(
            finished(texts("testing", "tests", "core"), Some("9 passed")),
            "tests core"
        );
    }

    #[test]
    fn whatever_is_no_success_says_so() {
        let end = |results, cut| texts("make", "", "").finished(None, results, cut);
        assert_eq!(end(Results::Failure, None), "make (failure)");
        assert_eq!(
            end(Results::Failure, Some(CutShort::TimedOut)),
            "make (failure) (timed out)"
        );
        assert_eq!(end(Results::Skipped, None), "make (skipped)");
    }
}
