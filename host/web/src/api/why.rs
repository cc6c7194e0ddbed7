//! `/buildrequests/N/why`: where a request stands and what it waits for, as the master says it at this moment.

use serde_json::{Map, Value, json};
use toolpost_core::RequestId;
use toolpost_core::distribute::{Standing, WaitReason};
use toolpost_core::locks::LockMode;
use toolpost_master::{LockStatus, LockUser, WaitCause, WaitState, Why, WorkerStanding};

use super::memory;
use super::schema::Resource;
use super::special::members;
use crate::auth::Sight;
use crate::error::ApiError;
use crate::state::Web;

/// Words for where a request stands.
pub(crate) const STATES: [&str; 4] = ["complete", "running", "starting", "waiting"];

/// Words for how a worker stands.
pub(crate) const STANDINGS: [&str; 6] = [
    "free",
    "not-connected",
    "paused",
    "full",
    "lock",
    "lock-never",
];

/// Where a request stands.
pub(super) async fn answer(
    web: &Web,
    sight: &Sight,
    id: i64,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let why = ask(web, sight, RequestId(id)).await?;
    memory::single(Resource::Why, Some(why_json(&why)), raw_query)
}

/// What the master says, without whose the builds of others are that may not be seen.
pub(crate) async fn ask(web: &Web, sight: &Sight, request: RequestId) -> Result<Why, ApiError> {
    let mut why = web.master.why(request).await?;
    if let Some(lock) = &mut why.lock
        && !sight.is_all()
    {
        for user in lock.holders.iter_mut().chain(&mut lock.queue) {
            if !user.builder.is_some_and(|builder| sight.sees(builder)) {
                (user.builder, user.build, user.step) = (None, None, None);
            }
        }
    }
    Ok(why)
}

fn why_json(why: &Why) -> Map<String, Value> {
    let [complete, running, starting, waiting] = STATES;
    let (state, master, build, cause) = match &why.state {
        WaitState::Complete => (complete, None, None, None),
        WaitState::Running { master, build } => (running, *master, *build, None),
        WaitState::Starting => (starting, None, None, None),
        WaitState::Waiting(cause) => (waiting, None, None, Some(cause)),
    };
    let retry_at = match cause {
        Some(WaitCause::Retry(at)) => Some(at.seconds()),
        _ => None,
    };
    members(json!({
        "builderid": why.builder.0,
        "buildid": build.map(|id| id.0),
        "buildrequestid": why.request.0,
        "lock": why.lock.as_ref().map(lock_json),
        "masterid": master.map(|id| id.0),
        "position": why.before.map(|before| before + 1),
        "reason": cause.map(reason_word),
        "retry_at": retry_at,
        "state": state,
        "text": text_of(why),
        "workers": why.workers.iter().map(worker_json).collect::<Vec<_>>(),
    }))
}

/// Where a request stands, in a sentence.
pub(crate) fn text_of(why: &Why) -> String {
    let text = match &why.state {
        WaitState::Complete => return "it is complete".to_owned(),
        WaitState::Running {
            build: Some(id), ..
        } => return format!("build {id} carries it out"),
        WaitState::Running { master, .. } => {
            return match master {
                Some(master) => format!("master {master} carries it out"),
                None => "a master carries it out".to_owned(),
            };
        }
        WaitState::Starting => "nothing keeps it: it is about to start".to_owned(),
        WaitState::Waiting(cause) => cause.to_string(),
    };
    match why.before {
        None | Some(0) => text,
        Some(1) => format!("{text}; one request of its builder is before it"),
        Some(before) => format!("{text}; {before} requests of its builder are before it"),
    }
}

/// A cause in a word.
fn reason_word(cause: &WaitCause) -> &'static str {
    match cause {
        WaitCause::Rule(reason) => match reason {
            WaitReason::NoWorkers => "no-workers",
            WaitReason::NotConnected => "not-connected",
            WaitReason::Paused => "paused",
            WaitReason::WorkersBusy => "workers-busy",
            WaitReason::BuilderFull => "builder-full",
            WaitReason::MasterFull => "master-full",
            WaitReason::Draining => "draining",
            WaitReason::Chosen => "chosen",
            WaitReason::Lock(_) => "lock",
            WaitReason::LockNever(_) => "lock-never",
        },
        WaitCause::Retry(_) => "retry",
        WaitCause::NoBuilder => "no-builder",
        WaitCause::Stopping => "stopping",
        WaitCause::Behind => "behind",
    }
}

fn worker_json(worker: &WorkerStanding) -> Value {
    let [free, not_connected, paused, full, lock, lock_never] = STANDINGS;
    let standing = match worker.standing {
        Standing::Free => free,
        Standing::NotConnected => not_connected,
        Standing::Paused => paused,
        Standing::Full => full,
        Standing::Lock(_) => lock,
        Standing::LockNever(_) => lock_never,
    };
    json!({
        "builds_max": worker.builds_max,
        "name": worker.name,
        "running": worker.running,
        "standing": standing,
        "text": worker.standing.to_string(),
        "workerid": worker.id.0,
    })
}

fn lock_json(lock: &LockStatus) -> Value {
    let users = |users: &[LockUser]| users.iter().map(user_json).collect::<Vec<_>>();
    json!({
        "holders": users(&lock.holders),
        "max": lock.scope.map(|_| lock.max),
        "name": lock.key.lock,
        "queue": users(&lock.queue),
        "worker": lock.key.worker,
    })
}

fn user_json(user: &LockUser) -> Value {
    json!({
        "builderid": user.builder.map(|id| id.0),
        "buildid": user.build.map(|id| id.0),
        "mode": match user.mode {
            LockMode::Exclusive => "exclusive".to_owned(),
            LockMode::Counting { count } => format!("counting {count}"),
        },
        "step": user.step,
    })
}
