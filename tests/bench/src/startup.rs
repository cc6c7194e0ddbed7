//! Starting and reconfiguring.

use std::time::Instant;

use toolpost_harness::{Farm, eventually};

use crate::table::Row;
use crate::{Bench, farms};

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (builders, theirs, target) in [(10, 1.6, 0.1), (200, 3.8, 0.15), (1000, 17.7, 0.4)] {
        let mut farm = Farm::with(&bench.toolpost, &farms::many_builders(builders)).prepare();
        let started = Instant::now();
        farm.run().await;
        farm.api().get("builders?limit=1").await;
        rows.push(
            Row::cost(
                format!("start until HTTP answers, {builders} builders"),
                started.elapsed().as_secs_f64(),
                "s",
            )
            .buildbot(theirs)
            .target(target),
        );
    }
    let farm = Farm::with(&bench.toolpost, &farms::many_builders(200))
        .start()
        .await;
    let started = Instant::now();
    farm.write_config(&farms::many_builders(1000));
    eventually("a thousand builders", async || {
        let builders = farm.api().get("builders?name=b0999&limit=1").await;
        (!builders["builders"].as_array()?.is_empty()).then_some(())
    })
    .await;
    rows.push(
        Row::cost(
            "reconfiguration from 200 to 1,000 builders",
            started.elapsed().as_secs_f64(),
            "s",
        )
        .buildbot(12.1)
        .target(0.25),
    );
    Ok(rows)
}
