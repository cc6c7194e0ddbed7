//! Settings of reporters.

use serde_json::json;
use toolpost_core::report::{RetryPolicy, Wants};

use super::{FactList, Facts, duration, fact};
use crate::config::ReporterConfig;

impl Facts for ReporterConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            reporter_type,
            wants,
            retry,
            parallel,
            parameters,
        } = self;
        let Wants {
            events,
            builders,
            tags,
            schedulers,
            branches,
            results,
            silent_about,
        } = wants;
        let RetryPolicy {
            attempts_max,
            first_wait,
            longest_wait,
        } = retry;
        let events: Vec<&str> = events.iter().map(|event| event.name()).collect();
        let results: Vec<&str> = results.iter().map(|mode| mode.name()).collect();
        let mut facts = vec![
            fact("use", reporter_type.as_str()),
            fact("events", json!(events)),
            fact("builders", json!(builders)),
            fact("tags", json!(tags)),
            fact("schedulers", json!(schedulers)),
            fact("branches", json!(branches)),
            fact("results", json!(results)),
            fact("silent_about", json!(silent_about)),
            fact("retry.attempts", *attempts_max),
            fact("retry.first_wait", duration(*first_wait)),
            fact("retry.longest_wait", duration(*longest_wait)),
            fact("parallel", *parallel),
        ];
        facts.extend(
            parameters
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        facts
    }
}
