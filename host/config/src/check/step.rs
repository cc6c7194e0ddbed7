//! Steps: the options that every step has, and the parameters of its type.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use toolpost_core::locks::LockAccess;
use toolpost_core::step::{BuildSummaryPolicy, StepOptions, When};
use toolpost_core::template::Templates;
use toolpost_core::{PluginKind, Results};

use super::{Checker, list, value};
use crate::catalog::TypeCatalog;
use crate::config::StepConfig;
use crate::decode::Keyed;
use crate::parameters::{Fault, ParameterProblem, ParametersSchema, SchemaError};
use crate::raw::{RawStep, RawSummaryPolicy, RawWhen, ResultsWord};
use crate::suggest;
use crate::tree::{At, Kind, Node, Table};

/// Step names are columns of a table, and Buildbot's clients expect no longer ones.
const STEP_NAME_CHARS_MAX: usize = 50;

/// The schema of one step type, if there is such a type and the schema is good.
type Compiled = Option<Result<Rc<ParametersSchema>, SchemaError>>;

/// Step types, each schema compiled when it is first used.
pub(super) struct StepTypes<'c> {
    catalog: &'c dyn TypeCatalog,
    compiled: HashMap<String, Compiled>,
}

impl<'c> StepTypes<'c> {
    pub(super) fn new(catalog: &'c dyn TypeCatalog) -> Self {
        Self {
            catalog,
            compiled: HashMap::new(),
        }
    }

    fn schema(&mut self, step_type: &str) -> Compiled {
        if let Some(compiled) = self.compiled.get(step_type) {
            return compiled.clone();
        }
        let compiled = self
            .catalog
            .parameters_schema(PluginKind::Step, step_type)
            .map(|schema| ParametersSchema::compile(&schema).map(Rc::new));
        self.compiled.insert(step_type.to_owned(), compiled.clone());
        compiled
    }
}

impl Checker<'_, '_> {
    pub(super) fn step(
        &mut self,
        raw: At<RawStep>,
        workers: &[String],
        held: &[LockAccess],
    ) -> Option<StepConfig> {
        let mut raw = raw.value;
        let parameters = std::mem::take(&mut raw.parameters);
        let step_type = raw.r#use.take();
        let options = self.step_options(raw, workers, held);
        let step_type = step_type?;
        let node = Node {
            kind: Kind::Table(parameters),
            span: step_type.span,
        };
        let schema = self.known_step_type(&step_type);
        let parameters = self.step_parameters(&step_type, &node, schema.as_deref());
        Some(StepConfig {
            step_type: step_type.value,
            options,
            parameters,
        })
    }

    fn step_options(
        &mut self,
        raw: RawStep,
        workers: &[String],
        held: &[LockAccess],
    ) -> StepOptions {
        for text in [
            &raw.name,
            &raw.description,
            &raw.description_done,
            &raw.description_suffix,
        ]
        .into_iter()
        .flatten()
        {
            self.template(&text.value, text.span);
        }
        self.check_step_name(raw.name.as_ref());
        StepOptions {
            locks: self.lock_uses(list(raw.locks), workers, held),
            do_step_if: self.when(raw.do_step_if, When::ALWAYS),
            hide_step_if: self.when(raw.hide_step_if, When::NEVER),
            decode_rc: raw.decode_rc.map(|codes| self.decode_rc(codes.value)),
            workdir: self.workdir(raw.workdir),
            name: value(raw.name),
            halt_on_failure: value(raw.halt_on_failure),
            flunk_on_failure: value(raw.flunk_on_failure),
            flunk_on_warnings: value(raw.flunk_on_warnings),
            warn_on_failure: value(raw.warn_on_failure),
            warn_on_warnings: value(raw.warn_on_warnings),
            always_run: value(raw.always_run),
            update_build_summary_policy: summary_policy(raw.update_build_summary_policy),
            description: value(raw.description),
            description_done: value(raw.description_done),
            description_suffix: value(raw.description_suffix),
            log_encoding: value(raw.log_encoding),
        }
    }

    fn check_step_name(&mut self, name: Option<&At<String>>) {
        let Some(name) = name else { return };
        if name.value.trim().is_empty() {
            self.report
                .at(name.span, "the name of a step must not be empty");
        } else if name.value.chars().count() > STEP_NAME_CHARS_MAX
            && !Templates::is_template(&name.value)
        {
            let message =
                format!("the name of a step has at most {STEP_NAME_CHARS_MAX} characters");
            self.report
                .at(name.span, message)
                .help("`description` may be longer");
        }
    }

    fn when(&mut self, raw: Option<At<RawWhen>>, default: When) -> When {
        match raw {
            None => default,
            Some(At {
                value: RawWhen::Fixed(yes),
                ..
            }) => When::Fixed(yes),
            Some(At {
                value: RawWhen::Expression(text),
                span,
            }) => {
                self.expression(&text, span);
                When::Expression(text)
            }
        }
    }

    fn decode_rc(&mut self, raw: Keyed<ResultsWord>) -> BTreeMap<i64, Results> {
        let mut codes = BTreeMap::new();
        for (code, (key, word)) in raw.0 {
            match code.parse() {
                Ok(code) => {
                    codes.insert(code, results(word.value));
                }
                Err(_) => {
                    self.report.at(key, format!("`{code}` is not an exit code"));
                }
            }
        }
        codes
    }

    fn known_step_type(&mut self, step_type: &At<String>) -> Option<Rc<ParametersSchema>> {
        match self.step_types.schema(&step_type.value) {
            Some(Ok(schema)) => Some(schema),
            Some(Err(error)) => {
                let message = format!("step type `{}` cannot be used: {error}", step_type.value);
                self.report
                    .at(step_type.span, message)
                    .help("its plugin has to describe its parameters with a valid schema");
                None
            }
            None => {
                let catalog = self.step_types.catalog;
                self.report
                    .at(
                        step_type.span,
                        format!("there is no step type `{}`", step_type.value),
                    )
                    .help_with(|| {
                        let names = catalog.names(PluginKind::Step);
                        suggest::help(
                            &step_type.value,
                            "step types",
                            names.iter().map(String::as_str),
                        )
                    });
                None
            }
        }
    }

    /// Checks parameters; `node` is the table of them, at the place of the step's `use`.
    fn step_parameters(
        &mut self,
        step_type: &At<String>,
        node: &Node,
        schema: Option<&ParametersSchema>,
    ) -> serde_json::Map<String, serde_json::Value> {
        self.templates_in(node);
        let Kind::Table(table) = &node.kind else {
            return serde_json::Map::new();
        };
        let parameters = table.to_json();
        if let Some(schema) = schema {
            for problem in schema.check(&parameters) {
                self.parameter_problem(&step_type.value, node, problem);
            }
        }
        parameters
    }

    fn parameter_problem(&mut self, step_type: &str, node: &Node, problem: ParameterProblem) {
        let path = problem.path.iter().map(String::as_str);
        let place = node.find(path).unwrap_or(node);
        match problem.fault {
            Fault::UnknownKey { key, mut known } => {
                let span = key_span(place, &key);
                let message = match problem.path.is_empty() {
                    true => format!("step type `{step_type}` has no parameter `{key}`"),
                    false => format!("unknown key `{key}`"),
                };
                if problem.path.is_empty() {
                    known.extend(RawStep::KEYS.iter().map(|key| (*key).to_owned()));
                }
                self.report.at(span, message).help_with(|| {
                    let near = suggest::nearest(&key, known.iter().map(String::as_str));
                    near.map(|name| format!("did you mean `{name}`?"))
                        .or_else(|| parameters_help(step_type, &known))
                });
            }
            Fault::MissingKey(keys) => {
                let wanted = keys.join("` or `");
                let message = match problem.path.is_empty() {
                    true => format!("step type `{step_type}` needs `{wanted}`"),
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

fn parameters_help(step_type: &str, known: &[String]) -> Option<String> {
    let own: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|key| !RawStep::KEYS.contains(key))
        .collect();
    (!own.is_empty()).then(|| format!("parameters of `{step_type}`: {}", suggest::list(own)))
}

fn key_span(place: &Node, key: &str) -> crate::sources::Span {
    match &place.kind {
        Kind::Table(Table(entries)) => entries.get(key).map_or(place.span, |entry| entry.key),
        _ => place.span,
    }
}

fn results(word: ResultsWord) -> Results {
    match word {
        ResultsWord::Success => Results::Success,
        ResultsWord::Warnings => Results::Warnings,
        ResultsWord::Failure => Results::Failure,
        ResultsWord::Skipped => Results::Skipped,
        ResultsWord::Exception => Results::Exception,
        ResultsWord::Retry => Results::Retry,
        ResultsWord::Cancelled => Results::Cancelled,
    }
}

fn summary_policy(raw: Option<At<RawSummaryPolicy>>) -> BuildSummaryPolicy {
    match value(raw) {
        None => BuildSummaryPolicy::Automatic,
        Some(RawSummaryPolicy::Fixed(on)) => BuildSummaryPolicy::fixed(on),
        Some(RawSummaryPolicy::On(words)) => {
            BuildSummaryPolicy::of(words.into_iter().map(|word| results(word.value)))
        }
    }
}
