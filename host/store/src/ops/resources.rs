//! What steps used of their workers: kept among the values of their build, one for each step.

use bytes::Bytes;
use toolpost_core::BuildId;
use toolpost_core::kept::RESOURCES_SOURCE;
use toolpost_core::resources::Resources;

use crate::Result;
use crate::sql::args;
use crate::tx::Tx;

/// What the names begin with; the step's number follows. `resources/work.rs` reads them by it.
const PREFIX: &str = "resources_";

/// Keeps it, in the transaction that ends the step.
pub(super) async fn put(
    tx: &mut Tx,
    build: BuildId,
    number: i64,
    resources: &Resources,
) -> Result<()> {
    let value = Bytes::from(to_json(resources));
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO build_data (build_id, name, value, length, source) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (build_id, name) DO UPDATE SET \
        value = excluded.value, length = excluded.length, source = excluded.source";
    let args = args![
        build,
        format!("{PREFIX}{number}"),
        value,
        length,
        RESOURCES_SOURCE
    ];
    tx.execute("finish_step", sql, args).await.map(drop)
}

fn to_json(resources: &Resources) -> String {
    let Resources {
        commands,
        user_ms,
        system_ms,
        memory_peak_bytes,
        read_bytes,
        written_bytes,
    } = resources;
    serde_json::json!({
        "commands": commands,
        "user_ms": user_ms,
        "system_ms": system_ms,
        "memory_peak_bytes": memory_peak_bytes,
        "read_bytes": read_bytes,
        "written_bytes": written_bytes,
    })
    .to_string()
}

/// `None` also for what somebody else has put under the name.
pub(crate) fn from_json(bytes: &[u8]) -> Option<Resources> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let number = |name: &str| value.get(name)?.as_i64().filter(|number| *number >= 0);
    Some(Resources {
        commands: number("commands")?,
        user_ms: number("user_ms")?,
        system_ms: number("system_ms")?,
        memory_peak_bytes: number("memory_peak_bytes")?,
        read_bytes: number("read_bytes")?,
        written_bytes: number("written_bytes")?,
    })
}
