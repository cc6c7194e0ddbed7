//! Durations of a builder's last builds as bars, in a small SVG that needs no script: a bar links to its build and says
//! its numbers, results differ by colour and by the mark below the bar.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use toolpost_core::Results;

use super::parts::{Outcome, duration};

const BAR_WIDTH: f64 = 9.0;
const GAP: f64 = 2.0;
const HEIGHT: f64 = 64.0;
const MARKS_HEIGHT: f64 = 11.0;
/// The shortest bar, so that every build can be seen and clicked.
const BAR_HEIGHT_MIN: f64 = 2.0;

/// One bar.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) build_id: i64,
    pub(crate) number: i64,
    pub(crate) results: Results,
    pub(crate) duration_ms: i64,
}

/// The plot; bars from the oldest to the newest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plot(pub(crate) Vec<Bar>);

impl Plot {
    /// Whether there is something to see: one bar compares with nothing.
    pub(crate) fn is_useful(&self) -> bool {
        self.0.len() >= 2
    }

    /// The longest duration.
    pub(crate) fn longest(&self) -> String {
        duration(self.0.iter().map(|bar| bar.duration_ms).max().unwrap_or(0))
    }

    /// The middle one of the durations of good builds.
    pub(crate) fn median(&self) -> Option<String> {
        let mut good: Vec<_> = self
            .0
            .iter()
            .filter(|bar| bar.results.is_good())
            .map(|bar| bar.duration_ms)
            .collect();
        good.sort_unstable();
        good.get(good.len() / 2).map(|ms| duration(*ms))
    }

    /// How many of them were good.
    pub(crate) fn good(&self) -> String {
        let good = self.0.iter().filter(|bar| bar.results.is_good()).count();
        format!("{good} of {}", self.0.len())
    }
}

impl Display for Plot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let longest = self
            .0
            .iter()
            .map(|bar| bar.duration_ms)
            .max()
            .unwrap_or(0)
            .max(1);
        let width = self.0.len() as f64 * (BAR_WIDTH + GAP);
        let height = HEIGHT + MARKS_HEIGHT;
        write!(
            f,
            "<svg class=\"plot\" role=\"img\" aria-label=\"Durations of the last {} builds\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">",
            self.0.len()
        )?;
        for (at, bar) in self.0.iter().enumerate() {
            let x = at as f64 * (BAR_WIDTH + GAP);
            let tall = (bar.duration_ms as f64 / longest as f64 * HEIGHT).max(BAR_HEIGHT_MIN);
            let outcome = Outcome::Done(bar.results);
            write!(
                f,
                "<a href=\"/builds/{}\" class=\"{}\"><title>#{} {}, {}</title>\
                 <rect class=\"hit\" x=\"{x}\" y=\"0\" width=\"{BAR_WIDTH}\" height=\"{height}\"/>\
                 <rect x=\"{x}\" y=\"{:.1}\" width=\"{BAR_WIDTH}\" height=\"{tall:.1}\" rx=\"1\"/>",
                bar.build_id,
                outcome.class(),
                bar.number,
                outcome.label(),
                duration(bar.duration_ms),
                HEIGHT - tall,
            )?;
            if !matches!(bar.results, Results::Success) {
                write!(
                    f,
                    "<svg class=\"i\" x=\"{x}\" y=\"{}\" width=\"{BAR_WIDTH}\" height=\"{BAR_WIDTH}\" viewBox=\"0 0 16 16\">{}</svg>",
                    HEIGHT + 2.0,
                    outcome.shape()
                )?;
            }
            f.write_str("</a>")?;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Plot {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_their_numbers() {
        let bar = |number, results, duration_ms| Bar {
            build_id: number + 100,
            number,
            results,
            duration_ms,
        };
        let plot = Plot(vec![
            bar(1, Results::Success, 60_000),
            bar(2, Results::Failure, 0),
            bar(3, Results::Success, 30_000),
        ]);
        let svg = plot.to_string();
        assert!(
            svg.contains(
                "<a href=\"/builds/102\" class=\"r-failure\"><title>#2 failure, 0 ms</title>"
            ),
            "{svg}"
        );
        assert!(
            svg.contains("height=\"64.0\""),
            "the longest fills the plot: {svg}"
        );
        assert!(
            svg.contains("height=\"32.0\""),
            "half as long is half as tall: {svg}"
        );
        assert_eq!(plot.good(), "2 of 3");
        assert_eq!(plot.median().as_deref(), Some("1 min 00 s"));
        assert_eq!(plot.longest(), "1 min 00 s");
        assert!(!Plot::default().is_useful());
    }
}
