//! Builds that a step asks for, as a script has them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use toolpost_core::{Results, Timestamp};
use toolpost_replay::recording::StampFacts;
use toolpost_sandbox::host::{
    HostError, TriggerProgress, TriggerRequest, TriggerSources, TriggeredBuild, TriggeredBuilds,
};

use super::Notes;
use crate::script::step::TriggerTable;
use crate::script::values::results;

/// What numbers of requests begin with.
const FIRST_REQUEST: u64 = 100;

/// Builds that were asked for.
pub(super) struct ScriptedBuilds {
    notes: Arc<Notes>,
    buildset: u64,
    builds: Vec<Build>,
}

struct Build {
    builder: String,
    request: u64,
    results: Results,
    ends: Timestamp,
}

impl ScriptedBuilds {
    /// Notes a request, whose builds come to what the script says.
    pub(super) fn start(
        notes: &Arc<Notes>,
        request: &TriggerRequest,
        answers: Vec<(String, TriggerTable)>,
    ) -> Result<Self, HostError> {
        let now = notes.clock.now();
        let mut noted = notes.lock();
        let buildset = noted.triggers.len() as u64 + 2;
        let mut builds = Vec::new();
        for (number, (builder, answer)) in answers.into_iter().enumerate() {
            let name = answer.result.as_deref().unwrap_or("success");
            let results = results(name).map_err(HostError::Internal)?;
            builds.push(Build {
                builder,
                request: FIRST_REQUEST * buildset + number as u64,
                results,
                ends: now.after(answer.takes.0),
            });
        }
        noted.triggers.push(note(request));
        noted
            .collected
            .triggered
            .extend(request.builders.iter().cloned());
        drop(noted);
        Ok(Self {
            notes: Arc::clone(notes),
            buildset,
            builds,
        })
    }

    fn now(&self) -> TriggerProgress {
        let now = self.notes.clock.now();
        let ended = |build: &Build| (build.ends <= now).then_some(build.results);
        let builds = self.builds.iter().map(|build| TriggeredBuild {
            builder: build.builder.clone(),
            request: build.request,
            number: Some(1),
            url: format!("http://toolpost.example.org/builders/{}/1", build.builder),
            results: ended(build),
        });
        let all: Option<Vec<Results>> = self.builds.iter().map(ended).collect();
        TriggerProgress {
            buildset: self.buildset,
            results: all.map(|all| all.into_iter().fold(Results::Success, Results::worst)),
            builds: builds.collect(),
        }
    }
}

fn note(request: &TriggerRequest) -> Value {
    let sources = match &request.sources {
        TriggerSources::OfThisBuild => json!("of-this-build"),
        TriggerSources::Newest => json!("newest"),
        TriggerSources::Given(stamps) => {
            let stamps = stamps.iter().cloned();
            json!(stamps.map(StampFacts::from).collect::<Vec<_>>())
        }
    };
    let properties: Map<String, Value> = request.properties.iter().cloned().collect();
    json!({
        "builders": request.builders,
        "sources": sources,
        "properties": properties,
        "reason": request.reason,
        "priority": request.priority,
        "waited_for": request.waited_for,
    })
}

#[async_trait]
impl TriggeredBuilds for ScriptedBuilds {
    async fn progress(&self) -> Result<TriggerProgress, HostError> {
        Ok(self.now())
    }

    async fn wait(&self) -> Result<TriggerProgress, HostError> {
        let ends = self.builds.iter().map(|build| build.ends).max();
        let cancel: CancellationToken = self.notes.cancel.clone();
        if let Some(ends) = ends {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = self.notes.clock.until(ends) => {}
            }
        }
        Ok(self.now())
    }
}
