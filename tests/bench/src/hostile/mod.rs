//! The hostile set: what happens to each offender, and what fifty of it at once do to everybody else.
//!
//! One master has them all. It is measured quiet, then beside fifty copies of one offender, then quiet again, and so on. A
//! figure is the median over the spans beside an offender, as a ratio to the median over all quiet spans of the same run. Now
//! and then nothing at all is measured as if it were an offender: what the machine itself does to such a figure.

mod farm;
mod feel;
mod offence;

use anyhow::Context as _;

use crate::Bench;
use crate::table::{Row, columns};
use farm::Arena;
use feel::{Feel, WHAT};
use offence::Offence;

/// What no ratio should be above.
const RATIO_MAX: f64 = 2.0;
/// Offenders after which nothing at all is measured as one.
const NOTHING_EVERY: usize = 10;

/// What was seen of one offender.
struct Seen {
    offence: Offence,
    fate: String,
    busy: Feel,
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let offences = chosen(bench);
    let arena = Arena::start(&bench.toolpost, &offences).await?;
    // The first builds compile, open and cache what later ones find.
    arena.feel().await?;
    let (mut quiet, mut nothing, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (number, offence) in offences.into_iter().enumerate() {
        let name = offence.name();
        quiet.push(arena.feel().await?);
        if number.is_multiple_of(NOTHING_EVERY) {
            nothing.push(arena.spans().await?);
        }
        let (fate, busy) = beside(&arena, &offence)
            .await
            .with_context(|| format!("measure {name}"))?;
        eprintln!("  {name}: {fate}");
        seen.push(Seen {
            offence,
            fate,
            busy,
        });
    }
    quiet.push(arena.feel().await?);
    anyhow::ensure!(
        arena.lures.reached() == 0,
        "a plugin reached what was not granted"
    );
    Ok(report(&quiet, &nothing, &seen))
}

/// Commits the offence and feels it; what became of the offender.
async fn beside(arena: &Arena, offence: &Offence) -> anyhow::Result<(String, Feel)> {
    let crowd = arena.begin(offence).await?;
    let busy = arena.spans().await?;
    let fate = arena.fate(offence, &crowd).await;
    arena.end(offence, crowd).await;
    Ok((fate, busy))
}

/// All of them, those whose names were given, or a few in a quick run.
fn chosen(bench: &Bench) -> Vec<Offence> {
    let mut all = Offence::all();
    all.retain(|offence| bench.wants(&offence.name()));
    let step = if bench.quick { all.len() / 6 } else { 1 };
    all.into_iter().step_by(step.max(1)).collect()
}

fn report(quiet: &[Feel], nothing: &[Feel], seen: &[Seen]) -> Vec<Row> {
    let base = Feel::median(quiet);
    let mut lines = vec![[
        "offender (50 at once)".to_owned(),
        "what happened to it".to_owned(),
        WHAT[0].to_owned(),
        WHAT[1].to_owned(),
        WHAT[2].to_owned(),
        WHAT[3].to_owned(),
    ]];
    let in_ms = base.0.map(|ms| format!("{ms:.2} ms"));
    let [p99, start, command, timer] = in_ms;
    lines.push(["(quiet)".into(), String::new(), p99, start, command, timer]);
    let [p99, start, command, timer] = Feel::worst(nothing).over(&base).map(times);
    let how_often = format!("the worst of {}", nothing.len());
    lines.push(["(nothing)".into(), how_often, p99, start, command, timer]);
    let mut rows = Vec::new();
    for Seen {
        offence,
        fate,
        busy,
    } in seen
    {
        let ratios = busy.over(&base);
        let [p99, start, command, timer] = ratios.map(times);
        lines.push([offence.name(), fate.clone(), p99, start, command, timer]);
        for (what, ratio) in WHAT.iter().zip(ratios) {
            let what = format!("{}, 50 at once: {what}", offence.name());
            rows.push(Row::cost(what, ratio, "x").target(RATIO_MAX));
        }
    }
    crate::print(&columns(&lines, &[2, 3, 4, 5]));
    let ratios = rows.iter().map(|row| row.value);
    let worst = ratios.fold(0.0, f64::max);
    let third = (quiet.len() / 3).max(1);
    let (beginning, end) = (&quiet[..third], &quiet[quiet.len() - third..]);
    let drift = Feel::median(end).over(&Feel::median(beginning))[0];
    let summary = [
        Row::cost("hostile set: the worst ratio", worst, "x").target(RATIO_MAX),
        Row::cost(
            "the quiet master itself, GET p99, end to beginning",
            drift,
            "x",
        ),
    ];
    rows.retain(|row| row.value > RATIO_MAX);
    rows.splice(0..0, summary);
    rows
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}x")
}
