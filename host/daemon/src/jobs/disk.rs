//! Commands that need no program: what is on the disk of this worker.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use toolpost_wire::{Command, CopyDir, FileStat, Update};
use toolpost_worker::{FileError, FileKind, Files};

use super::{Abandoned, Bench, said};
use crate::paths::{beneath, pattern_beneath};

impl Bench {
    /// Everything beneath the base directory.
    pub(super) fn files(&self) -> Files {
        self.worker.files("")
    }

    pub(super) fn beneath(&self, path: &str) -> Result<String, FileError> {
        beneath(&self.base_dir, path)
    }

    /// Does what is neither a program nor a transfer.
    pub(super) async fn disk(
        &self,
        command: Command,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let name = command.name().to_owned();
        let outcome = self.on_disk(command).await;
        self.report(&name, outcome, begun).await
    }

    async fn on_disk(&self, command: Command) -> Result<Vec<Update>, FileError> {
        let files = self.files();
        match command {
            Command::MakeDirs { paths } => {
                for path in paths {
                    files.create_dir(self.beneath(&path)?).await?;
                }
                Ok(Vec::new())
            }
            Command::RemoveDirs(remove) => {
                for path in remove.paths {
                    files.remove(self.beneath(&path)?).await?;
                }
                Ok(Vec::new())
            }
            Command::CopyDir(copy) => self.copy(copy).await,
            Command::RemoveFile { path } => {
                files.remove_file(self.beneath(&path)?).await?;
                Ok(Vec::new())
            }
            Command::Stat { path } => {
                let metadata = files.metadata(self.beneath(&path)?).await?;
                Ok(vec![Update::Stat(stat(&metadata))])
            }
            Command::Glob { path } => {
                let pattern = pattern_beneath(&self.base_dir, &path)?;
                let found = files.glob(pattern).await?;
                let base_dir = self.base_dir.trim_end_matches('/');
                let found = found.into_iter().map(|path| format!("{base_dir}/{path}"));
                Ok(vec![Update::Files(found.collect())])
            }
            Command::ListDir { path } => {
                let entries = files.list(self.beneath(&path)?).await?;
                let names = entries.into_iter().map(|entry| entry.name);
                Ok(vec![Update::Files(names.collect())])
            }
            command => Err(FileError::InvalidPath {
                path: command.name().to_owned(),
                reason: "this worker has no such command",
            }),
        }
    }

    /// As `cp -R` does it: into a directory that exists, unless only what is in the other one is meant.
    async fn copy(&self, copy: CopyDir) -> Result<Vec<Update>, FileError> {
        let files = self.files();
        let contents_only = copy.from_path.ends_with("/.");
        let from = self.beneath(copy.from_path.trim_end_matches("/."))?;
        let mut to = self.beneath(&copy.to_path)?;
        let name = from.trim_end_matches('/').rsplit('/').next();
        if let (false, Some(name)) = (contents_only, name)
            && let Some(there) = files.stat(&*to).await?
            && there.kind == FileKind::Directory
        {
            to = format!("{to}/{name}");
        }
        let summary = files.copy(from, to).await?;
        let text = format!(
            "copied {} entries, {} bytes\n",
            summary.entries, summary.bytes
        );
        Ok(vec![Update::Stdout(said(text))])
    }
}

fn stat(metadata: &Metadata) -> FileStat {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    FileStat {
        mode: metadata.mode().into(),
        inode: signed(metadata.ino()),
        device: signed(metadata.dev()),
        links: signed(metadata.nlink()),
        user: metadata.uid().into(),
        group: metadata.gid().into(),
        size: signed(metadata.size()),
        accessed: metadata.atime(),
        modified: metadata.mtime(),
        changed: metadata.ctime(),
    }
}
