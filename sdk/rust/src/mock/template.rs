//! The template language as the master has it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Engine, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
};
use serde_json::Value;

/// Renders a template. A name that is not there is an error, and nothing is escaped by itself.
pub(super) fn render(template: &str, values: &Value) -> Result<String, Error> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(format_value);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    engine.set_syntax(syntax?);
    engine.add_filter("default", default);
    engine.add_filter("d", default);
    engine.render_str(template, Serde(values))
}

/// Null becomes nothing, a list or an object becomes JSON.
fn format_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Engine,
) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Ok(()),
        ValueKind::Seq | ValueKind::Map => {
            let json = serde_json::to_string(value)
                .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            out.write_str(&json).map_err(Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}

/// What is null is missing, too.
fn default(value: Engine, other: Option<Engine>, or_falsy: Option<bool>) -> Engine {
    let absent = value.is_undefined() || value.is_none();
    if absent || (or_falsy == Some(true) && !value.is_true()) {
        other.unwrap_or_else(|| Engine::from(""))
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_in_the_master() {
        let check = |template, expected: Option<&str>| {
            let values = json!({"none": null, "list": ["a", 1], "text": "<b>", "map": {"a": {}}});
            let rendered = render(template, &values).ok();
            assert_eq!(rendered.as_deref(), expected, "{template}");
        };
        check("[{{ none }}]\n", Some("[]\n"));
        check("{{ list }} {{ map }}", Some(r#"["a",1] {"a":{}}"#));
        check("{{ text }} {{ text | e }}", Some("<b> &lt;b&gt;"));
        check("{{ none | default('x') }} {{ map.b | d }}", Some("x "));
        check("{{ missing }}", None);
        check("{{ map.b }}", None);
    }
}
