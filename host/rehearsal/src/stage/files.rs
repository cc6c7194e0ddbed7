//! The files of a worker, in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use globset::GlobBuilder;
use toolpost_sandbox::host::{FileError, FileKind, FileStat, WriteMode};

/// Files below the directory of a build, by their paths there. The working directory is [`WORKDIR`].
#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<String, Bytes>,
    /// Directories that were made; those above files are there anyway.
    directories: BTreeSet<String>,
}

/// The working directory of the step in that of its build.
const WORKDIR: &str = "build";

/// A path in the directory of the build; the empty one is that itself.
fn locate(path: &str) -> Result<String, FileError> {
    if path.is_empty() || path.starts_with('/') {
        return Err(FileError::Outside);
    }
    let mut parts = vec![WORKDIR];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(FileError::Outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

impl Files {
    /// Puts a file there.
    pub(super) fn put(&mut self, path: &str, data: &[u8]) -> Result<(), FileError> {
        self.write(path, data, WriteMode::Replace)
    }

    fn is_directory(&self, at: &str) -> bool {
        let below = format!("{at}/");
        let has = |name: &String| name.starts_with(&below);
        at.is_empty()
            || at == WORKDIR
            || self.directories.contains(at)
            || self
                .directories
                .range(below.clone()..)
                .next()
                .is_some_and(has)
            || self
                .files
                .range(below.clone()..)
                .next()
                .is_some_and(|(name, _)| has(name))
    }

    /// Whether a file stands where a directory would have to be.
    fn check_above(&self, at: &str) -> Result<(), FileError> {
        let mut above = at;
        while let Some((parent, _)) = above.rsplit_once('/') {
            if self.files.contains_key(parent) {
                return Err(FileError::WrongKind);
            }
            above = parent;
        }
        Ok(())
    }

    pub(super) fn whole(&self, path: &str) -> Result<Bytes, FileError> {
        let at = locate(path)?;
        match self.files.get(&at) {
            Some(data) => Ok(data.clone()),
            None if self.is_directory(&at) => Err(FileError::WrongKind),
            None => Err(FileError::NotFound),
        }
    }

    pub(super) fn read(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let data = self.whole(path)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(data.len());
        let end = start.saturating_add(limit).min(data.len());
        Ok(data.slice(start..end))
    }

    pub(super) fn write(
        &mut self,
        path: &str,
        data: &[u8],
        mode: WriteMode,
    ) -> Result<(), FileError> {
        let at = locate(path)?;
        self.check_above(&at)?;
        if self.is_directory(&at) {
            return Err(FileError::WrongKind);
        }
        let mut content = BytesMut::new();
        if let (WriteMode::Append, Some(before)) = (mode, self.files.get(&at)) {
            content.extend_from_slice(before);
        }
        content.extend_from_slice(data);
        self.files.insert(at, content.freeze());
        Ok(())
    }

    pub(super) fn stat(&self, path: &str, modified_ms: u64) -> Result<FileStat, FileError> {
        let at = locate(path)?;
        let (kind, size) = match self.files.get(&at) {
            Some(data) => (FileKind::File, data.len() as u64),
            None if self.is_directory(&at) => (FileKind::Directory, 0),
            None => return Err(FileError::NotFound),
        };
        Ok(FileStat {
            kind,
            size,
            modified_ms,
        })
    }

    pub(super) fn make_dir(&mut self, path: &str) -> Result<(), FileError> {
        let at = locate(path)?;
        self.check_above(&at)?;
        if self.files.contains_key(&at) {
            return Err(FileError::WrongKind);
        }
        self.directories.insert(at);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str, recursive: bool) -> Result<(), FileError> {
        let at = locate(path)?;
        if self.files.remove(&at).is_some() {
            return Ok(());
        }
        if !self.is_directory(&at) || at.is_empty() {
            return Err(FileError::NotFound);
        }
        let below = format!("{at}/");
        let is_below = |name: &String| name.starts_with(&below);
        if !recursive && (self.files.keys().any(is_below) || self.directories.iter().any(is_below))
        {
            return Err(FileError::NotEmpty);
        }
        self.files.retain(|name, _| !is_below(name));
        self.directories
            .retain(|name| *name != at && !is_below(name));
        Ok(())
    }

    /// Paths of files and directories that match, as the step would write them.
    pub(super) fn glob(&self, pattern: &str, limit: usize) -> Result<Vec<String>, FileError> {
        if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            return Err(FileError::Outside);
        }
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        let glob = glob.map_err(|error| FileError::Other(error.to_string()))?;
        let matcher = glob.compile_matcher();
        let mut paths: BTreeSet<&str> = BTreeSet::new();
        let inside = format!("{WORKDIR}/");
        for name in self.files.keys().chain(&self.directories) {
            let mut path = name.strip_prefix(&inside);
            while let Some(found) = path {
                paths.insert(found);
                path = found.rsplit_once('/').map(|(parent, _)| parent);
            }
        }
        let found: Vec<String> = paths
            .into_iter()
            .filter(|path| matcher.is_match(path))
            .map(str::to_owned)
            .collect();
        match found.len() > limit {
            true => Err(FileError::Other(format!("more than {limit} paths match"))),
            false => Ok(found),
        }
    }

    /// The files below a directory, by their paths there.
    pub(super) fn below(&self, path: &str) -> Result<Vec<(String, Bytes)>, FileError> {
        let at = locate(path)?;
        match (self.is_directory(&at), self.files.contains_key(&at)) {
            (true, _) => {}
            (false, true) => return Err(FileError::WrongKind),
            (false, false) => return Err(FileError::NotFound),
        }
        let below = format!("{at}/");
        let all = self.files.iter().filter_map(|(name, data)| {
            let name = name.strip_prefix(&below)?;
            Some((name.to_owned(), data.clone()))
        });
        Ok(all.collect())
    }

    /// All files, as the step would write their paths.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, &Bytes)> {
        let inside = format!("{WORKDIR}/");
        self.files.iter().map(move |(name, data)| {
            let path = match name.strip_prefix(&inside) {
                Some(path) => path.to_owned(),
                None => format!("../{name}"),
            };
            (path, data)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let mut files = Files::default();
        for path in [
            "src/main.rs",
            "src/deep/a.rs",
            "report.xml",
            "../other/b.txt",
        ] {
            files.put(path, b"text").unwrap();
        }
        files.make_dir("empty").unwrap();
        files
    }

    #[test]
    fn paths_stay_in_the_directory_of_the_build() {
        let files = files();
        assert_eq!(
            files.whole("./src/../report.xml").as_deref(),
            Ok(&b"text"[..])
        );
        assert_eq!(files.whole("../other/b.txt").as_deref(), Ok(&b"text"[..]));
        for outside in ["/etc/passwd", "../../a", "a/../../../b", ""] {
            assert_eq!(files.whole(outside), Err(FileError::Outside), "{outside}");
        }
    }

    #[test]
    fn patterns_find_files_and_directories() {
        for (pattern, found) in [
            ("**/*.rs", vec!["src/deep/a.rs", "src/main.rs"]),
            ("*", vec!["empty", "report.xml", "src"]),
            ("src/*", vec!["src/deep", "src/main.rs"]),
            ("{a,b}", vec![]),
        ] {
            assert_eq!(files().glob(pattern, 10).unwrap(), found, "{pattern}");
        }
        assert!(files().glob("**", 2).is_err());
    }

    #[test]
    fn kinds_are_not_mixed_up() {
        let mut files = files();
        assert_eq!(files.whole("src"), Err(FileError::WrongKind));
        assert_eq!(files.whole("none"), Err(FileError::NotFound));
        assert_eq!(files.put("report.xml/a", b""), Err(FileError::WrongKind));
        assert_eq!(files.put("src", b""), Err(FileError::WrongKind));
        assert_eq!(files.remove("src", false), Err(FileError::NotEmpty));
        assert_eq!(files.remove("src", true), Ok(()));
        assert_eq!(files.stat("src/main.rs", 0), Err(FileError::NotFound));
    }
}
