//! Checking and rendering within limits.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde, Value as Engine, ValueKind};
use minijinja::{Environment, UndefinedBehavior, escape_formatter};
use serde_json::Value;

use super::error::{TemplateError, TemplateErrorKind, position};
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
    engine: Arc<Environment<'static>>,
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

    /// Checks a template without rendering it: its grammar, its filters, and that it names only what can be
    /// in a [`Scope`].
    ///
    /// # Errors
    /// The first mistake, with its place in the text.
    pub fn check(&self, text: &str) -> Result<(), TemplateError> {
        if !Self::is_template(text) {
            return Ok(());
        }
        self.check_length(text)?;
        let template = self
            .engine
            .template_from_str(text)
            .map_err(|error| TemplateError::from_engine(&error, text, 0, None))?;
        self.check_names(text, template.undeclared_variables(false))
    }

    /// Checks every text in a JSON value, to any depth.
    ///
    /// # Errors
    /// The first mistake, with its place in the text that has it.
    pub fn check_value(&self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::String(text) => self.check(text),
            Value::Array(items) => items.iter().try_for_each(|item| self.check_value(item)),
            Value::Object(fields) => fields
                .values()
                .try_for_each(|field| self.check_value(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// Checks an expression, as [`Self::check`] does a template.
    ///
    /// # Errors
    /// The first mistake, with its place in the text.
    pub fn check_expression(&self, expression: &str) -> Result<(), TemplateError> {
        self.check_length(expression)?;
        let compiled = self
            .engine
            .compile_expression(expression)
            .map_err(|error| TemplateError::from_engine(&error, expression, 0, None))?;
        self.check_names(expression, compiled.undeclared_variables(false))
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
        start: usize,
        scope: &Scope,
    ) -> Result<Value, TemplateError> {
        let failed =
            |error: minijinja::Error| TemplateError::from_engine(&error, text, start, Some(scope));
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
                .map_err(|error| {
                    TemplateError::from_engine(&error, text, start.saturating_sub(2), Some(scope))
                });
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

    fn check_length(&self, text: &str) -> Result<(), TemplateError> {
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

    fn check_names(
        &self,
        text: &str,
        used: impl IntoIterator<Item = String>,
    ) -> Result<(), TemplateError> {
        let globals: Vec<&str> = self.engine.globals().map(|(name, _)| name).collect();
        let unknown = used
            .into_iter()
            .filter(|name| !Scope::NAMES.contains(&name.as_str()))
            .filter(|name| !globals.contains(&name.as_str()))
            .min();
        let Some(name) = unknown else {
            return Ok(());
        };
        let (line, column) = text.find(&name).map_or((0, 0), |byte| position(text, byte));
        Err(TemplateError {
            kind: TemplateErrorKind::Syntax,
            message: format!(
                "there is no `{name}` in templates; there are {}",
                Scope::NAMES.map(|name| format!("`{name}`")).join(", ")
            ),
            line,
            column,
        })
    }
}

/// Jinja's `default`, which takes the place of null as well: an unknown branch is null, not undefined.
fn default(value: &Engine, other: Rest<Engine>) -> Engine {
    let replaced = value.is_undefined() || value.is_none();
    match other.first() {
        Some(other) if replaced => other.clone(),
        None if replaced => Engine::from(""),
        Some(_) | None => value.clone(),
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
                minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
            })?;
            out.write_str(&json).map_err(minijinja::Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}
