//! Force schedulers: a form, what is sent for it, and the build set that comes of it.

mod form;
mod validate;

use toolpost_config::Config;
use toolpost_config::config::SchedulerKind;
use toolpost_store::NewBuildset;

pub use form::{FieldKind, ForceForm, FormField};

use crate::engine::Engine;
use crate::error::ForceError;
use crate::handle::ForceRequest;
use crate::properties::scheduler_properties;
use crate::status::Submitted;

/// The forms of a configuration, by name.
pub(crate) fn forms(config: &Config) -> Vec<ForceForm> {
    let forms = config.schedulers.values().filter_map(|scheduler| {
        let SchedulerKind::Force(force) = &scheduler.kind else {
            return None;
        };
        Some(ForceForm::new(&scheduler.name, &scheduler.builders, force))
    });
    forms.collect()
}

/// Checks what was sent and makes the build set.
pub(crate) async fn force(
    engine: &Engine,
    name: &str,
    request: ForceRequest,
) -> Result<Submitted, ForceError> {
    let running = engine.running();
    let scheduler = running.config.schedulers.get(name);
    let (scheduler, config) = scheduler
        .and_then(|scheduler| match &scheduler.kind {
            SchedulerKind::Force(config) => Some((scheduler, config)),
            SchedulerKind::SingleBranch(_) => None,
        })
        .ok_or_else(|| ForceError::UnknownScheduler(name.into()))?;
    let asked = |builder: &&String| {
        let builders = request.builders.as_ref();
        builders.is_none_or(|builders| builders.contains(*builder))
    };
    let builders: Vec<_> = scheduler
        .builders
        .iter()
        .filter(asked)
        .filter_map(|builder| running.ids.builders.get(builder).copied())
        .collect();
    if builders.is_empty() {
        return Err(ForceError::NoBuilders {
            scheduler: name.into(),
            known: scheduler.builders.clone(),
        });
    }
    let form = ForceForm::new(name, &scheduler.builders, config);
    let forced = validate::validate(&form, request.owner.as_deref(), &request.fields)
        .map_err(|fields| ForceError::Fields { fields })?;
    let mut properties = scheduler_properties(name, &scheduler.properties, &forced.sourcestamps)
        .map_err(ForceError::Properties)?;
    properties.merge(&forced.properties);
    let new = NewBuildset {
        reason: reason(&forced.owner, &forced.reason),
        scheduler: running.ids.schedulers.get(name).copied(),
        sourcestamps: forced.sourcestamps,
        properties,
        builders,
        priority: forced.priority,
        ..NewBuildset::default()
    };
    let added = engine.store.add_buildset(new, engine.clock.now()).await?;
    Ok(Submitted {
        buildset: added.id,
        requests: added.requests.into_iter().collect(),
    })
}

/// What the build set shows as its reason.
fn reason(owner: &str, reason: &str) -> String {
    let who = if owner.is_empty() { "somebody" } else { owner };
    match reason {
        "" => format!("forced by {who}"),
        reason => format!("forced by {who}: {reason}"),
    }
}
