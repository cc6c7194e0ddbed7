//! Reads what real tools printed: the files in `fixtures/`.

use super::{Report, TextFormat, TextReader, read_junit};

/// The counts, then each failure with its location, then the problems.
fn shown(report: &Report) -> String {
    let mut lines = vec![report.counts.text()];
    for case in &report.failures {
        let first_line = case.message.lines().next().unwrap_or_default();
        lines.push(format!("{} | {} | {first_line}", case.name, case.location));
    }
    lines.extend(
        report
            .problems
            .iter()
            .map(|problem| format!("problem: {problem}")),
    );
    lines.join("\n")
}

fn check(text: &str, expected: &[&str]) {
    let report = if text.starts_with('<') {
        let mut report = Report::default();
        read_junit("report.xml", text.as_bytes(), &mut report);
        report
    } else {
        let mut reader = TextReader::new(TextFormat::Auto);
        text.lines().for_each(|line| reader.line(line));
        reader.finish()
    };
    assert_eq!(shown(&report), expected.join("\n"));
}

#[test]
fn bail_tap() {
    check(
        include_str!("../../fixtures/bail.tap"),
        &["1 passed", "problem: the run bailed out: no spindle"],
    );
}

#[test]
fn cargo_quiet_txt() {
    check(
        include_str!("../../fixtures/cargo-quiet.txt"),
        &[
            "3 passed, 3 failed, 1 skipped",
            "tests::grips | src/lib.rs:12:32 | note: test did not panic as expected at src/lib.rs:12:32",
            r#"tests::result |  | Error: "no ä blade""#,
            "tests::faces | src/lib.rs:9:45 | hello",
        ],
    );
}

#[test]
fn cargo_txt() {
    check(
        include_str!("../../fixtures/cargo.txt"),
        &[
            "3 passed, 3 failed, 1 skipped",
            "tests::grips | src/lib.rs:12:32 | note: test did not panic as expected at src/lib.rs:12:32",
            r#"tests::result |  | Error: "no ä blade""#,
            "tests::faces | src/lib.rs:9:45 | hello",
        ],
    );
}

#[test]
fn nextest_txt() {
    check(
        include_str!("../../fixtures/nextest.txt"),
        &[
            "2 passed, 3 failed, 1 skipped",
            "spindle tests::grips | src/lib.rs:12:32 | note: test did not panic as expected at src/lib.rs:12:32",
            r#"spindle tests::result |  | Error: "no ä blade""#,
            "spindle tests::faces | src/lib.rs:9:45 | hello",
        ],
    );
}

#[test]
fn nextest_xml() {
    check(
        include_str!("../../fixtures/nextest.xml"),
        &[
            "2 passed, 3 failed",
            "spindle.tests::grips |  | note: test did not panic as expected at src/lib.rs:12:32",
            r#"spindle.tests::result |  | Error: "no ä blade""#,
            "spindle.tests::faces | src/lib.rs:9:45 | thread 'tests::faces' (27997) panicked at src/lib.rs:9:45",
        ],
    );
}

#[test]
fn node_tap() {
    check(
        include_str!("../../fixtures/node.tap"),
        &[
            "2 passed, 1 failed, 1 skipped, 1 failed as expected",
            "faces | /src/n.test.mjs:2:71 | Expected values to be strictly equal:",
        ],
    );
}

#[test]
fn node_xml() {
    check(
        include_str!("../../fixtures/node.xml"),
        &[
            "2 passed, 1 failed, 1 skipped, 1 failed as expected",
            "test.faces |  | Expected values to be strictly equal:1 !== 2",
        ],
    );
}

#[test]
fn perl_with_diagnostics_tap() {
    check(
        include_str!("../../fixtures/perl-with-diagnostics.tap"),
        &[
            "2 passed, 2 failed, 1 skipped, 1 failed as expected",
            "faces | t.pl:3 | Failed test 'faces'",
            "inner two | t.pl:6 | Failed test 'inner two'",
        ],
    );
}

#[test]
fn perl_tap() {
    check(
        include_str!("../../fixtures/perl.tap"),
        &[
            "2 passed, 2 failed, 1 skipped, 1 failed as expected",
            "faces |  | ",
            "inner two |  | ",
        ],
    );
}

#[test]
fn pytest_colour_txt() {
    check(
        include_str!("../../fixtures/pytest-colour.txt"),
        &[
            "3 passed, 2 failed, 1 error, 1 skipped, 1 failed as expected",
            "test_lathe.py::TestLathe::test_faces | test_lathe.py:4 | AssertionError: deep - cut",
            "test_lathe.py::test_param[2] | test_lathe.py:15 | assert 2 == 1",
            "test_lathe.py::test_mills | test_lathe.py:12 | RuntimeError: no <mill> & co",
        ],
    );
}

#[test]
fn pytest_quiet_txt() {
    check(
        include_str!("../../fixtures/pytest-quiet.txt"),
        &[
            "3 passed, 2 failed, 2 errors, 1 skipped, 1 failed as expected",
            "test_lathe.py::TestLathe::test_faces | test_lathe.py:4 | AssertionError: deep - cut",
            "test_lathe.py::test_param[2] | test_lathe.py:15 | assert 2 == 1",
            "test_broken.py | test_broken.py:1 | ModuleNotFoundError: No module named 'nothing_like_it'",
            "test_lathe.py::test_mills | test_lathe.py:12 | RuntimeError: no <mill> & co",
        ],
    );
}

#[test]
fn pytest_txt() {
    check(
        include_str!("../../fixtures/pytest.txt"),
        &[
            "3 passed, 2 failed, 1 error, 1 skipped, 1 failed as expected",
            "test_lathe.py::TestLathe::test_faces | test_lathe.py:4 | AssertionError: deep - cut",
            "test_lathe.py::test_param[2] | test_lathe.py:15 | assert 2 == 1",
            "test_lathe.py::test_mills | test_lathe.py:12 | RuntimeError: no <mill> & co",
        ],
    );
}

#[test]
fn pytest_xml() {
    check(
        include_str!("../../fixtures/pytest.xml"),
        &[
            "3 passed, 2 failed, 1 error, 1 skipped, 1 failed as expected",
            "test_lathe.TestLathe.test_faces | test_lathe.py:4 | AssertionError: deep - cut",
            r#"test_lathe.test_mills | test_lathe.py:12 | failed on setup with "RuntimeError: no <mill> & co""#,
            "test_lathe.test_param[2] | test_lathe.py:15 | assert 2 == 1",
        ],
    );
}
