//! JUnit's XML, in the dialects of Ant, Maven Surefire, pytest, nextest, Go and JavaScript runners.
//!
//! Read as a stream. Entities that the document itself declares are not expanded, so that a small file
//! cannot become a large one.

use std::io::{BufRead, BufReader};

use quick_xml::Reader;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::location;
use super::report::{Case, Outcome, Report, seconds_as_ms};
use super::squeeze::Squeeze;

/// Nesting of elements beyond this is no JUnit file.
const DEPTH_MAX: usize = 256;

/// Reads a file into the report; what is wrong with it becomes a problem of the report, named after `file`.
pub(crate) fn read_junit(file: &str, input: impl BufRead, report: &mut Report) {
    let mut junit = Junit::default();
    if let Err(reason) = junit.read(input, report) {
        report.problem(format!("{file}: {reason}"));
    } else if !junit.seen_suite {
        report.problem(format!(
            "{file}: not a JUnit file: there is no <testsuite> in it"
        ));
    }
}

#[derive(Default)]
struct Junit {
    depth: usize,
    seen_suite: bool,
    case: Option<Case>,
    /// The case is marked as one that may fail for now.
    may_fail: bool,
    /// Inside an element whose text is a message of the case.
    in_message: bool,
}

impl Junit {
    fn read(&mut self, input: impl BufRead, report: &mut Report) -> Result<(), String> {
        let mut reader = Reader::from_reader(BufReader::new(Squeeze::new(input)));
        reader.config_mut().check_end_names = true;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let at = reader.buffer_position();
            let event = reader
                .read_event_into(&mut buffer)
                .map_err(|e| format!("broken XML at byte {at}: {e}"))?;
            match event {
                Event::Start(element) => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(format!("more than {DEPTH_MAX} nested elements"));
                    }
                    self.open(&element);
                }
                Event::Empty(element) => {
                    self.open(&element);
                    self.close(element.local_name().as_ref(), report);
                }
                Event::End(element) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.close(element.local_name().as_ref(), report);
                }
                Event::Text(text) => self.text(&String::from_utf8_lossy(&text)),
                Event::CData(text) => self.text(&String::from_utf8_lossy(&text)),
                Event::GeneralRef(entity) => self.text(&resolve(&entity)),
                Event::Eof if self.depth > 0 => {
                    return Err(format!("cut off: {} elements are still open", self.depth));
                }
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    fn open(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            b"testsuite" | b"testsuites" => self.seen_suite = true,
            b"testcase" => {
                self.case = Some(case(element.attributes()));
                self.may_fail = false;
            }
            b"failure" => self.outcome(Outcome::Failed, element),
            b"error" => self.outcome(Outcome::Errored, element),
            b"skipped" | b"disabled" => self.skipped(element),
            _ => {}
        }
    }

    /// A test that was not run, or may fail: pytest and Node say so here, by the type.
    fn skipped(&mut self, element: &BytesStart<'_>) {
        let Some(case) = &mut self.case else { return };
        let mut attributes = attributes(element.attributes()).into_iter();
        let kind = attributes
            .find(|(key, _)| key == "type")
            .map(|(_, value)| value);
        match kind.as_deref() {
            Some("pytest.xfail") => case.outcome = Outcome::Expected,
            Some("todo") => self.may_fail = true,
            _ => case.outcome = Outcome::Skipped,
        }
    }

    fn outcome(&mut self, outcome: Outcome, element: &BytesStart<'_>) {
        let Some(case) = &mut self.case else { return };
        case.outcome = if self.may_fail {
            Outcome::Expected
        } else {
            outcome
        };
        self.in_message = true;
        for (key, value) in attributes(element.attributes()) {
            if key == "message" {
                case.add_message(&value);
                case.append_message("\n");
            }
        }
    }

    fn close(&mut self, name: &[u8], report: &mut Report) {
        match name {
            b"failure" | b"error" => self.in_message = false,
            b"testcase" => {
                if let Some(mut case) = self.case.take() {
                    case.message = case.message.trim().to_owned();
                    if case.location.is_empty() {
                        case.location = location::find(&case.message).unwrap_or_default();
                    }
                    report.record(case);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if !self.in_message {
            return;
        }
        // The pieces of one text arrive in several events, so no line ends are added here.
        if let Some(case) = &mut self.case {
            case.append_message(text);
        }
    }
}

fn case(given: Attributes<'_>) -> Case {
    let mut name = String::new();
    let mut class = String::new();
    let mut file = String::new();
    let mut line = String::new();
    let mut duration_ms = None;
    for (key, value) in attributes(given) {
        match key.as_str() {
            "name" => name = value,
            "classname" => class = value,
            "file" => file = value,
            "line" => line = value,
            "time" => duration_ms = seconds_as_ms(&value),
            _ => {}
        }
    }
    let full = match (class.is_empty(), name.is_empty()) {
        (_, true) => "unnamed".to_owned(),
        (true, false) => name,
        (false, false) => format!("{class}.{name}"),
    };
    let mut case = Case::new(full, Outcome::Passed);
    case.duration_ms = duration_ms;
    case.location = if line.is_empty() {
        file
    } else {
        format!("{file}:{line}")
    };
    case
}

/// The attributes that can be read, with the five entities of XML and character references resolved.
fn attributes(given: Attributes<'_>) -> Vec<(String, String)> {
    given
        .flatten()
        .map(|attribute| {
            let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
            let raw = String::from_utf8_lossy(&attribute.value).into_owned();
            let value =
                quick_xml::escape::unescape(&raw).map_or_else(|_| raw.clone(), |v| v.into_owned());
            (key, value)
        })
        .collect()
}

/// A reference inside a text; one that XML itself does not define stays as it is written.
fn resolve(entity: &BytesRef<'_>) -> String {
    if let Ok(Some(c)) = entity.resolve_char_ref() {
        return c.to_string();
    }
    let name = String::from_utf8_lossy(entity).into_owned();
    quick_xml::escape::resolve_predefined_entity(&name)
        .map_or_else(|| format!("&{name};"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::read_junit;

    fn junit(text: &str) -> Report {
        let mut report = Report::default();
        read_junit("report.xml", text.as_bytes(), &mut report);
        report
    }

    #[test]
    fn suites_nest_and_cases_end_in_every_way() {
        let report = junit(
            r#"<?xml version="1.0"?>
<testsuites name="all">
  <testsuite name="lathe" tests="4">
    <testcase classname="lathe.Turning" name="turns" time="0.5"/>
    <testcase classname="lathe.Turning" name="faces" time="1,200.25" file="t/turn.py" line="12">
      <failure message="1 &lt; 2 &amp; so on" type="Assert">at t/turn.py:12
second line &#60;raw&#62;</failure>
    </testcase>
    <testsuite name="inner">
      <testcase name="parts"><skipped message="no blade"/></testcase>
      <testcase name="bores"><error><![CDATA[<boom>]]></error><system-out>noise</system-out></testcase>
    </testsuite>
  </testsuite>
</testsuites>"#,
        );
        assert_eq!(
            report.counts.text(),
            "1 passed, 1 failed, 1 error, 1 skipped"
        );
        assert_eq!(report.failures[0].name, "lathe.Turning.faces");
        assert_eq!(report.failures[0].location, "t/turn.py:12");
        assert!(report.failures[0].message.starts_with("1 < 2 & so on"));
        assert!(
            report.failures[0].message.contains("second line <raw>"),
            "{:?}",
            report.failures[0]
        );
        assert_eq!(report.failures[1].message, "<boom>");
        assert_eq!(
            report.slowest[0],
            ("lathe.Turning.faces".to_owned(), 1_200_250)
        );
        assert!(report.problems.is_empty());
    }

    #[test]
    fn what_is_broken_is_named_and_the_rest_counts() {
        let cut = junit("<testsuite><testcase name='a'/><testcase name='b'><failure>x");
        assert_eq!(cut.counts.passed, 1);
        assert_eq!(
            cut.problems,
            ["report.xml: cut off: 3 elements are still open"]
        );
        let crossed = junit("<testsuite><testcase name='a'></testsuite>");
        assert!(
            crossed.problems[0].contains("broken XML"),
            "{:?}",
            crossed.problems
        );
        let other = junit("<html><body/></html>");
        assert!(other.problems[0].contains("not a JUnit file"));
        assert!(junit("").problems[0].contains("not a JUnit file"));
    }

    #[test]
    fn declared_entities_are_not_expanded() {
        let mut bomb = String::from("<!DOCTYPE x [<!ENTITY a0 \"lol\">");
        for i in 1..10 {
            let inner = format!("&a{};", i - 1).repeat(10);
            bomb.push_str(&format!("<!ENTITY a{i} \"{inner}\">"));
        }
        bomb.push_str("]><testsuite><testcase name='b'><failure message='&a9;'>&a9;</failure></testcase></testsuite>");
        let report = junit(&bomb);
        assert_eq!(report.counts.failed, 1);
        assert!(
            report.failures[0].message.len() < 100,
            "{}",
            report.failures[0].message.len()
        );
    }

    #[test]
    fn deep_nesting_ends() {
        let report = junit(&"<testsuite>".repeat(100_000));
        assert!(
            report.problems[0].contains("nested"),
            "{:?}",
            report.problems
        );
    }
}
