//! File operations beneath one build's directory.

mod archive;
mod entries;
mod error;
mod pattern;
mod piece;
mod root;
mod tree;
mod whole;

use std::fs::{File, Metadata};
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::command::Launcher;
use crate::options::Limits;

pub use error::FileError;
pub(crate) use root::Root;
pub use whole::NewFile;

/// The files of one build. Paths are relative to the build's directory, with `/` between names; none
/// leads out of it, neither by `..` nor through a symbolic link. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Files {
    launcher: Arc<Launcher>,
    build_dir: String,
    limits: Arc<Limits>,
    slots: Arc<Semaphore>,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes from the offset that was asked for; fewer than asked for only at the end of the file.
    pub bytes: Bytes,
    /// The size of the whole file at that moment, in bytes.
    pub file_size: u64,
}

/// What writing does to a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// A new file takes its place at once and whole; readers see the old or the new one.
    Replace,
    /// The bytes go to its end.
    Append,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// What the file system knows of a path. Symbolic links are followed, as far as they stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// What it is; never a symbolic link.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its permissions, such as `0o755`.
    pub mode: u32,
    /// When its contents last changed.
    pub modified: SystemTime,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name (with replacement characters where it is not UTF-8).
    pub name: String,
    /// What it is; a symbolic link is not followed.
    pub kind: FileKind,
}

/// What a copy made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopySummary {
    /// Files, symbolic links and directories.
    pub entries: usize,
    /// Contents of files.
    pub bytes: u64,
    /// Sockets, pipes and devices, which are not copied.
    pub skipped: usize,
}

impl Files {
    pub(crate) fn new(
        launcher: Arc<Launcher>,
        build_dir: String,
        limits: Arc<Limits>,
        slots: Arc<Semaphore>,
    ) -> Self {
        Self {
            launcher,
            build_dir,
            limits,
            slots,
        }
    }

    /// Reads up to `length` bytes from `offset` on, at most as many as the worker's limit for one
    /// piece. Past the end of the file there are none.
    pub async fn read(
        &self,
        path: impl Into<String>,
        offset: u64,
        length: usize,
    ) -> Result<Piece, FileError> {
        let path = path.into();
        let length = length.min(self.limits.file_piece_bytes_max);
        self.run(false, move |root, _| {
            piece::read(root, &path, offset, length)
        })
        .await
    }

    /// Writes a file with these permissions (by default those of the file that it replaces, or
    /// `0o644`), in a directory that exists.
    pub async fn write(
        &self,
        path: impl Into<String>,
        bytes: Bytes,
        write: WriteMode,
        mode: Option<u32>,
    ) -> Result<(), FileError> {
        let path = path.into();
        self.run(true, move |root, limits| {
            piece::write(root, &path, &bytes, write, mode, limits)
        })
        .await
    }

    /// What lies at the path, or `None`.
    pub async fn stat(&self, path: impl Into<String>) -> Result<Option<FileInfo>, FileError> {
        let path = path.into();
        let found = self
            .run(false, move |root, _| entries::stat(root, &path))
            .await;
        match found {
            Ok(info) => Ok(Some(info)),
            Err(FileError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything that the system knows of what is at the path.
    pub async fn metadata(&self, path: impl Into<String>) -> Result<Metadata, FileError> {
        let path = path.into();
        self.run(false, move |root, _| entries::metadata(root, &path))
            .await
    }

    /// Opens a regular file to be read to its end; it stays the same one whatever becomes of its path.
    pub async fn open(&self, path: impl Into<String>) -> Result<File, FileError> {
        let path = path.into();
        self.run(false, move |root, _| whole::open(root, &path))
            .await
    }

    /// Begins a file that is written piece by piece; directories above it are made.
    pub async fn create(&self, path: impl Into<String>) -> Result<NewFile, FileError> {
        let path = path.into();
        self.run(true, move |root, _| whole::create(root, &path))
            .await
    }

    /// Writes what is in a directory to `sink` as a tar archive, compressed or not; stops when `sink` takes no more. Symbolic
    /// links are kept as links.
    pub async fn archive(
        &self,
        path: impl Into<String>,
        gzip: bool,
        sink: impl Write + Send + 'static,
    ) -> Result<(), FileError> {
        let path = path.into();
        self.run(false, move |root, limits| {
            archive::archive(root, &path, gzip, sink, limits)
        })
        .await
    }

    /// Removes a file or a symbolic link; a directory is an error.
    pub async fn remove_file(&self, path: impl Into<String>) -> Result<(), FileError> {
        let path = path.into();
        self.run(false, move |root, _| whole::remove_file(root, &path))
            .await
    }

    /// Makes a directory and those above it; it may exist.
    pub async fn create_dir(&self, path: impl Into<String>) -> Result<(), FileError> {
        let path = path.into();
        self.run(true, move |root, _| root.descend(&path, true).map(drop))
            .await
    }

    /// Removes a file, a symbolic link, or a directory with everything in it; whether there was one.
    pub async fn remove(&self, path: impl Into<String>) -> Result<bool, FileError> {
        let path = path.into();
        let removed = self
            .run(false, move |root, limits| {
                tree::remove(root, &path, limits.tree_depth_max)
            })
            .await;
        match removed {
            Ok(()) => Ok(true),
            Err(FileError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies a file or a directory with everything in it, with permissions and times. Files that
    /// exist are replaced, directories that exist are filled up; symbolic links are copied as links.
    pub async fn copy(
        &self,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Result<CopySummary, FileError> {
        let (from, to) = (from.into(), to.into());
        self.run(true, move |root, limits| {
            tree::copy(root, &from, &to, limits)
        })
        .await
    }

    /// The entries of a directory, by name.
    pub async fn list(&self, path: impl Into<String>) -> Result<Vec<DirEntry>, FileError> {
        let path = path.into();
        self.run(false, move |root, limits| {
            entries::list(root, &path, limits.list_entries_max)
        })
        .await
    }

    /// The paths that match, by name: `*` and `?` within a name, `**` across directories, `[a-z]` and
    /// `{a,b}`. Names that begin with `.` match only when a name in the pattern does; symbolic links
    /// match and are not followed.
    pub async fn glob(&self, pattern: impl Into<String>) -> Result<Vec<String>, FileError> {
        let pattern = pattern.into();
        self.run(false, move |root, limits| {
            pattern::glob(root, &pattern, limits)
        })
        .await
    }

    /// Runs one operation on a thread that may block, in the build's directory, which is made first
    /// when the operation is one that makes things.
    async fn run<T: Send + 'static>(
        &self,
        create: bool,
        operation: impl FnOnce(&Root, &Limits) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let this = self.clone();
        let work = move || {
            let _slot = slot;
            let _rights = this.launcher.rights()?;
            let root = this.launcher.base.descend(&this.build_dir, create)?;
            operation(&root, &this.limits)
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(FileError::Stopped))
    }
}
