//! Removing and copying whole trees. Every step is relative to an open directory and follows no
//! symbolic link, so that a tree that changes meanwhile leads nowhere else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::files::entries::names_of;
use crate::files::error::FileError;
use crate::files::root::{DIR_MODE, Root, text};
use crate::files::{CopySummary, FileKind};
use crate::options::Limits;

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What the owner needs to empty a directory.
const OWNER_ALL: Mode = Mode::RWXU;

/// Looks again at a directory in which something appears while it is emptied.
const EMPTY_TRIES_MAX: u32 = 8;

pub(crate) fn remove(root: &Root, path: &str, depth_max: usize) -> Result<(), FileError> {
    let (parent, name) = root.parent_of(path)?;
    let remover = Remover { depth_max, path };
    remover.remove(parent.as_fd(), &name, 0)
}

struct Remover<'a> {
    depth_max: usize,
    path: &'a str,
}

impl Remover<'_> {
    fn remove(&self, parent: BorrowedFd<'_>, name: &OsStr, depth: usize) -> Result<(), FileError> {
        let failed = |error: Errno| FileError::io("remove", shown(self.path, name, depth), error);
        match fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => return Ok(()),
            // Linux and POSIX name the attempt on a directory differently.
            Err(Errno::ISDIR | Errno::PERM) if is_dir(parent, name) => {}
            Err(error) => return Err(failed(error)),
        }
        too_deep(self.path, depth, self.depth_max)?;
        let mut result = Ok(());
        for _ in 0..EMPTY_TRIES_MAX {
            let dir = open_to_empty(parent, name).map_err(failed)?;
            self.empty(&dir, depth)?;
            result = fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
            if result != Err(Errno::NOTEMPTY) {
                break;
            }
        }
        result.map_err(failed)
    }

    fn empty(&self, dir: &OwnedFd, depth: usize) -> Result<(), FileError> {
        let failed = |error: Errno| FileError::io("list", self.path, error);
        let names: Vec<OsString> = names_of(dir.as_fd())
            .and_then(|entries| entries.map(|entry| entry.map(|(name, _)| name)).collect())
            .map_err(failed)?;
        for name in names {
            match self.remove(dir.as_fd(), &name, depth + 1) {
                // Somebody else was first.
                Ok(()) | Err(FileError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_dir(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileKind::from_mode(stat.st_mode) == FileKind::Directory)
}

/// The path for an error: the one that was asked for, and which entry in it.
fn shown(path: &str, name: &OsStr, depth: usize) -> String {
    match depth {
        0 => path.to_owned(),
        _ => format!("{path}: {}", text(name)),
    }
}

/// Opens a directory that is about to be emptied; one without the permissions for that gets them.
fn open_to_empty(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let dir = match fs::openat(parent, name, DIR_FLAGS, Mode::empty()) {
        Err(Errno::ACCESS) => {
            fs::chmodat(parent, name, OWNER_ALL, AtFlags::empty())?;
            fs::openat(parent, name, DIR_FLAGS, Mode::empty())?
        }
        opened => opened?,
    };
    let mode = Mode::from_raw_mode(fs::fstat(&dir)?.st_mode);
    if !mode.contains(OWNER_ALL) {
        // Whoever may not do this learns it from the removal itself.
        let _ = fs::fchmod(&dir, mode | OWNER_ALL);
    }
    Ok(dir)
}

pub(crate) fn copy(
    root: &Root,
    from: &str,
    to: &str,
    limits: &Limits,
) -> Result<CopySummary, FileError> {
    let (source, name) = root.parent_of(from)?;
    let (target, new_name) = root.parent_of(to)?;
    let mut copier = Copier {
        limits,
        from,
        target_dir: None,
        summary: CopySummary::default(),
    };
    copier.copy(source.as_fd(), &name, target.as_fd(), &new_name, 0)?;
    Ok(copier.summary)
}

struct Copier<'a> {
    limits: &'a Limits,
    from: &'a str,
    /// Device and inode of the directory that the copy made first: it is not copied into itself.
    target_dir: Option<(u64, u64)>,
    summary: CopySummary,
}

impl Copier<'_> {
    fn copy(
        &mut self,
        from: BorrowedFd<'_>,
        name: &OsStr,
        to: BorrowedFd<'_>,
        new_name: &OsStr,
        depth: usize,
    ) -> Result<(), FileError> {
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.failed(name, error))?;
        self.count_entry()?;
        match FileKind::from_mode(stat.st_mode) {
            FileKind::File => {
                self.summary.bytes += copy_file(from, name, to, new_name)
                    .map_err(|error| FileError::io("copy", self.shown(name), error))?;
                Ok(())
            }
            FileKind::Symlink => {
                copy_link(from, name, to, new_name).map_err(|error| self.failed(name, error))
            }
            FileKind::Directory => self.copy_dir(from, name, to, new_name, depth),
            FileKind::Other => {
                self.summary.entries -= 1;
                self.summary.skipped += 1;
                Ok(())
            }
        }
    }

    fn copy_dir(
        &mut self,
        from: BorrowedFd<'_>,
        name: &OsStr,
        to: BorrowedFd<'_>,
        new_name: &OsStr,
        depth: usize,
    ) -> Result<(), FileError> {
        too_deep(self.from, depth, self.limits.tree_depth_max)?;
        let (source, stat) = open_dir(from, name).map_err(|error| self.failed(name, error))?;
        if self.target_dir == Some(identity(&stat)) {
            return Err(FileError::InvalidPath {
                path: self.from.to_owned(),
                reason: "a directory cannot be copied into itself",
            });
        }
        let target = match fs::mkdirat(to, new_name, DIR_MODE | OWNER_ALL) {
            Ok(()) | Err(Errno::EXIST) => open_dir(to, new_name),
            Err(error) => Err(error),
        };
        let (target, target_stat) = target.map_err(|error| self.failed(new_name, error))?;
        self.target_dir.get_or_insert(identity(&target_stat));
        if identity(&stat) == identity(&target_stat) {
            return Err(FileError::InvalidPath {
                path: self.from.to_owned(),
                reason: "a directory cannot be copied onto itself",
            });
        }
        for entry in names_of(source.as_fd()).map_err(|error| self.failed(name, error))? {
            let (child, _) = entry.map_err(|error| self.failed(name, error))?;
            self.copy(source.as_fd(), &child, target.as_fd(), &child, depth + 1)?;
        }
        keep_attributes(&target, &stat).map_err(|error| self.failed(new_name, error))
    }

    fn count_entry(&mut self) -> Result<(), FileError> {
        let limit = self.limits.copy_entries_max;
        if self.summary.entries == limit {
            return Err(FileError::TooLarge {
                path: self.from.to_owned(),
                what: "the number of files",
                limit: limit as u64,
                limit_name: "copy_entries_max",
            });
        }
        self.summary.entries += 1;
        Ok(())
    }

    fn shown(&self, name: &OsStr) -> String {
        let name = text(name);
        match self.from.ends_with(&name) {
            true => self.from.to_owned(),
            false => format!("{}: {name}", self.from),
        }
    }

    fn failed(&self, name: &OsStr, error: Errno) -> FileError {
        FileError::io("copy", self.shown(name), error)
    }
}

fn open_dir(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
    let dir = fs::openat(parent, name, DIR_FLAGS, Mode::empty())?;
    let stat = fs::fstat(&dir)?;
    Ok((dir, stat))
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the types of these numbers differ between systems"
)]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn copy_file(
    from: BorrowedFd<'_>,
    name: &OsStr,
    to: BorrowedFd<'_>,
    new_name: &OsStr,
) -> io::Result<u64> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(fs::openat(from, name, read, Mode::empty())?);
    let stat = fs::fstat(&source)?;
    let mut target = File::from(replace_entry(to, new_name, || {
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        fs::openat(to, new_name, create, Mode::RUSR | Mode::WUSR)
    })?);
    let bytes = io::copy(&mut source, &mut target)?;
    keep_attributes(&target, &stat)?;
    Ok(bytes)
}

fn copy_link(
    from: BorrowedFd<'_>,
    name: &OsStr,
    to: BorrowedFd<'_>,
    new_name: &OsStr,
) -> Result<(), Errno> {
    let target = fs::readlinkat(from, name, Vec::new())?;
    replace_entry(to, new_name, || {
        fs::symlinkat(target.as_c_str(), to, new_name)
    })
}

/// Makes an entry in the place of one that may exist and is no directory.
fn replace_entry<T>(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            fs::unlinkat(dir, name, AtFlags::empty())?;
            make()
        }
        made => made,
    }
}

fn keep_attributes(target: impl AsFd, stat: &Stat) -> Result<(), Errno> {
    fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime as _,
            tv_nsec: stat.st_atime_nsec as _,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime as _,
            tv_nsec: stat.st_mtime_nsec as _,
        },
    };
    fs::futimens(target, &times)
}

fn too_deep(path: &str, depth: usize, depth_max: usize) -> Result<(), FileError> {
    if depth < depth_max {
        return Ok(());
    }
    Err(FileError::TooLarge {
        path: path.to_owned(),
        what: "the depth of directories",
        limit: depth_max as u64,
        limit_name: "tree_depth_max",
    })
}
