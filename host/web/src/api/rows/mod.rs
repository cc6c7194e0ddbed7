//! How each resource of the store is written: field by field, in the order of the alphabet, with Buildbot's names.
//!
//! What a row shows of other rows (the master of a scheduler, the source stamp of a change) is read once for a whole
//! page of rows, never once a row.

mod builds;
mod codebases;
mod farm;
mod kept;
mod reports;
mod sources;

use std::collections::BTreeMap;

use toolpost_core::Properties;
use toolpost_core::model::Master;
use toolpost_store::{Filter, Op, Query, Store};

use super::json::{self, Object};
use super::query::Spec;
use super::schema::Resource;
use crate::error::ApiError;

pub(crate) use sources::{Patches, patches_of, write_source_stamp};

/// A row of the store that the API gives.
pub(crate) trait Row: toolpost_store::Resource + Sync {
    /// Its type.
    const RESOURCE: Resource;
    /// The field with its id.
    const ID: &'static str;
    /// What of other rows it shows.
    type Related: Default + Send + Sync;

    /// Its id.
    fn id(&self) -> i64;

    /// How much of the bodies of patches it shows, bytes.
    fn patch_bytes(&self) -> u64 {
        0
    }

    /// Writes its fields.
    fn write(&self, related: &Self::Related, object: &mut Object<'_>);

    /// Reads what a page of rows shows of other rows.
    fn related(
        store: &Store,
        rows: &[Self],
        spec: &Spec,
    ) -> impl Future<Output = Result<Self::Related, ApiError>> + Send {
        let _ = (store, rows, spec);
        async { Ok(Self::Related::default()) }
    }
}

/// Writes one row as an object.
pub(crate) fn write_row<R: Row>(out: &mut Vec<u8>, row: &R, related: &R::Related, spec: &Spec) {
    let mut object = Object::open(out, spec.fields.as_deref());
    row.write(related, &mut object);
    object.close();
}

/// Whether a field will be written.
fn is_selected(spec: &Spec, name: &str) -> bool {
    spec.fields
        .as_ref()
        .is_none_or(|fields| fields.contains(&name))
}

/// The rows with these ids, by id.
pub(crate) async fn by_id<R: Row>(
    store: &Store,
    ids: impl IntoIterator<Item = i64>,
) -> Result<BTreeMap<i64, R>, ApiError> {
    let mut values: Vec<i64> = ids.into_iter().collect();
    values.sort_unstable();
    values.dedup();
    if values.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = Query {
        filters: vec![Filter {
            field: R::ID.to_owned(),
            op: Op::Eq,
            values: values.iter().map(ToString::to_string).collect(),
        }],
        limit: u32::try_from(values.len()).ok(),
        ..Query::default()
    };
    let rows = store.list::<R>(&query).await?;
    Ok(rows.into_iter().map(|row| (row.id(), row)).collect())
}

/// The masters that run something, by id.
type Masters = BTreeMap<i64, Master>;

/// Writes a master within something else, or null.
fn write_master(object: &mut Object<'_>, id: Option<i64>, masters: &Masters) {
    match id.and_then(|id| masters.get(&id)) {
        Some(master) => object.with("master", |out| {
            write_row(out, master, &(), &Spec::default());
        }),
        None => object.null("master"),
    }
}

/// Writes properties as an object of `[value, source]` by name; only the wanted ones (`*` for all).
pub(crate) fn write_properties(out: &mut Vec<u8>, properties: &Properties, wanted: &[String]) {
    out.push(b'{');
    let all = wanted.iter().any(|name| name == "*");
    let mut first = true;
    for (name, property) in properties.iter() {
        if !all && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::text(out, name);
        out.extend_from_slice(b":[");
        json::value(out, &property.value);
        out.push(b',');
        json::text(out, &property.source);
        out.push(b']');
    }
    out.push(b'}');
}
