//! From an event without contents to messages: the row is read again, and written as the REST API writes it.

use std::collections::HashMap;

use bytes::Bytes;
use toolpost_core::Event;
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, Log, Master, Scheduler, Step, Worker,
};
use toolpost_store::Store;

use crate::api::json;
use crate::api::query::Spec;
use crate::api::rows::{Row, write_row};
use crate::error::ApiError;

/// One event under one of its keys, ready to be sent.
#[derive(Debug)]
pub(crate) struct Keyed {
    /// Segments separated by slashes.
    pub(crate) key: String,
    /// The server-sent event, with the empty line that ends it.
    pub(crate) frame: Bytes,
}

/// Remembers what it needs to tell one event from another.
#[derive(Default)]
pub(super) struct Reader {
    /// Whether a worker was connected when it was last heard of.
    connected: HashMap<i64, bool>,
}

impl Reader {
    /// The messages of an event; none when the row is gone.
    pub(super) async fn read(
        &mut self,
        store: &Store,
        event: &Event,
    ) -> Result<Vec<Keyed>, ApiError> {
        match event {
            Event::Master(id) => {
                one(store, id.0, |master: &Master| {
                    let name = if master.active { "started" } else { "stopped" };
                    vec![format!("masters/{}/{name}", master.id)]
                })
                .await
            }
            Event::Builder(id) => {
                one(store, id.0, |builder: &Builder| {
                    vec![format!("builders/{}/update", builder.id)]
                })
                .await
            }
            Event::Worker(id) => {
                one(store, id.0, |worker: &Worker| {
                    vec![format!(
                        "workers/{}/{}",
                        worker.id,
                        self.worker_event(worker)
                    )]
                })
                .await
            }
            Event::Scheduler(id) => {
                one(store, id.0, |scheduler: &Scheduler| {
                    vec![format!("schedulers/{}/updated", scheduler.id)]
                })
                .await
            }
            Event::Reporter(id) => Ok(named(&format!("reporters/{id}/update"), &id.to_string())),
            Event::ChangeAdded(id) => {
                one(store, id.0, |change: &Change| {
                    vec![format!("changes/{}/new", change.id)]
                })
                .await
            }
            Event::BuildsetAdded(id) => buildset(store, id.0, "new").await,
            Event::BuildsetComplete(id) => buildset(store, id.0, "complete").await,
            Event::RequestAdded(id, _) => request(store, id.0, "new").await,
            Event::RequestClaimed(id, _) => request(store, id.0, "claimed").await,
            Event::RequestUnclaimed(id, _) => request(store, id.0, "unclaimed").await,
            Event::RequestComplete(id, _) => request(store, id.0, "complete").await,
            Event::BuildStarted(id, _) => build(store, id.0, "new").await,
            Event::BuildChanged(id, _) => build(store, id.0, "update").await,
            Event::BuildFinished(id, _) => build(store, id.0, "finished").await,
            Event::StepAdded(id, _) => step(store, id.0, "new").await,
            Event::StepStarted(id, _) => step(store, id.0, "started").await,
            Event::StepChanged(id, _) => step(store, id.0, "updated").await,
            Event::StepFinished(id, _) => step(store, id.0, "finished").await,
            Event::LogAdded(id, _) => log(store, id.0, "new").await,
            Event::LogAppended(id, _) => log(store, id.0, "append").await,
            Event::LogFinished(id, _) => log(store, id.0, "finished").await,
            Event::Plugin(name) => Ok(named(&format!("plugins/{name}/update"), name)),
            Event::Configuration => Ok(named("configuration/master/update", "master")),
            _ => Ok(Vec::new()),
        }
    }

    fn worker_event(&mut self, worker: &Worker) -> &'static str {
        let connected = !worker.connected_to.is_empty();
        let before = self.connected.insert(worker.id.0, connected);
        match (before, connected) {
            (Some(false) | None, true) => "connected",
            (Some(true) | None, false) => "disconnected",
            _ => "state_updated",
        }
    }
}

/// The first segment of the keys of an event: what has to be listened to for it to be worth a read.
pub(super) fn roots(event: &Event) -> &'static [&'static str] {
    match event {
        Event::Master(_) => &["masters"],
        Event::Builder(_) => &["builders"],
        Event::Worker(_) => &["workers"],
        Event::Scheduler(_) => &["schedulers"],
        Event::Reporter(_) => &["reporters"],
        Event::ChangeAdded(_) => &["changes"],
        Event::BuildsetAdded(_) | Event::BuildsetComplete(_) => &["buildsets"],
        Event::RequestAdded(..)
        | Event::RequestClaimed(..)
        | Event::RequestUnclaimed(..)
        | Event::RequestComplete(..) => &["buildsets", "buildrequests", "builders"],
        Event::BuildStarted(..) | Event::BuildChanged(..) | Event::BuildFinished(..) => {
            &["builders", "builds", "workers"]
        }
        Event::StepAdded(..)
        | Event::StepStarted(..)
        | Event::StepChanged(..)
        | Event::StepFinished(..) => &["builds", "steps"],
        Event::LogAdded(..) | Event::LogAppended(..) | Event::LogFinished(..) => &["logs", "steps"],
        Event::Plugin(_) => &["plugins"],
        Event::Configuration => &["configuration"],
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

async fn buildset(store: &Store, id: i64, event: &str) -> Result<Vec<Keyed>, ApiError> {
    one(store, id, |set: &Buildset| {
        vec![format!("buildsets/{}/{event}", set.id)]
    })
    .await
}

async fn request(store: &Store, id: i64, event: &str) -> Result<Vec<Keyed>, ApiError> {
    one(store, id, |request: &BuildRequest| {
        let (id, set, builder) = (request.id, request.buildset_id, request.builder_id);
        vec![
            format!("buildsets/{set}/builders/{builder}/buildrequests/{id}/{event}"),
            format!("buildrequests/{id}/{event}"),
            format!("builders/{builder}/buildrequests/{id}/{event}"),
        ]
    })
    .await
}

async fn build(store: &Store, id: i64, event: &str) -> Result<Vec<Keyed>, ApiError> {
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
        keys
    })
    .await
}

async fn step(store: &Store, id: i64, event: &str) -> Result<Vec<Keyed>, ApiError> {
    one(store, id, |step: &Step| {
        vec![
            format!("builds/{}/steps/{}/{event}", step.build_id, step.id),
            format!("steps/{}/{event}", step.id),
        ]
    })
    .await
}

async fn log(store: &Store, id: i64, event: &str) -> Result<Vec<Keyed>, ApiError> {
    one(store, id, |log: &Log| {
        vec![
            format!("logs/{}/{event}", log.id),
            format!("steps/{}/logs/{}/{event}", log.step_id, log.slug),
        ]
    })
    .await
}

/// Reads a row and writes it under its keys.
async fn one<R: Row>(
    store: &Store,
    id: i64,
    keys: impl FnOnce(&R) -> Vec<String>,
) -> Result<Vec<Keyed>, ApiError> {
    let Some(row) = store.find::<R>(id).await? else {
        return Ok(Vec::new());
    };
    let rows = [row];
    let spec = Spec::default();
    let related = R::related(store, &rows, &spec).await?;
    let mut message = Vec::with_capacity(512);
    write_row(&mut message, &rows[0], &related, &spec);
    Ok(keyed(keys(&rows[0]), &message))
}

/// A message about something that is not a row: only its name.
fn named(key: &str, name: &str) -> Vec<Keyed> {
    let mut message = b"{\"name\":".to_vec();
    json::text(&mut message, name);
    message.push(b'}');
    keyed(vec![key.to_owned()], &message)
}

fn keyed(keys: Vec<String>, message: &[u8]) -> Vec<Keyed> {
    keys.into_iter()
        .map(|key| {
            let mut frame = b"event: event\ndata: {\"key\":".to_vec();
            json::list(&mut frame, key.split('/'), json::text);
            frame.extend_from_slice(b",\"message\":");
            frame.extend_from_slice(message);
            frame.extend_from_slice(b"}\n\n");
            Keyed {
                key,
                frame: frame.into(),
            }
        })
        .collect()
}
