//! Reads logs: some lines by their numbers, or everything as a stream.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use memchr::memchr_iter;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use toolpost_core::LogId;
use toolpost_core::model::LogType;

use super::LogLines;
use super::chunk::{self, Chunk, Place};
use super::frame::{Entry, decompress};
use crate::objects::object_error;
use crate::{Result, Store, StoreError};

/// Lines of one answer at most.
pub const LOG_LINES_PER_READ_MAX: u32 = 100_000;

/// Bytes after which an answer ends, though more lines were asked for.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Chunks that one answer looks at.
const CHUNKS_PER_READ: u32 = 16;

/// Frames that make one piece of a raw stream: about 1 MiB.
const FRAMES_PER_PIECE: usize = 16;

/// Less is decompressed on the spot; handing it to another thread would take as long.
const DECOMPRESS_HERE_BYTES: usize = 160 * 1024;

impl Store {
    /// Lines of a log from number `first` (from 0) on. Fewer than `limit` at the end, and where one answer would be
    /// too large: go on from `first + count`.
    ///
    /// # Errors
    /// When the log is unknown or storage fails.
    pub async fn log_lines(&self, log: LogId, first: i64, limit: u32) -> Result<LogLines> {
        let first = first.max(0);
        let end = first.saturating_add(limit.min(LOG_LINES_PER_READ_MAX).into());
        let mut connection = self.read("log_lines").await?;
        let (_, chunks) = chunk::find(&mut connection, log, first, end, CHUNKS_PER_READ).await?;
        drop(connection);
        let mut content = Vec::new();
        let mut next = first;
        for chunk in chunks {
            let mut rest = Frames::of(chunk, next);
            while next < end && content.len() < READ_BYTES_MAX {
                let Some(group) = rest.next_group(end, READ_BYTES_MAX - content.len()) else {
                    break;
                };
                let lines = group.lines(next, end);
                let raw = self.group_content(&rest.place, group).await?;
                content.extend_from_slice(lines.of(&raw));
                next += lines.take;
            }
        }
        Ok(LogLines {
            first,
            count: next - first,
            content: content.into(),
        })
    }

    async fn group_content(&self, place: &Place, group: Group) -> Result<Vec<u8>> {
        let compressed = match place {
            Place::Inline(content) => part(content, group.range()),
            Place::Object(key) => {
                let path = Path::from(key.as_str());
                let range = group.range();
                self.objects()
                    .get_range(&path, range.start as u64..range.end as u64)
                    .await
                    .map_err(|source| object_error(&path, source))?
            }
        };
        if group.raw_bytes() <= DECOMPRESS_HERE_BYTES {
            return decompress(&group.entries, &compressed);
        }
        blocking(move || decompress(&group.entries, &compressed)).await
    }

    /// The whole log as it is now, without stream letters, in pieces of bounded size.
    ///
    /// # Errors
    /// When the log is unknown or storage fails, at once or in the stream.
    pub async fn raw_stream(&self, log: LogId) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut connection = self.read("raw_log").await?;
        let (head, _) = chunk::find(&mut connection, log, 0, 0, 1).await?;
        drop(connection);
        let reader = RawReader {
            store: self.clone(),
            log,
            letters: head.log_type == LogType::Stdio,
            next: 0,
            end: head.num_lines,
            frames: None,
        };
        Ok(stream::try_unfold(reader, RawReader::step).boxed())
    }
}

/// What a raw stream remembers between two pieces.
struct RawReader {
    store: Store,
    log: LogId,
    letters: bool,
    next: i64,
    end: i64,
    /// The rest of the chunk that is read; its frames are in memory.
    frames: Option<Frames>,
}

impl RawReader {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>> {
        while self.next < self.end {
            let Some(frames) = &mut self.frames else {
                self.frames = Some(self.next_chunk().await?);
                continue;
            };
            let Some(group) = frames.next_group(self.end, usize::MAX) else {
                self.frames = None;
                continue;
            };
            let Place::Inline(content) = &frames.place else {
                return Err(cut_off(self.log));
            };
            let lines = group.lines(self.next, self.end);
            let compressed = content.clone();
            let letters = self.letters;
            let piece = blocking(move || {
                let raw = decompress(&group.entries, &part(&compressed, group.range()))?;
                let wanted = lines.of(&raw);
                Ok(if letters {
                    without_letters(wanted)
                } else {
                    wanted.to_vec()
                })
            })
            .await?;
            self.next += lines.take;
            return Ok(Some((piece.into(), self)));
        }
        Ok(None)
    }

    /// Finds the chunk of the next line again each time, because chunks may be sealed while the stream is read.
    async fn next_chunk(&self) -> Result<Frames> {
        let mut connection = self.store.read("raw_log").await?;
        let (_, chunks) =
            chunk::find(&mut connection, self.log, self.next, self.next + 1, 1).await?;
        drop(connection);
        let mut chunk = chunks.into_iter().next().ok_or_else(|| cut_off(self.log))?;
        if let Place::Object(key) = &chunk.place {
            let path = Path::from(key.as_str());
            let failed = |source| object_error(&path, source);
            let found = self.store.objects().get(&path).await.map_err(failed)?;
            chunk.place = Place::Inline(found.bytes().await.map_err(failed)?);
        }
        let frames = Frames::of(chunk, self.next);
        if frames.entries.len() == 0 {
            return Err(cut_off(self.log));
        }
        Ok(frames)
    }
}

/// The frames of a chunk from a certain line on.
struct Frames {
    place: Place,
    entries: std::vec::IntoIter<Entry>,
    /// The line that the next frame begins with, and where it lies.
    line: i64,
    offset: usize,
}

impl Frames {
    /// Passes over frames that end before line `first`.
    fn of(chunk: Chunk, first: i64) -> Self {
        let mut frames = Self {
            place: chunk.place,
            entries: chunk.entries.into_iter(),
            line: chunk.first,
            offset: 0,
        };
        while let Some(entry) = frames.entries.as_slice().first().copied() {
            if frames.line + i64::from(entry.lines) > first {
                break;
            }
            frames.advance(entry);
            frames.entries.next();
        }
        frames
    }

    fn advance(&mut self, entry: Entry) {
        self.line += i64::from(entry.lines);
        self.offset += entry.compressed_bytes as usize;
    }

    /// The next frames that begin before line `end`: one at least, and no more than about `raw_bytes_max` or a
    /// piece.
    fn next_group(&mut self, end: i64, raw_bytes_max: usize) -> Option<Group> {
        let mut group = Group {
            first: self.line,
            offset: self.offset,
            entries: Vec::new(),
        };
        while group.entries.len() < FRAMES_PER_PIECE
            && self.line < end
            && (group.entries.is_empty() || group.raw_bytes() < raw_bytes_max)
            && let Some(entry) = self.entries.next()
        {
            self.advance(entry);
            group.entries.push(entry);
        }
        (!group.entries.is_empty()).then_some(group)
    }
}

/// Frames that lie one after the other.
struct Group {
    first: i64,
    offset: usize,
    entries: Vec<Entry>,
}

impl Group {
    fn raw_bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| entry.raw_bytes as usize)
            .sum()
    }

    fn range(&self) -> std::ops::Range<usize> {
        let bytes: usize = self
            .entries
            .iter()
            .map(|entry| entry.compressed_bytes as usize)
            .sum();
        self.offset..self.offset + bytes
    }

    /// Which of its lines are those from number `from` to before number `to`.
    fn lines(&self, from: i64, to: i64) -> Lines {
        let all: i64 = self
            .entries
            .iter()
            .map(|entry| i64::from(entry.lines))
            .sum();
        let skip = (from - self.first).clamp(0, all);
        let take = (to - self.first).clamp(skip, all) - skip;
        Lines {
            skip,
            take,
            rest: all - skip - take,
        }
    }
}

/// The bytes of a range, as far as they are there: that some are missing is found when they are decompressed.
fn part(content: &Bytes, range: std::ops::Range<usize>) -> Bytes {
    let end = range.end.min(content.len());
    content.slice(range.start.min(end)..end)
}

/// Lines within decompressed frames.
#[derive(Clone, Copy)]
struct Lines {
    skip: i64,
    take: i64,
    rest: i64,
}

impl Lines {
    fn of(self, raw: &[u8]) -> &[u8] {
        let from = after_newlines(raw, self.skip);
        let raw = raw.get(from..).unwrap_or_default();
        if self.rest == 0 {
            return raw;
        }
        raw.get(..after_newlines(raw, self.take))
            .unwrap_or_default()
    }
}

/// Where the line after so many begins.
fn after_newlines(raw: &[u8], lines: i64) -> usize {
    match usize::try_from(lines) {
        Ok(0) | Err(_) => 0,
        Ok(lines) => memchr_iter(b'\n', raw)
            .nth(lines - 1)
            .map_or(raw.len(), |at| at + 1),
    }
}

fn without_letters(lines: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(lines.len());
    let mut begin = 0;
    for end in memchr_iter(b'\n', lines) {
        plain.extend_from_slice(lines.get(begin + 1..=end).unwrap_or_default());
        begin = end + 1;
    }
    plain
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Panicked {
            operation: "read_log",
        }))
}

fn cut_off(log: LogId) -> StoreError {
    StoreError::Corrupt {
        what: format!("log {log}"),
        reason: "it has fewer lines than it says".to_owned(),
    }
}
