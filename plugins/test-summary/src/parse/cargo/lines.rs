//! What single lines of `cargo test` and `cargo nextest` say.

use super::super::report::Counts;

/// `running 12 tests`
pub(super) fn announced(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("running ")?;
    rest.strip_suffix(" tests")
        .or_else(|| rest.strip_suffix(" test"))?
        .parse()
        .ok()
}

/// `test result: FAILED. 1 passed; 2 failed; 0 ignored; ...`, also at the end of another line.
pub(super) fn libtest_result(line: &str) -> Option<Counts> {
    let (_, rest) = line.split_once("test result: ")?;
    let (_, numbers) = rest.split_once(". ")?;
    let mut counts = Counts::default();
    for part in numbers.split(';') {
        let Some((number, what)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        match what {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.skipped = number,
            _ => {}
        }
    }
    Some(counts)
}

/// `        PASS [   0.004s] (1/10) package::binary name`
pub(super) fn nextest_line(line: &str) -> Option<(&str, &str)> {
    const STATUSES: [&str; 9] = [
        "PASS", "FAIL", "SKIP", "LEAK", "TIMEOUT", "ABORT", "SIGSEGV", "SIGABRT", "SIGKILL",
    ];
    let (status, rest) = line.trim_start().split_once(" [")?;
    (line.starts_with(' ') && STATUSES.contains(&status)).then_some((status, rest))
}

/// `thread 'name' panicked at src/lib.rs:3:5:`, with a thread id behind the name in newer versions.
pub(super) fn panicked(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("thread '")?;
    let (thread, rest) = rest.split_once('\'')?;
    let (_, place) = rest.split_once("panicked at ")?;
    Some((thread, place.trim_end_matches(':')))
}

/// `     Summary [   0.244s] 5 tests run: 2 passed, 3 failed, 1 skipped`: how many were skipped.
pub(super) fn nextest_summary(line: &str) -> Option<u64> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    let skipped = rest
        .rsplit([',', ':'])
        .find_map(|part| part.trim().strip_suffix(" skipped"));
    Some(skipped.and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// ` Nextest run ID ...` and `    Starting 5 tests across 1 binary`
pub(super) fn nextest_starts(line: &str) -> bool {
    let body = line.trim_start();
    line.starts_with(' ')
        && (body.starts_with("Nextest run ID ")
            || (body.starts_with("Starting ") && body.contains(" across ")))
}

/// `note: test did not panic as expected at src/lib.rs:12:32`
pub(super) fn no_panic_place(line: &str) -> Option<&str> {
    line.trim_start()
        .strip_prefix("note: test did not panic as expected at ")
}

/// What libtest and nextest print around the output of a test, which is no part of its message.
pub(super) fn is_frame(line: &str, test: &str) -> bool {
    let body = line.trim();
    body.is_empty()
        || body == "failures:"
        || body == test
        || announced(body).is_some()
        || body.starts_with("test result: ")
        || (body.starts_with("test ") && body.ends_with(" FAILED"))
        || body.starts_with("---- ")
        || body.starts_with("--- ")
        || body.ends_with(" ───")
        || body.starts_with("────")
        || body.starts_with("note: run with `RUST_BACKTRACE")
}
