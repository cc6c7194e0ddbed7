//! What a validator found, in words for the person who wrote the parameters.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::{Fault, ParameterProblem};
use crate::suggest;
use crate::template::{self, Becomes};

/// Values are quoted up to this length.
const QUOTE_CHARS_MAX: usize = 60;

/// Explains the errors of one value.
pub(super) struct Explainer<'a> {
    pub(super) schema: &'a Value,
    /// Whether templates are rendered before the value is used.
    pub(super) renders: bool,
}

impl Explainer<'_> {
    pub(super) fn explain<'i>(
        &self,
        errors: impl Iterator<Item = ValidationError<'i>>,
    ) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        for error in errors.filter(|error| !self.passes(error)) {
            explain_one(self, &error, &mut problems);
        }
        problems
    }

    fn passes(&self, error: &ValidationError<'_>) -> bool {
        self.renders && passes_as_template(error)
    }
}

/// Whether an error is only that a value is not known before a template is rendered.
fn passes_as_template(error: &ValidationError<'_>) -> bool {
    use ValidationErrorKind as Kind;
    if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = error.kind() {
        return context
            .iter()
            .any(|branch| !branch.is_empty() && branch.iter().all(passes_as_template));
    }
    let becomes = error
        .instance()
        .as_str()
        .map_or(Becomes::Itself, template::becomes);
    match becomes {
        Becomes::Itself => false,
        Becomes::Anything => true,
        Becomes::AnyString => !matches!(error.kind(), Kind::Type { .. }),
    }
}

fn types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(set) => set.iter().collect(),
    }
}

fn explain_one(
    explainer: &Explainer<'_>,
    error: &ValidationError<'_>,
    problems: &mut Vec<ParameterProblem>,
) {
    use ValidationErrorKind as Kind;
    let path = path_of(error);
    let mut add = |fault| {
        problems.push(ParameterProblem {
            path: path.clone(),
            fault,
        });
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = known_keys(explainer.schema, error);
            for key in unexpected {
                add(Fault::UnknownKey {
                    key: key.clone(),
                    known: known.clone(),
                });
            }
        }
        Kind::Required { property } => add(Fault::MissingKey(vec![plain(property)])),
        Kind::Type { kind } => add(wrong_type(&types(kind), error.instance())),
        Kind::Enum { options } => add(not_listed(options, error.instance())),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            explain_branches(explainer, error, context, problems);
        }
        _ => add(Fault::Other(in_words(error))),
    }
}

/// No branch fits: speaks of what all of them want, or of the one that was most likely meant.
fn explain_branches(
    explainer: &Explainer<'_>,
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
    problems: &mut Vec<ParameterProblem>,
) {
    let path = path_of(error);
    if let Some(fault) = same_in_all(error, branches) {
        problems.push(ParameterProblem { path, fault });
        return;
    }
    let mistyped = |branch: &[ValidationError<'static>]| {
        branch.iter().find_map(|inner| match inner.kind() {
            ValidationErrorKind::Type { kind } if path_of(inner) == path => Some(types(kind)),
            _ => None,
        })
    };
    let likely = branches
        .iter()
        .filter(|branch| mistyped(branch).is_none())
        .min_by_key(|branch| unlikeliness(branch));
    let Some(likely) = likely else {
        let wanted: Vec<JsonType> = branches
            .iter()
            .filter_map(|b| mistyped(b))
            .flatten()
            .collect();
        let fault = wrong_type(&wanted, error.instance());
        problems.push(ParameterProblem { path, fault });
        return;
    };
    for inner in likely.iter().filter(|inner| !explainer.passes(inner)) {
        explain_one(explainer, inner, problems);
    }
}

/// A branch with another constant (the tag of a variant) is another variant; of the others the one with
/// the fewest errors was meant.
fn unlikeliness(branch: &[ValidationError<'static>]) -> (usize, usize) {
    let constants = branch
        .iter()
        .filter(|inner| matches!(inner.kind(), ValidationErrorKind::Constant { .. }))
        .count();
    (constants, branch.len())
}

/// Branches that are each one word, as schemas of enumerations are, or that each want one more key.
fn same_in_all(
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'static>>],
) -> Option<Fault> {
    let path = path_of(error);
    let mut words = Vec::new();
    let mut keys = Vec::new();
    for branch in branches {
        let [only] = branch.as_slice() else {
            return None;
        };
        if path_of(only) != path {
            return None;
        }
        match only.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                words.push(expected_value.as_ref().clone());
            }
            ValidationErrorKind::Enum { options } => {
                words.extend(options.as_array().into_iter().flatten().cloned());
            }
            ValidationErrorKind::Required { property } => keys.push(plain(property)),
            _ => return None,
        }
    }
    match (words.is_empty(), keys.is_empty()) {
        (false, true) => Some(not_listed(&Value::Array(words), error.instance())),
        (true, false) => Some(Fault::MissingKey(keys)),
        _ => None,
    }
}

fn path_of(error: &ValidationError<'_>) -> Vec<String> {
    error
        .instance_path()
        .into_iter()
        .map(|segment| segment.to_string())
        .collect()
}

/// The keys that the schema has at the place of an error.
fn known_keys(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let pointer = error.schema_path().to_string();
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema
        .pointer(parent)
        .and_then(|table| table.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

fn wrong_type(wanted: &[JsonType], found: &Value) -> Fault {
    let mut words: Vec<&str> = Vec::new();
    for kind in wanted {
        let word = match kind {
            // TOML has no null; schemas say it of what may be left out.
            JsonType::Null => continue,
            JsonType::Boolean => "`true` or `false`",
            JsonType::Integer => "an integer",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::Array => "an array",
            JsonType::Object => "a table",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let wanted = match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    };
    Fault::Other(format!("expected {wanted}, found {}", describe(found)))
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

fn not_listed(options: &Value, found: &Value) -> Fault {
    let options = options.as_array().map_or(&[][..], Vec::as_slice);
    let known: Vec<String> = options
        .iter()
        .filter(|option| !option.is_null())
        .map(plain)
        .collect();
    match found {
        Value::String(found) => Fault::UnknownWord {
            found: found.clone(),
            known,
        },
        other => Fault::Other(format!(
            "expected one of {}, found {}",
            suggest::list(known.iter().map(String::as_str)),
            describe(other)
        )),
    }
}

/// A string without its quotes.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn in_words(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    let value = quote(error.instance());
    match error.kind() {
        Kind::Minimum { limit } => format!("{value} is less than {limit}"),
        Kind::Maximum { limit } => format!("{value} is more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("{value} is not more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{value} is not less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("{value} is not a multiple of {multiple_of}"),
        Kind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinLength { limit } => format!("{value} is shorter than {limit} characters"),
        Kind::MaxLength { limit } => format!("{value} is longer than {limit} characters"),
        Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            "must not be empty".to_owned()
        }
        Kind::MinItems { limit } => format!("needs at least {limit} items"),
        Kind::MaxItems { limit } => format!("takes at most {limit} items"),
        Kind::UniqueItems => "has an item twice".to_owned(),
        Kind::Pattern { pattern } => format!("{value} does not match the pattern `{pattern}`"),
        Kind::Format { format } => format!("{value} is not a valid `{format}`"),
        Kind::Constant { expected_value } => format!("expected {expected_value}, found {value}"),
        Kind::OneOfMultipleValid { .. } => format!("{value} has more than one meaning here"),
        _ => error.masked_with(value).to_string(),
    }
}

fn quote(value: &Value) -> String {
    let text = match value {
        Value::Array(_) | Value::Object(_) => return describe(value).to_owned(),
        scalar => scalar.to_string(),
    };
    if text.chars().count() <= QUOTE_CHARS_MAX {
        return text;
    }
    let front: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    format!("{front}…")
}
