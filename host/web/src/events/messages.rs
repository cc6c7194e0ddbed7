//! From an event without contents to messages: the row is read again, and written as the REST API writes it.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, Log, Master, Scheduler, Step, Worker,
};
use toolpost_core::{BuildId, BuilderId, BuildsetId, Event, StepId, WorkerId};
use toolpost_store::{Presence, Query, Store};

use crate::api::json;
use crate::api::query::Spec;
use crate::api::rows::{Row, write_properties, write_row};
use crate::error::ApiError;

/// What an event is told as: a message that is made from the row as it is when somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// The row of what the event is about, under keys that end like this.
    Row(Event, &'static str),
    /// The properties of a build.
    Properties(BuildId),
    /// So many events were lost: anything may have changed.
    Lost(u64),
}

/// A message, ready to be put into the frames of either protocol.
#[derive(Debug)]
pub(super) struct Message {
    /// Who may hear it.
    pub(super) whose: Whose,
    /// What it is told under, each with segments separated by slashes; none when the row is gone.
    pub(super) keys: Vec<String>,
    /// The row as JSON.
    pub(super) body: Bytes,
}

/// Whose a message is: it is for whoever may see that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// The farm's.
    Farm,
    /// The farm's, for whoever may see every builder.
    Whole,
    /// That of a builder.
    Builder(BuilderId),
    /// That of the builder of a build.
    Build(BuildId),
    /// That of the builder of a step.
    Step(StepId),
    /// That of the builders of a build set.
    Buildset(BuildsetId),
}

impl Message {
    /// What is told of a row that is gone: nothing.
    fn none() -> Self {
        Self {
            whose: Whose::Farm,
            keys: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let keys: usize = self
            .keys
            .iter()
            .map(|key| size_of::<String>() + key.len())
            .sum();
        size_of::<Self>() + keys + self.body.len()
    }
}

/// Remembers what it needs to tell one event from another.
#[derive(Default)]
pub(super) struct Teller {
    /// How workers were when they were last heard of.
    workers: HashMap<WorkerId, Presence>,
}

impl Teller {
    /// What these events are told as, in their order. Reads what it takes to know that, of all workers among them at once:
    /// thousands of them may come at a time.
    pub(super) async fn tell(
        &mut self,
        store: &Store,
        events: Vec<Event>,
    ) -> Result<Vec<Told>, ApiError> {
        let workers: BTreeSet<WorkerId> = events.iter().filter_map(worker_of).collect();
        let presence = match workers.is_empty() {
            true => HashMap::new(),
            false => store.presence_of(workers).await?,
        };
        let mut told = Vec::with_capacity(events.len());
        for event in events {
            match worker_of(&event) {
                Some(worker) => told.extend(presence.get(&worker).map(|presence| {
                    let last = self.worker_event(worker, *presence);
                    Told::Row(event, last)
                })),
                None => told.extend(Self::tell_one(store, event).await?),
            }
        }
        Ok(told)
    }

    async fn tell_one(store: &Store, event: Event) -> Result<Vec<Told>, ApiError> {
        let last = match &event {
            Event::Master(id) => match store.find::<Master>(id.0).await? {
                Some(master) if master.active => "started",
                Some(_) => "stopped",
                None => return Ok(Vec::new()),
            },
            Event::BuildChanged(id, _) => {
                let properties = Told::Properties(*id);
                return Ok(vec![Told::Row(event, "update"), properties]);
            }
            Event::Builder(_) | Event::Reporter(_) | Event::Plugin(_) | Event::Configuration => {
                "update"
            }
            Event::Scheduler(_) | Event::StepChanged(..) => "updated",
            Event::ChangeAdded(_)
            | Event::BuildsetAdded(_)
            | Event::RequestAdded(..)
            | Event::BuildStarted(..)
            | Event::StepAdded(..)
            | Event::LogAdded(..) => "new",
            Event::BuildsetComplete(_) | Event::RequestComplete(..) => "complete",
            Event::RequestClaimed(..) => "claimed",
            Event::RequestUnclaimed(..) => "unclaimed",
            Event::BuildFinished(..) | Event::StepFinished(..) | Event::LogFinished(..) => {
                "finished"
            }
            Event::StepStarted(..) => "started",
            Event::LogAppended(..) => "append",
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Told::Row(event, last)])
    }

    fn worker_event(&mut self, worker: WorkerId, now: Presence) -> &'static str {
        let before = self.workers.insert(worker, now);
        match (before, now) {
            (before, Presence::Missing) if before != Some(Presence::Missing) => "missing",
            (Some(Presence::Away | Presence::Missing) | None, Presence::Connected) => "connected",
            (Some(Presence::Connected) | None, Presence::Away) => "disconnected",
            _ => "state_updated",
        }
    }
}

fn worker_of(event: &Event) -> Option<WorkerId> {
    match event {
        Event::Worker(worker) => Some(*worker),
        _ => None,
    }
}

/// The first segment and the number of segments of the keys of a message: what has to be listened to for it to be worth a read.
pub(super) fn shapes(told: &Told) -> &'static [(&'static str, usize)] {
    let event = match told {
        Told::Row(event, _) => event,
        Told::Properties(_) => return &[("builds", 4)],
        Told::Lost(_) => return &[],
    };
    match event {
        Event::Master(_) => &[("masters", 3)],
        Event::Builder(_) => &[("builders", 3)],
        Event::Worker(_) => &[("workers", 3)],
        Event::Scheduler(_) => &[("schedulers", 3)],
        Event::Reporter(_) => &[("reporters", 3)],
        Event::ChangeAdded(_) => &[("changes", 3)],
        Event::BuildsetAdded(_) | Event::BuildsetComplete(_) => &[("buildsets", 3)],
        Event::RequestAdded(..)
        | Event::RequestClaimed(..)
        | Event::RequestUnclaimed(..)
        | Event::RequestComplete(..) => &[("buildsets", 7), ("buildrequests", 3), ("builders", 5)],
        Event::BuildStarted(..) | Event::BuildChanged(..) | Event::BuildFinished(..) => {
            &[("builders", 5), ("builds", 3), ("workers", 5)]
        }
        Event::StepAdded(..)
        | Event::StepStarted(..)
        | Event::StepChanged(..)
        | Event::StepFinished(..) => &[("builds", 5), ("steps", 3)],
        Event::LogAdded(..) | Event::LogAppended(..) | Event::LogFinished(..) => {
            &[("logs", 3), ("steps", 5)]
        }
        Event::Plugin(_) => &[("plugins", 3)],
        Event::Configuration => &[("configuration", 3)],
        _ => &[],
    }
}

/// Whether a later event of the same kind about the same thing says all that this one says.
pub(super) fn is_repeatable(event: &Event) -> bool {
    matches!(
        event,
        Event::LogAppended(..)
            | Event::BuildChanged(..)
            | Event::StepChanged(..)
            | Event::Reporter(_)
    )
}

/// Reads what a message is made of, and makes it.
pub(super) async fn read(store: &Store, told: &Told) -> Result<Message, ApiError> {
    let (event, last) = match told {
        Told::Row(event, last) => (event, *last),
        Told::Properties(build) => return properties(store, *build).await,
        Told::Lost(_) => return Ok(Message::none()),
    };
    match event {
        Event::Master(id) => {
            one(store, id.0, |master: &Master| {
                (Whose::Farm, vec![format!("masters/{}/{last}", master.id)])
            })
            .await
        }
        Event::Builder(id) => {
            one(store, id.0, |builder: &Builder| {
                (
                    Whose::Builder(builder.id),
                    vec![format!("builders/{}/{last}", builder.id)],
                )
            })
            .await
        }
        Event::Worker(id) => {
            one(store, id.0, |worker: &Worker| {
                (Whose::Farm, vec![format!("workers/{}/{last}", worker.id)])
            })
            .await
        }
        Event::Scheduler(id) => {
            one(store, id.0, |scheduler: &Scheduler| {
                (
                    Whose::Farm,
                    vec![format!("schedulers/{}/{last}", scheduler.id)],
                )
            })
            .await
        }
        Event::ChangeAdded(id) => {
            one(store, id.0, |change: &Change| {
                (Whose::Farm, vec![format!("changes/{}/{last}", change.id)])
            })
            .await
        }
        Event::BuildsetAdded(id) | Event::BuildsetComplete(id) => {
            one(store, id.0, |set: &Buildset| {
                (
                    Whose::Buildset(set.id),
                    vec![format!("buildsets/{}/{last}", set.id)],
                )
            })
            .await
        }
        Event::RequestAdded(id, _)
        | Event::RequestClaimed(id, _)
        | Event::RequestUnclaimed(id, _)
        | Event::RequestComplete(id, _) => request(store, id.0, last).await,
        Event::BuildStarted(id, _) | Event::BuildChanged(id, _) | Event::BuildFinished(id, _) => {
            build(store, id.0, last).await
        }
        Event::StepAdded(id, _)
        | Event::StepStarted(id, _)
        | Event::StepChanged(id, _)
        | Event::StepFinished(id, _) => step(store, id.0, last).await,
        Event::LogAdded(id, _) | Event::LogAppended(id, _) | Event::LogFinished(id, _) => {
            log(store, id.0, last).await
        }
        Event::Reporter(id) => Ok(named(
            Whose::Whole,
            vec![format!("reporters/{id}/{last}")],
            &id.to_string(),
        )),
        Event::Plugin(name) => Ok(named(
            Whose::Whole,
            vec![format!("plugins/{name}/{last}")],
            name,
        )),
        Event::Configuration => Ok(named(
            Whose::Whole,
            vec![format!("configuration/master/{last}")],
            "master",
        )),
        _ => Ok(Message::none()),
    }
}

async fn request(store: &Store, id: i64, event: &str) -> Result<Message, ApiError> {
    one(store, id, |request: &BuildRequest| {
        let (id, set, builder) = (request.id, request.buildset_id, request.builder_id);
        let keys = vec![
            format!("buildsets/{set}/builders/{builder}/buildrequests/{id}/{event}"),
            format!("buildrequests/{id}/{event}"),
            format!("builders/{builder}/buildrequests/{id}/{event}"),
        ];
        (Whose::Builder(builder), keys)
    })
    .await
}

async fn build(store: &Store, id: i64, event: &str) -> Result<Message, ApiError> {
    one(store, id, |build: &Build| {
        let (id, builder) = (build.id, build.builder_id);
        let mut keys = vec![
            format!("builders/{builder}/builds/{}/{event}", build.number),
            format!("builds/{id}/{event}"),
        ];
        keys.extend(
            build
                .worker_id
                .map(|worker| format!("workers/{worker}/builds/{id}/{event}")),
        );
        (Whose::Builder(builder), keys)
    })
    .await
}

async fn step(store: &Store, id: i64, event: &str) -> Result<Message, ApiError> {
    one(store, id, |step: &Step| {
        let keys = vec![
            format!("builds/{}/steps/{}/{event}", step.build_id, step.id),
            format!("steps/{}/{event}", step.id),
        ];
        (Whose::Build(step.build_id), keys)
    })
    .await
}

async fn log(store: &Store, id: i64, event: &str) -> Result<Message, ApiError> {
    one(store, id, |log: &Log| {
        let keys = vec![
            format!("logs/{}/{event}", log.id),
            format!("steps/{}/logs/{}/{event}", log.step_id, log.slug),
        ];
        (Whose::Step(log.step_id), keys)
    })
    .await
}

/// The builders that a message belongs to, found out from what it is about.
pub(super) async fn builders_of(store: &Store, whose: Whose) -> Result<Vec<BuilderId>, ApiError> {
    let build = match whose {
        Whose::Farm | Whose::Whole => return Ok(Vec::new()),
        Whose::Builder(builder) => return Ok(vec![builder]),
        Whose::Build(build) => Some(build),
        Whose::Step(step) => store.find::<Step>(step.0).await?.map(|step| step.build_id),
        Whose::Buildset(set) => {
            let query = Query::new().eq("buildsetid", set);
            let requests = store.list::<BuildRequest>(&query).await?;
            return Ok(requests.iter().map(|request| request.builder_id).collect());
        }
    };
    let build = match build {
        Some(build) => store.find::<Build>(build.0).await?,
        None => None,
    };
    Ok(build.map(|build| build.builder_id).into_iter().collect())
}

/// All properties of a build, as a build of the REST API has them.
async fn properties(store: &Store, build: BuildId) -> Result<Message, ApiError> {
    let properties = store.build_properties(build).await?;
    let mut body = Vec::with_capacity(512);
    write_properties(&mut body, &properties, &["*".to_owned()]);
    Ok(Message {
        whose: Whose::Build(build),
        keys: vec![format!("builds/{build}/properties/update")],
        body: body.into(),
    })
}

/// Reads a row and writes it under its keys.
async fn one<R: Row>(
    store: &Store,
    id: i64,
    told: impl FnOnce(&R) -> (Whose, Vec<String>),
) -> Result<Message, ApiError> {
    let Some(row) = store.find::<R>(id).await? else {
        return Ok(Message::none());
    };
    let rows = [row];
    let spec = Spec::default();
    let related = R::related(store, &rows, &spec).await?;
    let mut body = Vec::with_capacity(512);
    write_row(&mut body, &rows[0], &related, &spec);
    let (whose, keys) = told(&rows[0]);
    Ok(Message {
        whose,
        keys,
        body: body.into(),
    })
}

/// A message about something that is not a row: only its name.
fn named(whose: Whose, keys: Vec<String>, name: &str) -> Message {
    let mut body = b"{\"name\":".to_vec();
    json::text(&mut body, name);
    body.push(b'}');
    Message {
        whose,
        keys,
        body: body.into(),
    }
}
