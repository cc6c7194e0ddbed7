//! Files that a command writes and somebody follows: what is written there is output of the command.
//!
//! Looked at again and again, because not every file system tells of changes. A file that cannot be read now may be at the next
//! look; one that became shorter was begun anew.

use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use crate::command::output::{OutputSender, OutputStream, READ_BYTES, Room};
use crate::command::spec::LogFile;
use crate::files::{FileError, FileInfo, Files};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Files, as they were before their command started.
pub(crate) struct Watched {
    files: Files,
    all: Vec<File>,
}

/// Takes what is written to files.
pub(crate) struct Follower {
    watched: Watched,
    room: Room,
}

struct File {
    path: String,
    new_only: bool,
    /// What was there before, as long as that has not changed.
    before: Option<Stamp>,
    /// How far it was taken; `None` as long as there is nothing to take.
    at: Option<u64>,
}

/// What tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

impl From<FileInfo> for Stamp {
    fn from(info: FileInfo) -> Self {
        Self {
            size: info.size,
            modified: info.modified,
        }
    }
}

impl Watched {
    /// Looks at the files before their command starts.
    ///
    /// # Errors
    /// A path that can never be followed, because it leads out.
    pub(crate) async fn new(files: Files, log_files: &[LogFile]) -> Result<Self, FileError> {
        let mut all = Vec::with_capacity(log_files.len());
        for LogFile { path, new_only } in log_files {
            let before = match files.stat(path.as_str()).await {
                Ok(info) => info.map(Stamp::from),
                Err(error @ (FileError::Outside { .. } | FileError::InvalidPath { .. })) => {
                    return Err(error);
                }
                Err(_) => None,
            };
            all.push(File {
                path: path.clone(),
                new_only: *new_only,
                before,
                at: None,
            });
        }
        Ok(Self { files, all })
    }
}

impl Follower {
    pub(crate) fn new(watched: Watched, sender: OutputSender) -> Self {
        Self {
            watched,
            room: Room::new(sender),
        }
    }

    /// Takes what is written as long as this is polled; never returns. Nothing is lost when the future is dropped.
    pub(crate) async fn run(&mut self) {
        if self.watched.all.is_empty() {
            return std::future::pending().await;
        }
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look().await;
        }
    }

    /// Takes what is there now and was not taken yet: once more when the command has ended.
    pub(crate) async fn look(&mut self) {
        let Self {
            watched: Watched { files, all },
            room,
        } = self;
        for (index, file) in all.iter_mut().enumerate() {
            file.take(files, room, OutputStream::File(index)).await;
        }
    }
}

impl File {
    /// Takes as much as there was at the first read: others are looked at as well, whoever writes without end.
    async fn take(&mut self, files: &Files, room: &mut Room, stream: OutputStream) {
        let Some(mut at) = self.begin(files).await else {
            return;
        };
        let mut end = None;
        while end.is_none_or(|end| at < end) && room.ensure().await {
            let Ok(piece) = files.read(self.path.as_str(), at, READ_BYTES).await else {
                return;
            };
            if piece.file_size < at {
                at = 0;
                self.at = Some(at);
                continue;
            }
            if piece.bytes.is_empty() {
                return;
            }
            end.get_or_insert(piece.file_size);
            at += piece.bytes.len() as u64;
            // In one go with putting it into the queue, so that nothing comes twice.
            self.at = Some(at);
            room.put(stream, piece.bytes);
        }
    }

    /// Where to go on; `None` as long as the file is what it was before.
    async fn begin(&mut self, files: &Files) -> Option<u64> {
        if self.at.is_some() {
            return self.at;
        }
        let now = files.stat(self.path.as_str()).await.ok().flatten();
        let now = now.map(Stamp::from);
        if now == self.before {
            return None;
        }
        // One that is gone is made anew.
        let Some(now) = now else {
            self.before = None;
            return None;
        };
        let known = self.before.map_or(0, |before| before.size);
        self.at = Some(match self.new_only && known <= now.size {
            true => known,
            false => 0,
        });
        self.at
    }
}
