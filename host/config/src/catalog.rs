//! Which step types there are and what parameters they take.
//!
//! Native step types and those of plugins come through the same trait, so that the configuration never
//! knows which is which.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The step types that a configuration may `use`.
pub trait StepCatalog {
    /// Names of all types, for suggestions and for the editor schema. Any order; no name twice.
    fn names(&self) -> Vec<String>;

    /// The JSON Schema of the parameters of one type; `None` when there is no such type.
    fn parameters_schema(&self, type_name: &str) -> Option<Arc<Value>>;
}

/// A fixed catalog: schemas by type name.
impl StepCatalog for BTreeMap<String, Arc<Value>> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn parameters_schema(&self, type_name: &str) -> Option<Arc<Value>> {
        self.get(type_name).cloned()
    }
}
