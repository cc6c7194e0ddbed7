//! The `trigger` step: builds of other builders, awaited or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toolpost_core::Results;
use toolpost_sandbox::host::{TriggerProgress, TriggerRequest, TriggerSources};

use super::params::{OneOrMore, host_fault};
use crate::build::StepContext;
use crate::build::farm::{Triggered, Triggers};
use crate::build::outcome::{Fault, StepEnd};

/// Asks for builds of other builders, and waits for them if it is told to. The step ends with the worst of their results.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriggerParams {
    /// The builders: a name, or a list of names.
    pub(crate) builders: OneOrMore,
    /// Whether to wait until they have ended. While it waits, this build takes no place on its worker.
    #[serde(default)]
    pub(crate) wait_for_finish: bool,
    /// Whether they build the newest revision of each branch, and not those that this build has got.
    #[serde(default)]
    pub(crate) always_use_latest: bool,
    /// Properties that the builds start with.
    #[serde(default)]
    pub(crate) set_properties: BTreeMap<String, Value>,
    /// Names of properties of this build that they start with as well.
    #[serde(default)]
    pub(crate) copy_properties: Vec<String>,
    /// Higher runs first. Default: as this build.
    #[serde(default)]
    pub(crate) priority: Option<i32>,
}

impl TriggerParams {
    /// What it does, for people.
    pub(crate) fn describe(&self) -> String {
        format!("triggering {}", self.builders.0.join(", "))
    }

    fn request(&self, step: &StepContext) -> TriggerRequest {
        let known = step.build.properties();
        let copied = self.copy_properties.iter().filter_map(|name| {
            let value = known.get(name)?;
            Some((name.clone(), value.clone()))
        });
        let set = self.set_properties.iter();
        let set = set.map(|(name, value)| (name.clone(), value.clone()));
        TriggerRequest {
            builders: self.builders.0.clone(),
            sources: match self.always_use_latest {
                true => TriggerSources::Newest,
                false => TriggerSources::OfThisBuild,
            },
            properties: copied.chain(set).collect(),
            reason: None,
            priority: self.priority,
            waited_for: self.wait_for_finish,
        }
    }
}

pub(crate) async fn run(step: &Arc<StepContext>, params: &TriggerParams) -> Result<StepEnd, Fault> {
    let triggers = Triggers::new(Arc::clone(step));
    let ended = trigger(step, params, &triggers).await;
    if step.cancel.is_cancelled() {
        triggers.cancel().await;
        return Err(Fault::Cancelled);
    }
    if ended.is_err() {
        triggers.cancel().await;
    }
    ended
}

async fn trigger(
    step: &Arc<StepContext>,
    params: &TriggerParams,
    triggers: &Arc<Triggers>,
) -> Result<StepEnd, Fault> {
    let asked = triggers.request(params.request(step)).await;
    let triggered: Triggered = asked.map_err(host_fault)?;
    let names = params.builders.0.join(", ");
    if !params.wait_for_finish {
        return Ok(StepEnd::new(Results::Success, format!("triggered {names}")));
    }
    let waited = triggered.wait_telling(|progress| step.show_soon(&said(progress)));
    let progress = waited.await.map_err(host_fault)?;
    let results = progress.results.unwrap_or(Results::Cancelled);
    Ok(StepEnd::new(results, format!("triggered {names}")))
}

/// How many have ended.
fn said(progress: &TriggerProgress) -> String {
    let ended = progress
        .builds
        .iter()
        .filter(|build| build.results.is_some());
    let (ended, all) = (ended.count(), progress.builds.len());
    format!("waiting for builds ({ended} of {all} ended)")
}
