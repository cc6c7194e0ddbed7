//! Parameters of a type against its JSON Schema.
//!
//! In parameters of steps a string that is one `{{ expression }}` passes whatever the schema wants, because it is
//! rendered before the step runs and keeps the type of its value; any other string with a template in it passes as a
//! string of any content. Schedulers and reporters get their parameters as they are written, templates included. References to other documents are refused, and patterns
//! run in linear time, because schemas come from plugins.

mod explain;

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};
use toolpost_core::PluginKind;
use toolpost_core::schema_work::{self, SchemaWorkError};

/// The schema of a step type is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It breaks the rules of JSON Schema.
    #[error("not a valid JSON Schema at `{at}`: {reason}")]
    Invalid {
        /// JSON pointer into the schema.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// Checking with it would take too long, or would not end.
    #[error(transparent)]
    Work(#[from] SchemaWorkError),
    /// Parameters are always an object; this schema allows none.
    #[error("the parameters of a step are an object, but the schema wants {0}")]
    NotAnObject(String),
}

/// A compiled schema.
#[derive(Debug)]
pub struct ParametersSchema {
    source: Value,
    validator: Validator,
    /// How deep parameters may be nested before checking them takes too long.
    depth_max: usize,
}

/// One thing about parameters that the schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterProblem {
    /// Keys and indices that lead to the value; empty for the parameters as a whole.
    pub path: Vec<String>,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has a key that means nothing there.
    UnknownKey {
        /// The key.
        key: String,
        /// Keys that mean something, for suggestions.
        known: Vec<String>,
    },
    /// It lacks a key: one of these, if there are several.
    MissingKey(Vec<String>),
    /// It is not one of some words.
    UnknownWord {
        /// What it is.
        found: String,
        /// What it may be.
        known: Vec<String>,
    },
    /// Anything else, as a lower-case fragment.
    Other(String),
}

/// One line: `path: what is wrong`, for logs and for those who have no source text to point into.
impl fmt::Display for ParameterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path.join("."))?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, .. } => write!(f, "unknown parameter `{key}`"),
            Self::MissingKey(keys) => write!(f, "`{}` is missing", keys.join("` or `")),
            Self::UnknownWord { found, .. } => write!(f, "`{found}` is not known here"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl ParametersSchema {
    /// Compiles a schema; JSON Schema 2020-12 unless it says otherwise.
    ///
    /// # Errors
    /// When it is not a JSON Schema, refers to another document, or allows no object.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        match schema {
            Value::Object(keywords) => match keywords.get("type") {
                None => {}
                Some(Value::Array(types)) if types.iter().any(|name| name == "object") => {}
                Some(Value::String(name)) if name == "object" => {}
                Some(other) => return Err(SchemaError::NotAnObject(other.to_string())),
            },
            Value::Bool(true) => {}
            other => return Err(SchemaError::NotAnObject(other.to_string())),
        }
        let depth_max = schema_work::depth_max(schema)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map_err(|error| SchemaError::Invalid {
                at: error.instance_path().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            source: schema.clone(),
            validator,
            depth_max,
        })
    }

    /// Everything that the schema does not allow in the parameters of a type of this kind.
    #[must_use]
    pub fn check(
        &self,
        kind: PluginKind,
        parameters: &Map<String, Value>,
    ) -> Vec<ParameterProblem> {
        if schema_work::depth_of(parameters.values()) > self.depth_max {
            let message = format!("nested more than {} levels deep", self.depth_max);
            return vec![ParameterProblem {
                path: Vec::new(),
                fault: Fault::Other(message),
            }];
        }
        // The validator wants a whole value; most parameters are a handful of short strings.
        let instance = Value::Object(parameters.clone());
        if self.validator.is_valid(&instance) {
            return Vec::new();
        }
        let explainer = explain::Explainer {
            schema: &self.source,
            renders: kind == PluginKind::Step,
        };
        explainer.explain(self.validator.iter_errors(&instance))
    }
}
