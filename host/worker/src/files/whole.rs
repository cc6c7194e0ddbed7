//! Files that are read or written from one end to the other, piece by piece.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::files::error::FileError;
use crate::files::piece::{create_beside, permissions, regular};
use crate::files::root::Root;

/// A file that takes its place once it is whole. Dropping it before leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    path: String,
    dir: OwnedFd,
    name: OsString,
    /// Its name until it is whole.
    temporary: Option<OsString>,
    file: File,
}

/// Opens a regular file to be read.
pub(crate) fn open(root: &Root, path: &str) -> Result<File, FileError> {
    // Without blocking: opening a named pipe would wait for its writer.
    let fd = root.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    regular(fd, path)
}

/// Begins a file; directories above it are made.
pub(crate) fn create(root: &Root, path: &str) -> Result<NewFile, FileError> {
    if let Some((parents, _)) = path.rsplit_once('/') {
        root.descend(parents, true)?;
    }
    let failed = |error: Errno| FileError::io("write", path, error);
    let (dir, name) = root.parent_of(path)?;
    let (temporary, file) = create_beside(&dir).map_err(failed)?;
    Ok(NewFile {
        path: path.to_owned(),
        dir,
        name,
        temporary: Some(temporary),
        file,
    })
}

/// Removes what is no directory.
pub(crate) fn remove_file(root: &Root, path: &str) -> Result<(), FileError> {
    let (dir, name) = root.parent_of(path)?;
    let removed = fs::unlinkat(&dir, &name, AtFlags::empty());
    removed.map_err(|error| {
        let stat = fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW);
        let is_dir =
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        // Linux and POSIX name the attempt on a directory differently.
        let error = if is_dir { Errno::ISDIR } else { error };
        FileError::io("remove", path, error)
    })
}

impl NewFile {
    /// Puts bytes at its end. Blocks.
    ///
    /// # Errors
    /// What the system says, such as that the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| FileError::io("write", &self.path, error))
    }

    /// Puts it in its place, with these permissions or else those of the file that it replaces. Blocks.
    ///
    /// # Errors
    /// There is a directory in its place, or what the system says.
    pub fn finish(mut self, mode: Option<u32>) -> Result<(), FileError> {
        let failed = |error: io::Error| FileError::io("write", &self.path, error);
        let old = fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let kept = match old.map(|old| (FileType::from_raw_mode(old.st_mode), old.st_mode)) {
            Some((FileType::Directory, _)) => return Err(failed(Errno::ISDIR.into())),
            Some((FileType::RegularFile, mode)) => Some(Mode::from_raw_mode(mode & 0o7777)),
            _ => None,
        };
        if let Some(mode) = mode.map(permissions).or(kept) {
            fs::fchmod(&self.file, mode).map_err(|error| failed(error.into()))?;
        }
        if let Some(temporary) = &self.temporary {
            let renamed = fs::renameat(&self.dir, temporary, &self.dir, &self.name);
            renamed.map_err(|error| failed(error.into()))?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // What went wrong before matters more than a file that cannot be removed either.
            let _ = fs::unlinkat(&self.dir, &temporary, AtFlags::empty());
        }
    }
}
