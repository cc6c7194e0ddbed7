//! Templates, wherever they may be, and properties, whose values may have them.

use toolpost_core::template::{TemplateError, Templates};

use super::Checker;
use crate::config::PropertyValues;
use crate::decode::JsonObject;
use crate::sources::Span;
use crate::tree::{At, Kind, Node};

impl Checker<'_, '_> {
    /// Checks a text that is rendered for each build; says whether there is anything to render in it.
    pub(super) fn template(&mut self, text: &str, span: Span) -> bool {
        if !Templates::is_template(text) {
            return false;
        }
        if let Err(error) = self.templates.check(text) {
            self.template_error(text, span, &error);
        }
        true
    }

    /// As [`Self::template`], for a text that may name secrets.
    pub(super) fn template_with_secrets(&mut self, text: &str, span: Span) {
        let secrets = &self.secrets;
        let checked = self
            .templates
            .check_with_secrets(text, |name| secrets.may_have(name));
        if let Err(error) = checked {
            self.template_error(text, span, &error);
        }
    }

    /// Checks every text in a value that may name secrets.
    pub(super) fn templates_with_secrets_in(&mut self, node: &Node) {
        match &node.kind {
            Kind::String(text) => self.template_with_secrets(text, node.span),
            Kind::Array(items) => {
                for item in items {
                    self.templates_with_secrets_in(item);
                }
            }
            Kind::Table(table) => {
                for entry in table.0.values() {
                    self.templates_with_secrets_in(&entry.node);
                }
            }
            _ => {}
        }
    }

    /// Checks an expression that is evaluated for each build.
    pub(super) fn expression(&mut self, text: &str, span: Span) {
        if Templates::is_template(text) {
            self.report
                .at(span, "expected an expression, found a template")
                .help("write the expression without braces: prop.branch == \"main\"");
        } else if let Err(error) = self.templates.check_expression(text) {
            self.template_error(text, span, &error);
        }
    }

    /// Checks every text in a value.
    pub(super) fn templates_in(&mut self, node: &Node) {
        match &node.kind {
            Kind::String(text) => {
                self.template(text, node.span);
            }
            Kind::Array(items) => items.iter().for_each(|item| self.templates_in(item)),
            Kind::Table(table) => table
                .0
                .values()
                .for_each(|entry| self.templates_in(&entry.node)),
            _ => {}
        }
    }

    pub(super) fn properties(&mut self, raw: Option<At<JsonObject>>) -> PropertyValues {
        let Some(raw) = raw else {
            return PropertyValues::new();
        };
        for (name, (key, value)) in &raw.value.0 {
            if name.trim().is_empty() {
                self.report
                    .at(*key, "the name of a property must not be empty");
            }
            self.templates_in(&value.value.0);
        }
        raw.value.to_map()
    }

    fn template_error(&mut self, text: &str, span: Span, error: &TemplateError) {
        let span = self.place_in(text, span, error).unwrap_or(span);
        self.report
            .at(span, format!("in a template: {}", error.message));
    }

    /// The place of a mistake, if the text is written in the file just as it is, without escapes.
    fn place_in(&self, text: &str, span: Span, error: &TemplateError) -> Option<Span> {
        if error.line == 0 || error.column == 0 {
            return None;
        }
        let line_start: usize = text
            .split_inclusive('\n')
            .take(error.line as usize - 1)
            .map(str::len)
            .sum();
        let (offset, character) = text[line_start..]
            .char_indices()
            .nth(error.column as usize - 1)?;
        let first = self.report.sources().text(span).find(text)? + line_start + offset;
        let start = span.start + u32::try_from(first).ok()?;
        Some(Span {
            file: span.file,
            start,
            end: start + u32::try_from(character.len_utf8()).ok()?,
        })
    }
}
