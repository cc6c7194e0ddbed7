//! Decides whether a change is one that a scheduler looks at. Pure; knows nothing of schedulers.
//!
//! The semantics are those of the section "ChangeFilter" of Buildbot's manual: a change passes when
//! every condition that is given holds. Three points are easy to miss:
//!
//! * A branch can be absent (the default branch). An absent value is equal to `None` only, never matches
//!   a regular expression and always passes a negated one.
//! * A regular expression has to match at the start of the value, not all of it.
//! * Files are many: a change passes when *one* of its files fulfils all file conditions, so
//!   `files_not_re = "docs/"` lets through whatever touches more than the documentation.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::model::Change;

/// A regular expression that is equal to another when its text is.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

/// The text is not a regular expression of the `regex` crate's syntax.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{pattern}` is not a regular expression: {reason}")]
pub struct PatternError {
    /// What was written.
    pub pattern: String,
    /// What is wrong with it, on one line.
    pub reason: String,
}

impl Pattern {
    /// Compiles one.
    ///
    /// # Errors
    /// When the text is not a regular expression, or one that needs too much memory.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        regex::Regex::new(pattern)
            .map(Self)
            .map_err(|error| PatternError {
                pattern: pattern.to_owned(),
                // The last line of a parse error says what is wrong; those before draw the place.
                reason: error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            })
    }

    /// What it was compiled from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches at the start of `value`; the match may end anywhere.
    #[must_use]
    pub fn matches_start(&self, value: &str) -> bool {
        // The leftmost match is at the start whenever there is one there.
        self.0.find(value).is_some_and(|found| found.start() == 0)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern)
    }
}

/// Conditions on one attribute. What is `None` is not asked; all that is given must hold.
///
/// An absent value (`None` inside the lists) is the default branch, or a change without a category.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// The value is one of these.
    pub eq: Option<Vec<Option<String>>>,
    /// The value is none of these.
    pub not_eq: Option<Vec<Option<String>>>,
    /// One of these matches at the start of the value.
    pub re: Option<Vec<Pattern>>,
    /// None of these matches at the start of the value.
    pub not_re: Option<Vec<Pattern>>,
}

/// Which of the four conditions did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// Not one of these.
    Eq(&'a [Option<String>]),
    /// One of these.
    NotEq(&'a [Option<String>]),
    /// None of these matches.
    Re(&'a [Pattern]),
    /// One of these matches.
    NotRe(&'a [Pattern]),
}

impl Conditions {
    /// The value is exactly this one.
    #[must_use]
    pub fn equal_to(value: impl Into<String>) -> Self {
        Self {
            eq: Some(vec![Some(value.into())]),
            ..Self::default()
        }
    }

    /// The value is one of these.
    #[must_use]
    pub fn one_of<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        Self {
            eq: Some(values.into_iter().map(|value| Some(value.into())).collect()),
            ..Self::default()
        }
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.eq.is_none() && self.not_eq.is_none() && self.re.is_none() && self.not_re.is_none()
    }

    /// The first condition that `value` does not fulfil.
    #[must_use]
    pub fn broken_by(&self, value: Option<&str>) -> Option<Rule<'_>> {
        let listed = |list: &[Option<String>]| list.iter().any(|item| item.as_deref() == value);
        let matched = |patterns: &[Pattern]| {
            value.is_some_and(|value| patterns.iter().any(|p| p.matches_start(value)))
        };
        if let Some(list) = self.eq.as_deref().filter(|list| !listed(list)) {
            return Some(Rule::Eq(list));
        }
        if let Some(list) = self.not_eq.as_deref().filter(|list| listed(list)) {
            return Some(Rule::NotEq(list));
        }
        if let Some(patterns) = self.re.as_deref().filter(|patterns| !matched(patterns)) {
            return Some(Rule::Re(patterns));
        }
        if let Some(patterns) = self.not_re.as_deref().filter(|patterns| matched(patterns)) {
            return Some(Rule::NotRe(patterns));
        }
        None
    }

    /// Whether `value` fulfils all of them.
    #[must_use]
    pub fn hold_for(&self, value: Option<&str>) -> bool {
        self.broken_by(value).is_none()
    }
}

/// Which changes pass. The default lets every change through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeFilter {
    /// On the branch; absent for the default branch.
    pub branch: Conditions,
    /// On the repository.
    pub repository: Conditions,
    /// On the project; the empty text for none.
    pub project: Conditions,
    /// On the category; absent for none.
    pub category: Conditions,
    /// On the codebase; the empty text for the only one.
    pub codebase: Conditions,
    /// On the files: one of them has to fulfil all. A change without files passes when only negated
    /// conditions are given.
    pub files: Conditions,
    /// On properties of the change by name; a missing one is the empty text, one that is no text is
    /// compared as JSON (`3`, `true`).
    pub properties: BTreeMap<String, Conditions>,
}

/// Why a change does not pass, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch<'a> {
    /// What was looked at: `branch`, `files`, `property owner` ...
    pub attribute: Cow<'static, str>,
    /// What it is in the change; absent for files.
    pub value: Option<Cow<'a, str>>,
    /// What it should have been.
    pub rule: Rule<'a>,
}

impl ChangeFilter {
    /// Whether nothing is asked, so that every change passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the change passes.
    #[must_use]
    pub fn matches(&self, change: &Change) -> bool {
        self.explain(change).is_none()
    }

    /// The first condition that the change does not fulfil; `None` when it passes.
    #[must_use]
    pub fn explain<'a>(&'a self, change: &'a Change) -> Option<Mismatch<'a>> {
        let attributes: [(&'static str, &Conditions, Option<&str>); 5] = [
            ("branch", &self.branch, change.branch.as_deref()),
            ("repository", &self.repository, Some(&change.repository)),
            ("project", &self.project, Some(&change.project)),
            ("category", &self.category, change.category.as_deref()),
            ("codebase", &self.codebase, Some(&change.codebase)),
        ];
        for (attribute, conditions, value) in attributes {
            if let Some(rule) = conditions.broken_by(value) {
                return Some(Mismatch {
                    attribute: attribute.into(),
                    value: value.map(Cow::Borrowed),
                    rule,
                });
            }
        }
        self.explain_files(&change.files)
            .or_else(|| self.explain_properties(change))
    }

    fn explain_files(&self, files: &[String]) -> Option<Mismatch<'_>> {
        let rule = if files.is_empty() {
            match (&self.files.eq, &self.files.re) {
                (Some(list), _) => Rule::Eq(list),
                (None, Some(patterns)) => Rule::Re(patterns),
                (None, None) => return None,
            }
        } else {
            let mut broken = None;
            for file in files {
                broken = Some(self.files.broken_by(Some(file))?);
            }
            broken?
        };
        Some(Mismatch {
            attribute: "files".into(),
            value: None,
            rule,
        })
    }

    fn explain_properties<'a>(&'a self, change: &'a Change) -> Option<Mismatch<'a>> {
        self.properties.iter().find_map(|(name, conditions)| {
            let value: Cow<'_, str> = match change.properties.get(name) {
                None | Some(Value::Null) => "".into(),
                Some(Value::String(text)) => text.into(),
                Some(other) => other.to_string().into(),
            };
            let rule = conditions.broken_by(Some(&value))?;
            Some(Mismatch {
                attribute: format!("property {name}").into(),
                value: Some(value),
                rule,
            })
        })
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.attribute.as_ref()) {
            (_, "files") => f.write_str("no file of the change fits: it has to ")?,
            (Some(value), attribute) => write!(f, "{attribute} `{value}` has to ")?,
            (None, attribute) => write!(f, "{attribute} is absent but has to ")?,
        }
        let names = |list: &[Option<String>]| {
            let quoted = list.iter().map(|item| match item {
                Some(text) => format!("`{text}`"),
                None => "absent".to_owned(),
            });
            quoted.collect::<Vec<_>>().join(", ")
        };
        let patterns = |list: &[Pattern]| {
            let quoted = list.iter().map(|item| format!("`{}`", item.as_str()));
            quoted.collect::<Vec<_>>().join(", ")
        };
        match self.rule {
            Rule::Eq(list) => write!(f, "be one of {}", names(list)),
            Rule::NotEq(list) => write!(f, "be none of {}", names(list)),
            Rule::Re(list) => write!(f, "match one of {}", patterns(list)),
            Rule::NotRe(list) => write!(f, "match none of {}", patterns(list)),
        }
    }
}
