//! The hostile set: what happens to each offender, and what fifty of it at once do to everybody else.
//!
//! One master has them all. It is measured quiet, then beside fifty copies of one offender, then quiet again, and so on. A
//! figure is the median over the spans beside an offender, as a ratio to the median over the quiet spans nearest to them, before
//! and after: a virtual machine is not as fast at each hour as at the next. Who is near the limit is measured for longer. Now and
//! then nothing at all is measured as if it were an offender: what the machine itself does to such a figure.

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
/// Quiet spans before each offender, and after the last.
const QUIET: usize = 3;
/// Offenders before and after one whose quiet spans its ratios are to.
const NEAR: usize = 2;

/// What was seen of one offender.
struct Seen {
    offence: Offence,
    fate: String,
    busy: Feel,
}

/// The quiet spans of a run, in their order.
#[derive(Default)]
struct Quiet(Vec<Feel>);

impl Quiet {
    async fn feel(&mut self, arena: &Arena) -> anyhow::Result<()> {
        for _ in 0..QUIET {
            self.0.push(arena.feel().await?);
        }
        Ok(())
    }

    /// The base of the offender with this number: of what was measured before and after it until now.
    fn near(&self, number: usize) -> Feel {
        let from = number.saturating_sub(NEAR) * QUIET;
        let to = ((number + 2 + NEAR) * QUIET).min(self.0.len());
        Feel::median(&self.0[from..to])
    }
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let offences = chosen(bench);
    let arena = Arena::start(&bench.toolpost, &offences).await?;
    // The first builds compile, open and cache what later ones find.
    arena.feel().await?;
    let (mut quiet, mut nothing, mut seen) = (Quiet::default(), Vec::new(), Vec::new());
    for (number, offence) in offences.into_iter().enumerate() {
        let name = offence.name();
        quiet.feel(&arena).await?;
        let limits = quiet.near(number).times(RATIO_MAX);
        if number.is_multiple_of(NOTHING_EVERY) {
            nothing.push((number, arena.spans(&limits).await?));
        }
        let (fate, busy) = beside(&arena, &offence, &limits)
            .await
            .with_context(|| format!("measure {name}"))?;
        eprintln!("  {name}: {fate}");
        seen.push(Seen {
            offence,
            fate,
            busy,
        });
    }
    quiet.feel(&arena).await?;
    anyhow::ensure!(
        arena.lures.reached() == 0,
        "a plugin reached what was not granted"
    );
    Ok(report(&quiet, &nothing, &seen))
}

/// Commits the offence and feels it; what became of the offender.
async fn beside(arena: &Arena, offence: &Offence, limits: &Feel) -> anyhow::Result<(String, Feel)> {
    let crowd = arena.begin(offence).await?;
    let busy = arena.spans(limits).await?;
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

fn report(quiet: &Quiet, nothing: &[(usize, Feel)], seen: &[Seen]) -> Vec<Row> {
    let mut lines = vec![line("offender (50 at once)", "what happened to it", WHAT)];
    let in_ms = Feel::median(&quiet.0).0.map(|ms| format!("{ms:.2} ms"));
    lines.push(line("(quiet)", "", in_ms));
    let over = |number, busy: &Feel| busy.over(&quiet.near(number));
    let nothing: Vec<_> = nothing.iter().map(|(n, busy)| over(*n, busy)).collect();
    let worst: [f64; 4] =
        std::array::from_fn(|i| nothing.iter().map(|ratios| ratios[i]).fold(0.0, f64::max));
    let how_often = format!("the worst of {}", nothing.len());
    lines.push(line("(nothing)", &how_often, worst.map(times)));
    let mut rows = Vec::new();
    for (number, it) in seen.iter().enumerate() {
        let (name, ratios) = (it.offence.name(), over(number, &it.busy));
        lines.push(line(&name, &it.fate, ratios.map(times)));
        for (what, ratio) in WHAT.iter().zip(ratios) {
            let what = format!("{name}, 50 at once: {what}");
            rows.push(Row::cost(what, ratio, "x").target(RATIO_MAX));
        }
    }
    crate::print(&columns(&lines, &[2, 3, 4, 5]));
    let ratios = rows.iter().map(|row| row.value);
    let worst = ratios.fold(0.0, f64::max);
    let quiet = &quiet.0;
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

fn line(name: &str, fate: &str, figures: [impl Into<String>; 4]) -> [String; 6] {
    let [p99, start, command, timer] = figures.map(Into::into);
    [name.into(), fate.into(), p99, start, command, timer]
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}x")
}
