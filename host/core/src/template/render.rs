//! Rendering within limits.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Engine, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, escape_formatter};
use serde_json::Value;

use super::error::{TemplateError, TemplateErrorKind};
use super::scope::Scope;
use crate::step::When;

/// How much one rendering may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Length of a template, bytes.
    pub template_bytes_max: usize,
    /// Length of what is rendered, bytes; for a JSON value, of each text in it.
    pub output_bytes_max: usize,
    /// Work: about one unit for an instruction, or for 64 bytes that are made or looked at.
    pub fuel: u64,
    /// Depth of a JSON value whose texts are rendered.
    pub depth_max: usize,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        Self {
            template_bytes_max: 256 << 10,
            output_bytes_max: 1 << 20,
            fuel: 100_000,
            depth_max: 64,
        }
    }
}

/// The template engine. Cheap to clone; the same for all builds.
#[derive(Clone)]
pub struct Templates {
    pub(super) engine: Arc<Environment<'static>>,
    limits: TemplateLimits,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(TemplateLimits::default())
    }
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Templates {
    /// An engine with these limits.
    #[must_use]
    pub fn new(limits: TemplateLimits) -> Self {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(limits.fuel));
        // Errors then tell which expression is undefined and where it stands.
        engine.set_debug(true);
        engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        engine.set_formatter(format_value);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        engine.set_syntax(syntax.expect("Jinja's own delimiters are valid"));
        engine.add_filter("default", default);
        engine.add_filter("d", default);
        // It prints the whole scope, which will hold secrets.
        engine.remove_global("debug");
        Self {
            engine: Arc::new(engine),
            limits,
        }
    }

    /// Whether a text has anything to render in it. One that has not is its own rendering.
    #[must_use]
    pub fn is_template(text: &str) -> bool {
        text.contains("{{") || text.contains("{%") || text.contains("{#")
    }

    /// Renders a template to a text. Null becomes nothing, a list or an object becomes JSON.
    ///
    /// # Errors
    /// When it is wrong, names something undefined, or exceeds a limit.
    pub fn render(&self, text: &str, scope: &Scope) -> Result<String, TemplateError> {
        if !Self::is_template(text) {
            return Ok(text.to_owned());
        }
        self.check_length(text)?;
        let rendered = self
            .engine
            .template_from_str(text)
            .and_then(|template| template.render(scope.to_engine()))
            .map_err(|error| TemplateError::from_engine(&error, text, 0, Some(scope)))?;
        if rendered.len() > self.limits.output_bytes_max {
            return Err(self.too_long());
        }
        Ok(rendered)
    }

    /// Renders every text in a JSON value, to any depth; keys stay as they are. A text that is exactly one
    /// `{{ expression }}` becomes the value of the expression, with its type.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_value(&self, value: &Value, scope: &Scope) -> Result<Value, TemplateError> {
        self.render_nested(value, scope, 0)
    }

    fn render_nested(
        &self,
        value: &Value,
        scope: &Scope,
        depth: usize,
    ) -> Result<Value, TemplateError> {
        if depth > self.limits.depth_max {
            return Err(TemplateError::whole(
                TemplateErrorKind::TooMuch,
                format!(
                    "the value is nested more than {} levels deep",
                    self.limits.depth_max
                ),
            ));
        }
        match value {
            Value::String(text) => self.render_typed(text, scope),
            Value::Array(items) => items
                .iter()
                .map(|item| self.render_nested(item, scope, depth + 1))
                .collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| {
                    let field = self.render_nested(field, scope, depth + 1)?;
                    Ok((name.clone(), field))
                })
                .collect::<Result<_, _>>()
                .map(Value::Object),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
        }
    }

    fn render_typed(&self, text: &str, scope: &Scope) -> Result<Value, TemplateError> {
        self.check_length(text)?;
        let only = text
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"));
        // Two expressions with text between them begin and end alike, but are no expression together.
        if let Some(expression) = only
            && self.engine.compile_expression(expression).is_ok()
        {
            return self.evaluate_at(expression, text, 2, scope);
        }
        self.render(text, scope).map(Value::String)
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn evaluate(&self, expression: &str, scope: &Scope) -> Result<Value, TemplateError> {
        self.check_length(expression)?;
        self.evaluate_at(expression, expression, 0, scope)
    }

    /// Whether a condition holds. Empty texts, empty lists, 0 and null count as false.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn holds(&self, when: &When, scope: &Scope) -> Result<bool, TemplateError> {
        match when {
            When::Fixed(fixed) => Ok(*fixed),
            When::Expression(expression) => {
                let value = self.evaluate(expression, scope)?;
                Ok(Engine::from(Serde(&value)).is_true())
            }
        }
    }

    fn evaluate_at(
        &self,
        expression: &str,
        text: &str,
        shift: isize,
        scope: &Scope,
    ) -> Result<Value, TemplateError> {
        let failed =
            |error: minijinja::Error| TemplateError::from_engine(&error, text, shift, Some(scope));
        let value = self
            .engine
            .compile_expression(expression)
            .and_then(|compiled| compiled.eval(scope.to_engine()))
            .map_err(failed)?;
        if value.is_undefined() {
            // Printing it is what makes the engine name it.
            let printed = format!("{{{{{expression}}}}}");
            return self
                .engine
                .render_str(&printed, scope.to_engine())
                .map(|_| Value::Null)
                .map_err(|error| TemplateError::from_engine(&error, text, shift - 2, Some(scope)));
        }
        let value = serde_json::to_value(&value)
            .map_err(|error| TemplateError::whole(TemplateErrorKind::Invalid, error.to_string()))?;
        self.check_output(&value)?;
        Ok(value)
    }

    fn check_output(&self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::String(text) if text.len() > self.limits.output_bytes_max => {
                Err(self.too_long())
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.check_output(item)),
            Value::Object(fields) => fields
                .values()
                .try_for_each(|field| self.check_output(field)),
            _ => Ok(()),
        }
    }

    pub(super) fn check_length(&self, text: &str) -> Result<(), TemplateError> {
        if text.len() <= self.limits.template_bytes_max {
            return Ok(());
        }
        Err(TemplateError::whole(
            TemplateErrorKind::TooMuch,
            format!(
                "the template has {} bytes, at most {} are allowed",
                text.len(),
                self.limits.template_bytes_max
            ),
        ))
    }

    fn too_long(&self) -> TemplateError {
        TemplateError::whole(
            TemplateErrorKind::TooMuch,
            format!(
                "the rendered text would have more than {} bytes",
                self.limits.output_bytes_max
            ),
        )
    }
}

/// Jinja's `default`, which takes the place of null as well: an unknown branch is null, not undefined.
fn default(value: &Engine, other: Option<Engine>, or_falsy: Option<bool>) -> Engine {
    let absent = value.is_undefined() || value.is_none();
    if absent || (or_falsy == Some(true) && !value.is_true()) {
        other.unwrap_or_else(|| Engine::from(""))
    } else {
        value.clone()
    }
}

/// Prints a value into a text.
fn format_value(
    out: &mut minijinja::Output<'_>,
    state: &mut minijinja::State<'_, '_>,
    value: &Engine,
) -> Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::None => Ok(()),
        ValueKind::Seq | ValueKind::Map => {
            let json = serde_json::to_string(value).map_err(|error| {
                minijinja::Error::new(ErrorKind::BadSerialization, error.to_string())
            })?;
            out.write_str(&json).map_err(minijinja::Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}
