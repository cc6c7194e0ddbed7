//! One thing to tell.

use super::{BuildReport, BuildsetReport, RequestReport, WorkerReport};
use serde::Serialize;
use serde_json::Value;

/// One thing to tell.
///
/// As JSON, for templates and bodies of requests, it is an object with `key`, `attempt`, `at_ms`, `event` (such as
/// `build-finished`) and one of `build`, `buildset`, `request` and `worker`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// The same each time that this delivery is tried: what it is told to can drop repeats by it.
    pub key: String,
    /// How often it was tried, from 1.
    pub attempt: u32,
    /// When it happened, in milliseconds since 1970, UTC.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A request was made.
    RequestAdded(RequestReport),
    /// A build started.
    BuildStarted(BuildReport),
    /// A build ended.
    BuildFinished(BuildReport),
    /// All builds of a build set have ended.
    BuildsetComplete(BuildsetReport),
    /// A worker went away without having been told to.
    WorkerLost(WorkerReport),
    /// A worker that was lost came back.
    WorkerFound(WorkerReport),
    /// A worker is missing: it has been away for longer than it may, since `last_seen_ms`, or has never come.
    WorkerMissing(WorkerReport),
    /// A worker that was missing came after all.
    WorkerBack(WorkerReport),
}

impl Delivery {
    /// A first try of telling this, for tests.
    #[must_use]
    pub fn of(event: Event) -> Self {
        Self {
            key: "delivery-1".to_owned(),
            attempt: 1,
            at_ms: 1_767_225_600_000,
            event,
        }
    }

    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // Names and numbers only: nothing in it can fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Event {
    /// Its name, as the configuration has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RequestAdded(_) => "request-added",
            Self::BuildStarted(_) => "build-started",
            Self::BuildFinished(_) => "build-finished",
            Self::BuildsetComplete(_) => "buildset-complete",
            Self::WorkerLost(_) => "worker-lost",
            Self::WorkerFound(_) => "worker-found",
            Self::WorkerMissing(_) => "worker-missing",
            Self::WorkerBack(_) => "worker-back",
        }
    }

    /// The builds that it is about.
    #[must_use]
    pub fn builds(&self) -> &[BuildReport] {
        match self {
            Self::BuildStarted(build) | Self::BuildFinished(build) => std::slice::from_ref(build),
            Self::BuildsetComplete(buildset) => &buildset.builds,
            Self::RequestAdded(_)
            | Self::WorkerLost(_)
            | Self::WorkerFound(_)
            | Self::WorkerMissing(_)
            | Self::WorkerBack(_) => &[],
        }
    }
}

/// The two members that an event is in JSON.
#[derive(Serialize)]
struct EventJson<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a RequestReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<&'a BuildReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buildset: Option<&'a BuildsetReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a WorkerReport>,
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = EventJson {
            event: self.name(),
            request: None,
            build: None,
            buildset: None,
            worker: None,
        };
        match self {
            Self::RequestAdded(request) => json.request = Some(request),
            Self::BuildStarted(build) | Self::BuildFinished(build) => json.build = Some(build),
            Self::BuildsetComplete(buildset) => json.buildset = Some(buildset),
            Self::WorkerLost(worker)
            | Self::WorkerFound(worker)
            | Self::WorkerMissing(worker)
            | Self::WorkerBack(worker) => json.worker = Some(worker),
        }
        json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_json_names_the_event_and_what_it_is_about() {
        let worker = WorkerReport {
            name: "w1".to_owned(),
            ..WorkerReport::default()
        };
        assert_eq!(
            Delivery::of(Event::WorkerLost(worker)).to_json(),
            json!({
                "key": "delivery-1",
                "attempt": 1,
                "at_ms": 1_767_225_600_000_u64,
                "event": "worker-lost",
                "worker": {
                    "name": "w1", "url": "", "builders": [], "info": null, "last_seen_ms": null,
                },
            })
        );
    }
}
