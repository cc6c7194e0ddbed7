//! `triggers`.

use std::sync::Arc;

use toolpost_core::Results;
use wasmtime::component::Resource;

use crate::bindings::toolpost::plugin::triggers::{
    self, BuildRequest, Progress, Sources, TriggeredBuild,
};
use crate::bindings::toolpost::plugin::types;
use crate::call::{CallState, Effort};
use crate::host::{TriggerProgress, TriggerRequest, TriggerSources, TriggeredBuilds};
use crate::imports::{Answer, answer, convert, refuse, within};
use crate::{StepHost, Want};

/// A plugin's handle of builds that it asked for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TriggerHandle(Arc<dyn TriggeredBuilds>);

fn to_guest(results: Results) -> types::Results {
    match results {
        Results::Success => types::Results::Success,
        Results::Warnings => types::Results::Warnings,
        Results::Failure => types::Results::Failure,
        Results::Skipped => types::Results::Skipped,
        Results::Exception => types::Results::Exception,
        Results::Retry => types::Results::Retry,
        Results::Cancelled => types::Results::Cancelled,
    }
}

impl From<TriggerProgress> for Progress {
    fn from(progress: TriggerProgress) -> Self {
        let builds = progress.builds.into_iter().map(|build| TriggeredBuild {
            builder: build.builder,
            request: build.request,
            number: build.number,
            url: build.url,
            results: build.results.map(to_guest),
        });
        Self {
            buildset: progress.buildset,
            results: progress.results.map(to_guest),
            builds: builds.collect(),
        }
    }
}

impl CallState {
    /// A request within the limits, or what is wrong with it.
    fn trigger_request(&self, request: BuildRequest) -> Result<TriggerRequest, String> {
        let builders_max = self.limits.trigger_builders_max;
        let builders = request.builders;
        if builders.is_empty() || builders.len() > builders_max {
            return Err(format!("a request names 1 to {builders_max} builders"));
        }
        let mut properties = Vec::with_capacity(request.properties.len());
        for (name, value) in request.properties {
            let value = self.property_value(&name, &value)?;
            properties.push((name, value));
        }
        let sources = match request.sources {
            Sources::OfThisBuild => TriggerSources::OfThisBuild,
            Sources::Newest => TriggerSources::Newest,
            Sources::Given(stamps) => {
                TriggerSources::Given(stamps.into_iter().map(convert::source_stamp).collect())
            }
        };
        let text_max = self.limits.text_bytes_max;
        Ok(TriggerRequest {
            builders,
            sources,
            properties,
            reason: request.reason.map(|text| self.short(&text, text_max)),
            priority: request.priority,
            waited_for: request.waited_for,
        })
    }
}

impl triggers::Host for CallState {}

impl triggers::HostTriggered for CallState {
    async fn request(&mut self, request: BuildRequest) -> Answer<Resource<TriggerHandle>> {
        const WHAT: &str = "triggers.triggered.request";
        self.step(WHAT)?;
        let request = match self.trigger_request(request) {
            Ok(request) => request,
            Err(objection) => return refuse(objection),
        };
        for builder in &request.builders {
            let need = Want::Trigger(builder.clone());
            if let Err(refused) = self.home(WHAT)?.wanted.check(&need) {
                return answer(Err(refused));
            }
        }
        self.counts.triggers += 1;
        let (count, limit) = (self.counts.triggers, self.limits.triggers_max);
        within("requests for other builds", count.into(), limit.into())?;
        let trigger = async move |host: Arc<dyn StepHost>| host.farm().trigger(request).await;
        match answer(self.ask_for(Effort::Builds, WHAT, trigger).await?)? {
            Ok(triggered) => Ok(Ok(self.table.push(TriggerHandle(triggered))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn progress(&mut self, this: Resource<TriggerHandle>) -> Answer<Progress> {
        let triggered = self.table.get(&this)?.0.clone();
        let progress = async move |_| triggered.progress().await;
        let told = self.ask("triggers.triggered.progress", progress).await?;
        Ok(answer(told)?.map(Into::into))
    }

    async fn wait(&mut self, this: Resource<TriggerHandle>) -> Answer<Progress> {
        let triggered = self.table.get(&this)?.0.clone();
        let wait = async move |_| triggered.wait().await;
        let ended = self.ask_until_stopped("triggers.triggered.wait", wait);
        Ok(answer(ended.await?)?.map(Into::into))
    }

    async fn drop(&mut self, this: Resource<TriggerHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
