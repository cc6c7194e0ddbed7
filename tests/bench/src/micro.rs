//! What has no outside: pure decisions.

use std::time::Instant;

use toolpost_core::distribute::{BuilderState, Pending, Snapshot, WorkerState, distribute};
use toolpost_core::locks::LockTable;
use toolpost_core::{BuilderId, RequestId, Timestamp, WorkerId};

use crate::Bench;
use crate::table::Row;

const REQUESTS: i64 = 100_000;
const BUILDERS: i64 = 1_000;
const WORKERS: i64 = 500;
const ROUNDS: usize = 20;

pub(crate) async fn measure(_: &Bench) -> anyhow::Result<Vec<Row>> {
    let names: Vec<String> = (0..WORKERS).map(|id| format!("w{id}")).collect();
    let workers: Vec<WorkerId> = (0..WORKERS).map(WorkerId).collect();
    let locks = LockTable::default();
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let snapshot = snapshot(&names, &workers, &locks);
        let started = Instant::now();
        let decided = distribute(snapshot);
        taken.push(started.elapsed());
        anyhow::ensure!(!decided.claims.is_empty(), "free workers and nothing to do");
    }
    taken.sort_unstable();
    let median = taken[ROUNDS / 2].as_secs_f64() * 1000.0;
    Ok(vec![Row::cost(
        "distribution of 100,000 pending requests",
        median,
        "ms",
    )])
}

/// Every builder may use every worker; every worker takes two builds.
fn snapshot<'a>(
    names: &'a [String],
    workers: &'a [WorkerId],
    locks: &'a LockTable,
) -> Snapshot<'a> {
    let builders = (0..BUILDERS).map(|builder| BuilderState {
        id: BuilderId(builder),
        pending: (0..REQUESTS / BUILDERS)
            .map(|n| Pending {
                id: RequestId(n * BUILDERS + builder),
                priority: i32::try_from((n * 7 + builder) % 5).unwrap_or(0),
                submitted_at: Timestamp((n * 7919 + builder * 104_729) % 1_000_000),
                waited_for: false,
                chosen: None,
            })
            .collect(),
        workers,
        running: 0,
        builds_max: None,
        served_at: None,
        locks: &[],
    });
    let workers = names.iter().zip(workers).map(|(name, id)| WorkerState {
        id: *id,
        name,
        connected: true,
        paused: false,
        running: 0,
        builds_max: Some(2),
        idle_since: None,
    });
    Snapshot {
        builders: builders.collect(),
        workers: workers.collect(),
        locks,
        master_free: None,
        draining: false,
        explain: None,
    }
}
