//! The REST API: beside running builds, and on a database as it is after years.

mod fill;
mod large;
mod lists;
mod small;
mod subscribers;

use crate::Bench;
use crate::table::Row;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if bench.wants("small") {
        rows.extend(small::measure(bench).await?);
    }
    rows.extend(large::measure(bench).await?);
    Ok(rows)
}
