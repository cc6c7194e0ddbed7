//! Files in memory, with the rules of the contract for paths.

use super::glob;
use crate::{FileError, FileErrorKind, FileKind, FileStat, WriteMode};
use std::collections::{BTreeMap, BTreeSet};

/// The host reads at most this much at a time.
const READ_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// A working directory.
#[derive(Default)]
pub(super) struct MockFiles {
    files: BTreeMap<String, Vec<u8>>,
    directories: BTreeSet<String>,
}

impl MockFiles {
    /// Puts a file there, from outside the step.
    pub(super) fn put(&mut self, path: &str, content: Vec<u8>) {
        let path = clean("write", path).unwrap_or_else(|error| panic!("{error}"));
        self.make_parents(&path);
        self.files.insert(path, content);
    }

    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(&clean("read", path).ok()?).cloned()
    }

    pub(super) fn read(&self, path: &str, offset: u64, limit: u32) -> Result<Vec<u8>, FileError> {
        let content = self.file("read", path)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let end = content
            .len()
            .min(start + limit.min(READ_BYTES_MAX) as usize);
        Ok(content[start..end].to_vec())
    }

    pub(super) fn write(
        &mut self,
        path: &str,
        data: &[u8],
        mode: WriteMode,
    ) -> Result<(), FileError> {
        let path = clean("write", path)?;
        if self.directories.contains(&path) || path.is_empty() {
            return Err(failed("write", &path, FileErrorKind::WrongKind));
        }
        self.make_parents(&path);
        let content = self.files.entry(path).or_default();
        if mode == WriteMode::Replace {
            content.clear();
        }
        content.extend_from_slice(data);
        Ok(())
    }

    pub(super) fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        match self.file("look at", path) {
            Ok(content) => {
                let size = content.len() as u64;
                Ok(FileStat {
                    kind: FileKind::File,
                    size,
                    modified_ms: 0,
                })
            }
            Err(FileError {
                kind: FileErrorKind::WrongKind,
                ..
            }) => Ok(FileStat {
                kind: FileKind::Directory,
                size: 0,
                modified_ms: 0,
            }),
            Err(error) => Err(error),
        }
    }

    pub(super) fn glob(&self, pattern: &str) -> Result<Vec<String>, FileError> {
        let alternatives = clean("list", pattern).and_then(|pattern| {
            glob::alternatives(&pattern)
                .map_err(|reason| failed("list", &pattern, FileErrorKind::Other(reason)))
        })?;
        let matches = |path: &&String| alternatives.iter().any(|one| glob::matches(one, path));
        let mut found: Vec<String> = self
            .files
            .keys()
            .chain(&self.directories)
            .filter(matches)
            .cloned()
            .collect();
        found.sort();
        Ok(found)
    }

    pub(super) fn mkdir(&mut self, path: &str) -> Result<(), FileError> {
        let path = clean("make", path)?;
        if self.files.contains_key(&path) {
            return Err(failed("make", &path, FileErrorKind::WrongKind));
        }
        self.make_parents(&path);
        self.directories.insert(path);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str, recursive: bool) -> Result<(), FileError> {
        let path = clean("remove", path)?;
        if self.files.remove(&path).is_some() {
            return Ok(());
        }
        if !self.directories.contains(&path) {
            return Err(failed("remove", &path, FileErrorKind::NotFound));
        }
        let below = format!("{path}/");
        let has_content = self
            .files
            .keys()
            .chain(&self.directories)
            .any(|other| other.starts_with(&below));
        if has_content && !recursive {
            return Err(failed("remove", &path, FileErrorKind::NotEmpty));
        }
        self.files.retain(|other, _| !other.starts_with(&below));
        self.directories
            .retain(|other| *other != path && !other.starts_with(&below));
        Ok(())
    }

    fn file(&self, action: &'static str, path: &str) -> Result<&[u8], FileError> {
        let path = clean(action, path)?;
        let is_directory = path.is_empty() || self.directories.contains(&path);
        self.files.get(&path).map(Vec::as_slice).ok_or_else(|| {
            let kind = if is_directory {
                FileErrorKind::WrongKind
            } else {
                FileErrorKind::NotFound
            };
            failed(action, &path, kind)
        })
    }

    fn make_parents(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(end, _)| end);
        self.directories
            .extend(ends.map(|end| path[..end].to_owned()));
    }
}

/// The path without `.` parts; one that leads out of the working directory is refused.
fn clean(action: &'static str, path: &str) -> Result<String, FileError> {
    let mut parts = Vec::new();
    let mut outside = path.starts_with('/') || path.contains('\0');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => outside |= parts.pop().is_none(),
            part => parts.push(part),
        }
    }
    if outside {
        return Err(failed(action, path, FileErrorKind::Outside));
    }
    Ok(parts.join("/"))
}

fn failed(action: &'static str, path: &str, kind: FileErrorKind) -> FileError {
    FileError {
        action,
        path: path.to_owned(),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(clean("read", "./a//b/../c").as_deref(), Ok("a/c"));
        for path in ["/etc/passwd", "..", "a/../../b"] {
            let error = clean("read", path).expect_err("it leads outside");
            assert_eq!(error.kind, FileErrorKind::Outside, "{path}");
        }
    }

    #[test]
    fn directories_are_no_files() {
        let mut files = MockFiles::default();
        files.put("a/b", b"x".to_vec());
        assert_eq!(
            files.stat("a").expect("it is there").kind,
            FileKind::Directory
        );
        let kind = |result: Result<(), FileError>| result.expect_err("it is refused").kind;
        assert_eq!(
            kind(files.write("a", b"", WriteMode::Append)),
            FileErrorKind::WrongKind
        );
        assert_eq!(kind(files.mkdir("a/b")), FileErrorKind::WrongKind);
        assert_eq!(kind(files.remove("a", false)), FileErrorKind::NotEmpty);
        files.remove("a", true).expect("with all that is in it");
        assert_eq!(kind(files.remove("a", true)), FileErrorKind::NotFound);
    }

    #[test]
    fn patterns_find_files_and_directories() {
        let mut files = MockFiles::default();
        for path in ["top.xml", "a/one.xml", "a/b/two.xml", "a/b/two.txt"] {
            files.put(path, Vec::new());
        }
        let check = |pattern: &str, expected: &[&str]| {
            assert_eq!(
                files.glob(pattern).expect("it is valid"),
                expected,
                "{pattern}"
            );
        };
        check("*.xml", &["top.xml"]);
        check("**/*.xml", &["a/b/two.xml", "a/one.xml", "top.xml"]);
        check("a/*", &["a/b", "a/one.xml"]);
        check("a/**/two.{xml,txt}", &["a/b/two.txt", "a/b/two.xml"]);
        check("nothing", &[]);
        assert!(files.glob("a/{b").is_err());
    }
}
