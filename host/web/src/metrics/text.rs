//! The text format of Prometheus, version 0.0.4: families of samples with labels.

use std::fmt::{Display, Write as _};

/// The content type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

/// A page of metrics.
#[derive(Default)]
pub(crate) struct Page(String);

/// A family on a page: samples under one name.
pub(crate) struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Page {
    /// Begins a family.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { page: self, name }
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One sample.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.part("", labels, value)
    }

    /// One sample of a part of the family, such as `_count`.
    pub(crate) fn part(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> &mut Self {
        let mut text = format!("{}{suffix}", self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(text, "{before}{name}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            text.push('}');
        }
        self.page.line(format_args!("{text} {value}"));
        self
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut page = Page::default();
        page.family("calls_total", Kind::Counter, "Calls.")
            .sample(&[("plugin", "a\"b\\c\nd"), ("kind", "step")], 3)
            .sample(&[], 0.25);
        page.family("lag", Kind::Histogram, "Lag.")
            .part("_count", &[], 1);
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
            calls_total{plugin=\"a\\\"b\\\\c\\nd\",kind=\"step\"} 3\ncalls_total 0.25\n\
            # HELP lag Lag.\n# TYPE lag histogram\nlag_count 1\n";
        assert_eq!(page.into_text(), expected);
    }
}
