//! Checks one value against what a field takes. HTML forms send everything as text, JSON clients what it is.

use regex::Regex;
use serde_json::Value;

use super::form::{FieldKind, FormField};

/// What a message calls a field.
pub(super) fn label(field: &FormField) -> &str {
    if field.label.is_empty() {
        &field.full_name
    } else {
        field.label.trim_end_matches(':')
    }
}

/// Whether nothing was filled in.
pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

/// Checks one value against what the field takes.
pub(super) fn scalar(field: &FormField, value: &Value) -> Result<Value, String> {
    match &field.kind {
        FieldKind::Int { min, max } => integer(field, value, *min, *max),
        FieldKind::Number { min, max } => number(field, value, *min, *max),
        FieldKind::Json { .. } => json(field, value),
        FieldKind::Bool => boolean(field, value),
        FieldKind::Text {
            regex, chars_max, ..
        }
        | FieldKind::TextArea {
            regex, chars_max, ..
        } => {
            let text = string(field, value)?;
            let length = text.chars().count();
            if let Some(max) = chars_max.filter(|max| length > *max as usize) {
                let label = label(field);
                return Err(format!(
                    "`{label}` has {length} characters, and takes at most {max}"
                ));
            }
            matches_whole(field, regex.as_deref(), &text)?;
            Ok(Value::from(text))
        }
        FieldKind::File { bytes_max } => {
            let text = string(field, value)?;
            if text.len() > *bytes_max as usize {
                let (label, length) = (label(field), text.len());
                return Err(format!(
                    "`{label}` has {length} bytes, and takes at most {bytes_max}"
                ));
            }
            Ok(Value::from(text))
        }
        FieldKind::Worker { choices } => {
            let text = string(field, value)?;
            match choices.contains(&text) {
                true => Ok(Value::from(text)),
                false => Err(format!("there is no worker `{text}` for these builders")),
            }
        }
        FieldKind::Inherit { .. } => string(field, value).map(Value::from),
        FieldKind::List {
            choices, strict, ..
        } => {
            let text = string(field, value)?;
            if *strict && !choices.contains(&text) {
                let known = choices.join("`, `");
                return Err(format!("`{text}` is not one of `{known}`"));
            }
            Ok(Value::from(text))
        }
        FieldKind::Username { need_email } => {
            let text = string(field, value)?;
            if *need_email && !has_mail_address(&text) {
                return Err("write it as `Name <name@example.org>`".into());
            }
            Ok(Value::from(text))
        }
        FieldKind::Fixed => Ok(field.default.clone()),
        FieldKind::Nested { .. } | FieldKind::Codebase { .. } | FieldKind::Any { .. } => {
            Err(format!("`{}` is a group of fields", label(field)))
        }
    }
}

fn string(field: &FormField, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("`{}` takes text", label(field))),
    }
}

fn integer(
    field: &FormField,
    value: &Value,
    min: Option<i64>,
    max: Option<i64>,
) -> Result<Value, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| format!("`{}` takes a whole number", label(field)))?;
    if let Some(min) = min.filter(|min| number < *min) {
        return Err(format!("`{}` is at least {min}", label(field)));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return Err(format!("`{}` is at most {max}", label(field)));
    }
    Ok(Value::from(number))
}

fn number(
    field: &FormField,
    value: &Value,
    min: Option<f64>,
    max: Option<f64>,
) -> Result<Value, String> {
    let number = match value {
        Value::Number(_) => value.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    };
    let number = number.ok_or_else(|| format!("`{}` takes a number", label(field)))?;
    if let Some(min) = min.filter(|min| number < *min) {
        return Err(format!("`{}` is at least {min}", label(field)));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return Err(format!("`{}` is at most {max}", label(field)));
    }
    Ok(Value::from(number))
}

/// HTML forms send it as text.
fn json(field: &FormField, value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else {
        return Ok(value.clone());
    };
    serde_json::from_str(text).map_err(|error| format!("`{}` takes JSON: {error}", label(field)))
}

/// HTML forms send a tick as text, JSON clients as a boolean.
fn boolean(field: &FormField, value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match text.as_str() {
            "true" | "on" | "1" | "yes" => Ok(Value::Bool(true)),
            "false" | "off" | "0" | "no" => Ok(Value::Bool(false)),
            _ => Err(format!("`{}` is true or false", label(field))),
        },
        _ => Err(format!("`{}` is true or false", label(field))),
    }
}

fn matches_whole(field: &FormField, regex: Option<&str>, text: &str) -> Result<(), String> {
    let Some(pattern) = regex else { return Ok(()) };
    let whole = Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| format!("the configured expression is not valid: {error}"))?;
    if whole.is_match(text) {
        Ok(())
    } else {
        Err(format!("`{}` has to match `{pattern}`", label(field)))
    }
}

/// `Name <name@host>` or a bare address: that there is one, not that it exists.
fn has_mail_address(text: &str) -> bool {
    let address = match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => &text[open + 1..close],
        _ => text.trim(),
    };
    matches!(address.split_once('@'), Some((user, host))
        if !user.is_empty() && !host.is_empty() && !address.contains(char::is_whitespace))
}
