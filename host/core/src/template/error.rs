//! What can be wrong with a template.

use minijinja::ErrorKind;

use super::scope::Scope;

/// Names that are listed at most when one is not found.
const NAMES_LISTED_MAX: usize = 20;

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// It is not written in the template language, or names what can never exist.
    Syntax,
    /// It names something that this build does not have.
    Undefined,
    /// It needs more work or output than allowed.
    TooMuch,
    /// A filter or an operator does not fit its values.
    Invalid,
}

/// A template that cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What kind of mistake it is.
    pub kind: TemplateErrorKind,
    /// What is wrong and what can be done, a lower-case fragment.
    pub message: String,
    /// Line in the template, counted from 1; 0 when unknown.
    pub line: u32,
    /// Column in that line in characters, counted from 1; 0 when unknown.
    pub column: u32,
}

impl TemplateError {
    /// One that concerns the template as a whole.
    pub(super) fn whole(kind: TemplateErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            line: 0,
            column: 0,
        }
    }

    /// From the engine's. `text` is what a person wrote; what the engine saw as byte 0 is byte `shift` of it.
    pub(super) fn from_engine(
        error: &minijinja::Error,
        text: &str,
        shift: isize,
        scope: Option<&Scope>,
    ) -> Self {
        let detail = error.detail().unwrap_or_default();
        let (kind, message) = match error.kind() {
            ErrorKind::UndefinedError => (
                TemplateErrorKind::Undefined,
                scope.map_or_else(|| detail.to_owned(), |scope| explain(detail, scope)),
            ),
            ErrorKind::OutOfFuel => (
                TemplateErrorKind::TooMuch,
                "the template needs too much work; make it or its values smaller".to_owned(),
            ),
            ErrorKind::SyntaxError if has_foreign_braces(text) => (
                TemplateErrorKind::Syntax,
                format!(
                    "{}; if the braces are meant for another program, write {{% raw %}}...{{% endraw %}} around them",
                    both(error.kind(), detail)
                ),
            ),
            ErrorKind::SyntaxError
            | ErrorKind::InvalidDelimiter
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownTest => (TemplateErrorKind::Syntax, both(error.kind(), detail)),
            other => (TemplateErrorKind::Invalid, both(other, detail)),
        };
        let (line, column) = match error.range() {
            Some(range) => position(text, range.start.saturating_add_signed(shift)),
            None => (error.line().map_or(0, saturate), 0),
        };
        Self {
            kind,
            message,
            line,
            column,
        }
    }
}

/// Whether there is something like `{{.Name}}`, which other programs' templates have and ours never.
fn has_foreign_braces(text: &str) -> bool {
    text.split("{{")
        .skip(1)
        .any(|code| code.trim_start().starts_with(['.', '$']))
}

fn both(kind: ErrorKind, detail: &str) -> String {
    if detail.is_empty() {
        kind.to_string()
    } else {
        format!("{kind}: {detail}")
    }
}

/// Line and column, both from 1, of a byte.
pub(super) fn position(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (saturate(line), saturate(column))
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Adds to "`prop.x` is undefined" what there is instead.
fn explain(detail: &str, scope: &Scope) -> String {
    let Some(expression) = detail.split('`').nth(1) else {
        return format!("{detail}; give it a value, or say `| default(...)`");
    };
    let path: Vec<&str> = expression
        .split(['.', '[', ']', '"', '\''])
        .filter(|part| !part.is_empty())
        .collect();
    let Some((missing, parents)) = path.split_last() else {
        return detail.to_owned();
    };
    let what = match parents {
        ["prop"] => format!("there is no property `{missing}`"),
        ["src"] => format!("there is no source `{missing}`"),
        _ => format!("`{expression}` is not defined"),
    };
    let instead = match scope.names_below(parents) {
        Some(names) if names.is_empty() => "there are none at all".to_owned(),
        Some(names) => format!("there are {}", listed(&names)),
        None => "there is nothing of that name here".to_owned(),
    };
    format!("{what} ({instead}); set it, or say what then with `| default(...)`")
}

fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(NAMES_LISTED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > NAMES_LISTED_MAX {
        shown.push(format!("{} more", names.len() - NAMES_LISTED_MAX));
    }
    shown.join(", ")
}
