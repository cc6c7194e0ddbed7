//! Finding mistakes in templates before there is anything to render.

use minijinja::ErrorKind;
use serde_json::Value;

use super::error::{TemplateError, TemplateErrorKind, position};
use super::render::Templates;
use super::scan::{Applied, applied};
use super::scope::Scope;

impl Templates {
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
        self.check_names(text, template.undeclared_variables(false))?;
        self.check_applied(text, false)
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
        self.check_names(expression, compiled.undeclared_variables(false))?;
        self.check_applied(expression, true)
    }

    fn check_applied(&self, text: &str, expression: bool) -> Result<(), TemplateError> {
        for (applied, byte) in applied(text, expression) {
            let mut state = self.engine.empty_state();
            // Without arguments most fail, but only an unknown one fails as unknown.
            let (what, name, outcome) = match applied {
                Applied::Filter(name) => {
                    let outcome = state.apply_filter(name, &[]).map(drop);
                    ("filter", name, outcome)
                }
                Applied::Test(name) => {
                    let outcome = state.perform_test(name, &[]).map(drop);
                    ("test", name, outcome)
                }
            };
            let unknown = outcome.is_err_and(|error| {
                matches!(
                    error.kind(),
                    ErrorKind::UnknownFilter | ErrorKind::UnknownTest
                )
            });
            if unknown {
                let (line, column) = position(text, byte);
                return Err(TemplateError {
                    kind: TemplateErrorKind::Syntax,
                    message: format!("there is no {what} `{name}`"),
                    line,
                    column,
                });
            }
        }
        Ok(())
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
