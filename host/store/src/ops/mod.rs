//! The writes, and the reads that are not plain lists, one file per kind of record.

pub(crate) mod artifacts;
pub(crate) mod audit;
pub(crate) mod build_data;
pub(crate) mod builds;
pub(crate) mod buildsets;
pub(crate) mod changes;
pub(crate) mod codebases;
pub(crate) mod configuration;
pub(crate) mod deliveries;
pub(crate) mod forced;
pub(crate) mod journal;
pub(crate) mod logins;
pub(crate) mod masters;
pub(crate) mod patches;
pub(crate) mod plugins;
pub(crate) mod recordings;
pub(crate) mod reporters;
pub(crate) mod requests;
pub(crate) mod resources;
pub(crate) mod scheduler_skips;
pub(crate) mod schedulers;
pub(crate) mod sessions;
pub(crate) mod sourcestamps;
pub(crate) mod state;
pub(crate) mod steps;
pub(crate) mod storage;
pub(crate) mod test_results;
pub(crate) mod tokens;
pub(crate) mod worker_notes;
pub(crate) mod workers;

use serde_json::{Map, Value};
use toolpost_core::Properties;

/// Properties as they are stored: an object of name to `[value, source]`.
pub(crate) fn properties_json(properties: &Properties) -> String {
    let object: Map<String, Value> = properties
        .iter()
        .map(|(name, property)| {
            let pair = vec![property.value.clone(), property.source.clone().into()];
            (name.to_owned(), Value::Array(pair))
        })
        .collect();
    Value::Object(object).to_string()
}
