//! Which types of steps, schedulers and reporters there are and what parameters they take.
//!
//! Native types and those of plugins come through the same trait, so that the configuration never
//! knows which is which.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use toolpost_core::PluginKind;

/// The types that a configuration may `use`.
pub trait TypeCatalog {
    /// Names of all types of a kind, for suggestions and for the editor schema. Any order; no name twice.
    fn names(&self, kind: PluginKind) -> Vec<String>;

    /// The JSON Schema of the parameters of one type; `None` when there is no such type.
    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>>;
}

/// A fixed catalog: schemas by kind and name.
impl TypeCatalog for BTreeMap<PluginKind, BTreeMap<String, Arc<Value>>> {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        self.get(&kind)
            .into_iter()
            .flat_map(|types| types.keys().cloned())
            .collect()
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        self.get(&kind)?.get(type_name).cloned()
    }
}
