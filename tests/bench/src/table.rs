//! The result: a table for people, JSON for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Rates.
    Higher,
    /// Times and sizes.
    Lower,
}

/// One measured figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Which direction is good.
    pub(crate) better: Better,
    /// The same figure of Buildbot 4.3.0 on a machine of this kind, where it was measured.
    pub(crate) buildbot: Option<f64>,
    /// What we want at least (or at most).
    pub(crate) target: Option<f64>,
}

impl Row {
    /// A rate.
    #[must_use]
    pub(crate) fn rate(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            better: Better::Higher,
            buildbot: None,
            target: None,
        }
    }

    /// A time or size.
    #[must_use]
    pub(crate) fn cost(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            better: Better::Lower,
            ..Self::rate(what, value, unit)
        }
    }

    /// With Buildbot's figure.
    #[must_use]
    pub(crate) fn buildbot(mut self, value: f64) -> Self {
        self.buildbot = Some(value);
        self
    }

    /// With what we want.
    #[must_use]
    pub(crate) fn target(mut self, value: f64) -> Self {
        self.target = Some(value);
        self
    }

    /// How many times better than Buildbot.
    fn ratio(&self) -> Option<f64> {
        self.buildbot.map(|theirs| match self.better {
            Better::Higher => self.value / theirs,
            Better::Lower => theirs / self.value,
        })
    }

    fn meets_target(&self) -> Option<bool> {
        self.target.map(|target| match self.better {
            Better::Higher => self.value >= target,
            Better::Lower => self.value <= target,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "better": if self.better == Better::Higher { "higher" } else { "lower" },
            "buildbot": self.buildbot,
            "target": self.target,
            "times_better_than_buildbot": self.ratio(),
            "meets_target": self.meets_target(),
        })
    }
}

/// The rows as a table, columns aligned.
#[must_use]
pub(crate) fn render(rows: &[Row]) -> String {
    let mut cells = vec![
        [
            "what",
            "ours",
            "unit",
            "Buildbot",
            "times better",
            "target",
            "",
        ]
        .map(String::from),
    ];
    for row in rows {
        cells.push([
            row.what.clone(),
            figure(row.value),
            row.unit.to_owned(),
            row.buildbot.map_or_else(String::new, figure),
            row.ratio()
                .map_or_else(String::new, |r| format!("{}x", figure(r))),
            row.target.map_or_else(String::new, figure),
            match row.meets_target() {
                None => String::new(),
                Some(true) => "met".to_owned(),
                Some(false) => "MISSED".to_owned(),
            },
        ]);
    }
    columns(&cells, &[1, 3, 4, 5])
}

/// Lines of cells, aligned; to the right where there are numbers.
#[must_use]
pub(crate) fn columns<const N: usize>(cells: &[[String; N]], numeric: &[usize]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| {
        cells
            .iter()
            .map(|c| c[i].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for line in cells {
        for (i, cell) in line.iter().enumerate() {
            let pad = widths[i] - cell.chars().count();
            let numeric = numeric.contains(&i);
            let (before, after) = if numeric { (pad, 0) } else { (0, pad) };
            let _ = write!(text, "{:before$}{cell}{:after$}  ", "", "");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The rows as JSON.
#[must_use]
pub(crate) fn to_json(rows: &[Row]) -> Value {
    rows.iter().map(Row::to_json).collect()
}

/// Three significant digits, thousands separated.
fn figure(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_who_wins() {
        let rows = [
            Row::rate("builds", 400.0, "/s").buildbot(4.0).target(200.0),
            Row::cost("p99", 3.0, "ms").buildbot(26.0).target(2.0),
            Row::cost("resident memory", 51_200.5, "KB"),
        ];
        let text = render(&rows);
        assert_eq!(
            text.lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "what               ours  unit  Buildbot  times better  target",
                "builds              400  /s        4.00          100x     200  met",
                "p99                3.00  ms        26.0         8.67x    2.00  MISSED",
                "resident memory  51,200  KB",
            ]
        );
    }
}
