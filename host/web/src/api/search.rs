//! `/logs/N/search`: lines of a log in which something stands. An answer does a bounded amount of work and says where to go on.

use std::time::{Duration, Instant};

use regex::bytes::{Regex, RegexBuilder};
use toolpost_core::model::{Log, LogType};
use toolpost_store::{LogLines, Store};

use super::json::{self, Object};
use super::query::boolean;
use crate::error::ApiError;
use crate::state::Web;

/// Bytes of a log that one answer looks at.
const BYTES_MAX: usize = 64 << 20;

/// How long one answer looks.
const TIME_MAX: Duration = Duration::from_millis(500);

/// Lines that are read at a time.
const LINES_PER_READ: u32 = 20_000;

/// Lines between two looks at the clock.
const LINES_PER_LOOK: usize = 64;

/// Memory of a compiled expression, and of what it remembers while it runs, bytes.
const PROGRAM_BYTES_MAX: usize = 256 << 10;
const STATES_BYTES_MAX: usize = 2 << 20;

/// Characters of a line that are shown, and those of them before what was found.
const SHOWN_CHARACTERS: usize = 400;
const SHOWN_BEFORE: usize = 80;

/// What is looked for, from where on.
pub(crate) struct Search {
    expression: Regex,
    limit: usize,
    from: i64,
}

/// A line in which it stands. Columns count characters from 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Counted from 0.
    pub(crate) line: i64,
    /// `o`, `e` or `h`, as in the log.
    pub(crate) stream: char,
    /// Where it begins in the line, and how long it is.
    pub(crate) column: usize,
    pub(crate) length: usize,
    /// The line, or a part of it that begins here.
    pub(crate) text: String,
    pub(crate) text_from: usize,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) matches: Vec<Match>,
    /// The line to go on from; `None` when the log was looked through.
    pub(crate) cursor: Option<i64>,
}

impl Search {
    /// Longest pattern, characters.
    pub(crate) const PATTERN_CHARACTERS_MAX: usize = 500;

    /// Matches of one answer at most.
    pub(crate) const MATCHES_MAX: u32 = 1_000;

    /// Matches of one answer when nobody says how many.
    const MATCHES: u32 = 100;

    /// Reads a query string.
    pub(crate) fn parse(raw_query: Option<&str>) -> Result<Self, ApiError> {
        let (mut pattern, mut is_regex, mut case) = (String::new(), false, true);
        let (mut limit, mut from) = (Self::MATCHES, 0);
        let invalid = |name: &str| ApiError::query(format!("invalid {name}"));
        for (name, value) in form_urlencoded::parse(raw_query.unwrap_or_default().as_bytes()) {
            match &*name {
                "q" => pattern = value.into_owned(),
                "regex" => is_regex = boolean(&value).ok_or_else(|| invalid("regex"))?,
                "case" => case = boolean(&value).ok_or_else(|| invalid("case"))?,
                "limit" => limit = value.trim().parse().map_err(|_| invalid("limit"))?,
                "cursor" => from = value.trim().parse().map_err(|_| invalid("cursor"))?,
                name => {
                    return Err(ApiError::query(format!(
                        "unrecognized query parameter '{name}'"
                    )));
                }
            }
        }
        Self::new(&pattern, is_regex, case, limit, from)
    }

    /// Looks for a text, or for what a regular expression describes.
    pub(crate) fn new(
        pattern: &str,
        is_regex: bool,
        case: bool,
        limit: u32,
        from: i64,
    ) -> Result<Self, ApiError> {
        if pattern.is_empty() {
            return Err(ApiError::query("`q` says what is looked for"));
        }
        if pattern.chars().count() > Self::PATTERN_CHARACTERS_MAX {
            let max = Self::PATTERN_CHARACTERS_MAX;
            return Err(ApiError::query(format!(
                "`q` is longer than {max} characters"
            )));
        }
        let literal;
        let pattern = if is_regex {
            pattern
        } else {
            literal = regex::escape(pattern);
            &literal
        };
        let expression = RegexBuilder::new(pattern)
            .case_insensitive(!case)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(STATES_BYTES_MAX)
            .build()
            .map_err(|error| ApiError::query(format!("`q` is no regular expression: {error}")))?;
        Ok(Self {
            expression,
            limit: limit.min(Self::MATCHES_MAX) as usize,
            from: from.max(0),
        })
    }

    /// Looks through a log as far as one answer does. Waits for its turn: few look at a time.
    pub(crate) async fn run(&self, web: &Web, log: &Log) -> Result<Found, ApiError> {
        let _turn = web.searches.acquire().await;
        self.run_now(&web.store, log).await
    }

    async fn run_now(&self, store: &Store, log: &Log) -> Result<Found, ApiError> {
        let until = Instant::now() + TIME_MAX;
        let mut matches = Vec::new();
        let (mut next, mut bytes) = (self.from, 0);
        while next < log.num_lines && matches.len() < self.limit {
            let lines = store.log_lines(log.id, next, LINES_PER_READ).await?;
            if lines.count == 0 {
                break;
            }
            bytes += lines.content.len();
            let scan = Scan {
                expression: self.expression.clone(),
                lines,
                has_letters: log.log_type == LogType::Stdio,
                room: self.limit - matches.len(),
                until,
            };
            let (found, seen) = tokio::task::spawn_blocking(move || scan.run())
                .await
                .map_err(|_| ApiError::Internal("looking through a log crashed".into()))?;
            matches.extend(found);
            next += seen;
            if bytes >= BYTES_MAX || Instant::now() >= until {
                break;
            }
        }
        Ok(Found {
            matches,
            cursor: (next < log.num_lines).then_some(next),
        })
    }
}

/// Some lines to look through.
struct Scan {
    expression: Regex,
    lines: LogLines,
    has_letters: bool,
    room: usize,
    until: Instant,
}

impl Scan {
    /// What was found, and how many lines were looked at; one at least.
    fn run(self) -> (Vec<Match>, i64) {
        let mut found = Vec::new();
        let mut seen = 0;
        for (at, line) in self.lines.lines().enumerate() {
            let is_late = at > 0 && at % LINES_PER_LOOK == 0 && Instant::now() >= self.until;
            if found.len() == self.room || is_late {
                return (found, seen);
            }
            found.extend(self.look(line, self.lines.first + seen));
            seen += 1;
        }
        (found, seen.max(1))
    }

    fn look(&self, line: &[u8], number: i64) -> Option<Match> {
        let (stream, text) = match line {
            [letter, text @ ..] if self.has_letters => (char::from(*letter), text),
            text => ('o', text),
        };
        let place = self.expression.find(text)?;
        let characters = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().count();
        let column = characters(text.get(..place.start())?);
        let whole = String::from_utf8_lossy(text);
        let text_from = if whole.len() <= SHOWN_CHARACTERS {
            0
        } else {
            column.saturating_sub(SHOWN_BEFORE)
        };
        Some(Match {
            line: number,
            stream,
            column,
            length: characters(place.as_bytes()),
            text: whole
                .chars()
                .skip(text_from)
                .take(SHOWN_CHARACTERS)
                .collect(),
            text_from,
        })
    }
}

/// The answer to a search.
pub(super) async fn answer(
    web: &Web,
    log: Option<Log>,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let search = Search::parse(raw_query)?;
    let log = log.ok_or_else(|| ApiError::not_found("log"))?;
    let found = search.run(web, &log).await?;
    let mut out = b"{\"matches\":".to_vec();
    json::list(&mut out, &found.matches, |out, found| {
        let int = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut object = Object::open(out, None);
        object.int("column", int(found.column));
        object.int("length", int(found.length));
        object.int("line", found.line);
        object.int("logid", log.id.0);
        object.text("stream", found.stream.encode_utf8(&mut [0; 4]));
        object.text("text", &found.text);
        object.int("text_from", int(found.text_from));
        object.close();
    });
    out.extend_from_slice(b",\"meta\":");
    let mut meta = Object::open(&mut out, None);
    meta.bool("complete", log.complete);
    meta.opt_int("cursor", found.cursor);
    meta.int("lines", log.num_lines);
    meta.close();
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(pattern: &str, is_regex: bool, case: bool, room: usize, lines: &str) -> String {
        let search = Search::new(pattern, is_regex, case, 100, 0);
        let search = match search {
            Ok(search) => search,
            Err(error) => return format!("{} {error}", error.status().as_u16()),
        };
        let scan = Scan {
            expression: search.expression,
            lines: LogLines {
                first: 40,
                count: lines.lines().count().try_into().expect("few"),
                content: lines.to_owned().into(),
            },
            has_letters: true,
            room,
            until: Instant::now() + TIME_MAX,
        };
        let (found, seen) = scan.run();
        let found = found.iter().map(|found| {
            let Match {
                line,
                stream,
                column,
                length,
                ..
            } = found;
            format!("{line}{stream} {column}+{length}")
        });
        format!("{}; {seen} seen", found.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn lines_are_found_with_their_places() {
        let log = "ofirst: ünïted (1)\neError here\nhthe end.\no\n";
        let table = [
            ("e", false, true, 9, "40o 11+1, 41e 7+1, 42h 2+1; 4 seen"),
            ("error", false, false, 9, "41e 0+5; 4 seen"),
            ("error", false, true, 9, "; 4 seen"),
            ("(1)", false, true, 9, "40o 14+3; 4 seen"),
            ("\\bh..e$", true, true, 9, "41e 6+4; 4 seen"),
            ("^$", true, true, 9, "43o 0+0; 4 seen"),
            (".", true, true, 2, "40o 0+1, 41e 0+1; 2 seen"),
        ];
        for (pattern, is_regex, case, room, expected) in table {
            assert_eq!(
                scan(pattern, is_regex, case, room, log),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn expressions_that_would_take_too_much_are_refused() {
        for pattern in ["(", "", "(?:a{1000}){1000}", &"x".repeat(501)] {
            assert!(
                scan(pattern, true, true, 1, "ox\n").starts_with("400 "),
                "{pattern}"
            );
        }
    }

    #[test]
    fn of_long_lines_the_part_around_is_shown() {
        let line = format!("o{}needle{}\n", "ä".repeat(5_000), "z".repeat(5_000));
        let lines = LogLines {
            first: 0,
            count: 1,
            content: line.into(),
        };
        let expression = Regex::new("needle").expect("an expression");
        let scan = Scan {
            expression,
            lines,
            has_letters: true,
            room: 1,
            until: Instant::now() + TIME_MAX,
        };
        let found = scan.run().0.pop().expect("a match");
        assert_eq!((found.column, found.text_from), (5_000, 4_920));
        assert_eq!(found.text.chars().count(), SHOWN_CHARACTERS);
        assert!(
            found
                .text
                .chars()
                .skip(80)
                .collect::<String>()
                .starts_with("needle")
        );
    }
}
