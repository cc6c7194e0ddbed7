//! Force schedulers: a form, what is sent for it, and the build set that comes of it.

mod form;
mod schema;
mod validate;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use toolpost_config::config::{SchedulerConfig, SchedulerKind};
use toolpost_config::{Config, ForceConfig, ForceParameter, ParameterKind};
use toolpost_core::model::{Build, Scheduler};
use toolpost_core::{ForcedId, Properties, SchedulerId};
use toolpost_sandbox::TypeInfo;
use toolpost_store::{NewBuildset, NewForced, Query};

pub(crate) use validate::FORM_SOURCE;

pub use form::{ANY_WORKER, FieldKind, ForceForm, FormField};

use crate::engine::{Engine, Running};
use crate::error::ForceError;
use crate::handle::ForceRequest;
use crate::properties::scheduler_properties;
use crate::status::{Forced, Submitted};

use validate::Inherited;

/// Forms that may wait for one scheduler.
const FORMS_WAITING_MAX: u32 = 500;

/// The forms of the running configuration, by name: those of force schedulers, and of schedulers whose plugin has one.
pub(crate) fn forms(engine: &Engine) -> Vec<ForceForm> {
    let config = engine.config();
    let forms = config.schedulers.values().filter_map(|scheduler| {
        let (name, builders) = (&scheduler.name, &scheduler.builders);
        match &scheduler.kind {
            SchedulerKind::Force(force) => {
                let workers = workers_of(&config, builders);
                Some(ForceForm::new(name, builders, force, &workers))
            }
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

/// The workers of these builders, by name.
fn workers_of(config: &Config, builders: &[String]) -> Vec<String> {
    let builders = builders.iter().filter_map(|name| config.builders.get(name));
    let workers: BTreeSet<_> = builders.flat_map(|builder| &builder.workers).collect();
    workers.into_iter().cloned().collect()
}

/// Properties in which a form of this scheduler says which worker it has to be.
pub(crate) fn worker_fields(scheduler: &SchedulerConfig) -> Vec<String> {
    let mut names = Vec::new();
    if let SchedulerKind::Force(force) = &scheduler.kind {
        gather_worker_fields(&force.parameters, &mut names);
    }
    names
}

/// What is in a group with a name is no property of its own.
fn gather_worker_fields(parameters: &[ForceParameter], names: &mut Vec<String>) {
    for parameter in parameters {
        match &parameter.kind {
            ParameterKind::Worker => names.push(parameter.name.clone()),
            ParameterKind::Nested { fields, .. } if parameter.name.is_empty() => {
                gather_worker_fields(fields, names);
            }
            _ => {}
        }
    }
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
    let id = *running.ids.schedulers.get(name).ok_or_else(unknown)?;
    let row = engine.store.find::<Scheduler>(id.0).await?;
    if row.is_some_and(|row| !row.enabled) {
        return Err(ForceError::Disabled(name.into()));
    }
    match &scheduler.kind {
        SchedulerKind::Force(config) => make(engine, &running, scheduler, config, request)
            .await
            .map(Forced::Made),
        SchedulerKind::Plugin(plugin) => {
            let live = engine.registry.scheduler_type(&plugin.scheduler_type);
            let live = live.ok_or_else(unknown)?;
            queue(engine, scheduler, live.info(), id, request)
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
    let builders_asked: Vec<String> = scheduler.builders.iter().filter(asked).cloned().collect();
    let builders: Vec<_> = builders_asked
        .iter()
        .filter_map(|builder| running.ids.builders.get(builder).copied())
        .collect();
    if builders.is_empty() {
        return Err(ForceError::NoBuilders {
            scheduler: name.into(),
            known: scheduler.builders.clone(),
        });
    }
    let workers = workers_of(&running.config, &builders_asked);
    let form = ForceForm::new(name, &scheduler.builders, config, &workers);
    let forced = validate::validate(&form, request.owner.as_deref(), &request.fields)
        .map_err(|fields| ForceError::Fields { fields })?;
    let mut properties = scheduler_properties(name, &scheduler.properties, &forced.sourcestamps)
        .map_err(ForceError::Properties)?;
    properties.merge(&inherit(engine, running, &forced.inherited).await?);
    properties.merge(&forced.properties);
    let new = NewBuildset {
        reason: reason(&forced.owner, &forced.reason),
        scheduler: running.ids.schedulers.get(name).copied(),
        sourcestamps: forced.sourcestamps,
        patches: forced.patches,
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

/// The parameters that were filled in for these builds; who asked for them becomes `orig_owner`.
async fn inherit(
    engine: &Engine,
    running: &Running,
    builds: &[Inherited],
) -> Result<Properties, ForceError> {
    let mut inherited = Properties::new();
    for wanted in builds {
        let refused = |message: String| ForceError::Fields {
            fields: BTreeMap::from([(wanted.full_name.clone(), message)]),
        };
        let name = &wanted.builder;
        let builder = running.ids.builders.get(name).copied();
        let Some(builder) = builder.filter(|_| wanted.builders.contains(name)) else {
            return Err(refused(format!(
                "builds of `{name}` cannot be taken over; those of `{}` can",
                wanted.builders.join("`, `")
            )));
        };
        let query = Query::new()
            .eq("builderid", builder.0)
            .eq("number", wanted.number)
            .limit(1);
        let found = engine.store.list::<Build>(&query).await?;
        let Some(build) = found.into_iter().next() else {
            return Err(refused(format!(
                "there is no build {name}/{}",
                wanted.number
            )));
        };
        let properties = engine.store.build_properties(build.id).await?;
        for (name, property) in properties.iter() {
            if property.source == FORM_SOURCE {
                let name = if name == "owner" { "orig_owner" } else { name };
                inherited.set(name, property.value.clone(), FORM_SOURCE);
            }
        }
    }
    Ok(inherited)
}

/// What the build set shows as its reason, in Buildbot's words.
fn reason(owner: &str, reason: &str) -> String {
    format!("A build was forced by '{owner}': {reason}")
}
