//! How a master feels to those who use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::Mutex;
use toolpost_harness::Farm;

use super::farm::COMMANDS;
use crate::farms;
use crate::load::visits;
use crate::workers::{Pulse, Shared};

/// How long is measured.
const SPAN: Duration = Duration::from_millis(900);
/// How often somebody asks for the builders.
const VISIT: Duration = Duration::from_micros(1_500);
/// How often a worker says that it is alive.
const BEAT: Duration = Duration::from_millis(3);
/// Standard deviations within which chance stays nineteen times of twenty.
const CERTAINTY: f64 = 1.96;
/// What is measured, as heads of columns.
pub(super) const WHAT: [&str; 4] = ["GET builders p99", "build start", "command", "keep-alive"];

/// Milliseconds: `GET /api/v2/builders`, 99th percentile; from a request to the first command of its build, median; from one
/// command of a worker to the next, median; until the master answers a keep-alive of a remote worker, mean.
#[derive(Clone, Copy)]
pub(super) struct Feel(pub(super) [f64; 4]);

impl Feel {
    /// The median of each.
    pub(super) fn median(of: &[Self]) -> Self {
        Self(std::array::from_fn(|i| {
            median(of.iter().map(|feel| feel.0[i]).collect())
        }))
    }

    /// Whether it takes more spans to say on which side of `limits` the medians are: those lie between two ranks of the sample that
    /// are as far from its middle as chance takes a median (normal approximation of the sign test). With less than four, always.
    pub(super) fn is_open(of: &[Self], limits: &Self) -> bool {
        let number = of.len() as f64;
        let rank = (number - CERTAINTY * number.sqrt()) / 2.0;
        if rank < 0.0 {
            return true;
        }
        let rank = rank as usize;
        (0..WHAT.len()).any(|i| {
            let mut values: Vec<f64> = of.iter().map(|feel| feel.0[i]).collect();
            values.sort_by(f64::total_cmp);
            (values[rank]..=values[values.len() - 1 - rank]).contains(&limits.0[i])
        })
    }

    /// So many times each.
    pub(super) fn times(&self, factor: f64) -> Self {
        Self(self.0.map(|ms| ms * factor))
    }

    /// How many times as large as that one each figure is.
    pub(super) fn over(&self, base: &Self) -> [f64; 4] {
        std::array::from_fn(|i| self.0[i] / base.0[i])
    }
}

/// Uses a farm for a while.
pub(super) async fn feel(
    farm: &Farm,
    workers: &Shared,
    pulse: &Arc<Mutex<Pulse>>,
) -> anyhow::Result<Feel> {
    let authority = farms::authority(farm);
    let beats = tokio::spawn(beats(Arc::clone(pulse)));
    let pages =
        tokio::spawn(async move { visits(&authority, "/api/v2/builders", VISIT, SPAN).await });
    let end = Instant::now() + SPAN;
    let (mut starts, mut commands) = (Vec::new(), Vec::new());
    while Instant::now() < end || starts.is_empty() {
        starts.push(start(farm, workers).await?);
        let asked = Instant::now();
        let request = farm.api().force("force", "commands").await;
        farm.api().finished(request).await;
        commands.push(asked.elapsed().as_secs_f64() * 1000.0 / COMMANDS as f64);
    }
    let p99 = pages.await??.percentile_ms(0.99);
    let alive = beats.await??;
    Ok(Feel([p99, median(starts), median(commands), alive]))
}

/// Milliseconds from a request to the first command of its build.
async fn start(farm: &Farm, workers: &Shared) -> anyhow::Result<f64> {
    let asked = Instant::now();
    let request = farm.api().force("force", "probe").await;
    farm.api().finished(request).await;
    let began = workers.began().context("no command has begun")?;
    Ok(began.saturating_duration_since(asked).as_secs_f64() * 1000.0)
}

/// Milliseconds until a keep-alive is answered, the mean.
async fn beats(pulse: Arc<Mutex<Pulse>>) -> anyhow::Result<f64> {
    let mut pulse = pulse.lock().await;
    let end = Instant::now() + SPAN;
    let mut taken = Vec::new();
    while Instant::now() < end {
        taken.push(pulse.beat().await?.as_secs_f64() * 1000.0);
        tokio::time::sleep(BEAT).await;
    }
    Ok(taken.iter().sum::<f64>() / taken.len() as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the limit of one figure is open after spans with these values, of which the other figures are far below theirs.
    fn is_open(values: &[f64]) -> bool {
        let spans: Vec<Feel> = values.iter().map(|ms| Feel([0.1, *ms, 0.1, 0.1])).collect();
        Feel::is_open(&spans, &Feel([2.0; 4]))
    }

    #[test]
    fn more_is_measured_until_the_side_of_the_limit_is_known() {
        assert!(is_open(&[1.0, 1.0, 1.0]));
        assert!(!is_open(&[1.0, 1.9, 1.1, 1.2, 1.3]));
        assert!(!is_open(&[2.1, 3.0, 2.2, 9.0, 2.5]));
        // One of five on the other side may be chance, and one of nine is.
        assert!(is_open(&[1.0, 1.9, 1.1, 1.2, 2.1]));
        assert!(!is_open(&[1.0, 1.9, 1.1, 1.2, 2.1, 1.0, 1.0, 1.0, 1.0]));
    }
}
