//! Finding files by a pattern.

use std::os::fd::{AsFd, OwnedFd};

use globset::{GlobBuilder, GlobMatcher};
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use crate::files::FileKind;
use crate::files::entries::names_of;
use crate::files::error::FileError;
use crate::files::root::{Root, text};
use crate::options::Limits;

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

pub(crate) fn glob(root: &Root, pattern: &str, limits: &Limits) -> Result<Vec<String>, FileError> {
    let parsed = Pattern::parse(pattern)?;
    let mut search = Search {
        pattern: &parsed,
        limits,
        entries_seen: 0,
        found_bytes: 0,
        found: Vec::new(),
    };
    match root.descend(&parsed.start, false) {
        Ok(dir) => search.directory(&dir.into_fd(), &parsed.start, 0)?,
        Err(FileError::NotFound { .. } | FileError::WrongKind { .. }) => {}
        Err(error) => return Err(error),
    }
    search.found.sort_unstable();
    Ok(search.found)
}

struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// The directories at its beginning that are no patterns: the search begins there.
    start: String,
    /// How many names a match has below `start`; `None` for any number.
    names: Option<usize>,
    hidden: bool,
}

impl Pattern {
    fn parse(pattern: &str) -> Result<Self, FileError> {
        let invalid = |reason: String| FileError::InvalidPattern {
            pattern: pattern.to_owned(),
            reason,
        };
        if pattern.starts_with('/') {
            return Err(FileError::Outside {
                path: pattern.to_owned(),
            });
        }
        let names: Vec<&str> = pattern
            .split('/')
            .filter(|name| !matches!(*name, "" | "."))
            .collect();
        if names.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        if names.contains(&"..") {
            return Err(invalid("it contains `..`".to_owned()));
        }
        let text = names.join("/");
        let matcher = GlobBuilder::new(&text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| invalid(error.kind().to_string()))?
            .compile_matcher();
        let is_literal = |name: &&&str| !name.contains(['*', '?', '[', '{', '\\']);
        let literal = names.iter().take_while(is_literal).count();
        let start = literal.min(names.len() - 1);
        // Alternatives may contain separators, so that only patterns without them have a known depth.
        let fixed = !text.contains("**") && !text.contains('{');
        Ok(Self {
            matcher,
            start: names[..start].join("/"),
            names: fixed.then_some(names.len() - start),
            hidden: text
                .split(['/', '{', ','])
                .any(|name| name.starts_with('.')),
            text,
        })
    }
}

struct Search<'a> {
    pattern: &'a Pattern,
    limits: &'a Limits,
    entries_seen: usize,
    found_bytes: usize,
    found: Vec<String>,
}

impl Search<'_> {
    fn directory(&mut self, dir: &OwnedFd, path: &str, depth: usize) -> Result<(), FileError> {
        let failed = |error: Errno| FileError::io("list", path, error);
        for entry in names_of(dir.as_fd()).map_err(failed)? {
            let (name, kind) = entry.map_err(failed)?;
            self.count_entry()?;
            let shown = text(&name);
            if shown.starts_with('.') && !self.pattern.hidden {
                continue;
            }
            let path = match path {
                "" => shown,
                path => format!("{path}/{shown}"),
            };
            if self.pattern.matcher.is_match(&path) {
                self.keep(&path)?;
            }
            let deeper = self.pattern.names.is_none_or(|names| depth + 1 < names);
            if kind != FileKind::Directory || !deeper {
                continue;
            }
            if depth + 1 >= self.limits.tree_depth_max {
                return Err(self.too_large(
                    "the depth of directories",
                    self.limits.tree_depth_max,
                    "tree_depth_max",
                ));
            }
            match fs::openat(dir, &name, DIR_FLAGS, Mode::empty()) {
                Ok(dir) => self.directory(&dir, &path, depth + 1)?,
                // Gone or replaced meanwhile, or closed to us: nothing is found in it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
                Err(error) => return Err(FileError::io("list", path, error)),
            }
        }
        Ok(())
    }

    fn keep(&mut self, path: &str) -> Result<(), FileError> {
        let limit = self.limits.glob_found_bytes_max;
        self.found_bytes += path.len();
        if self.found_bytes > limit {
            let what = "the bytes of all paths that match";
            return Err(self.too_large(what, limit, "glob_found_bytes_max"));
        }
        self.found.push(path.to_owned());
        Ok(())
    }

    fn count_entry(&mut self) -> Result<(), FileError> {
        let limit = self.limits.glob_entries_max;
        if self.entries_seen == limit {
            return Err(self.too_large("the number of files looked at", limit, "glob_entries_max"));
        }
        self.entries_seen += 1;
        Ok(())
    }

    fn too_large(&self, what: &'static str, limit: usize, limit_name: &'static str) -> FileError {
        FileError::TooLarge {
            path: self.pattern.text.clone(),
            what,
            limit: limit as u64,
            limit_name,
        }
    }
}
