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
        self.check_text(text, None)
    }

    /// As [`Self::check`], for a text that may name secrets: `{{ secret.NAME }}`. Those that `is_secret` does not know are
    /// mistakes.
    ///
    /// # Errors
    /// The first mistake, with its place in the text.
    pub fn check_with_secrets(
        &self,
        text: &str,
        is_secret: impl Fn(&str) -> bool,
    ) -> Result<(), TemplateError> {
        self.check_text(text, Some(&is_secret))
    }

    fn check_text(&self, text: &str, is_secret: IsSecret<'_>) -> Result<(), TemplateError> {
        if !Self::is_template(text) {
            return Ok(());
        }
        self.check_length(text)?;
        let template = self
            .engine
            .template_from_str(text)
            .map_err(|error| TemplateError::from_engine(&error, text, 0, None))?;
        let names = template.undeclared_variables(false);
        self.check_names(text, names, is_secret.is_some())?;
        if let Some(is_secret) = is_secret {
            let names = template.undeclared_variables(true);
            check_secrets(text, names, is_secret)?;
        }
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
        self.check_names(expression, compiled.undeclared_variables(false), false)?;
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
        secrets: bool,
    ) -> Result<(), TemplateError> {
        let globals: Vec<&str> = self.engine.globals().map(|(name, _)| name).collect();
        let unknown = used
            .into_iter()
            .filter(|name| !Scope::NAMES.contains(&name.as_str()))
            .filter(|name| !globals.contains(&name.as_str()))
            .filter(|name| !(secrets && name == Scope::SECRETS))
            .min();
        let Some(name) = unknown else {
            return Ok(());
        };
        if name == Scope::SECRETS {
            let message = "secrets are for parameters of steps and for `env` only".into();
            return Err(mistake(text, &name, message));
        }
        let known = Scope::NAMES.map(|name| format!("`{name}`")).join(", ");
        let message = format!("there is no `{name}` in templates; there are {known}");
        Err(mistake(text, &name, message))
    }
}

/// Tells names of secrets; `None` where no secret may be.
type IsSecret<'a> = Option<&'a dyn Fn(&str) -> bool>;

/// Checks the secrets that a template names as `secret.NAME`.
fn check_secrets(
    text: &str,
    used: impl IntoIterator<Item = String>,
    is_secret: &dyn Fn(&str) -> bool,
) -> Result<(), TemplateError> {
    let named = used.into_iter().filter_map(|path| {
        Some(
            path.strip_prefix(Scope::SECRETS)?
                .strip_prefix('.')?
                .to_owned(),
        )
    });
    match named.filter(|name| !is_secret(name)).min() {
        None => Ok(()),
        Some(name) => {
            let message = format!("there is no secret `{name}`: add a [secret.{name}]");
            Err(mistake(text, &name, message))
        }
    }
}

fn mistake(text: &str, name: &str, message: String) -> TemplateError {
    let (line, column) = text.find(name).map_or((0, 0), |byte| position(text, byte));
    TemplateError {
        kind: TemplateErrorKind::Syntax,
        message,
        line,
        column,
    }
}
