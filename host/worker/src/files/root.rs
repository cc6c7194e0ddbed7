//! A directory that nothing opened through it can leave.
//!
//! Linux resolves paths beneath a directory by itself (`openat2` with `RESOLVE_BENEATH`). Elsewhere,
//! and where a sandbox forbids that call, each name is opened without following symbolic links and
//! the links are followed here; a link that is swapped in between is then an error, never a way out.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::files::error::FileError;

/// Symbolic links on the way to one file, as in Linux.
const LINKS_MAX: usize = 40;
/// Makes a directory with these permissions, less what the umask takes.
pub(crate) const DIR_MODE: Mode = Mode::from_raw_mode(0o777);

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// An open directory and the path by which commands know it.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// A path that was given from outside, cut into names. Empty means the directory itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names(Vec<OsString>);

impl Root {
    /// Opens a directory by a path that is trusted.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let fd = fs::open(path, DIR_FLAGS, Mode::empty())?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The directory at a path beneath this one. With `create`, it and those above it are made.
    pub(crate) fn descend(&self, path: &str, create: bool) -> Result<Self, FileError> {
        let names = Names::parse(path)?;
        let opened = match self.resolve(&names, DIR_FLAGS) {
            Err(Errno::NOENT) if create => self.create_dirs(&names),
            opened => opened,
        };
        let fd = opened.map_err(|error| FileError::io("open directory", path, error))?;
        Ok(Self {
            fd,
            path: names
                .0
                .iter()
                .fold(self.path.clone(), |dir, name| dir.join(name)),
        })
    }

    /// Opens what is at a path beneath this directory; symbolic links are followed inside.
    pub(crate) fn open_beneath(&self, path: &str, flags: OFlags) -> Result<OwnedFd, FileError> {
        let names = Names::parse(path)?;
        self.resolve(&names, flags)
            .map_err(|error| FileError::io("open", path, error))
    }

    /// The directory in which the last name of a path lies, and that name; for operations on the
    /// entry itself.
    pub(crate) fn parent_of(&self, path: &str) -> Result<(OwnedFd, OsString), FileError> {
        let mut names = Names::parse(path)?;
        let last = names.0.pop().filter(|name| name != "..");
        let name = last.ok_or_else(|| FileError::InvalidPath {
            path: path.to_owned(),
            reason: "it has to end with the name of a file or directory",
        })?;
        let parent = self
            .resolve(&names, DIR_FLAGS)
            .map_err(|error| FileError::io("open directory", text(&names.joined()), error))?;
        Ok((parent, name))
    }

    fn create_dirs(&self, names: &Names) -> Result<OwnedFd, Errno> {
        let mut dir = self.resolve(&Names(Vec::new()), DIR_FLAGS)?;
        for end in 1..=names.0.len() {
            let name = &names.0[end - 1];
            if name != ".." {
                match fs::mkdirat(&dir, name.as_os_str(), DIR_MODE) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
            }
            dir = self.resolve(&Names(names.0[..end].to_vec()), DIR_FLAGS)?;
        }
        Ok(dir)
    }

    fn resolve(&self, names: &Names, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        #[cfg(target_os = "linux")]
        if beneath::supported() {
            return beneath::open(self.fd.as_fd(), &names.joined(), flags);
        }
        walk(self.fd.as_fd(), names, flags)
    }
}

impl Names {
    fn parse(path: &str) -> Result<Self, FileError> {
        if path.starts_with('/') {
            return Err(FileError::Outside {
                path: path.to_owned(),
            });
        }
        if path.contains('\0') {
            return Err(FileError::InvalidPath {
                path: path.replace('\0', "\u{fffd}"),
                reason: "it contains a zero byte",
            });
        }
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        Ok(Self(names.map(OsString::from).collect()))
    }

    fn joined(&self) -> OsString {
        if self.0.is_empty() {
            return ".".into();
        }
        self.0.join(OsStr::new("/"))
    }
}

/// The kernel's own way.
#[cfg(target_os = "linux")]
mod beneath {
    use std::ffi::OsStr;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::sync::OnceLock;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    /// The kernel gives up when directories are moved meanwhile; so many tries are enough.
    const TRIES_MAX: u32 = 16;

    pub(super) fn supported() -> bool {
        static SUPPORTED: OnceLock<bool> = OnceLock::new();
        *SUPPORTED.get_or_init(|| open(CWD, OsStr::new("."), OFlags::PATH).is_ok())
    }

    pub(super) fn open(dir: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut result = Err(Errno::AGAIN);
        for _ in 0..TRIES_MAX {
            result = openat2(dir, path, flags, Mode::empty(), resolve);
            if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        result
    }
}

/// Name by name, with the directories on the way held open so that `..` means the one we came from.
fn walk(root: BorrowedFd<'_>, names: &Names, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut todo: VecDeque<OsString> = names.0.iter().cloned().collect();
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = way.last().map_or(root, AsFd::as_fd);
        let stat = fs::statat(here, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let last = todo.is_empty();
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            if last && flags.contains(OFlags::NOFOLLOW) {
                return Err(Errno::LOOP);
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP);
            }
            let target = fs::readlinkat(here, name.as_os_str(), Vec::new())?.into_bytes();
            prepend(&mut todo, &target)?;
            continue;
        }
        let flags = if last { flags } else { DIR_FLAGS };
        let fd = fs::openat(
            here,
            name.as_os_str(),
            flags | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        if last {
            return Ok(fd);
        }
        way.push(fd);
    }
    // The path ends with a directory that is open already; open it once more, as asked.
    let here = way.last().map_or(root, AsFd::as_fd);
    fs::openat(here, ".", flags, Mode::empty())
}

/// Goes on with the target of a symbolic link.
fn prepend(todo: &mut VecDeque<OsString>, target: &[u8]) -> Result<(), Errno> {
    if target.first() == Some(&b'/') {
        return Err(Errno::XDEV);
    }
    let names = target.split(|byte| *byte == b'/');
    for name in names.rev().filter(|name| !matches!(*name, b"" | b".")) {
        todo.push_front(OsString::from_vec(name.to_vec()));
    }
    Ok(())
}

/// The name as text for errors and listings.
pub(crate) fn text(name: &OsStr) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What reading `path` beneath `inside` gives, by one of the two ways.
    fn contents(root: &Root, path: &str, flags: OFlags, kernel: bool) -> Result<String, Errno> {
        let names = Names::parse(path).expect("a relative path");
        let fd = match kernel {
            #[cfg(target_os = "linux")]
            true => beneath::open(root.fd.as_fd(), &names.joined(), flags)?,
            _ => walk(root.fd.as_fd(), &names, flags)?,
        };
        let file = std::fs::File::from(fd);
        match file.metadata().expect("metadata").is_dir() {
            true => Ok("directory".to_owned()),
            false => Ok(std::io::read_to_string(file).expect("text")),
        }
    }

    fn tree() -> (tempfile::TempDir, Root) {
        let temp = tempfile::tempdir().expect("a directory");
        let inside = temp.path().join("inside");
        std::fs::create_dir_all(inside.join("a/b")).expect("directories");
        std::fs::write(temp.path().join("secret"), "secret").expect("a file");
        std::fs::write(inside.join("a/b/file"), "contents").expect("a file");
        for (link, target) in [
            ("to-file", "a/b/file"),
            ("a/up", ".."),
            ("a/b/back", "../../a/b/file"),
            ("chain", "to-file"),
            ("loop", "loop"),
            ("out", "../secret"),
            ("a/out", "../../secret"),
            ("absolute", "/etc/hostname"),
            ("absolute-inside", inside.to_str().expect("text")),
            ("above", ".."),
            ("dangling", "nothing"),
        ] {
            symlink(target, inside.join(link)).expect("a link");
        }
        let root = Root::open(&inside).expect("the directory");
        (temp, root)
    }

    #[test]
    fn both_ways_resolve_paths_alike_and_never_leave() {
        let (_temp, root) = tree();
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        let cases: &[(&str, Result<&str, Errno>)] = &[
            ("a/b/file", Ok("contents")),
            ("./a//b/./file", Ok("contents")),
            ("a/../a/b/../b/file", Ok("contents")),
            ("to-file", Ok("contents")),
            ("chain", Ok("contents")),
            ("a/b/back", Ok("contents")),
            ("a/up/a/up/to-file", Ok("contents")),
            ("", Ok("directory")),
            ("a/..", Ok("directory")),
            ("a/up", Ok("directory")),
            ("loop", Err(Errno::LOOP)),
            ("dangling", Err(Errno::NOENT)),
            ("a/b/file/x", Err(Errno::NOTDIR)),
            ("..", Err(Errno::XDEV)),
            ("../secret", Err(Errno::XDEV)),
            ("a/../../secret", Err(Errno::XDEV)),
            ("out", Err(Errno::XDEV)),
            ("a/out", Err(Errno::XDEV)),
            ("a/up/out", Err(Errno::XDEV)),
            ("absolute", Err(Errno::XDEV)),
            ("absolute-inside", Err(Errno::XDEV)),
            ("above/secret", Err(Errno::XDEV)),
            ("above/inside/to-file", Err(Errno::XDEV)),
        ];
        for (path, expected) in cases {
            for kernel in [true, false] {
                let got = contents(&root, path, read, kernel);
                let got = got.as_deref().map_err(|error| *error);
                assert_eq!(got, *expected, "`{path}`, by the kernel: {kernel}");
            }
        }
    }

    #[test]
    fn a_link_at_the_end_can_be_refused() {
        let (_temp, root) = tree();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for kernel in [true, false] {
            assert_eq!(contents(&root, "to-file", flags, kernel), Err(Errno::LOOP));
            let through = contents(&root, "a/up/a/b/file", flags, kernel);
            assert_eq!(through.as_deref(), Ok("contents"));
        }
    }

    #[test]
    fn directories_are_made_inside_only() {
        let (temp, root) = tree();
        for path in ["new/x/y", "a/up/new2", "a/../new3"] {
            root.descend(path, true).expect(path);
        }
        for name in ["new/x/y", "new2", "new3"] {
            assert!(temp.path().join("inside").join(name).is_dir(), "{name}");
        }
        for path in ["../evil", "above/evil", "a/../../evil", "/tmp/evil"] {
            let error = root.descend(path, true).expect_err(path);
            assert!(
                matches!(error, FileError::Outside { .. }),
                "{path}: {error}"
            );
        }
        assert!(!temp.path().join("evil").exists());
    }
}
