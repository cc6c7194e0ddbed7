//! Log files that a command writes and a master follows.

use std::collections::BTreeMap;
use std::time::Duration;

use toolpost_wire::{LogFile, Update};
use toolpost_worker::Files;

use super::lines::{Lines, Style};
use super::said;

/// How often the files are looked at.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The most that one look takes of one file.
const LOOK_BYTES_MAX: usize = 64 * 1024;

/// The files of one command.
pub(super) struct LogFiles {
    files: Files,
    followed: Vec<Followed>,
}

struct Followed {
    name: String,
    /// Beneath the base directory.
    path: String,
    at: u64,
    lines: Lines,
}

impl LogFiles {
    /// `path_of` gives the path of a file beneath the base directory, if it is there.
    pub(super) async fn new(
        files: Files,
        logfiles: BTreeMap<String, LogFile>,
        path_of: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<String>) {
        let mut followed = Vec::new();
        let mut refused = Vec::new();
        for (name, file) in logfiles {
            let Some(path) = path_of(&file.filename) else {
                refused.push(file.filename);
                continue;
            };
            let there = match file.follow {
                true => files.stat(&*path).await.ok().flatten(),
                false => None,
            };
            followed.push(Followed {
                name,
                path,
                at: there.map_or(0, |there| there.size),
                lines: Lines::default(),
            });
        }
        (Self { files, followed }, refused)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.followed.is_empty()
    }

    /// What was written since the last look; empty when there is nothing new. Nothing is lost when the future is dropped.
    pub(super) async fn look(&mut self, style: &Style) -> Vec<Update> {
        let mut updates = Vec::new();
        for file in &mut self.followed {
            // One that is not there yet, or not readable, may be at the next look.
            let read = self.files.read(&*file.path, file.at, LOOK_BYTES_MAX).await;
            let Ok(piece) = read else { continue };
            if piece.file_size < file.at {
                // It was begun anew.
                file.at = 0;
                continue;
            }
            file.at += piece.bytes.len() as u64;
            let text = file.lines.take(style, piece.bytes);
            updates.extend(text.map(|text| log(&file.name, text)));
        }
        updates
    }

    /// What is left of lines that have not ended.
    pub(super) fn finish(&mut self, style: &Style) -> Vec<Update> {
        let rests = self.followed.iter_mut().filter_map(|file| {
            let text = file.lines.finish(style)?;
            Some(log(&file.name, text))
        });
        rests.collect()
    }
}

fn log(name: &str, text: bytes::Bytes) -> Update {
    Update::Log {
        name: name.to_owned(),
        text: said(text),
    }
}
