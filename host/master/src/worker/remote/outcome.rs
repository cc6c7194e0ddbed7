//! What a worker says of its files, and what it means.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use toolpost_wire::{CommandEvent, FileStat, Update};
use toolpost_worker::{FileError, FileInfo, FileKind};

use super::FILE_WAIT_MAX;

/// What a worker says about a failure is kept up to this many bytes.
const SAID_BYTES_MAX: usize = 4 * 1024;

/// What came of a command.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) rc: Option<i64>,
    pub(super) files: Vec<String>,
    pub(super) stat: Option<FileStat>,
    /// What it wrote on standard output, counted in lines.
    pub(super) lines: usize,
    pub(super) said: String,
}

impl Outcome {
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Rc(rc) => self.rc = Some(rc),
            Update::Files(files) => self.files = files,
            Update::Stat(stat) => self.stat = Some(stat),
            Update::Stdout(text) => {
                self.lines += text.bytes.iter().filter(|byte| **byte == b'\n').count();
            }
            Update::Stderr(text) => self.say(&text.bytes),
            Update::Header(text) if self.said.is_empty() => {
                // The only word about a failure of a command that runs no program.
                let line = String::from_utf8_lossy(&text.bytes);
                if self.rc.is_some_and(|rc| rc != 0) {
                    self.say(line.as_bytes());
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        let room = SAID_BYTES_MAX.saturating_sub(self.said.len());
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(room)]);
        self.said.push_str(&text);
    }
}

/// Whether a command is over, and how.
pub(super) fn ended(path: &str, event: CommandEvent) -> Option<Result<(), FileError>> {
    let failed = |reason: String| {
        let line = reason.lines().next().unwrap_or_default().to_owned();
        FileError::Io {
            action: "reach",
            path: path.to_owned(),
            source: io::Error::other(line),
        }
    };
    match event {
        CommandEvent::Complete(None) => Some(Ok(())),
        CommandEvent::Complete(Some(reason)) | CommandEvent::Refused(reason) => {
            Some(Err(failed(reason)))
        }
        CommandEvent::Gone { .. } => Some(Err(FileError::Stopped)),
        CommandEvent::Abandoned => {
            let limit = FILE_WAIT_MAX.as_secs();
            Some(Err(failed(format!(
                "the worker was not done after {limit} s"
            ))))
        }
        _ => None,
    }
}

pub(super) fn is_missing(rc: i64) -> bool {
    // ENOENT and ENOTDIR, the same everywhere.
    rc == 2 || rc == 20
}

/// Whether the worker may not do it.
pub(super) fn is_refusal(error: &FileError) -> bool {
    matches!(error, FileError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
}

/// What a code means. Commands without a program give the system's number, others what their program gives.
pub(super) fn failed(action: &'static str, path: &str, rc: Option<i64>, said: &str) -> FileError {
    let path = path.to_owned();
    let said = said.trim();
    match rc {
        Some(2) => FileError::NotFound { path },
        Some(20) => FileError::WrongKind {
            path,
            expected: "a directory",
        },
        Some(21) => FileError::WrongKind {
            path,
            expected: "a file",
        },
        // Whoever asked may want to tell it from other failures; the words say more.
        Some(13) if !said.is_empty() => FileError::Io {
            action,
            path,
            source: io::Error::new(io::ErrorKind::PermissionDenied, said.to_owned()),
        },
        _ if said.contains("No such file") => FileError::NotFound { path },
        Some(0) if said.is_empty() => FileError::Io {
            action,
            path,
            source: io::Error::other("the worker says that it went well, and not what came of it"),
        },
        Some(rc) if said.is_empty() => FileError::Io {
            action,
            path,
            source: i32::try_from(rc).map_or_else(
                |_| io::Error::other(format!("code {rc}")),
                io::Error::from_raw_os_error,
            ),
        },
        _ => FileError::Io {
            action,
            path,
            source: io::Error::other(said.to_owned()),
        },
    }
}

pub(super) fn info_of(stat: &FileStat) -> FileInfo {
    let mode = u32::try_from(stat.mode).unwrap_or(0);
    let seconds = u64::try_from(stat.modified).unwrap_or(0);
    FileInfo {
        kind: kind_of(mode),
        size: u64::try_from(stat.size).unwrap_or(0),
        mode: mode & 0o7777,
        // A clock may say anything.
        modified: UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .unwrap_or(UNIX_EPOCH),
    }
}

fn kind_of(mode: u32) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_code_means_is_said() {
        let told = |rc, said| failed("look at", "x", rc, said).to_string();
        assert_eq!(told(Some(2), ""), "`x` does not exist on the worker");
        assert_eq!(
            told(Some(1), "tar: broken\n"),
            "cannot look at `x`: tar: broken"
        );
        assert_eq!(
            told(Some(0), ""),
            "cannot look at `x`: the worker says that it went well, and not what came of it"
        );
        assert!(is_refusal(&failed("read", "x", Some(13), "")));
        assert!(is_refusal(&failed("read", "x", Some(13), "not for you")));
    }
}
