//! What a template can become, as far as that is known before it is rendered.

use toolpost_core::template::Templates;

/// What a string may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// Itself: there is nothing to render.
    Itself,
    /// Another string.
    AnyString,
    /// Whatever its only expression gives: a number, a list.
    Anything,
}

pub(crate) fn becomes(text: &str) -> Becomes {
    if !Templates::is_template(text) {
        return Becomes::Itself;
    }
    let only = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    match only {
        Some(inner) if !Templates::is_template(inner) && !inner.contains("}}") => Becomes::Anything,
        _ => Becomes::AnyString,
    }
}
