//! Logs: lines go in as bytes in any cut and come out by number or as a stream.

mod chunk;
mod frame;
mod lines;
mod reader;
mod seal;
mod writer;

use bytes::Bytes;
use toolpost_core::model::LogType;
use toolpost_core::{Event, LogId, StepId};

use crate::sql::args;
use crate::tx::Tx;
use crate::{Result, Store};

pub use reader::LOG_LINES_PER_READ_MAX;
pub use writer::LogWriter;

/// Where a line of a stdio log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output, `o`.
    Output,
    /// Standard error, `e`.
    Error,
    /// What the master says about the command, `h`.
    Header,
}

impl LogStream {
    /// The letter in front of its lines.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Output => b'o',
            Self::Error => b'e',
            Self::Header => b'h',
        }
    }
}

/// Some lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLines {
    /// Number of the first line.
    pub first: i64,
    /// How many lines.
    pub count: i64,
    /// The lines, each ended by a newline; those of a stdio log begin with their stream letter.
    pub content: Bytes,
}

impl LogLines {
    /// The lines without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.content
            .strip_suffix(b"\n")
            .map(|content| content.split(|byte| *byte == b'\n'))
            .into_iter()
            .flatten()
    }
}

impl Store {
    /// Opens a log of a step. Its slug is made from the name and is unique in the step.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn add_log(&self, step: StepId, name: &str, log_type: LogType) -> Result<LogId> {
        let name = name.to_owned();
        self.write("add_log", move |tx| {
            let name = name.clone();
            Box::pin(async move { add(tx, step, &name, log_type).await })
        })
        .await
    }

    /// The writer of a log that was just opened. One writer per log.
    #[must_use]
    pub fn log_writer(&self, log: LogId, log_type: LogType) -> LogWriter {
        LogWriter::new(self.clone(), log, log_type)
    }
}

/// Characters of a slug at most.
const SLUG_CHARACTERS_MAX: usize = 50;

async fn add(tx: &mut Tx, step: StepId, name: &str, log_type: LogType) -> Result<LogId> {
    // Logs may be opened by several tasks of a step at a time.
    tx.lock_row("add_log", "steps", step.0).await?;
    let slug = slug_of(name);
    for n in 1_u32.. {
        let slug = if n == 1 {
            slug.clone()
        } else {
            numbered(&slug, n)
        };
        let sql = "INSERT INTO logs (name, slug, step_id, log_type) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (step_id, slug) DO NOTHING RETURNING id";
        let args = args![name, slug, step, log_type.letter()];
        if let Some(row) = tx.fetch_optional("add_log", sql, args).await? {
            let log = row.first()?;
            tx.emit(Event::LogAdded(log, step));
            return Ok(log);
        }
    }
    Err(crate::StoreError::Conflict {
        what: format!("step {step}"),
    })
}

/// A name for URLs: letters, digits, `-` and `_`, and no digit in front.
fn slug_of(name: &str) -> String {
    let mut slug: String = name
        .chars()
        .take(SLUG_CHARACTERS_MAX)
        .map(|c| match c {
            c if c.is_alphanumeric() || c == '-' || c == '_' => c,
            _ => '_',
        })
        .collect();
    if slug.is_empty() || slug.starts_with(|c: char| c.is_numeric()) {
        slug.insert(0, '_');
        slug = slug.chars().take(SLUG_CHARACTERS_MAX).collect();
    }
    slug
}

/// The slug with a number at its end, not longer than a slug may be.
fn numbered(slug: &str, n: u32) -> String {
    let end = format!("_{n}");
    let kept = SLUG_CHARACTERS_MAX - end.len();
    slug.chars().take(kept).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_fit_urls() {
        let long = "x".repeat(80);
        let table = [
            ("stdio", "stdio"),
            ("test results.html", "test_results_html"),
            ("2nd", "_2nd"),
            ("", "_"),
            ("über", "über"),
            (&long, &long[..50]),
        ];
        for (name, slug) in table {
            assert_eq!(slug_of(name), slug);
        }
        assert_eq!(numbered("stdio", 2), "stdio_2");
        assert_eq!(numbered(&long[..50], 12).len(), 50);
    }

    #[test]
    fn lines_come_without_newlines() {
        let lines = |content: &'static str| LogLines {
            first: 0,
            count: 0,
            content: Bytes::from_static(content.as_bytes()),
        };
        let collect = |content| {
            lines(content)
                .lines()
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        assert_eq!(collect(""), Vec::<Vec<u8>>::new());
        assert_eq!(collect("a\n"), [b"a"]);
        assert_eq!(collect("a\n\nb\n"), [&b"a"[..], b"", b"b"]);
    }
}
