//! The files of a build on a worker, with the commands that the protocol has.
//!
//! Where it has none, one is made of others: a part of a file is the part of an upload that is then held, so that whoever reads
//! on goes on with it; appending is a file beside the other and a line of shell. Paths are decided by their text: what symbolic
//! links on the worker do is the worker's affair.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use toolpost_wire::{
    Argv, Command, CommandEvent, CopyDir, DownloadFile, FileStat, Patience, Payload, RemoveDirs,
    Shell, Ticket, UploadDirectory, UploadFile,
};
use toolpost_worker::{CopySummary, DirEntry, FileError, FileInfo, FileKind, Piece, WriteMode};

use super::FILE_WAIT_MAX;
use super::archive::RemoteArchive;
use super::cursors::Cursor;
use super::link::Connection;
use super::outcome::{Outcome, ended, failed, info_of, is_missing, is_refusal};
use super::paths::patterns;
use super::port::{Heard, Outlet};
use crate::worker::link::{LinkArchive, LinkFiles};

/// Bytes of one piece of a file on the line.
const BLOCK_BYTES: usize = 256 * 1024;
/// The most that one read gives, as for a worker of this process.
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries of a directory that are looked at at one time.
const STATS_AT_ONCE: usize = 16;
/// Times that a transfer is begun when connections are lost in the middle of it.
const TRANSFER_TRIES_MAX: u32 = 8;
/// How much of a path that is odd is told.
const PATH_CHARS_SHOWN: usize = 200;
/// Entries of one directory.
const LIST_ENTRIES_MAX: usize = 100_000;

/// The files of one build.
pub(super) struct RemoteFiles {
    connection: Arc<Connection>,
    build_dir: String,
}

impl RemoteFiles {
    pub(super) fn new(connection: Arc<Connection>, build_dir: String) -> Self {
        Self {
            connection,
            build_dir,
        }
    }

    fn full(&self, path: &str) -> Result<String, FileError> {
        self.connection.paths.within(&self.build_dir, path)
    }

    /// The worker names files that are not in the build's directory, if any.
    fn lead_out(&self, paths: &[&str]) {
        let Some(first) = paths.first() else { return };
        let shown: String = first.chars().take(PATH_CHARS_SHOWN).collect();
        let count = paths.len();
        self.connection.odd.tell(&format!(
            "names {count} files outside of the directory of a build, such as {shown:?}"
        ));
    }

    async fn start(&self, command: &Command) -> Result<Outlet, FileError> {
        let patience = Patience {
            within: Some(FILE_WAIT_MAX),
            grace: Duration::ZERO,
        };
        let started = self
            .connection
            .start(&self.build_dir, command, patience)
            .await;
        started.map_err(|_| FileError::Stopped)
    }

    /// Runs a command that needs no more than to be started.
    async fn run(&self, path: &str, command: Command) -> Result<Outcome, FileError> {
        loop {
            let mut outlet = self.start(&command).await?;
            if let Some(outcome) = self.run_once(path, &mut outlet).await? {
                return Ok(outcome);
            }
        }
    }

    /// `None` when the worker never heard of it, because the connection was lost.
    async fn run_once(
        &self,
        path: &str,
        outlet: &mut Outlet,
    ) -> Result<Option<Outcome>, FileError> {
        let mut outcome = Outcome::default();
        let mut begun = false;
        loop {
            match outlet.next().await {
                Some(Heard::Updates(updates)) => {
                    begun = true;
                    updates
                        .into_iter()
                        .for_each(|update| outcome.update(update));
                }
                Some(Heard::Event(CommandEvent::Started)) => begun = true,
                Some(Heard::Event(CommandEvent::Gone { begun: false })) => return Ok(None),
                None if !begun => return Ok(None),
                None => return Err(FileError::Stopped),
                Some(Heard::Event(event)) => {
                    if let Some(ended) = ended(path, event) {
                        return ended.map(|()| Some(outcome));
                    }
                }
            }
        }
    }

    /// Whether a transfer is to be begun again because the connection was lost in the middle: transfers do not outlive it.
    fn again(&self, error: &FileError, tries: &mut u32) -> bool {
        *tries += 1;
        matches!(error, FileError::Stopped)
            && *tries < TRANSFER_TRIES_MAX
            && !self.connection.is_gone()
    }

    /// The same for one that either works or not.
    async fn done(
        &self,
        action: &'static str,
        path: &str,
        command: Command,
    ) -> Result<Outcome, FileError> {
        let outcome = self.run(path, command).await?;
        match outcome.rc {
            Some(0) => Ok(outcome),
            rc => Err(failed(action, path, rc, &outcome.said)),
        }
    }

    async fn stat_of(&self, path: &str, full: &str) -> Result<Option<FileStat>, FileError> {
        let command = Command::Stat {
            path: full.to_owned(),
        };
        let outcome = self.run(path, command).await?;
        match (outcome.rc, outcome.stat) {
            (Some(0), Some(stat)) => Ok(Some(stat)),
            (Some(rc), _) if is_missing(rc) => Ok(None),
            (rc, _) => Err(failed("look at", path, rc, &outcome.said)),
        }
    }

    /// Starts to upload a file that is this now, or goes on where somebody stopped.
    async fn cursor(&self, full: &str, at: u64, of: &FileStat) -> Result<Cursor, FileError> {
        if let Some(cursor) = self.connection.cursors.take(full, at) {
            return Ok(cursor);
        }
        // Others begin at the first byte, and what is before is passed over.
        let at = if self.connection.offsets { at } else { 0 };
        let command = Command::UploadFile(UploadFile {
            path: full.to_owned(),
            max_size: None,
            block_size: BLOCK_BYTES as u64,
            keep_stamp: false,
            offset: at,
        });
        Ok(Cursor {
            path: full.to_owned(),
            of: *of,
            at,
            outlet: self.start(&command).await?,
            rest: Bytes::new(),
            ticket: None,
        })
    }

    /// Reads on until this many bytes from `offset` on are there or the file ends; whether it ended. What was read stays when
    /// the connection is lost.
    async fn fill(
        &self,
        path: &str,
        cursor: &mut Cursor,
        offset: u64,
        length: usize,
        read: &mut BytesMut,
    ) -> Result<bool, FileError> {
        let mut outcome = Outcome::default();
        let mut ended_well = false;
        loop {
            cursor.take(offset + read.len() as u64, length, read);
            if read.len() == length {
                return Ok(false);
            }
            if let Some(ticket) = cursor.ticket.take() {
                reply(&cursor.outlet, ticket, Ok(Payload::nothing())).await?;
            }
            match cursor.outlet.next().await {
                Some(Heard::Updates(updates)) => {
                    updates
                        .into_iter()
                        .for_each(|update| outcome.update(update));
                }
                Some(Heard::Event(CommandEvent::FileData(data, ticket))) => {
                    cursor.rest = data;
                    cursor.ticket = Some(ticket);
                }
                Some(Heard::Event(CommandEvent::FileEnd(ticket))) => {
                    ended_well = true;
                    reply(&cursor.outlet, ticket, Ok(Payload::nothing())).await?;
                }
                Some(Heard::Event(event)) => {
                    let Some(ended) = ended(path, event) else {
                        continue;
                    };
                    ended?;
                    if outcome.rc != Some(0) || !ended_well {
                        return Err(failed("read", path, outcome.rc, &outcome.said));
                    }
                    return Ok(true);
                }
                None => return Err(FileError::Stopped),
            }
        }
    }

    /// The connection was lost while a file was read: says whether it is still the same, so that nothing is put together of
    /// two.
    async fn is_still(&self, path: &str, cursor: &Cursor) -> Result<(), FileError> {
        let now = self.stat_of(path, &cursor.path).await?;
        let is = |stat: &FileStat| (stat.device, stat.inode, stat.size, stat.modified);
        if now.is_some_and(|now| is(&now) == is(&cursor.of)) {
            return Ok(());
        }
        let text = "it was changed while the worker was cut off";
        Err(failed("read on", path, Some(1), text))
    }

    /// Writes a whole file.
    async fn download(
        &self,
        path: &str,
        full: &str,
        bytes: Bytes,
        mode: Option<u32>,
    ) -> Result<(), FileError> {
        let mut tries = 0;
        loop {
            match self.download_once(path, full, bytes.clone(), mode).await {
                Err(error) if self.again(&error, &mut tries) => {}
                done => return done,
            }
        }
    }

    async fn download_once(
        &self,
        path: &str,
        full: &str,
        bytes: Bytes,
        mode: Option<u32>,
    ) -> Result<(), FileError> {
        let command = Command::DownloadFile(DownloadFile {
            path: full.to_owned(),
            max_size: None,
            block_size: BLOCK_BYTES as u64,
            mode,
        });
        let mut outlet = self.start(&command).await?;
        let mut left = bytes;
        let mut outcome = Outcome::default();
        loop {
            match outlet.next().await {
                Some(Heard::Updates(updates)) => {
                    updates
                        .into_iter()
                        .for_each(|update| outcome.update(update));
                }
                Some(Heard::Event(CommandEvent::ReadWanted(length, ticket))) => {
                    let length = usize::try_from(length).unwrap_or(BLOCK_BYTES);
                    let piece = left.split_to(length.min(BLOCK_BYTES).min(left.len()));
                    reply(&outlet, ticket, Ok(Payload::bytes(&piece))).await?;
                }
                Some(Heard::Event(CommandEvent::ReadEnd(ticket))) => {
                    reply(&outlet, ticket, Ok(Payload::nothing())).await?;
                }
                Some(Heard::Event(event)) => {
                    let Some(ended) = ended(path, event) else {
                        continue;
                    };
                    ended?;
                    return match outcome.rc {
                        Some(0) if left.is_empty() => Ok(()),
                        rc => Err(failed("write", path, rc, &outcome.said)),
                    };
                }
                None => return Err(FileError::Stopped),
            }
        }
    }

    /// Puts bytes at the end of a file: there is no command for it, so they go beside it first.
    async fn append(&self, path: &str, full: &str, bytes: Bytes) -> Result<(), FileError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !self.connection.paths.is_posix() {
            return Err(FileError::InvalidPath {
                path: path.to_owned(),
                reason: "a worker on Windows cannot append to a file; write it whole",
            });
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let suffix = format!(".toolpost-{}-{number}", self.connection.epoch);
        let part = self.connection.paths.beside(full, &suffix);
        self.download(path, &part, bytes, None).await?;
        let words = [
            "/bin/sh",
            "-c",
            "cat \"$1\" >> \"$2\"; code=$?; rm -f \"$1\"; exit $code",
            "sh",
            &part,
            full,
        ];
        let command = Argv::Words(words.map(str::to_owned).to_vec());
        let shell = Shell {
            log_environ: false,
            ..Shell::new(command, self.connection.base_dir.clone())
        };
        let command = Command::Shell(Box::new(shell));
        self.done("append to", path, command).await.map(drop)
    }
}

/// Answers what came with a ticket.
pub(super) async fn reply(
    outlet: &Outlet,
    ticket: Ticket,
    answer: toolpost_wire::Answer,
) -> Result<(), FileError> {
    match outlet.reply(ticket, answer).await {
        true => Ok(()),
        false => Err(FileError::Stopped),
    }
}

#[async_trait]
impl LinkFiles for RemoteFiles {
    async fn read(&self, path: String, offset: u64, length: usize) -> Result<Piece, FileError> {
        let full = self.full(&path)?;
        let stat = self.stat_of(&path, &full).await?;
        let stat = stat.ok_or_else(|| FileError::NotFound { path: path.clone() })?;
        let info = info_of(&stat);
        if info.kind != FileKind::File {
            return Err(FileError::WrongKind {
                path,
                expected: "a file",
            });
        }
        let left = usize::try_from(info.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(READ_BYTES_MAX).min(left);
        if length == 0 {
            return Ok(Piece {
                bytes: Bytes::new(),
                file_size: info.size,
            });
        }
        let mut tries = 0;
        let mut read = BytesMut::new();
        let (cursor, ended) = loop {
            let at = offset + read.len() as u64;
            let mut cursor = self.cursor(&full, at, &stat).await?;
            let filled = self.fill(&path, &mut cursor, offset, length, &mut read);
            match filled.await {
                Ok(ended) => break (cursor, ended),
                Err(error) if self.again(&error, &mut tries) => {
                    self.is_still(&path, &cursor).await?;
                }
                Err(error) => return Err(error),
            }
        };
        if !ended && offset + (read.len() as u64) < info.size {
            self.connection.cursors.hold(cursor);
        } else if !cursor.rest.is_empty() {
            let size = info.size;
            self.connection.odd.tell(&format!(
                "sends more of file {path:?} than the {size} bytes that it said it has: the rest is left out"
            ));
        }
        Ok(Piece {
            bytes: read.freeze(),
            file_size: info.size,
        })
    }

    async fn write(
        &self,
        path: String,
        bytes: Bytes,
        mode: WriteMode,
        permissions: Option<u32>,
    ) -> Result<(), FileError> {
        let full = self.full(&path)?;
        self.connection.cursors.forget(&full);
        match mode {
            WriteMode::Replace => self.download(&path, &full, bytes, permissions).await,
            WriteMode::Append => self.append(&path, &full, bytes).await,
        }
    }

    async fn stat(&self, path: String) -> Result<Option<FileInfo>, FileError> {
        let full = self.full(&path)?;
        let stat = self.stat_of(&path, &full).await?;
        Ok(stat.as_ref().map(info_of))
    }

    async fn create_dir(&self, path: String) -> Result<(), FileError> {
        let paths = vec![self.full(&path)?];
        let command = Command::MakeDirs { paths };
        self.done("make", &path, command).await.map(drop)
    }

    async fn remove(&self, path: String) -> Result<bool, FileError> {
        let full = self.full(&path)?;
        self.connection.cursors.forget(&full);
        // A link that leads nowhere is there and has no stat; removing what is not there is no error.
        let there = self.stat_of(&path, &full).await?;
        let kind = there.as_ref().map(|stat| info_of(stat).kind);
        let command = match kind {
            // Without a program, and no more than this one.
            Some(FileKind::File) => Command::RemoveFile { path: full },
            _ => Command::RemoveDirs(RemoveDirs {
                paths: vec![full],
                log_environ: false,
                timeout: Some(FILE_WAIT_MAX.as_secs_f64()),
                max_time: None,
            }),
        };
        self.done("remove", &path, command).await?;
        Ok(kind.is_some())
    }

    async fn copy(&self, from: String, to: String) -> Result<CopySummary, FileError> {
        let (from_path, to_path) = (self.full(&from)?, self.full(&to)?);
        self.connection.cursors.forget(&to_path);
        let stat = self.stat_of(&from, &from_path).await?;
        let stat = stat.ok_or_else(|| FileError::NotFound { path: from.clone() })?;
        let is_dir = info_of(&stat).kind == FileKind::Directory;
        // What is in a directory, so that a copy that exists is filled up instead of getting it as a child.
        let from_path = match is_dir && self.connection.paths.is_posix() {
            true => format!("{from_path}/."),
            false => from_path,
        };
        let command = Command::CopyDir(CopyDir {
            from_path,
            to_path,
            log_environ: false,
            timeout: Some(FILE_WAIT_MAX.as_secs_f64()),
            max_time: None,
        });
        let outcome = self.done("copy", &from, command).await?;
        Ok(CopySummary {
            entries: outcome.lines,
            // The worker does not say.
            bytes: 0,
            skipped: 0,
        })
    }

    async fn list(&self, path: String) -> Result<Vec<DirEntry>, FileError> {
        let full = self.full(&path)?;
        let command = Command::ListDir { path: full };
        let mut names = self.done("list", &path, command).await?.files;
        if names.len() > LIST_ENTRIES_MAX {
            return Err(FileError::TooLarge {
                path,
                what: "the number of entries",
                limit: LIST_ENTRIES_MAX as u64,
                limit_name: "LIST_ENTRIES_MAX",
            });
        }
        names.sort();
        let out = names.iter().filter(|name| self.full(name).is_err());
        self.lead_out(&out.map(String::as_str).collect::<Vec<_>>());
        let entries = stream::iter(names).map(|name| {
            let child = match path.is_empty() {
                true => name.clone(),
                false => format!("{path}/{name}"),
            };
            async move {
                let full = self.full(&child)?;
                // What has no stat is a link that leads nowhere, and what refuses it one that leads out, for a worker that
                // does not follow it there.
                let stat = match self.stat_of(&child, &full).await {
                    Err(error) if is_refusal(&error) => None,
                    stat => stat?,
                };
                let kind = stat.map_or(FileKind::Symlink, |stat| info_of(&stat).kind);
                Ok(DirEntry { name, kind })
            }
        });
        let entries: Vec<Result<DirEntry, FileError>> =
            entries.buffered(STATS_AT_ONCE).collect().await;
        entries.into_iter().collect()
    }

    async fn glob(&self, pattern: String) -> Result<Vec<String>, FileError> {
        let dir = self.full("")?;
        // Refuses what would lead out of the directory.
        self.full(&pattern)?;
        let mut found = Vec::new();
        for path in patterns(&dir, &pattern)? {
            let outcome = self
                .done("search", &pattern, Command::Glob { path })
                .await?;
            let mut out = Vec::new();
            for path in &outcome.files {
                match self.connection.paths.below(&dir, path) {
                    Some(path) => found.push(path),
                    None => out.push(path.as_str()),
                }
            }
            self.lead_out(&out);
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn pack(&self, path: String) -> Result<Option<Box<dyn LinkArchive>>, FileError> {
        if self.connection.offsets {
            // Files go on where they were when the connection is lost, which an archive cannot.
            return Ok(None);
        }
        let full = self.full(&path)?;
        let stat = self.stat_of(&path, &full).await?;
        let stat = stat.ok_or_else(|| FileError::NotFound { path: path.clone() })?;
        if info_of(&stat).kind != FileKind::Directory {
            return Err(FileError::WrongKind {
                path,
                expected: "a directory",
            });
        }
        let command = Command::UploadDirectory(UploadDirectory {
            path: full,
            max_size: None,
            block_size: BLOCK_BYTES as u64,
            compress: None,
        });
        let outlet = self.start(&command).await?;
        Ok(Some(Box::new(RemoteArchive::new(path, outlet))))
    }
}
