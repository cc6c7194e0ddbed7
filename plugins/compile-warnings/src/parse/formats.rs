//! What the warnings of each compiler look like.

use super::Warning;
use regex::Regex;

/// Lines longer than this are no warnings of a compiler.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// What a line is, as far as it can be said without its neighbours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole warning.
    Warning(Warning),
    /// The headline of a warning whose place is on a following line (rustc, CMake).
    Headline(Warning),
    /// The place for a headline before it.
    Place {
        file: String,
        line: u32,
        column: Option<u32>,
    },
    /// Something else.
    Other,
}

/// Reads a line with the formats that are always recognised.
pub(super) fn read(line: &str) -> Line {
    if let Some(place) = rustc_place(line) {
        return place;
    }
    // Visual Studio numbers the lines of projects that it builds in parallel: `2>`.
    let line = match line.split_once('>') {
        Some((number, rest)) if number.parse::<u16>().is_ok() => rest,
        _ => line,
    };
    if let Some(warning) = typescript(line) {
        return Line::Warning(warning);
    }
    // Nearly every line of a build is none: one search settles that.
    let Some(at) = find_word(line) else {
        return go(line).map_or(Line::Other, Line::Warning);
    };
    if at == 0 {
        return headline(line);
    }
    if let Some(rest) = line.strip_prefix("CMake Warning") {
        return cmake(rest);
    }
    located(line, at)
}

/// Where `warning` stands as a compiler writes it: before a colon, a bracket or a code.
fn find_word(line: &str) -> Option<usize> {
    line.match_indices(['w', 'W']).map(|(at, _)| at).find(|at| {
        let rest = &line[*at..];
        let Some(word) = rest.get(..7) else {
            return false;
        };
        let boundary = *at == 0 || !line.as_bytes()[*at - 1].is_ascii_alphanumeric();
        boundary
            && word.eq_ignore_ascii_case("warning")
            && matches!(rest.as_bytes().get(7), Some(b':' | b'[' | b' '))
    })
}

/// `warning: unused variable` (rustc, cargo, make, tools without places).
fn headline(line: &str) -> Line {
    let rest = &line["warning".len()..];
    let (code, message) = match rest.strip_prefix('[') {
        Some(rest) => match rest.split_once("]:") {
            Some((code, message)) => (Some(code.to_owned()), message),
            None => return Line::Other,
        },
        None => match rest.strip_prefix(':') {
            Some(message) => (None, message),
            None => return Line::Other,
        },
    };
    let message = message.trim();
    if message.is_empty() || is_cargo_sum(message) {
        return Line::Other;
    }
    Line::Headline(Warning {
        message: message.to_owned(),
        code,
        ..Warning::default()
    })
}

/// cargo's own count behind the warnings of a crate: not one more warning.
fn is_cargo_sum(message: &str) -> bool {
    let generated = message.contains(" generated ")
        && (message.contains(" warning") || message.contains(" warnings"));
    (message.starts_with('`') && generated)
        || message.starts_with("build failed, waiting for other jobs")
        || message.ends_with("warnings emitted")
        || message.ends_with("warning emitted")
}

/// `  --> src/lib.rs:3:5` (rustc)
fn rustc_place(line: &str) -> Option<Line> {
    let rest = line.trim_start().strip_prefix("--> ")?;
    let mut parts = rest.trim_end().rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    let file = parts.next()?.to_owned();
    Some(Line::Place {
        file,
        line,
        column: Some(column),
    })
}

/// ` at src/CMakeLists.txt:12 (message):`, the message is on the lines that follow.
fn cmake(rest: &str) -> Line {
    let mut warning = Warning::default();
    let place = rest.trim_start_matches(" (dev)").strip_prefix(" at ");
    if let Some((file, number)) = place
        .and_then(|p| p.split(" (").next())
        .and_then(|p| p.rsplit_once(':'))
    {
        warning.file = file.to_owned();
        warning.line = number.parse().ok();
    }
    warning.code = Some("CMake".to_owned());
    Line::Headline(warning)
}

/// `./lathe.go:12:5: message` (go vet, and go build, where a step fails anyway)
fn go(line: &str) -> Option<Warning> {
    const EXTENSION: &str = ".go";
    let end = line.find(".go:")? + EXTENSION.len();
    let mut parts = line[end + 1..].splitn(3, ':');
    let number = parts.next()?.parse().ok()?;
    let column = parts.next()?.parse().ok()?;
    let message = parts.next()?.trim();
    let file = line[..end].trim_start_matches("vet: ");
    (!file.contains([' ', '\t']) && !message.is_empty()).then(|| Warning {
        file: file.to_owned(),
        line: Some(number),
        column: Some(column),
        message: message.to_owned(),
        code: None,
    })
}

/// `src/a.ts(3,7): error TS6133: message`, `src/a.ts:3:7 - error TS6133: message` (tsc). TypeScript has
/// no warnings: its errors are what a project works off while it builds nevertheless.
fn typescript(line: &str) -> Option<Warning> {
    let at = line.find("error TS")?;
    let before = line[..at].trim_end();
    let before = before.strip_suffix([':', '-'])?;
    let (code, message) = line[at + "error ".len()..].split_once(':')?;
    let number = code.strip_prefix("TS")?;
    let warning = place(before.trim_end());
    (warning.line.is_some() && number.parse::<u32>().is_ok()).then(|| Warning {
        message: message.trim().to_owned(),
        code: Some(code.to_owned()),
        ..warning
    })
}

/// `file:12:5: warning: message [-Wcode]`, `file(12,5): warning C4996: message`, `File.java:12: warning: ...`,
/// `ld: warning: ...`
fn located(line: &str, at: usize) -> Line {
    let before = line[..at].trim_end();
    let rest = &line[at + "warning".len()..];
    let (code, message) = match rest.strip_prefix(':') {
        Some(message) => (None, message),
        // MSVC and others: `warning C4996: message`
        None => match rest.trim_start().split_once(':') {
            Some((code, message)) if is_code(code) => (Some(code.to_owned()), message),
            _ => return Line::Other,
        },
    };
    let Some(before) = before.strip_suffix(':') else {
        return Line::Other;
    };
    let (mut warning, message) = (place(before.trim()), message.trim());
    let (message, bracketed) = split_code(message);
    warning.message = message.to_owned();
    warning.code = code.or(bracketed);
    Line::Warning(warning)
}

/// `C4996`, `BC40000`, `CS0168`, `#1234-D`
fn is_code(text: &str) -> bool {
    let text = text.trim();
    text.len() <= 16
        && text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'#' | b'-'))
}

/// Splits `message [-Wcode]` or `[unchecked] message`.
fn split_code(message: &str) -> (&str, Option<String>) {
    if let Some((text, code)) = message.strip_suffix(']').and_then(|m| m.rsplit_once(" [")) {
        if code.starts_with("-W") || code.starts_with("clang-") || !code.contains(' ') {
            return (text.trim_end(), Some(code.to_owned()));
        }
    }
    if let Some((code, text)) = message.strip_prefix('[').and_then(|m| m.split_once("] ")) {
        if !code.contains(' ') {
            return (text, Some(code.to_owned()));
        }
    }
    (message, None)
}

/// `file:12:5`, `file:12`, `file(12,5)`, `file(12)` or a program's name.
fn place(text: &str) -> Warning {
    let mut warning = Warning::default();
    if let Some((file, inside)) = text.strip_suffix(')').and_then(|t| t.rsplit_once('(')) {
        let mut numbers = inside
            .split([',', '-'])
            .map(|n| n.trim().parse::<u32>().ok());
        if let Some(Some(line)) = numbers.next() {
            warning.file = file.trim_end().to_owned();
            warning.line = Some(line);
            warning.column = numbers.next().flatten();
            return warning;
        }
    }
    let mut file = text;
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        match file
            .rsplit_once(':')
            .map(|(head, tail)| (head, tail.parse::<u32>()))
        {
            Some((head, Ok(number))) if !head.is_empty() => {
                numbers.push(number);
                file = head;
            }
            _ => break,
        }
    }
    numbers.reverse();
    warning.file = file.to_owned();
    warning.line = numbers.first().copied();
    warning.column = numbers.get(1).copied();
    warning
}

/// A pattern of the user's, with the groups `message` and, where they can be told, `file`, `line`, `column` and `code`.
#[derive(Debug, Clone)]
pub(crate) struct CustomFormat(Regex);

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomFormatError(pub(crate) String);

impl CustomFormat {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it is no regular expression or has no group that says something.
    pub(crate) fn new(pattern: &str) -> Result<Self, CustomFormatError> {
        let regex = Regex::new(pattern).map_err(|e| CustomFormatError(e.to_string()))?;
        let known = ["message", "file", "line", "column", "code"];
        for name in regex.capture_names().flatten() {
            if !known.contains(&name) {
                return Err(CustomFormatError(format!(
                    "the group `{name}` means nothing here; the groups are {}",
                    known.join(", ")
                )));
            }
        }
        Ok(Self(regex))
    }

    /// The warning that a line is, if it is one. Without a group `message` the whole match is the message.
    pub(super) fn read(&self, line: &str) -> Option<Warning> {
        let found = self.0.captures(line)?;
        let group = |name: &str| found.name(name).map(|m| m.as_str());
        Some(Warning {
            file: group("file").unwrap_or_default().to_owned(),
            line: group("line").and_then(|n| n.parse().ok()),
            column: group("column").and_then(|n| n.parse().ok()),
            message: group("message").unwrap_or(&found[0]).trim().to_owned(),
            code: group("code").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match read(line) {
            Line::Warning(w) => format!("warning {w}"),
            Line::Headline(w) => format!("headline {w}"),
            Line::Place { file, line, column } => format!("place {file} {line} {column:?}"),
            Line::Other => "other".to_owned(),
        }
    }

    #[test]
    fn formats() {
        for (line, expected) in [
            (
                "src/a.c:12:5: warning: unused variable 'x' [-Wunused-variable]",
                "warning src/a.c:12:5: unused variable 'x' [-Wunused-variable]",
            ),
            ("a.c:7: warning: no newline", "warning a.c:7: no newline"),
            (
                r"C:\src\a.cpp(12,5): warning C4996: 'strcpy': deprecated",
                r"warning C:\src\a.cpp:12:5: 'strcpy': deprecated [C4996]",
            ),
            (
                r"C:\src\a.cpp(12): warning C4244: conversion",
                r"warning C:\src\a.cpp:12: conversion [C4244]",
            ),
            (r"C:\src\a.c:3:1: warning: x", r"warning C:\src\a.c:3:1: x"),
            (
                "Lathe.java:12: warning: [unchecked] unchecked call",
                "warning Lathe.java:12: unchecked call [unchecked]",
            ),
            (
                "ld: warning: directory not found for option '-L/x'",
                "warning ld: directory not found for option '-L/x'",
            ),
            (
                "warning: unused variable: `x`",
                "headline unused variable: `x`",
            ),
            ("warning[E0133]: unsafe", "headline unsafe [E0133]"),
            ("  --> src/lib.rs:3:5", "place src/lib.rs 3 Some(5)"),
            (
                "CMake Warning (dev) at CMakeLists.txt:3 (project):",
                "headline CMakeLists.txt:3:  [CMake]",
            ),
            (
                r"2>C:\src\a.cpp(12): warning C4244: narrowing [C:\src\a.vcxproj]",
                r"warning C:\src\a.cpp:12: narrowing [C4244]",
            ),
            (
                "src/a.ts(3,7): error TS6133: 'x' is declared",
                "warning src/a.ts:3:7: 'x' is declared [TS6133]",
            ),
            (
                "src/a.ts:3:7 - error TS2322: Type: odd",
                "warning src/a.ts:3:7: Type: odd [TS2322]",
            ),
            ("error TS5023: Unknown compiler option", "other"),
            (
                "./lathe.go:12:5: fmt.Printf format %d has arg x of wrong type",
                "warning ./lathe.go:12:5: fmt.Printf format %d has arg x of wrong type",
            ),
            (
                "vet: ./lathe.go:1:2: undefined: x",
                "warning ./lathe.go:1:2: undefined: x",
            ),
            ("    lathe_test.go:12: expected 1", "other"),
            ("warning: `spindle` (lib) generated 2 warnings", "other"),
            (
                "warning: build failed, waiting for other jobs to finish...",
                "other",
            ),
            ("0 warnings generated.", "other"),
            ("early warning system: ready", "other"),
            ("warnings are treated as errors", "other"),
            ("warning:", "other"),
            ("", "other"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn a_custom_pattern_says_what_its_groups_are() {
        let format = CustomFormat::new(r"^W (?<file>\S+)@(?<line>\d+) (?<message>.*)$").unwrap();
        assert_eq!(
            format.read("W a.x@3 odd").unwrap().to_string(),
            "a.x:3: odd"
        );
        assert_eq!(format.read("E a.x@3 odd"), None);
        let error = CustomFormat::new("(?<fiel>x)").unwrap_err().0;
        assert!(error.contains("`fiel`"), "{error}");
        assert!(CustomFormat::new("(").is_err());
    }
}
