//! Directories of a worker become artifacts: file by file, or all at once as an archive where the worker makes one.

use bytes::Bytes;
use toolpost_core::kept::artifact_name_fault;
use toolpost_sandbox::host::{HostError, UploadRoom, UploadedDirectory};
use toolpost_store::ArtifactWriter;
use toolpost_worker::FileKind;

use super::artifacts::{Artifacts, file_error, not_there};
use super::internal;
use super::unpack::{BadArchive, Entry, EntryKind, Part, Unpacker};
use crate::worker::LinkArchive;

/// How deep directories may be nested.
const DEPTH_MAX: usize = 100;

/// Files, directories and links below a directory that is uploaded, as the contract says: they are looked at before the first file
/// is kept, unless they come as an archive.
const ENTRIES_MAX: usize = 100_000;

/// What in a path makes it a pattern.
const PATTERN_SIGNS: [char; 4] = ['*', '?', '[', '{'];

/// A file below a directory that is uploaded.
struct Found {
    path: String,
    name: String,
}

impl Artifacts<'_> {
    /// Keeps each file below a directory.
    pub(crate) async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        room: &UploadRoom,
        skipped_max: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let root = self.step.path(path);
        let mut uploaded = self.upload_below(root, name, room, skipped_max).await?;
        uploaded.skipped.truncate(skipped_max);
        Ok(uploaded)
    }

    /// The files and directories of the worker that a path or a pattern stands for, relative to the build's directory.
    pub(crate) async fn find_on_worker(&self, source: &str) -> Result<Vec<String>, HostError> {
        let path = self.step.path(source);
        if !source.contains(PATTERN_SIGNS) {
            return Ok(vec![path]);
        }
        let found = self.files.glob(path).await.map_err(file_error)?;
        match found.is_empty() {
            true => Err(HostError::Permanent(format!(
                "nothing on the worker fits `{source}`"
            ))),
            false => Ok(found),
        }
    }

    /// Keeps a file, or each file below a directory; the path is relative to the build's directory.
    pub(crate) async fn upload_whatever(
        &self,
        path: String,
        name: &str,
        room: &UploadRoom,
    ) -> Result<UploadedDirectory, HostError> {
        let stat = self.files.stat(path.clone()).await.map_err(file_error)?;
        let info = stat.ok_or_else(|| not_there(&path))?;
        if info.kind == FileKind::Directory {
            return self.upload_below(path, name, room, ENTRIES_MAX).await;
        }
        Ok(UploadedDirectory {
            files: vec![self.keep(path, name.to_owned(), room).await?],
            skipped: Vec::new(),
        })
    }

    async fn upload_below(
        &self,
        root: String,
        name: &str,
        room: &UploadRoom,
        skipped_max: usize,
    ) -> Result<UploadedDirectory, HostError> {
        let mut uploaded = UploadedDirectory::default();
        let mut found = match self.files.pack(root.clone()).await.map_err(file_error)? {
            Some(archive) => {
                let unpacking = Unpacking {
                    artifacts: self,
                    root: &root,
                    name,
                    room,
                    skipped_max,
                    uploaded: &mut uploaded,
                    writing: None,
                    links: Vec::new(),
                    seen: 0,
                };
                unpacking.run(archive).await?
            }
            None => self.walk(root, name, &mut uploaded.skipped).await?,
        };
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for Found { path, name } in found {
            uploaded.files.push(self.keep(path, name, room).await?);
        }
        uploaded.files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(uploaded)
    }

    /// The files below a directory with the names that they get; paths of what cannot be uploaded go to `skipped`.
    async fn walk(
        &self,
        root: String,
        name: &str,
        skipped: &mut Vec<String>,
    ) -> Result<Vec<Found>, HostError> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut open = vec![(root.clone(), String::new(), 0)];
        while let Some((dir, below, depth)) = open.pop() {
            self.go_on()?;
            let entries = self.files.list(dir.clone()).await.map_err(file_error)?;
            seen += entries.len();
            if seen > ENTRIES_MAX {
                return Err(too_many(&root));
            }
            for entry in entries {
                let path = format!("{dir}/{}", entry.name);
                let below = join(&below, &entry.name);
                let name = join(name, &below);
                let kind = match entry.kind {
                    FileKind::Symlink => self.linked(&path).await,
                    kind => Some(kind),
                };
                match kind {
                    Some(FileKind::Directory)
                        if entry.kind == FileKind::Directory && depth < DEPTH_MAX =>
                    {
                        open.push((path, below, depth + 1));
                    }
                    Some(FileKind::File) if artifact_name_fault(&name).is_none() => {
                        found.push(Found { path, name });
                    }
                    _ => skipped.push(below),
                }
            }
        }
        Ok(found)
    }

    /// What a symbolic link leads to; `None` when that is nowhere, or outside.
    async fn linked(&self, path: &str) -> Option<FileKind> {
        let info = self.files.stat(path.to_owned()).await.ok()??;
        Some(info.kind)
    }
}

/// An archive that becomes artifacts.
struct Unpacking<'u, 'a> {
    artifacts: &'u Artifacts<'a>,
    root: &'u str,
    name: &'u str,
    room: &'u UploadRoom,
    skipped_max: usize,
    uploaded: &'u mut UploadedDirectory,
    /// The file that comes now, and how much of it came; `None` for one that is left out.
    writing: Option<(ArtifactWriter, u64)>,
    /// What is to be looked at again, below the directory.
    links: Vec<String>,
    seen: usize,
}

impl Unpacking<'_, '_> {
    /// Keeps what comes; the files that links lead to, which are still to be kept.
    async fn run(mut self, mut archive: Box<dyn LinkArchive>) -> Result<Vec<Found>, HostError> {
        let mut unpacker = Unpacker::default();
        while let Some(bytes) = archive.next().await.map_err(file_error)? {
            self.artifacts.go_on()?;
            unpacker.push(bytes);
            while let Some(part) = unpacker.next().map_err(|bad| self.bad(&bad))? {
                match part {
                    Part::Begin(entry) => self.begin(entry).await?,
                    Part::Data(bytes) => self.write(bytes).await?,
                    Part::End => self.end().await?,
                }
            }
        }
        unpacker.finish().map_err(|bad| self.bad(&bad))?;
        let mut found = Vec::new();
        for below in std::mem::take(&mut self.links) {
            self.artifacts.go_on()?;
            let path = format!("{}/{below}", self.root);
            match self.artifacts.linked(&path).await {
                Some(FileKind::File) => found.push(Found {
                    name: join(self.name, &below),
                    path,
                }),
                _ => self.skip(below),
            }
        }
        Ok(found)
    }

    async fn begin(&mut self, entry: Entry) -> Result<(), HostError> {
        self.seen += 1;
        if self.seen > ENTRIES_MAX {
            return Err(too_many(self.root));
        }
        let below = entry.path.strip_prefix("./").unwrap_or(&entry.path);
        let below = below.trim_end_matches('/').to_owned();
        let name = join(self.name, &below);
        // Whatever the archive says: no name leads out, and none is so long that many of them count.
        let is_good =
            artifact_name_fault(&name).is_none() && below.matches('/').count() < DEPTH_MAX;
        match entry.kind {
            // They are there when there is something in them.
            EntryKind::Directory => {}
            EntryKind::File if is_good => {
                let writer = self.artifacts.begin(name, entry.mode, self.room).await?;
                self.writing = Some((writer, 0));
            }
            EntryKind::Link if is_good => self.links.push(below),
            _ => self.skip(below),
        }
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), HostError> {
        let Some((writer, written)) = &mut self.writing else {
            return Ok(());
        };
        let length = bytes.len() as u64;
        self.room.take_bytes(*written, length)?;
        *written += length;
        writer.write(bytes).await.map_err(internal)
    }

    async fn end(&mut self) -> Result<(), HostError> {
        if let Some((writer, _)) = self.writing.take() {
            self.uploaded.files.push(self.artifacts.end(writer).await?);
        }
        Ok(())
    }

    fn skip(&mut self, below: String) {
        if self.uploaded.skipped.len() < self.skipped_max {
            self.uploaded.skipped.push(below);
        }
    }

    fn bad(&self, bad: &BadArchive) -> HostError {
        let root = self.root;
        HostError::Permanent(format!(
            "the worker's archive of `{root}` is damaged: {bad}"
        ))
    }
}

fn too_many(root: &str) -> HostError {
    HostError::Permanent(format!(
        "below `{root}` are more than {ENTRIES_MAX} files and directories, which is as many as are looked at"
    ))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}
