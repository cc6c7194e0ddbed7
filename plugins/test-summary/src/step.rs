//! Runs the command, reads the files, and writes what people and later steps want to know.

use crate::parameters::{Format, Parameters};
use crate::parse::{Counts, Report, TextFormat, TextReader, read_junit};
use crate::verdict;
use std::io::{BufRead, Read};
use std::time::Duration;
use toolpost_sdk::{CommandLine, Context, Error, Exit, FileReader, Outcome, Step, TestResult};

/// What is read of one line of a file.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How often the text beside the step says how far the tests are.
const LINES_PER_SUMMARY: usize = 200;

/// The step type `test-summary`.
pub(crate) struct TestSummary;

impl Step for TestSummary {
    const NAME: &'static str = "test-summary";
    const SUMMARY: &'static str =
        "Runs tests or reads their reports, and says how many passed and which failed.";
    type Parameters = Parameters;

    fn run(parameters: Parameters, ctx: &Context) -> Result<Outcome, Error> {
        parameters.check()?;
        let (mut report, mut exit) = (Report::default(), None);
        if let Some(command) = &parameters.command {
            let (printed, ended) = run_command(command, &parameters, ctx)?;
            exit = Some(ended);
            report.merge(printed);
        }
        if let Some(patterns) = &parameters.files {
            for pattern in patterns.as_slice() {
                read_files(pattern, parameters.format, ctx, &mut report)?;
            }
        }
        write_failures(&report, ctx)?;
        write_slowest(&report, usize::from(parameters.slowest), ctx)?;
        record_results(&report, &parameters.property_prefix, ctx)?;
        set_properties(&parameters.property_prefix, report.counts, ctx)?;
        Ok(verdict::outcome(&report, exit.as_ref(), &parameters))
    }
}

/// Runs the tests. What they print is read as it comes, unless they write reports to files.
fn run_command(
    command: &CommandLine,
    parameters: &Parameters,
    ctx: &Context,
) -> Result<(Report, Exit), Error> {
    let mut builder = ctx.command(command.clone()).log("stdio");
    if let Some(workdir) = &parameters.workdir {
        builder = builder.workdir(workdir);
    }
    for (name, value) in &parameters.env {
        builder = builder.env(name, value);
    }
    if parameters.files.is_some() {
        return Ok((Report::default(), builder.run()?));
    }
    let mut reader = TextReader::new(text_format(parameters.format));
    let running = builder.start()?;
    let mut said = Counts::default();
    for (number, line) in running.lines().enumerate() {
        reader.line(&line.text);
        if number % LINES_PER_SUMMARY == 0 && reader.counts() != said {
            said = reader.counts();
            ctx.set_summary(&format!("testing: {}", said.text()));
        }
    }
    Ok((reader.finish(), running.wait()?))
}

fn text_format(format: Format) -> TextFormat {
    match format {
        Format::Tap => TextFormat::Tap,
        Format::Cargo => TextFormat::Cargo,
        Format::Pytest => TextFormat::Pytest,
        Format::Auto | Format::JUnit => TextFormat::Auto,
    }
}

/// Reads all files that match a pattern; that there is none is a problem of the run.
fn read_files(
    pattern: &str,
    format: Format,
    ctx: &Context,
    report: &mut Report,
) -> Result<(), Error> {
    let paths = ctx.files().glob(pattern)?;
    if paths.is_empty() {
        report.problem(format!("no file matches `{pattern}`"));
    }
    for (number, path) in paths.iter().enumerate() {
        ctx.set_progress(number as u64, paths.len() as u64, "files");
        let mut file = ctx.files().open(path)?;
        if format == Format::JUnit || (format == Format::Auto && is_xml(&mut file)?) {
            read_junit(path, file, report);
        } else {
            let mut found = read_text(file, text_format(format))?;
            found
                .problems
                .iter_mut()
                .for_each(|problem| *problem = format!("{path}: {problem}"));
            report.merge(found);
        }
    }
    Ok(())
}

/// Whether a file begins as XML does, after a byte order mark and white space.
fn is_xml(file: &mut FileReader) -> Result<bool, Error> {
    let start = file.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    Ok(start.trim_ascii_start().starts_with(b"<"))
}

fn read_text(mut file: FileReader, format: TextFormat) -> Result<Report, Error> {
    let mut reader = TextReader::new(format);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = file
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(reader.finish());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else {
            // The rest of a line that is too long says nothing that a reader looks for.
            file.skip_until(b'\n')?;
        }
        reader.line(&String::from_utf8_lossy(&line));
    }
}

/// The log `failures`: what went wrong with the run, then each failed test.
fn write_failures(report: &Report, ctx: &Context) -> Result<(), Error> {
    if report.failures.is_empty() && report.problems.is_empty() {
        return Ok(());
    }
    let mut log = ctx.text_log("failures")?;
    for problem in &report.problems {
        writeln!(log, "problem: {problem}\n")?;
    }
    for case in &report.failures {
        writeln!(log, "✗ {}", case.name)?;
        if !case.location.is_empty() {
            writeln!(log, "  at {}", case.location)?;
        }
        for line in case.message.lines() {
            writeln!(log, "  {line}")?;
        }
        writeln!(log)?;
    }
    let left_out = report
        .counts
        .bad()
        .saturating_sub(report.failures.len() as u64);
    if left_out > 0 {
        writeln!(log, "and {left_out} more that failed")?;
    }
    log.finish()
}

/// The log `slowest`.
fn write_slowest(report: &Report, most: usize, ctx: &Context) -> Result<(), Error> {
    if report.slowest.is_empty() || most == 0 {
        return Ok(());
    }
    let mut log = ctx.text_log("slowest")?;
    for (name, duration_ms) in report.slowest.iter().take(most) {
        writeln!(
            log,
            "{:>6}.{:03} s  {name}",
            duration_ms / 1000,
            duration_ms % 1000
        )?;
    }
    log.finish()
}

/// A set of test results with each test that ran. It stays incomplete when not all of them are known by name, because
/// the tool does not print them or there are too many.
fn record_results(report: &Report, description: &str, ctx: &Context) -> Result<(), Error> {
    if report.results.is_empty() {
        return Ok(());
    }
    let mut set = ctx.test_results(description, "pass_fail", "boolean")?;
    for case in &report.results {
        let value = if case.is_good { "1" } else { "0" };
        let mut result = TestResult::named(&case.name, value);
        if let Some((path, line)) = place(&case.location) {
            result = result.place(path, line);
        }
        result.duration = case.duration_ms.map(Duration::from_millis);
        set.add(result)?;
    }
    if !report.has_all_results() {
        return Ok(());
    }
    let Counts {
        passed, expected, ..
    } = report.counts;
    set.complete(
        Some(passed.saturating_add(expected)),
        Some(report.counts.bad()),
    )
}

/// `src/lib.rs:7:5` or `test_a.py:12`: the file and the line.
fn place(location: &str) -> Option<(&str, u32)> {
    let mut parts = location.splitn(3, ':');
    let path = parts.next().filter(|path| !path.is_empty())?;
    Some((path, parts.next()?.parse().ok()?))
}

fn set_properties(prefix: &str, counts: Counts, ctx: &Context) -> Result<(), Error> {
    for (name, count) in [
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("errors", counts.errors),
        ("skipped", counts.skipped),
        ("expected_failures", counts.expected),
        ("total", counts.total()),
    ] {
        ctx.set_property(&format!("{prefix}_{name}"), count)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toolpost_sdk::mock::{MockCommand, MockHost};
    use toolpost_sdk::{ExitStatus, Results};

    const FAILING: &str = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n\
        ---- b stdout ----\n\nthread 'b' panicked at src/lib.rs:7:5:\nboom\n\n\nfailures:\n    b\n\n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";

    #[test]
    fn the_output_of_a_command_is_summed_up() {
        let host = MockHost::new().command("cargo test", MockCommand::exit(101).stdout(FAILING));
        let outcome = host.run::<TestSummary>(json!({"command": "cargo test"}));
        assert_eq!(outcome, Ok(Outcome::failure("1 passed, 1 failed")));
        assert_eq!(host.log("stdio"), FAILING);
        assert_eq!(host.log("failures"), "✗ b\n  at src/lib.rs:7:5\n  boom\n\n");
        assert_eq!(host.property_value("tests_passed"), Some(json!(1)));
        assert_eq!(host.property_value("tests_failed"), Some(json!(1)));
        assert_eq!(host.property_value("tests_total"), Some(json!(2)));
        assert_eq!(
            host.test_results("tests"),
            [
                TestResult::named("a", "1"),
                TestResult::named("b", "0").place("src/lib.rs", 7),
            ]
        );
        assert_eq!(host.test_totals("tests"), Some((Some(1), Some(1))));
    }

    #[test]
    fn reports_that_a_command_writes_are_read_after_it() {
        let command = MockCommand::exit(1)
            .stdout("test a ... ok\n")
            .writes(
                "out/a.xml",
                "<testsuite><testcase name='x' time='1.5'/></testsuite>",
            )
            .writes(
                "out/b.xml",
                "<testsuite><testcase name='y'><failure/></testcase></testsuite>",
            );
        let host = MockHost::new().command(["make", "check"], command);
        let outcome = host.run::<TestSummary>(json!({
            "command": ["make", "check"],
            "files": "out/*.xml",
            "property_prefix": "unit",
            "on_failures": "warnings",
            "workdir": "sub",
            "env": {"LANG": "C"},
        }));
        assert_eq!(outcome, Ok(Outcome::warnings("1 passed, 1 failed")));
        assert_eq!(host.log("slowest"), "     1.500 s  x\n");
        assert_eq!(host.property_value("unit_failed"), Some(json!(1)));
        let command = &host.commands()[0];
        assert_eq!(command.workdir.as_deref(), Some("sub"));
        assert_eq!(command.env, [("LANG".to_owned(), Some("C".to_owned()))]);
    }

    #[test]
    fn files_of_several_formats_are_told_apart() {
        let host = MockHost::new()
            .file("a.tap", "1..2\nok 1\nnot ok 2 - faces\n")
            .file(
                "b.xml",
                "\u{feff}\n<testsuites><testsuite><testcase name='x'/></testsuite></testsuites>",
            )
            .file("c.txt", "===== 3 passed in 0.12s =====");
        let outcome = host.run::<TestSummary>(json!({"files": ["*.tap", "*.xml", "*.txt"]}));
        assert_eq!(outcome, Ok(Outcome::failure("5 passed, 1 failed")));
    }

    #[test]
    fn missing_and_broken_files_are_failures_with_a_name() {
        let missing = MockHost::new().run::<TestSummary>(json!({"files": "none/*.xml"}));
        assert_eq!(
            missing,
            Ok(Outcome::failure("no tests; no file matches `none/*.xml`"))
        );
        let host = MockHost::new().file("a.xml", "<testsuite><testcase name='x'/>");
        let cut = host.run::<TestSummary>(json!({"files": "a.xml"}));
        let expected = "1 passed; a.xml: cut off: 1 elements are still open";
        assert_eq!(cut, Ok(Outcome::failure(expected)));
        assert!(host.log("failures").starts_with("problem: a.xml: cut off"));
        let host = MockHost::new().file("a.tap", "1..9\nok 1\n");
        let outcome = host.run::<TestSummary>(json!({"files": "a.tap"}));
        let expected = "1 passed; a.tap: 9 tests were planned and 1 reported";
        assert_eq!(outcome, Ok(Outcome::failure(expected)));
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        let check = |parameters, expected: &str| {
            let error = MockHost::new()
                .run::<TestSummary>(parameters)
                .expect_err("it is refused");
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        check(json!({}), "parameter `command`: there is nothing to read");
        check(
            json!({"command": "x", "format": "junit"}),
            "parameter `files`: JUnit reports",
        );
        check(
            json!({"command": "x", "format": "xunit"}),
            "parameter `format`: unknown variant",
        );
        check(json!({"comand": "x"}), "parameter `comand`: unknown field");
    }

    #[test]
    fn hostile_output_ends_in_a_result() {
        let mut output = vec![b'x'; 300_000];
        output.extend_from_slice(
            b"\n\xff\xfe\x00 ok\nok 1 - \xff\nrunning 99999999999999999999 tests\n",
        );
        let host = MockHost::new()
            .command(
                "x",
                MockCommand::ends(ExitStatus::Signal(9)).stdout(output.clone()),
            )
            .file("x.txt", output);
        let outcome = host
            .run::<TestSummary>(json!({"command": "x"}))
            .expect("a result");
        assert_eq!(outcome.results, Results::Failure);
        assert!(
            outcome.summary.ends_with("ended by signal 9"),
            "{}",
            outcome.summary
        );
        let outcome = host
            .run::<TestSummary>(json!({"files": "x.txt"}))
            .expect("a result");
        assert_eq!(outcome, Outcome::success("1 passed"));
    }

    #[test]
    fn a_report_with_a_huge_output_is_read() {
        let noise = "noise &lt; ".repeat(500_000);
        let report = format!(
            "<testsuite><testcase name='x'><failure>{noise}</failure>\
             <system-out><![CDATA[{noise}]]></system-out></testcase></testsuite>"
        );
        let host = MockHost::new().file("a.xml", report);
        let outcome = host.run::<TestSummary>(json!({"files": "a.xml"}));
        assert_eq!(outcome, Ok(Outcome::failure("1 failed")));
        assert!(host.log("failures").len() < 10_000);
    }
}
