//! Problems as text for people: the message, the place, the source line, a caret, what to do.

use std::fmt::Write as _;

use crate::problem::{Place, Problem, Problems};

/// Whether a terminal understands colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text only.
    Plain,
    /// With ANSI escape codes.
    Colour,
}

const ERROR: &str = "\x1b[1;31m";
const FRAME: &str = "\x1b[1;34m";
const HELP: &str = "\x1b[1;36m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// A longer source line is shown from near the marked part, this many characters of it.
const LINE_CHARS_MAX: usize = 140;
/// Characters shown in front of the marked part of such a line.
const LEAD_CHARS: usize = 40;
/// A tab is shown this wide, so that the caret stands where it should.
const TAB: &str = "    ";

impl Paint {
    pub(crate) fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("{code}{text}{RESET}"),
        }
    }
}

pub(crate) fn problems(problems: &Problems, paint: Paint) -> String {
    let mut out = String::new();
    for problem in &problems.list {
        one(&mut out, problem, paint);
        out.push('\n');
    }
    let total = problems.list.len() + problems.left_out;
    let noun = if total == 1 { "problem" } else { "problems" };
    let shown = match problems.left_out {
        0 => String::new(),
        _ => format!(", the first {} are shown", problems.list.len()),
    };
    let _ = writeln!(
        out,
        "{}",
        paint.wrap(BOLD, &format!("{total} {noun} in the configuration{shown}"))
    );
    out
}

fn one(out: &mut String, problem: &Problem, paint: Paint) {
    let head = paint.wrap(ERROR, "error");
    let message = paint.wrap(BOLD, &format!(": {}", problem.message));
    let _ = writeln!(out, "{head}{message}");
    let places = || {
        problem
            .place
            .iter()
            .chain(problem.related.iter().map(|(place, _)| place))
    };
    let gutter = places()
        .map(|place| place.line.to_string().len())
        .max()
        .unwrap_or(0);
    if let Some(place) = &problem.place {
        excerpt(out, place, "^", "", gutter, paint);
    }
    for (place, label) in &problem.related {
        excerpt(out, place, "-", label, gutter, paint);
    }
    if let Some(help) = &problem.help {
        let frame = paint.wrap(FRAME, "=");
        let word = paint.wrap(HELP, "help");
        let _ = writeln!(out, "{:gutter$} {frame} {word}: {help}", "");
    }
}

fn excerpt(out: &mut String, place: &Place, mark: &str, label: &str, gutter: usize, paint: Paint) {
    let arrow = paint.wrap(FRAME, "-->");
    let bar = paint.wrap(FRAME, "|");
    let number = paint.wrap(FRAME, &format!("{:>gutter$}", place.line));
    let (before, marked, after) = cut(place);
    let indent = " ".repeat(before.chars().count());
    let colour = if mark == "^" { ERROR } else { FRAME };
    let width = marked.chars().count().max(1);
    let label = if label.is_empty() {
        String::new()
    } else {
        format!(" {label}")
    };
    let underline = paint.wrap(colour, &format!("{}{label}", mark.repeat(width)));
    let _ = writeln!(out, "{:gutter$}{arrow} {place}", "");
    let _ = writeln!(out, "{:gutter$} {bar}", "");
    let _ = writeln!(out, "{number} {bar} {before}{marked}{after}");
    let _ = writeln!(out, "{:gutter$} {bar} {indent}{underline}", "");
}

/// The line in three parts, the middle one marked; made printable, and cut when it is long.
fn cut(place: &Place) -> (String, String, String) {
    let characters: Vec<char> = place.text.chars().collect();
    let start = (place.column as usize - 1).min(characters.len());
    let end = (start + place.width as usize).min(characters.len());
    let (first, last) = if characters.len() <= LINE_CHARS_MAX {
        (0, characters.len())
    } else {
        let first = start.saturating_sub(LEAD_CHARS);
        (first, (first + LINE_CHARS_MAX).min(characters.len()))
    };
    let end = end.min(last);
    let front = if first > 0 { "…" } else { "" };
    let back = if last < characters.len() { "…" } else { "" };
    (
        format!("{front}{}", printable(&characters[first..start])),
        printable(&characters[start..end]),
        format!("{}{back}", printable(&characters[end..last])),
    )
}

/// Tabs as spaces, control characters as a mark: a file must not steer the terminal.
fn printable(characters: &[char]) -> String {
    let mut text = String::with_capacity(characters.len());
    for &character in characters {
        match character {
            '\t' => text.push_str(TAB),
            c if c.is_control() || is_direction_mark(c) => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text
}

/// Characters that make a terminal show text in another order than it is in.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
