//! The forms that start builds, with what only the store knows: whether they are disabled, and which builds there are to take
//! parameters from.

use std::collections::BTreeMap;

use toolpost_core::Results;
use toolpost_core::model::{Build, Builder, Scheduler};
use toolpost_master::{FieldKind, ForceForm, FormField};
use toolpost_store::Query;

use crate::api::resolve;
use crate::error::ApiError;
use crate::state::Web;

/// Builds of each builder that are offered.
const BUILDS_OFFERED_MAX: u32 = 20;

/// The forms of the running configuration, with what their fields offer.
pub(crate) async fn forms(web: &Web) -> Result<Vec<ForceForm>, ApiError> {
    let mut forms = plain(web).await?;
    // Few forms ask for a build, and those mostly for the same ones.
    let mut known = BTreeMap::new();
    for form in &mut forms {
        for field in &mut form.fields {
            let mut wanted = Vec::new();
            gather(field, &mut wanted);
            for (builders, choices) in wanted {
                for builder in builders {
                    if !known.contains_key(builder) {
                        known.insert(builder.clone(), offered(web, builder).await?);
                    }
                    choices.extend(known[builder].iter().cloned());
                }
            }
        }
    }
    Ok(forms)
}

/// The forms, and whether people have disabled them.
pub(crate) async fn plain(web: &Web) -> Result<Vec<ForceForm>, ApiError> {
    let mut forms = web.master.force_forms();
    if !forms.is_empty() {
        let query = Query::new().eq("enabled", false);
        let disabled = web.store.list::<Scheduler>(&query).await?;
        for form in &mut forms {
            form.enabled &= disabled.iter().all(|row| row.name != form.name);
        }
    }
    Ok(forms)
}

/// The fields that ask for a build, out of their groups.
fn gather<'f>(field: &'f mut FormField, wanted: &mut Vec<(&'f [String], &'f mut Vec<String>)>) {
    match &mut field.kind {
        FieldKind::Inherit { builders, choices } => wanted.push((builders, choices)),
        kind => {
            for field in kind.fields_mut() {
                gather(field, wanted);
            }
        }
    }
}

/// The newest successful builds of a builder, as `BUILDER/NUMBER`.
async fn offered(web: &Web, name: &str) -> Result<Vec<String>, ApiError> {
    let query = Query::new().eq("name", name);
    let Some(builder) = resolve::first::<Builder>(&web.store, query).await? else {
        return Ok(Vec::new());
    };
    let query = Query::new()
        .eq("builderid", builder.id.0)
        .eq("results", i64::from(Results::Success.code()))
        .order("-number")
        .limit(BUILDS_OFFERED_MAX);
    let builds = web.store.list::<Build>(&query).await?;
    let offered = builds
        .iter()
        .map(|build| format!("{name}/{}", build.number));
    Ok(offered.collect())
}
