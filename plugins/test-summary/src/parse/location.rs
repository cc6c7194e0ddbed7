//! Finds the place of a failure in its message, for formats that do not say it apart.

/// How many lines of a message are looked at.
const LINES_MAX: usize = 200;

/// The first place in a message that is written in a known way.
pub(super) fn find(message: &str) -> Option<String> {
    let mut lines = message.lines().take(LINES_MAX);
    lines.find_map(|line| {
        panic_place(line)
            .map(str::to_owned)
            .or_else(|| file_line(line))
    })
}

/// `thread 'name' panicked at src/lib.rs:3:5:` (Rust)
fn panic_place(line: &str) -> Option<&str> {
    let (_, place) = line
        .split_once("' panicked at ")
        .or_else(|| line.split_once(") panicked at "))?;
    Some(place.trim_end_matches(':'))
}

/// `tests/test_a.py:12: AssertionError`
pub(super) fn file_line(line: &str) -> Option<String> {
    let (file, rest) = line.split_once(':')?;
    let (number, _) = rest.split_once(':')?;
    let plausible = !file.is_empty() && !file.contains(' ') && file.contains('.');
    (plausible && number.parse::<u32>().is_ok()).then(|| format!("{file}:{number}"))
}

/// `at t/lathe.t line 12.` (Perl)
pub(super) fn perl_place(comment: &str) -> Option<String> {
    let (file, number) = comment.strip_prefix("at ")?.rsplit_once(" line ")?;
    let number: u32 = number.trim_end_matches('.').parse().ok()?;
    Some(format!("{file}:{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found() {
        let check = |message, expected: Option<&str>| {
            assert_eq!(find(message).as_deref(), expected, "{message}");
        };
        check(
            "boom\nthread 'a' panicked at src/lib.rs:3:5:\nx",
            Some("src/lib.rs:3:5"),
        );
        check(
            "thread 'a' (77) panicked at src/lib.rs:3:5:",
            Some("src/lib.rs:3:5"),
        );
        check(
            "def test():\nE   assert 0\ntest_a.py:9: AssertionError",
            Some("test_a.py:9"),
        );
        check("expected: 12: 13", None);
        check("", None);
        assert_eq!(
            perl_place("at t/a b.t line 3.").as_deref(),
            Some("t/a b.t:3")
        );
        assert_eq!(perl_place("at the end"), None);
    }
}
