//! Force schedulers: a form, what is sent for it, and the build set that comes of it.

mod form;
mod schema;
mod validate;

use serde_json::Value;
use toolpost_config::ForceConfig;
use toolpost_config::config::{SchedulerConfig, SchedulerKind};
use toolpost_core::{ForcedId, SchedulerId};
use toolpost_sandbox::TypeInfo;
use toolpost_store::{NewBuildset, NewForced};

pub use form::{FieldKind, ForceForm, FormField};

use crate::engine::{Engine, Running};
use crate::error::ForceError;
use crate::handle::ForceRequest;
use crate::properties::scheduler_properties;
use crate::status::{Forced, Submitted};

/// Forms that may wait for one scheduler.
const FORMS_WAITING_MAX: u32 = 500;

/// The forms of the running configuration, by name: those of force schedulers, and of schedulers whose plugin has one.
pub(crate) fn forms(engine: &Engine) -> Vec<ForceForm> {
    let config = engine.config();
    let forms = config.schedulers.values().filter_map(|scheduler| {
        let (name, builders) = (&scheduler.name, &scheduler.builders);
        match &scheduler.kind {
            SchedulerKind::Force(force) => Some(ForceForm::new(name, builders, force)),
            SchedulerKind::Plugin(plugin) => {
                let live = engine.registry.scheduler_type(&plugin.scheduler_type)?;
                let info = live.info();
                let schema = info.force_schema()?;
                Some(schema::form(name, builders, info.summary(), schema))
            }
            SchedulerKind::SingleBranch(_) => None,
        }
    });
    forms.collect()
}

/// Checks what was sent, and makes the build set or keeps the form for the plugin.
pub(crate) async fn force(
    engine: &Engine,
    name: &str,
    request: ForceRequest,
) -> Result<Forced, ForceError> {
    let running = engine.running();
    let unknown = || ForceError::UnknownScheduler(name.into());
    let scheduler = running.config.schedulers.get(name).ok_or_else(unknown)?;
    match &scheduler.kind {
        SchedulerKind::Force(config) => make(engine, &running, scheduler, config, request)
            .await
            .map(Forced::Made),
        SchedulerKind::Plugin(plugin) => {
            let live = engine.registry.scheduler_type(&plugin.scheduler_type);
            let live = live.ok_or_else(unknown)?;
            let id = running.ids.schedulers.get(name).ok_or_else(unknown)?;
            queue(engine, scheduler, live.info(), *id, request)
                .await
                .map(Forced::Queued)
        }
        SchedulerKind::SingleBranch(_) => Err(unknown()),
    }
}

/// Keeps a form until its scheduler has handled it.
async fn queue(
    engine: &Engine,
    scheduler: &SchedulerConfig,
    info: &TypeInfo,
    id: SchedulerId,
    request: ForceRequest,
) -> Result<ForcedId, ForceError> {
    let name = &scheduler.name;
    let schema = info
        .force_schema()
        .ok_or_else(|| ForceError::UnknownScheduler(name.clone()))?;
    let form = schema::form(name, &scheduler.builders, info.summary(), schema);
    let filled = schema::read(&form, request.owner.as_deref(), &request.fields)
        .map_err(|fields| ForceError::Fields { fields })?;
    let values = Value::Object(filled.values);
    info.check_force(&values).map_err(ForceError::Values)?;
    let waiting = engine.store.forced(id, FORMS_WAITING_MAX).await?;
    if waiting.len() >= FORMS_WAITING_MAX as usize {
        return Err(ForceError::TooMany(name.clone()));
    }
    let form = NewForced {
        owner: filled.owner,
        reason: filled.reason,
        values,
    };
    Ok(engine
        .store
        .add_forced(id, form, engine.clock.now())
        .await?)
}

/// Makes the build set that a form of a force scheduler asks for.
async fn make(
    engine: &Engine,
    running: &Running,
    scheduler: &SchedulerConfig,
    config: &ForceConfig,
    request: ForceRequest,
) -> Result<Submitted, ForceError> {
    let name = scheduler.name.as_str();
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
