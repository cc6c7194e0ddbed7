//! The plugin directory: which files are plugins, whether one has changed, reading one whole.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::compile::hex_digest;

const SUFFIX: &str = ".wasm";
/// A file that changed less than this before it was read can change again without a trace in its
/// times, because the system's clock for them is coarse.
const COARSE_CLOCK: Duration = Duration::from_millis(100);

/// What tells that a file was changed without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: (i64, i64),
    changed_ns: (i64, i64),
}

impl Fingerprint {
    pub(super) fn size_bytes(&self) -> u64 {
        self.size
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified_ns: (metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file as it was read.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) digest: String,
    /// `None` when a later change might not show.
    pub(super) fingerprint: Option<Fingerprint>,
    /// Since the last change.
    pub(super) age: Duration,
}

/// How reading a file went.
pub(super) enum Reading {
    Whole(Content),
    /// It changed meanwhile.
    Unstable,
    /// More bytes than allowed.
    TooLarge(u64),
}

/// The plugin files of a directory, by the name of the plugin.
///
/// Hidden files and whatever editors and copy programs leave beside a file (`x.wasm~`, `.x.wasm.swp`, `x.wasm.part`) do not
/// end in `.wasm`, or begin with a dot.
pub(super) fn list(dir: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = plugin_name(&entry.file_name()) else {
            continue;
        };
        let path = entry.path();
        // A link that leads nowhere is as good as no file.
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            files.insert(name, path);
        }
    }
    Ok(files)
}

/// The name of the plugin whose file may be called so.
pub(super) fn plugin_name(file_name: &OsStr) -> Option<String> {
    let stem = file_name.to_str()?.strip_suffix(SUFFIX)?;
    (!stem.is_empty() && !stem.starts_with('.')).then(|| stem.to_owned())
}

pub(super) fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    fs::metadata(path).map(|metadata| Fingerprint::of(&metadata))
}

/// Reads a file of at most so many bytes. Blocks.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Reading> {
    let before = fs::metadata(path)?;
    if before.len() > bytes_max {
        return Ok(Reading::TooLarge(before.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    let after = fs::metadata(path)?;
    let fingerprint = Fingerprint::of(&after);
    if fingerprint != Fingerprint::of(&before) || bytes.len() as u64 != after.len() {
        return Ok(Reading::Unstable);
    }
    let age = after
        .modified()
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .unwrap_or_default();
    Ok(Reading::Whole(Content {
        digest: hex_digest(&bytes),
        bytes: bytes.into(),
        fingerprint: (age > COARSE_CLOCK).then_some(fingerprint),
        age,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plugins_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "a.wasm",
            "b-2.wasm",
            ".a.wasm.swp",
            ".hidden.wasm",
            "a.wasm~",
            "a.wasm.tmp",
            "a.wasm.part",
            "a.txt",
            ".wasm",
        ] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("dir.wasm")).unwrap();
        std::os::unix::fs::symlink("a.wasm", dir.path().join("link.wasm")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken.wasm")).unwrap();
        let names: Vec<String> = list(dir.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["a", "b-2", "link"]);
    }

    #[test]
    fn a_file_is_read_whole_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        fs::write(&path, "0123456789").unwrap();
        assert!(matches!(read(&path, 9).unwrap(), Reading::TooLarge(10)));
        let Reading::Whole(content) = read(&path, 10).unwrap() else {
            panic!("not whole");
        };
        assert_eq!(content.bytes, "0123456789");
        assert_eq!(
            content.digest,
            "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
        );
    }
}
