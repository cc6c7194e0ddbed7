//! Holds what was seen against what is expected.

use serde_json::{Map, Value};

use crate::script::Test;
use crate::verdict::Mismatch;

/// The name of what every test expects of the end, unless it says something else.
pub(crate) struct Usual {
    /// Such as `result`.
    pub(crate) name: &'static str,
    /// Such as `success`.
    pub(crate) value: &'static str,
}

/// What is not as the test expects. An error that is not expected fails every test, and without an expectation of the end it
/// has to be the usual one.
pub(crate) fn judge(test: &Test, seen: &Map<String, Value>, usual: &Usual) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let members = test.expect.as_ref().and_then(|expect| expect.members());
    let says = |name: &str| members.is_some_and(|members| members.contains_key(name));
    let line = test.expect.as_ref().map_or(test.line, |expect| expect.line);
    let expects_error = says("error") || says("error_kind");
    let shown = |name: &str| {
        seen.get(name)
            .map_or_else(String::new, crate::script::pattern::show)
    };
    if seen.contains_key("error") && !expects_error {
        found.push(Mismatch {
            line,
            what: "error".into(),
            expected: "(none)".into(),
            seen: shown("error"),
        });
    } else if !expects_error && !says(usual.name) && shown(usual.name) != usual.value {
        found.push(Mismatch {
            line,
            what: usual.name.into(),
            expected: usual.value.into(),
            seen: shown(usual.name),
        });
    }
    for (name, pattern) in members.into_iter().flatten() {
        pattern.check(name, seen.get(name), &mut found);
    }
    found
}
