//! The last calls of a type as bars in a small SVG, like the durations of builds: processor time within the time that the
//! call took, and a mark below where it did not end well.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use askama::filters::HtmlSafe;
use toolpost_core::Results;
use toolpost_sandbox::metrics::{CallSample, GOOD};

use super::parts::{Outcome, bytes, duration};

const BAR_WIDTH: f64 = 9.0;
const GAP: f64 = 2.0;
const HEIGHT: f64 = 48.0;
const MARKS_HEIGHT: f64 = 11.0;
/// The shortest bar, so that every call can be seen.
const BAR_HEIGHT_MIN: f64 = 2.0;

/// The plot; calls from the oldest to the newest.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallPlot(pub(crate) Vec<CallSample>);

impl CallPlot {
    /// Whether there is something to see: one bar compares with nothing.
    pub(crate) fn is_useful(&self) -> bool {
        self.0.len() >= 2
    }

    /// The longest call.
    pub(crate) fn longest(&self) -> String {
        millis(self.longest_wall())
    }

    /// The middle one.
    pub(crate) fn median(&self) -> String {
        let mut walls: Vec<_> = self.0.iter().map(|call| call.usage.wall).collect();
        walls.sort_unstable();
        millis(walls.get(walls.len() / 2).copied().unwrap_or_default())
    }

    fn longest_wall(&self) -> Duration {
        let walls = self.0.iter().map(|call| call.usage.wall);
        walls.max().unwrap_or_default()
    }
}

fn millis(duration_: Duration) -> String {
    duration(i64::try_from(duration_.as_millis()).unwrap_or(i64::MAX))
}

/// As what a build's bar would be shown that ended so.
fn shown_as(outcome: &str) -> Outcome {
    Outcome::Done(match outcome {
        GOOD => Results::Success,
        "error" => Results::Failure,
        "cancelled" | "shutdown" => Results::Cancelled,
        _ => Results::Exception,
    })
}

impl Display for CallPlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let longest = self.longest_wall().as_secs_f64().max(f64::MIN_POSITIVE);
        let tall = |time: Duration| time.as_secs_f64() / longest * HEIGHT;
        let width = self.0.len() as f64 * (BAR_WIDTH + GAP);
        let height = HEIGHT + MARKS_HEIGHT;
        write!(
            f,
            "<svg class=\"plot\" role=\"img\" aria-label=\"Durations of the last {} calls\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">",
            self.0.len()
        )?;
        for (at, call) in self.0.iter().enumerate() {
            let x = at as f64 * (BAR_WIDTH + GAP);
            let wall = tall(call.usage.wall).max(BAR_HEIGHT_MIN);
            let cpu = tall(call.usage.cpu).min(wall);
            let outcome = shown_as(call.outcome);
            write!(
                f,
                "<g class=\"{}\"><title>{} ago: {}, {}, {} computing, {} waiting for room, {}</title>\
                 <rect class=\"faint\" x=\"{x}\" y=\"{:.1}\" width=\"{BAR_WIDTH}\" height=\"{wall:.1}\" rx=\"1\"/>\
                 <rect x=\"{x}\" y=\"{:.1}\" width=\"{BAR_WIDTH}\" height=\"{cpu:.1}\" rx=\"1\"/>",
                outcome.class(),
                millis(call.ago),
                call.outcome,
                millis(call.usage.wall),
                millis(call.usage.cpu),
                millis(call.usage.queued),
                bytes(call.usage.memory_peak_bytes as u64),
                HEIGHT - wall,
                HEIGHT - cpu,
            )?;
            if call.outcome != GOOD {
                write!(
                    f,
                    "<svg class=\"i\" x=\"{x}\" y=\"{}\" width=\"{BAR_WIDTH}\" height=\"{BAR_WIDTH}\" viewBox=\"0 0 16 16\">{}</svg>",
                    HEIGHT + 2.0,
                    outcome.shape()
                )?;
            }
            f.write_str("</g>")?;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for CallPlot {}

#[cfg(test)]
mod tests {
    use toolpost_sandbox::CallUsage;

    use super::*;

    #[test]
    fn bars_show_computing_within_the_whole() {
        let call = |wall_ms, cpu_ms, outcome| CallSample {
            ago: Duration::from_secs(90),
            usage: CallUsage {
                queued: Duration::ZERO,
                wall: Duration::from_millis(wall_ms),
                cpu: Duration::from_millis(cpu_ms),
                memory_peak_bytes: 65_536,
            },
            outcome,
        };
        let plot = CallPlot(vec![call(800, 200, GOOD), call(400, 400, "trap")]);
        let svg = plot.to_string();
        assert!(
            svg.contains("y=\"0.0\" width=\"9\" height=\"48.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("y=\"36.0\" width=\"9\" height=\"12.0\""),
            "{svg}"
        );
        assert!(
            svg.contains(
                "<g class=\"r-exception\"><title>1 min 30 s ago: trap, 400 ms, 400 ms computing"
            ),
            "{svg}"
        );
        assert_eq!(plot.longest(), "800 ms");
        assert!(!CallPlot::default().is_useful());
    }
}
