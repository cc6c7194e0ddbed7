//! A directory as a tar archive. No symbolic link is followed; what is neither file, link nor directory is left out.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{self, Mode, OFlags, Stat};
use tar::{Builder, EntryType, Header};

use crate::files::FileKind;
use crate::files::entries::names_of;
use crate::files::error::FileError;
use crate::files::root::{Root, text};
use crate::options::Limits;

const OPEN_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Writes what is in a directory, with paths from there on.
pub(crate) fn archive(
    root: &Root,
    path: &str,
    gzip: bool,
    sink: impl Write,
    limits: &Limits,
) -> Result<(), FileError> {
    let dir = root.descend(path, false)?.into_fd();
    let failed = |error: io::Error| FileError::io("archive", path, error);
    if gzip {
        let encoder = GzEncoder::new(sink, Compression::fast());
        let encoder = write(&dir, path, encoder, limits)?;
        return encoder.finish().map(drop).map_err(failed);
    }
    write(&dir, path, sink, limits).map(drop)
}

fn write<W: Write>(dir: &OwnedFd, path: &str, sink: W, limits: &Limits) -> Result<W, FileError> {
    let mut archiver = Archiver {
        builder: Builder::new(sink),
        limits,
        path,
        entries: 0,
    };
    archiver.directory(dir, Path::new(""), 0)?;
    let finished = archiver.builder.into_inner();
    finished.map_err(|error| FileError::io("archive", path, error))
}

struct Archiver<'a, W: Write> {
    builder: Builder<W>,
    limits: &'a Limits,
    path: &'a str,
    entries: usize,
}

impl<W: Write> Archiver<'_, W> {
    fn directory(&mut self, dir: &OwnedFd, below: &Path, depth: usize) -> Result<(), FileError> {
        let failed = |error: io::Error| FileError::io("archive", self.path, error);
        if depth == self.limits.tree_depth_max {
            let limit = self.limits.tree_depth_max;
            return Err(self.too_large("the depth of directories", limit, "tree_depth_max"));
        }
        let names: Result<Vec<_>, _> = names_of(dir.as_fd())
            .map_err(|error| failed(error.into()))?
            .collect();
        let mut names = names.map_err(|error| failed(error.into()))?;
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, kind) in names {
            if self.entries == self.limits.copy_entries_max {
                let limit = self.limits.copy_entries_max;
                return Err(self.too_large("the number of entries", limit, "copy_entries_max"));
            }
            self.entries += 1;
            let path = below.join(&name);
            let added = match kind {
                FileKind::Symlink => fs::readlinkat(dir, &name, Vec::new())
                    .map_err(io::Error::from)
                    .and_then(|target| self.link(&path, &text_path(target.as_bytes()))),
                FileKind::File => {
                    open(dir, &name).and_then(|(fd, stat)| self.file(&path, fd, &stat))
                }
                FileKind::Directory => match open(dir, &name) {
                    Ok((fd, stat)) => {
                        self.entry(&path, &stat, EntryType::Directory, 0, io::empty())
                            .map_err(|error| FileError::io("archive", path.display(), error))?;
                        self.directory(&fd, &path, depth + 1)?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                FileKind::Other => Ok(()),
            };
            match added {
                Ok(()) => {}
                // Gone since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::io("archive", text(path.as_os_str()), error)),
            }
        }
        Ok(())
    }

    /// A file is as long as it was when its turn came: one that grows is cut, one that shrinks is filled up.
    fn file(&mut self, path: &Path, fd: OwnedFd, stat: &Stat) -> io::Result<()> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let contents = File::from(fd).chain(io::repeat(0)).take(size);
        self.entry(path, stat, EntryType::Regular, size, contents)
    }

    fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.builder.append_link(&mut header, path, target)
    }

    fn entry(
        &mut self,
        path: &Path,
        stat: &Stat,
        kind: EntryType,
        size: u64,
        contents: impl io::Read,
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(size);
        self.builder.append_data(&mut header, path, contents)
    }

    fn too_large(&self, what: &'static str, limit: usize, limit_name: &'static str) -> FileError {
        FileError::TooLarge {
            path: self.path.to_owned(),
            what,
            limit: limit as u64,
            limit_name,
        }
    }
}

fn open(dir: &OwnedFd, name: &std::ffi::OsStr) -> io::Result<(OwnedFd, Stat)> {
    let fd = fs::openat(dir, name, OPEN_FLAGS, Mode::empty())?;
    let stat = fs::fstat(&fd)?;
    Ok((fd, stat))
}

fn text_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
