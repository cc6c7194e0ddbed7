//! The rows that hold a log's lines: consecutive chunks, each inline or sealed in an object.
//!
//! One statement reads the index, so a reader sees a chunk either before or after it is sealed, never neither
//! or both.

use std::sync::Arc;

use bytes::Bytes;
use toolpost_core::model::LogType;
use toolpost_core::{Event, LogId, StepId, Timestamp};

use super::frame::{Entry, Frame, concatenate, decode_index, encode_index, split};
use crate::resources::log_type;
use crate::sql::{Connection, Row, Value, args};
use crate::tx::Tx;
use crate::{Result, StoreError};

/// Consecutive lines that are in memory as frames, and in the database as inline chunks.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) first: i64,
    pub(super) lines: i64,
    pub(super) frames: Vec<Frame>,
    /// Rows that hold it.
    pub(super) chunks: u64,
}

impl Run {
    pub(super) fn end(&self) -> i64 {
        self.first + self.lines
    }

    pub(super) fn raw_bytes(&self) -> usize {
        self.frames
            .iter()
            .map(|frame| frame.entry.raw_bytes as usize)
            .sum()
    }

    pub(super) fn compressed_bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.compressed.len()).sum()
    }

    /// Adds what comes after it.
    pub(super) fn extend(&mut self, next: Self) {
        self.lines += next.lines;
        self.frames.extend(next.frames);
        self.chunks += next.chunks;
    }
}

/// Lines to append, in one row.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) log: LogId,
    /// The number of the first of them: as many as the log must have.
    pub(super) first: i64,
    pub(super) frames: Arc<[Frame]>,
    pub(super) lines_lost: i64,
    /// When the log is closed, if they are its last.
    pub(super) closed_at: Option<Timestamp>,
}

impl Append {
    pub(super) fn lines(&self) -> i64 {
        self.frames
            .iter()
            .map(|frame| i64::from(frame.entry.lines))
            .sum()
    }
}

/// Appends lines. A conflict when the log is closed or has another number of lines than expected.
pub(super) async fn append(tx: &mut Tx, append: &Append) -> Result<()> {
    const OPERATION: &str = "append_log";
    let end = append.first + append.lines();
    let sql = "UPDATE logs SET num_lines = $1, lines_lost = $2, complete = $3, \
        complete_at = $4 WHERE id = $5 AND num_lines = $6 AND complete = 0 RETURNING step_id";
    let args = args![
        end,
        append.lines_lost,
        append.closed_at.is_some(),
        append.closed_at,
        append.log,
        append.first
    ];
    let step: StepId = tx
        .fetch_optional(OPERATION, sql, args)
        .await?
        .ok_or_else(|| conflict(append.log))?
        .first()?;
    if !append.frames.is_empty() {
        let content = Some(concatenate(&append.frames));
        insert(tx, append.log, append.first, &append.frames, content, None).await?;
        tx.emit(Event::LogAppended(append.log, step));
    }
    if append.closed_at.is_some() {
        tx.emit(Event::LogFinished(append.log, step));
    }
    Ok(())
}

/// Puts one chunk, inline or sealed, in the place of the inline ones of a run. A conflict when they are not
/// what they were.
pub(super) async fn replace(
    tx: &mut Tx,
    log: LogId,
    run: &Run,
    object: Option<String>,
) -> Result<()> {
    let sql = "DELETE FROM log_chunks \
        WHERE log_id = $1 AND first_line >= $2 AND first_line < $3 AND object IS NULL";
    let args = args![log, run.first, run.end()];
    if tx.execute("seal_log", sql, args).await? != run.chunks {
        return Err(conflict(log));
    }
    let content = match object {
        Some(_) => None,
        None => Some(concatenate(&run.frames)),
    };
    insert(tx, log, run.first, &run.frames, content, object).await
}

async fn insert(
    tx: &mut Tx,
    log: LogId,
    first: i64,
    frames: &[Frame],
    content: Option<Bytes>,
    object: Option<String>,
) -> Result<()> {
    let lines: i64 = frames
        .iter()
        .map(|frame| i64::from(frame.entry.lines))
        .sum();
    let raw: i64 = frames
        .iter()
        .map(|frame| i64::from(frame.entry.raw_bytes))
        .sum();
    let sql = "INSERT INTO log_chunks \
        (log_id, first_line, lines, raw_bytes, frames, content, object) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let args = args![
        log,
        first,
        lines,
        raw,
        encode_index(frames),
        content,
        object
    ];
    tx.execute("insert_log_chunk", sql, args).await?;
    Ok(())
}

fn conflict(log: LogId) -> StoreError {
    StoreError::Conflict {
        what: format!("log {log}"),
    }
}

/// How far a log is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) num_lines: i64,
    pub(super) log_type: LogType,
}

/// A chunk as a reader finds it.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) first: i64,
    pub(super) entries: Vec<Entry>,
    pub(super) place: Place,
}

/// Where the frames of a chunk are.
#[derive(Debug)]
pub(super) enum Place {
    Inline(Bytes),
    Object(String),
}

/// The head of a log and its chunks from the one with line `first` on, as far as they begin before `end`.
pub(super) async fn find(
    connection: &mut Connection,
    log: LogId,
    first: i64,
    end: i64,
    chunks_max: u32,
) -> Result<(Head, Vec<Chunk>)> {
    let sql = "SELECT l.num_lines, l.log_type, c.first_line, c.frames, c.content, c.object \
        FROM logs l LEFT JOIN log_chunks c ON c.log_id = $1 AND c.first_line < $3 \
        AND c.first_line >= COALESCE((SELECT MAX(p.first_line) FROM log_chunks p \
        WHERE p.log_id = $1 AND p.first_line <= $2), 0) \
        WHERE l.id = $1 ORDER BY c.first_line LIMIT $4";
    let rows = connection
        .fetch_all("find_log_chunks", sql, args![log, first, end, chunks_max])
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| StoreError::not_found("log", log))?;
    let mut cells = row.cells();
    let head = Head {
        num_lines: cells.get()?,
        log_type: log_type(cells.get()?)?,
    };
    let chunks = rows.iter().filter_map(|row| chunk(row).transpose());
    Ok((head, chunks.collect::<Result<_>>()?))
}

fn chunk(row: &Row) -> Result<Option<Chunk>> {
    let mut cells = row.cells();
    let (_, _): (i64, String) = (cells.get()?, cells.get()?);
    let Some(first) = cells.get::<Option<i64>>()? else {
        return Ok(None);
    };
    let entries = decode_index(&cells.get::<Vec<u8>>()?)?;
    let (content, object): (Option<Vec<u8>>, Option<String>) = (cells.get()?, cells.get()?);
    let place = match (content, object) {
        (_, Some(key)) => Place::Object(key),
        (content, None) => Place::Inline(content.unwrap_or_default().into()),
    };
    Ok(Some(Chunk {
        first,
        entries,
        place,
    }))
}

/// Inline chunks from line `first` on, each as a run.
pub(super) async fn inline_runs(
    connection: &mut Connection,
    log: LogId,
    first: i64,
    chunks_max: u32,
) -> Result<Vec<Run>> {
    let sql = "SELECT first_line, lines, frames, content FROM log_chunks \
        WHERE log_id = $1 AND first_line >= $2 AND object IS NULL ORDER BY first_line LIMIT $3";
    connection
        .fetch_all("inline_log_chunks", sql, args![log, first, chunks_max])
        .await?
        .iter()
        .map(|row| {
            let mut cells = row.cells();
            let (first, lines) = (cells.get()?, cells.get()?);
            let (index, content): (Vec<u8>, Vec<u8>) = (cells.get()?, cells.get()?);
            Ok(Run {
                first,
                lines,
                frames: split(&index, &content.into())?,
                chunks: 1,
            })
        })
        .collect()
}

/// The objects that a log's chunks are in.
pub(super) async fn objects(connection: &mut Connection, log: LogId) -> Result<Vec<String>> {
    let sql = "SELECT object FROM log_chunks WHERE log_id = $1 AND object IS NOT NULL";
    connection
        .fetch_all("log_objects", sql, vec![Value::from(log)])
        .await?
        .iter()
        .map(Row::first)
        .collect()
}
