//! Lists while builds run, on a small database.

use std::time::Duration;

use toolpost_harness::Farm;

use crate::load::hammer;
use crate::table::Row;
use crate::{Bench, builds, farms};

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let step = farms::shell(r#"["true"]"#);
    let slow = farms::shell(r#"["sleep", "0.2"]"#);
    let mut config = farms::config(&[("b", &step), ("slow", &slow)]);
    // Ten builders, as in the figures of Buildbot.
    for i in 0..8 {
        config.push_str(&format!(
            "[[builder]]\nname = \"x{i}\"\nworkers = [\"w0\"]\n{step}\n"
        ));
    }
    let farm = Farm::with(&bench.toolpost, &config).start().await;
    builds::force(&farm, "b", 300).await;
    builds::all_complete(&farm).await;

    let span = Duration::from_secs(if bench.quick { 1 } else { 4 });
    let mut rows = Vec::new();
    let lists = [
        (
            "GET builds?limit=100",
            "/api/v2/builds?limit=100&order=-buildid",
            40.0,
            26.0,
            4_000.0,
            2.0,
        ),
        (
            "GET builders",
            "/api/v2/builders",
            180.0,
            12.0,
            10_000.0,
            4.0,
        ),
    ];
    for (name, path, their_rate, their_p99, rate, p99) in lists {
        // Enough builds that some run from start to end of the span, on all sixteen slots.
        builds::force(&farm, "slow", 16 * 5 * (span.as_secs() as usize + 1)).await;
        let one = hammer(&farms::authority(&farm), path, 1, span).await?;
        rows.push(
            Row::rate(format!("{name} while builds run"), one.rate(), "/s")
                .buildbot(their_rate)
                .target(rate),
        );
        rows.push(
            Row::cost(format!("{name}, p99"), one.percentile_ms(0.99), "ms")
                .buildbot(their_p99)
                .target(p99),
        );
        let many = hammer(&farms::authority(&farm), path, 16, span).await?;
        rows.push(Row::rate(
            format!("{name}, 16 connections"),
            many.rate(),
            "/s",
        ));
        rows.push(Row::cost(
            format!("{name}, 16 connections, p99"),
            many.percentile_ms(0.99),
            "ms",
        ));
        builds::all_complete(&farm).await;
    }
    Ok(rows)
}
