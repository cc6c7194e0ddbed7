//! Types of steps, schedulers and reporters: that they exist, and that their parameters fit.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};
use toolpost_core::PluginKind;

use super::Checker;
use crate::catalog::TypeCatalog;
use crate::parameters::{Fault, ParameterProblem, ParametersSchema, SchemaError};
use crate::raw::NATIVE_SCHEDULERS;
use crate::sources::Span;
use crate::suggest;
use crate::tree::{At, Kind, Node, Table};

/// The schema of one type, if there is such a type and the schema is good.
type Compiled = Option<Result<Rc<ParametersSchema>, SchemaError>>;

/// The types that there are, each schema compiled when it is first used.
pub(super) struct Types<'c> {
    catalog: &'c dyn TypeCatalog,
    compiled: HashMap<(PluginKind, String), Compiled>,
}

impl<'c> Types<'c> {
    pub(super) fn new(catalog: &'c dyn TypeCatalog) -> Self {
        Self {
            catalog,
            compiled: HashMap::new(),
        }
    }

    fn schema(&mut self, kind: PluginKind, name: &str) -> Compiled {
        let key = (kind, name.to_owned());
        let catalog = self.catalog;
        let compile = || {
            let schema = catalog.parameters_schema(kind, name)?;
            Some(ParametersSchema::compile(&schema).map(Rc::new))
        };
        self.compiled.entry(key).or_insert_with(compile).clone()
    }
}

/// A type that is used somewhere.
struct Used<'a> {
    kind: PluginKind,
    name: &'a str,
    /// Keys beside the parameters.
    own_keys: &'a [&'a str],
}

impl Checker<'_, '_> {
    /// Checks the parameters of a type that is used. `own_keys` are the keys beside them. Templates in the parameters
    /// of steps are Toolpost's, and have to be good ones; in all others they are the plugin's matter.
    pub(super) fn type_parameters(
        &mut self,
        kind: PluginKind,
        name: &At<String>,
        parameters: Table,
        own_keys: &[&str],
    ) -> Map<String, Value> {
        let schema = self.known_type(kind, name);
        let values = parameters.to_json();
        let node = Node {
            kind: Kind::Table(parameters),
            span: name.span,
        };
        if kind == PluginKind::Step {
            self.templates_with_secrets_in(&node);
        }
        if let Some(schema) = schema {
            let used = Used {
                kind,
                name: &name.value,
                own_keys,
            };
            for problem in schema.check(kind, &values) {
                self.parameter_problem(&used, &node, problem);
            }
        }
        values
    }

    fn known_type(&mut self, kind: PluginKind, name: &At<String>) -> Option<Rc<ParametersSchema>> {
        match self.types.schema(kind, &name.value) {
            Some(Ok(schema)) => Some(schema),
            Some(Err(error)) => {
                let message = format!("{kind} type `{}` cannot be used: {error}", name.value);
                self.report
                    .at(name.span, message)
                    .help("its plugin has to describe its parameters with a valid schema");
                None
            }
            None => {
                let catalog = self.types.catalog;
                self.report
                    .at(
                        name.span,
                        format!("there is no {kind} type `{}`", name.value),
                    )
                    .help_with(|| {
                        let names = catalog.names(kind);
                        let natives = match kind {
                            PluginKind::Scheduler => &NATIVE_SCHEDULERS[..],
                            PluginKind::Step | PluginKind::Reporter => &[],
                        };
                        let names = names
                            .iter()
                            .map(String::as_str)
                            .chain(natives.iter().copied());
                        suggest::help(&name.value, &format!("{kind} types"), names)
                    });
                None
            }
        }
    }

    /// Notes a problem; `node` is the table of the parameters, at the place of `use`.
    fn parameter_problem(&mut self, used: &Used<'_>, node: &Node, problem: ParameterProblem) {
        let Used {
            kind,
            name,
            own_keys,
        } = used;
        let path = problem.path.iter().map(String::as_str);
        let place = node.find(path).unwrap_or(node);
        match problem.fault {
            Fault::UnknownKey { key, mut known } => {
                let span = key_span(place, &key);
                let message = match problem.path.is_empty() {
                    true => format!("{kind} type `{name}` has no parameter `{key}`"),
                    false => format!("unknown key `{key}`"),
                };
                if problem.path.is_empty() {
                    known.extend(own_keys.iter().map(|key| (*key).to_owned()));
                }
                self.report.at(span, message).help_with(|| {
                    let near = suggest::nearest(&key, known.iter().map(String::as_str));
                    near.map(|name| format!("did you mean `{name}`?"))
                        .or_else(|| parameters_help(used, &known))
                });
            }
            Fault::MissingKey(keys) => {
                let wanted = keys.join("` or `");
                let message = match problem.path.is_empty() {
                    true => format!("{kind} type `{name}` needs `{wanted}`"),
                    false => format!("`{wanted}` is missing"),
                };
                self.report
                    .at(place.span, message)
                    .help(format!("add `{} = ...`", keys.join(" = ...` or `")));
            }
            Fault::UnknownWord { found, known } => {
                self.report
                    .at(place.span, format!("`{found}` is not known here"))
                    .help_with(|| suggest::help(&found, "words", known.iter().map(String::as_str)));
            }
            Fault::Other(message) => {
                self.report.at(place.span, message);
            }
        }
    }
}

fn parameters_help(used: &Used<'_>, known: &[String]) -> Option<String> {
    let own: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|key| !used.own_keys.contains(key))
        .collect();
    (!own.is_empty()).then(|| format!("parameters of `{}`: {}", used.name, suggest::list(own)))
}

fn key_span(place: &Node, key: &str) -> Span {
    match &place.kind {
        Kind::Table(Table(entries)) => entries.get(key).map_or(place.span, |entry| entry.key),
        _ => place.span,
    }
}
