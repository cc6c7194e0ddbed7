//! Looking at paths and listing directories.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{self, AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use crate::files::error::FileError;
use crate::files::root::{Root, text};
use crate::files::{DirEntry, FileInfo, FileKind};

/// How a file is opened only to look at it. Without `O_PATH` a file has to be readable for that.
#[cfg(target_os = "linux")]
const LOOK_FLAGS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const LOOK_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Everything that the system knows of what is at a path.
pub(crate) fn metadata(root: &Root, path: &str) -> Result<Metadata, FileError> {
    let fd = root.open_beneath(path, LOOK_FLAGS)?;
    let metadata = File::from(fd).metadata();
    metadata.map_err(|error| FileError::io("look at", path, error))
}

pub(crate) fn stat(root: &Root, path: &str) -> Result<FileInfo, FileError> {
    let failed = |error| FileError::io("look at", path, error);
    let metadata = metadata(root, path)?;
    let file_type = metadata.file_type();
    Ok(FileInfo {
        kind: match (file_type.is_file(), file_type.is_dir()) {
            (true, _) => FileKind::File,
            (_, true) => FileKind::Directory,
            _ => FileKind::Other,
        },
        size: metadata.len(),
        mode: metadata.permissions().mode() & 0o7777,
        modified: metadata.modified().map_err(failed)?,
    })
}

pub(crate) fn list(
    root: &Root,
    path: &str,
    entries_max: usize,
) -> Result<Vec<DirEntry>, FileError> {
    let dir = root.descend(path, false)?;
    let failed = |error: Errno| FileError::io("list", path, error);
    let mut entries = Vec::new();
    let dir = dir.into_fd();
    for entry in names_of(dir.as_fd()).map_err(failed)? {
        let (name, kind) = entry.map_err(failed)?;
        if entries.len() == entries_max {
            return Err(FileError::TooLarge {
                path: path.to_owned(),
                what: "the number of entries",
                limit: entries_max as u64,
                limit_name: "list_entries_max",
            });
        }
        entries.push(DirEntry {
            name: text(&name),
            kind,
        });
    }
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// The entries of an open directory in no order, without `.` and `..`.
pub(crate) fn names_of(
    dir: BorrowedFd<'_>,
) -> Result<impl Iterator<Item = Result<(OsString, FileKind), Errno>> + '_, Errno> {
    let entries = Dir::read_from(dir)?;
    Ok(entries.filter_map(move |entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        if is_self_or_parent(entry.file_name()) {
            return None;
        }
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        let kind = match entry.file_type() {
            FileType::Unknown => match fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileKind::from_mode(stat.st_mode),
                // Gone since it was listed.
                Err(Errno::NOENT) => return None,
                Err(error) => return Some(Err(error)),
            },
            known => FileKind::from_type(known),
        };
        Some(Ok((name, kind)))
    }))
}

fn is_self_or_parent(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

impl FileKind {
    pub(crate) fn from_mode(mode: fs::RawMode) -> Self {
        Self::from_type(FileType::from_raw_mode(mode))
    }

    pub(crate) fn from_type(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Other,
        }
    }
}
