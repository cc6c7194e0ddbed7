//! The journal of a small farm in memory, and what happens there next.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use toolpost_core::journal::{Fact, JournalEntry};
use toolpost_core::model::SourceStampSpec;
use toolpost_core::schedule::plugin::{
    Due, Farm, Forced, Inbox, PluginSchedulerState, Reaction, WantedBuildset,
};
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, ForcedId, JournalId, Results, Timestamp,
};
use toolpost_replay::ChangeFacts;
use toolpost_sandbox::scheduler as wire;

use crate::script::scheduler::{
    BuildTable, EventTable, FinishedTable, ForceTable, SchedulerScript,
};
use crate::script::values::results;

/// Something of the script that happens.
pub(crate) enum Scripted {
    Change(ChangeFacts),
    Finished(FinishedTable),
    Force(ForceTable),
    Parameters(Map<String, Value>),
    /// Time passes.
    Nothing,
}

impl Scripted {
    /// The one thing that an event is.
    pub(crate) fn read(event: &EventTable) -> Result<Self, String> {
        let event = event.clone();
        let mut all = Vec::new();
        all.extend(event.change.map(Self::Change));
        all.extend(event.build_finished.map(Self::Finished));
        all.extend(event.force.map(Self::Force));
        all.extend(event.parameters.map(Self::Parameters));
        match (all.pop(), all.is_empty()) {
            (None, _) => Ok(Self::Nothing),
            (Some(only), true) => Ok(only),
            _ => Err("one of `change`, `build_finished`, `force` and `parameters`".into()),
        }
    }
}

/// Build sets of others have ids from here on.
const OTHERS_BUILDSETS: u64 = 1_000_000;

/// A small farm.
pub(crate) struct Journal {
    state: PluginSchedulerState,
    inbox: Inbox,
    farm: Farm,
    last_entry: i64,
    changes: BTreeMap<ChangeId, wire::Change>,
    builds: BTreeMap<BuildId, wire::Build>,
    buildsets: BTreeMap<BuildsetId, Buildset>,
    forms: BTreeMap<ForcedId, ForceTable>,
    /// Builds that run.
    running: Vec<Running>,
}

struct Buildset {
    label: String,
    /// Builds that have not ended.
    open: usize,
    results: Results,
    builds: Vec<BuildId>,
}

struct Running {
    ends: Timestamp,
    build: BuildId,
    builder: BuilderId,
    buildset: BuildsetId,
    results: Results,
}

impl Journal {
    pub(crate) fn new(
        script: &SchedulerScript,
        type_name: &str,
        start: Timestamp,
        parameters: &Value,
    ) -> Self {
        let mut farm = Farm {
            fingerprint: parameters.to_string(),
            builders: script.builders.clone(),
            builder_names: BTreeMap::new(),
        };
        let others = script.event.iter().filter_map(|event| {
            let finished = event.get_ref().build_finished.as_ref()?;
            Some(finished.builder.clone())
        });
        let names: BTreeSet<String> = script.builders.iter().cloned().chain(others).collect();
        farm.builder_names = (1..).map(BuilderId).zip(names).collect();
        let mut state = PluginSchedulerState::starting_after(type_name, JournalId(0));
        let mut inbox = Inbox {
            journal_is_all: true,
            forced_is_all: true,
            ..Inbox::default()
        };
        if let Some(memory) = &script.state {
            // It has heard of a configuration before, and hears of this one because it is another.
            let before = Farm {
                fingerprint: String::new(),
                ..farm.clone()
            };
            let remembered = Reaction {
                memory: memory.clone(),
                actions: Vec::new(),
            };
            let due = Due::Configured { first: true };
            // Without actions there is nothing to refuse.
            let _ = state.handled(&mut inbox, &before, due, remembered, start);
        }
        Self {
            state,
            inbox,
            farm,
            last_entry: 0,
            changes: BTreeMap::new(),
            builds: BTreeMap::new(),
            buildsets: BTreeMap::new(),
            forms: BTreeMap::new(),
            running: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> &PluginSchedulerState {
        &self.state
    }

    /// What the scheduler hears of, for people.
    pub(crate) fn listens(&self) -> Value {
        let stored = self.state.to_value();
        let changes = (stored["changes"] == true).then(|| Value::from("changes"));
        let builds = stored["builds_of"].as_array().into_iter().flatten();
        let builds = builds.filter_map(Value::as_str);
        let builds = builds.map(|builder| Value::from(format!("builds of {builder}")));
        changes.into_iter().chain(builds).collect()
    }

    /// The event that is next, if there is one by now.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Due> {
        self.state.next(&mut self.inbox, &self.farm, now)
    }

    /// When something happens by itself: a timer, or the end of a build.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let ends = self.running.iter().map(|running| running.ends);
        ends.chain(self.state.wake_at()).min()
    }

    fn enter(&mut self, fact: Fact, at: Timestamp) {
        self.last_entry += 1;
        self.inbox.journal.push_back(JournalEntry {
            id: JournalId(self.last_entry),
            at,
            fact,
        });
    }

    /// Ends the builds whose time has come.
    pub(crate) fn come_to(&mut self, now: Timestamp) {
        self.running.sort_by_key(|running| running.ends);
        while self
            .running
            .first()
            .is_some_and(|running| running.ends <= now)
        {
            let ended = self.running.remove(0);
            let fact = Fact::BuildFinished(ended.build, ended.builder, ended.results);
            self.enter(fact, ended.ends);
            let Some(buildset) = self.buildsets.get_mut(&ended.buildset) else {
                continue;
            };
            buildset.open -= 1;
            buildset.results = buildset.results.worst(ended.results);
            if buildset.open == 0 {
                let results = buildset.results;
                self.inbox.own_buildsets.insert(ended.buildset);
                self.enter(Fact::BuildsetComplete(ended.buildset, results), ended.ends);
            }
        }
    }

    /// Something of the script happens.
    pub(crate) fn happen(&mut self, what: Scripted, now: Timestamp) -> Result<(), String> {
        match what {
            Scripted::Nothing => {}
            Scripted::Parameters(parameters) => {
                self.farm.fingerprint = Value::Object(parameters).to_string();
            }
            Scripted::Change(mut change) => {
                let id = ChangeId(self.changes.len() as i64 + 1);
                change.id = id.0;
                change.when_ms = now.0;
                change.revision.get_or_insert_with(|| format!("r{id}"));
                self.changes.insert(id, change.into());
                self.enter(Fact::ChangeAdded(id), now);
            }
            Scripted::Force(form) => {
                let id = ForcedId(self.forms.len() as i64 + 1);
                self.forms.insert(id, form);
                self.inbox.forced.push_back(Forced { id, at: now });
            }
            Scripted::Finished(finished) => {
                let results = results(&finished.result)?;
                let builder = self.builder(&finished.builder);
                let stamps = finished.stamps().into_iter().map(SourceStampSpec::from);
                let build = wire::Build {
                    id: self.builds.len() as u64 + 1,
                    builder: finished.builder,
                    number: finished.number,
                    results: of_results(results),
                    buildset_id: OTHERS_BUILDSETS + self.builds.len() as u64,
                    source_stamps: stamps.map(Into::into).collect(),
                    properties: Value::Object(finished.properties).to_string(),
                };
                let id = self.keep(build);
                self.enter(Fact::BuildFinished(id, builder, results), now);
            }
        }
        Ok(())
    }

    fn builder(&self, name: &str) -> BuilderId {
        let mut all = self.farm.builder_names.iter();
        let found = all.find(|(_, known)| *known == name);
        found.map_or(BuilderId(0), |(id, _)| *id)
    }

    fn keep(&mut self, build: wire::Build) -> BuildId {
        let id = BuildId(self.builds.len() as i64 + 1);
        self.builds.insert(id, build);
        id
    }

    /// Makes the builds of a build set; one without an answer never ends.
    pub(crate) fn build(
        &mut self,
        wanted: &WantedBuildset,
        answers: Vec<Option<BuildTable>>,
        now: Timestamp,
    ) -> Result<(), String> {
        let id = BuildsetId(self.buildsets.len() as i64 + 1);
        let mut buildset = Buildset {
            label: wanted.label.clone(),
            open: wanted.builders.len(),
            results: Results::Success,
            builds: Vec::new(),
        };
        for (name, answer) in wanted.builders.iter().zip(answers) {
            let Some(answer) = answer else { continue };
            let results = results(&answer.result)?;
            let mut properties = wanted.properties.clone();
            properties.extend(answer.properties);
            let stamps = wanted.source_stamps.iter().cloned();
            let build = self.keep(wire::Build {
                id: self.builds.len() as u64 + 1,
                builder: name.clone(),
                number: self.builds.len() as u64 + 1,
                results: of_results(results),
                buildset_id: id.0.unsigned_abs(),
                source_stamps: stamps.map(Into::into).collect(),
                properties: Value::Object(properties).to_string(),
            });
            buildset.builds.push(build);
            self.running.push(Running {
                ends: now.after(answer.takes.0),
                build,
                builder: self.builder(name),
                buildset: id,
                results,
            });
        }
        self.buildsets.insert(id, buildset);
        Ok(())
    }

    /// What is due, with its contents.
    pub(crate) fn event(&self, due: Due) -> wire::Event {
        let found = match due {
            Due::Configured { first } => Some(wire::Event::Configured(wire::Configuration {
                first,
                builders: self.farm.builders.clone(),
            })),
            Due::Timer => None,
            Due::Change(id) => self.changes.get(&id).cloned().map(wire::Event::Change),
            Due::BuildFinished(id) => self
                .builds
                .get(&id)
                .cloned()
                .map(wire::Event::BuildFinished),
            Due::BuildsetComplete(id) => self.buildset(id).map(wire::Event::BuildsetComplete),
            Due::Forced(id) => self.forms.get(&id).map(|form| {
                wire::Event::Force(wire::ForceRequest {
                    owner: form.owner.clone(),
                    reason: form.reason.clone(),
                    values: Value::Object(form.values.clone()).to_string(),
                })
            }),
        };
        // Everything that is due was put there before.
        found.unwrap_or(wire::Event::Timer)
    }

    fn buildset(&self, id: BuildsetId) -> Option<wire::Buildset> {
        let buildset = self.buildsets.get(&id)?;
        let builds = buildset.builds.iter();
        Some(wire::Buildset {
            id: id.0.unsigned_abs(),
            label: buildset.label.clone(),
            results: of_results(buildset.results),
            builds: builds
                .filter_map(|id| self.builds.get(id).cloned())
                .collect(),
        })
    }

    /// Takes in an answer; the error says why it is not taken.
    pub(crate) fn handled(
        &mut self,
        due: Due,
        reaction: Reaction,
        now: Timestamp,
    ) -> Result<Vec<WantedBuildset>, String> {
        let handled = self
            .state
            .handled(&mut self.inbox, &self.farm, due, reaction, now);
        let wanted = handled.map_err(|refusal| refusal.to_string())?;
        let mut changes = wanted.iter().flat_map(|wanted| &wanted.changes);
        match changes.find(|change| !self.changes.contains_key(change)) {
            Some(unknown) => Err(format!("there is no change {unknown}")),
            None => Ok(wanted),
        }
    }
}

/// A result as the contract has it.
pub(crate) fn of_results(results: Results) -> wire::Results {
    match results {
        Results::Success => wire::Results::Success,
        Results::Warnings => wire::Results::Warnings,
        Results::Failure => wire::Results::Failure,
        Results::Skipped => wire::Results::Skipped,
        Results::Exception => wire::Results::Exception,
        Results::Retry => wire::Results::Retry,
        Results::Cancelled => wire::Results::Cancelled,
    }
}
