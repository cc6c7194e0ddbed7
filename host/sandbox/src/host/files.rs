//! Facts about files on the worker.

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that leads nowhere, or outside.
    Symlink,
    /// A socket, a device.
    Other,
}

/// Facts about a path, through symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; 0 for directories.
    pub size: u64,
    /// Last change, milliseconds since 1970, UTC.
    pub modified_ms: u64,
}

/// What to do with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// Put the new content in its place.
    Replace,
    /// Put it at the end.
    Append,
}
