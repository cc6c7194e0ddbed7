//! Reading and writing pieces of files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::files::error::{A_FILE, FileError};
use crate::files::root::Root;
use crate::files::{Piece, WriteMode};
use crate::options::Limits;

/// The permissions of a new file, less what the umask takes.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

pub(crate) fn read(
    root: &Root,
    path: &str,
    offset: u64,
    length: usize,
) -> Result<Piece, FileError> {
    let failed = |error: io::Error| FileError::io("read", path, error);
    // Without blocking: opening a named pipe would wait for its writer.
    let fd = root.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let file = regular(fd, path)?;
    let file_size = file.metadata().map_err(failed)?.len();
    let length = file_size.saturating_sub(offset).min(length as u64);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(filled);
    Ok(Piece {
        bytes: bytes.into(),
        file_size,
    })
}

pub(crate) fn write(
    root: &Root,
    path: &str,
    bytes: &Bytes,
    write: WriteMode,
    mode: Option<u32>,
    limits: &Limits,
) -> Result<(), FileError> {
    let piece_max = limits.file_piece_bytes_max;
    if bytes.len() > piece_max {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            what: "one piece",
            limit: piece_max as u64,
            limit_name: "file_piece_bytes_max",
        });
    }
    match write {
        WriteMode::Replace => replace(root, path, bytes, mode),
        WriteMode::Append => append(root, path, bytes, mode, limits.file_bytes_max),
    }
}

/// Writes beside the old file and renames over it; nothing is left behind on failure.
fn replace(root: &Root, path: &str, bytes: &[u8], mode: Option<u32>) -> Result<(), FileError> {
    let failed = |error: Errno| FileError::io("write", path, error);
    let (dir, name) = root.parent_of(path)?;
    let old = fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW).ok();
    let kept = match old.map(|old| (FileType::from_raw_mode(old.st_mode), old.st_mode)) {
        Some((FileType::Directory, _)) => return Err(failed(Errno::ISDIR)),
        Some((FileType::RegularFile, mode)) => Some(Mode::from_raw_mode(mode & 0o7777)),
        _ => None,
    };
    let mode = mode.map(permissions).or(kept);
    let (temporary, mut file) = create_beside(&dir).map_err(failed)?;
    let result = (|| {
        file.write_all(bytes)?;
        set_mode(&file, mode)?;
        fs::renameat(&dir, &temporary, &dir, &name)?;
        Ok(())
    })();
    result.map_err(|error: io::Error| {
        // What went wrong before matters more than a file that cannot be removed either.
        let _ = fs::unlinkat(&dir, &temporary, AtFlags::empty());
        FileError::io("write", path, error)
    })
}

fn append(
    root: &Root,
    path: &str,
    bytes: &[u8],
    mode: Option<u32>,
    file_bytes_max: u64,
) -> Result<(), FileError> {
    let failed = |error: io::Error| FileError::io("append to", path, error);
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
    let fd = match root.open_beneath(path, flags) {
        Err(FileError::NotFound { .. }) => {
            let (dir, name) = root.parent_of(path)?;
            let create = flags | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fs::openat(&dir, &name, create, FILE_MODE).map_err(|error| failed(error.into()))?
        }
        opened => opened?,
    };
    let mut file = regular(fd, path)?;
    let size = file.metadata().map_err(failed)?.len();
    if size.saturating_add(bytes.len() as u64) > file_bytes_max {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            what: "the size",
            limit: file_bytes_max,
            limit_name: "file_bytes_max",
        });
    }
    file.write_all(bytes).map_err(failed)?;
    set_mode(&file, mode.map(permissions)).map_err(failed)
}

/// The open file, if it is one.
pub(crate) fn regular(fd: OwnedFd, path: &str) -> Result<File, FileError> {
    let stat = fs::fstat(&fd).map_err(|error| FileError::io("look at", path, error))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(File::from(fd)),
        _ => Err(FileError::WrongKind {
            path: path.to_owned(),
            expected: A_FILE,
        }),
    }
}

fn set_mode(file: &File, mode: Option<Mode>) -> io::Result<()> {
    match mode {
        Some(mode) => Ok(fs::fchmod(file, mode)?),
        None => Ok(()),
    }
}

/// The permissions that a number asks for; other bits are ignored.
pub(crate) fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as fs::RawMode)
}

/// A new file in this directory under a name that nobody else takes.
pub(crate) fn create_beside(dir: impl AsFd) -> Result<(OsString, File), Errno> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!(".toolpost-{}-{number}", std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match fs::openat(&dir, &name, flags, FILE_MODE) {
            Ok(fd) => return Ok((name, File::from(fd))),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}
