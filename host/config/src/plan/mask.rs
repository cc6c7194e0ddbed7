//! Passwords in URLs, which a plan does not show: it is printed, logged and sent to whoever may see it.

use serde_json::Value;

/// The same value, with every password in a URL replaced.
pub(super) fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_password(text)),
        Value::Array(items) => items.into_iter().map(mask).collect(),
        Value::Object(fields) => {
            let masked = fields.into_iter().map(|(name, value)| (name, mask(value)));
            Value::Object(masked.collect())
        }
        other => other,
    }
}

fn without_password(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((login, host)) = authority.rsplit_once('@') else {
        return text;
    };
    match login.split_once(':') {
        Some((user, password)) if !password.is_empty() => {
            let after = &rest[authority.len()..];
            format!("{scheme}://{user}:***@{host}{after}")
        }
        _ => text,
    }
}
