//! The build of a step and the farm around it, as a script has them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use toolpost_core::model::Change;
use toolpost_sandbox::host::{
    Artifact, BuildData, BuildOf, FileError, HostError, NewTestSet, StepFarm, TestResult, TestSet,
    TriggerRequest, TriggeredBuilds, UploadRoom, UploadedDirectory, WriteMode,
};

use super::files::Files;
use super::step::{contents, locked};
use super::triggers::ScriptedBuilds;
use super::{Notes, ScriptedServices, TestSetNote, text_of};
use crate::script::step::{StepScript, TriggerTable};
use crate::script::values::is_like;
use crate::script::{Answers, Source};

/// Permissions of artifacts.
const MODE: u32 = 0o644;

/// What the farm has from the step's host.
pub(super) struct Around {
    /// Name of the step.
    pub(super) step: String,
    pub(super) notes: Arc<Notes>,
    pub(super) services: Arc<ScriptedServices>,
    pub(super) files: Arc<Mutex<Files>>,
}

/// The farm of a test.
pub(crate) struct ScriptedFarm {
    around: Around,
    triggers: Answers<TriggerTable>,
    changes: Vec<Change>,
    artifacts: Mutex<IndexMap<String, Bytes>>,
    artifacts_of: BTreeMap<String, IndexMap<String, Bytes>>,
    build_data: Mutex<IndexMap<String, Bytes>>,
}

impl ScriptedFarm {
    pub(super) fn new(
        script: &mut StepScript,
        source: &Source,
        around: Around,
    ) -> Result<Self, String> {
        let folder = source.folder();
        let artifacts_of = script.artifacts_of.iter();
        let artifacts_of = artifacts_of.map(|(of, all)| Ok((of.clone(), contents(folder, all)?)));
        let mut changes: Vec<Change> = script.changes.drain(..).map(Into::into).collect();
        for (number, change) in (1..).zip(&mut changes) {
            change.id.0 = number;
        }
        let triggers = std::mem::take(&mut script.trigger);
        Ok(Self {
            around,
            triggers: Answers::new(source, triggers, |table| table.times),
            changes,
            artifacts: Mutex::new(contents(folder, &script.artifacts)?),
            artifacts_of: artifacts_of.collect::<Result<_, String>>()?,
            build_data: Mutex::new(contents(folder, &script.build_data)?),
        })
    }

    pub(crate) fn triggers(&self) -> &Answers<TriggerTable> {
        &self.triggers
    }

    /// The artifacts of the build.
    pub(crate) fn kept(&self) -> Map<String, Value> {
        shown(&locked(&self.artifacts))
    }

    /// The values of the build.
    pub(crate) fn data(&self) -> Map<String, Value> {
        shown(&locked(&self.build_data))
    }

    fn keep(&self, name: &str, data: Bytes, room: &UploadRoom) -> Result<Artifact, HostError> {
        room.take_file()?;
        room.take_bytes(0, data.len() as u64)?;
        let kept = artifact(name, &data);
        locked(&self.artifacts).insert(name.to_owned(), data);
        Ok(kept)
    }

    /// The artifacts of a build.
    fn of(&self, build: &BuildOf) -> Result<IndexMap<String, Bytes>, HostError> {
        match build {
            BuildOf::This => Ok(locked(&self.artifacts).clone()),
            BuildOf::Other(builder, _) if !self.around.services.may_read_artifacts(builder) => {
                let text = format!("artifacts of `{builder}` are not granted by the script");
                Err(HostError::Config(text))
            }
            BuildOf::Other(builder, number) => {
                let of = format!("{builder}/{number}");
                let found = self.artifacts_of.get(&of).cloned();
                found.ok_or_else(|| {
                    let text = format!(
                        "there is no build {of}: the script has no [artifacts_of.\"{of}\"]"
                    );
                    HostError::Permanent(text)
                })
            }
        }
    }
}

fn shown(all: &IndexMap<String, Bytes>) -> Map<String, Value> {
    all.iter()
        .map(|(name, data)| (name.clone(), text_of(data)))
        .collect()
}

fn artifact(name: &str, data: &Bytes) -> Artifact {
    let digest = Sha256::digest(data);
    Artifact {
        name: name.to_owned(),
        size: data.len() as u64,
        mode: MODE,
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        url: format!("http://toolpost.example.org/artifacts/{name}"),
    }
}

fn refused(path: &str, error: &FileError) -> HostError {
    HostError::Permanent(format!("`{path}`: {error}"))
}

#[async_trait]
impl StepFarm for ScriptedFarm {
    async fn changes(&self, limit: u32) -> Result<Vec<Change>, HostError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let skipped = self.changes.len().saturating_sub(limit);
        Ok(self.changes[skipped..].to_vec())
    }

    async fn upload_file(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        let data = locked(&self.around.files).whole(path);
        self.keep(name, data.map_err(|error| refused(path, &error))?, &room)
    }

    async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
        _: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let below = locked(&self.around.files).below(path);
        let below = below.map_err(|error| refused(path, &error))?;
        let mut uploaded = UploadedDirectory::default();
        for (path, data) in below {
            let name = match name {
                "" => path,
                name => format!("{name}/{path}"),
            };
            uploaded.files.push(self.keep(&name, data, &room)?);
        }
        Ok(uploaded)
    }

    async fn download(&self, of: &BuildOf, name: &str, path: &str) -> Result<Artifact, HostError> {
        let all = self.of(of)?;
        let data = all.get(name);
        let missing = || HostError::Permanent(format!("there is no artifact `{name}`"));
        let data = data.ok_or_else(missing)?;
        let mut files = locked(&self.around.files);
        let written = files.write(path, data, WriteMode::Replace);
        written.map_err(|error| refused(path, &error))?;
        Ok(artifact(name, data))
    }

    async fn artifacts(
        &self,
        of: &BuildOf,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        let mut all = self.of(of)?;
        all.sort_keys();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = all.iter().filter(|(name, _)| name.starts_with(prefix));
        let found = found.take(limit).map(|(name, data)| artifact(name, data));
        Ok(found.collect())
    }

    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError> {
        let value = locked(&self.build_data).get(name).cloned();
        Ok(value.map(|value| BuildData {
            value,
            source: self.around.step.clone(),
        }))
    }

    async fn set_build_data(&self, name: &str, value: Bytes, _: &str) -> Result<(), HostError> {
        locked(&self.build_data).insert(name.to_owned(), value);
        Ok(())
    }

    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError> {
        let mut head = Map::new();
        head.insert("description".into(), Value::from(set.description));
        head.insert("category".into(), Value::from(set.category));
        head.insert("value_unit".into(), Value::from(set.value_unit));
        head.insert("complete".into(), Value::from(false));
        let sets = &mut self.around.notes.lock().test_results;
        let results = Vec::new();
        sets.push(TestSetNote { head, results });
        Ok(TestSet(i64::try_from(sets.len()).unwrap_or(0)))
    }

    async fn add_test_results(
        &self,
        set: TestSet,
        results: Vec<TestResult>,
    ) -> Result<(), HostError> {
        let mut noted = self.around.notes.lock();
        let set = noted.test_set(set)?;
        if set.head["complete"] == true {
            return Err(HostError::Permanent("the set is complete".into()));
        }
        set.results.extend(results.into_iter().map(|result| {
            json!({
                "name": result.name,
                "code_path": result.code_path,
                "line": result.line,
                "duration_ns": result.duration_ns,
                "value": result.value,
            })
        }));
        Ok(())
    }

    async fn complete_test_set(
        &self,
        set: TestSet,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Result<(), HostError> {
        let mut noted = self.around.notes.lock();
        let head = &mut noted.test_set(set)?.head;
        head.insert("complete".into(), Value::from(true));
        head.insert("passed".into(), Value::from(passed));
        head.insert("failed".into(), Value::from(failed));
        Ok(())
    }

    async fn trigger(
        &self,
        request: TriggerRequest,
    ) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        let notes = &self.around.notes;
        let mut answers = Vec::new();
        for builder in &request.builders {
            if !self.around.services.may_trigger(builder) {
                let text = format!("builds of `{builder}` are not granted by the script");
                return Err(HostError::Config(text));
            }
            let answer = self
                .triggers
                .take(|answer| is_like(&answer.builder, builder));
            let known = || -> Vec<String> {
                self.triggers
                    .tables()
                    .map(|all| all.builder.clone())
                    .collect()
            };
            let answer = answer.cloned().ok_or_else(|| {
                HostError::Internal(notes.unanswered("trigger", builder, &known()))
            })?;
            answers.push((builder.clone(), answer));
        }
        answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        let started = ScriptedBuilds::start(notes, &request, answers)?;
        Ok(Arc::new(started))
    }
}
