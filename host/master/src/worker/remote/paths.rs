//! Paths on a worker that this machine cannot look at: everything is decided by the text.

use toolpost_worker::FileError;

/// The rules of a worker's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths {
    base_dir: String,
    separator: char,
}

impl Paths {
    /// `system` is `posix`, or `nt` for Windows.
    pub(super) fn new(base_dir: &str, system: &str) -> Self {
        let separator = if system == "nt" { '\\' } else { '/' };
        Self {
            base_dir: base_dir.trim_end_matches(separator).to_owned(),
            separator,
        }
    }

    pub(super) fn is_posix(&self) -> bool {
        self.separator == '/'
    }

    /// The absolute path of something in a build's directory, which it may not leave.
    pub(super) fn within(&self, build_dir: &str, path: &str) -> Result<String, FileError> {
        let mut full = self.base_dir.clone();
        for part in [build_dir, path] {
            if part.starts_with('/') {
                return Err(outside(path));
            }
            for name in self.names(part) {
                match name {
                    "" | "." => {}
                    ".." => return Err(outside(path)),
                    name if name.contains('\0') => {
                        return Err(FileError::InvalidPath {
                            path: path.to_owned(),
                            reason: "it contains a zero byte",
                        });
                    }
                    name if !self.is_posix() && name.contains(':') => return Err(outside(path)),
                    name => {
                        full.push(self.separator);
                        full.push_str(name);
                    }
                }
            }
        }
        Ok(full)
    }

    /// The absolute path of a directory that may be anywhere, as a step may say.
    pub(super) fn anywhere(&self, build_dir: &str, dir: &str) -> String {
        let separator = self.separator;
        let drive = !self.is_posix() && dir.get(1..2) == Some(":");
        if dir.starts_with(['/', separator]) || drive {
            return dir.to_owned();
        }
        let base = &self.base_dir;
        format!("{base}{separator}{build_dir}{separator}{dir}")
    }

    fn names<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> + use<'p> {
        let posix = self.is_posix();
        path.split(move |c| c == '/' || (!posix && c == '\\'))
    }

    /// The part of an absolute path behind this directory, with `/` between names.
    pub(super) fn below(&self, dir: &str, path: &str) -> Option<String> {
        let rest = path
            .strip_prefix(dir)?
            .strip_prefix(['/', self.separator])?;
        // What a worker says is not taken at its word.
        if self.names(rest).any(|name| name == "..") {
            return None;
        }
        if self.is_posix() {
            return Some(rest.to_owned());
        }
        Some(rest.replace('\\', "/"))
    }

    /// The name of a file with another one's beside it.
    pub(super) fn beside(&self, path: &str, suffix: &str) -> String {
        format!("{path}{suffix}")
    }
}

fn outside(path: &str) -> FileError {
    FileError::Outside {
        path: path.to_owned(),
    }
}

/// A pattern of ours as Python's `glob` has it: the directory is meant as it is, and `{a,b}` becomes several patterns.
pub(super) fn patterns(dir: &str, pattern: &str) -> Result<Vec<String>, FileError> {
    /// Patterns that one with alternatives may become.
    const PATTERNS_MAX: usize = 64;
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(text) = open.pop() {
        let Some((before, alternatives, after)) = braces(&text) else {
            done.push(format!("{}/{text}", escaped(dir)));
            continue;
        };
        if done.len() + open.len() + alternatives.len() > PATTERNS_MAX {
            return Err(FileError::TooLarge {
                path: pattern.to_owned(),
                what: "the number of alternatives",
                limit: PATTERNS_MAX as u64,
                limit_name: "PATTERNS_MAX",
            });
        }
        open.extend(
            alternatives
                .iter()
                .map(|one| format!("{before}{one}{after}")),
        );
    }
    // Inner alternatives are taken out first, and repeat what stands beside them.
    done.sort();
    done.dedup();
    Ok(done)
}

/// The first `{a,b}` without braces in it, and what is around.
fn braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let end = text.find('}')?;
    let start = text[..end].rfind('{')?;
    let alternatives = text[start + 1..end].split(',').collect();
    Some((&text[..start], alternatives, &text[end + 1..]))
}

fn escaped(dir: &str) -> String {
    let mut escaped = String::with_capacity(dir.len());
    for c in dir.chars() {
        match c {
            '*' | '?' | '[' => {
                escaped.push('[');
                escaped.push(c);
                escaped.push(']');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_builds_directory() {
        let posix = Paths::new("/srv/worker/", "posix");
        let windows = Paths::new("C:\\worker", "nt");
        let within = |paths: &Paths, path| paths.within("unit", path).ok();
        let cases = [
            (&posix, "", Some("/srv/worker/unit")),
            (&posix, "a/./b//c", Some("/srv/worker/unit/a/b/c")),
            (&posix, "a\\b", Some("/srv/worker/unit/a\\b")),
            (&posix, "/etc/passwd", None),
            (&posix, "a/../../x", None),
            (&posix, "a\0", None),
            (&windows, "a/b\\c", Some("C:\\worker\\unit\\a\\b\\c")),
            (&windows, "a\\..\\x", None),
            (&windows, "D:x", None),
        ];
        for (paths, path, expected) in cases {
            assert_eq!(within(paths, path).as_deref(), expected, "{path}");
        }
        assert_eq!(posix.anywhere("unit", "/opt"), "/opt");
        assert_eq!(posix.anywhere("unit", "../x"), "/srv/worker/unit/../x");
        assert_eq!(windows.anywhere("unit", "D:\\x"), "D:\\x");
        let below = windows.below("C:\\worker\\unit", "C:\\worker\\unit\\a\\b");
        assert_eq!(below.as_deref(), Some("a/b"));
        assert_eq!(posix.below("/w/unit", "/w/unit/../../etc/passwd"), None);
        assert_eq!(posix.below("/w/unit", "/w/unity/a"), None);
    }

    #[test]
    fn patterns_become_those_of_python() {
        let all = patterns("/w/a[1]", "{src,test/{x,y}}/*.rs").unwrap();
        assert_eq!(
            all,
            [
                "/w/a[[]1]/src/*.rs",
                "/w/a[[]1]/test/x/*.rs",
                "/w/a[[]1]/test/y/*.rs"
            ]
        );
        let many = "{a,b,c,d}".repeat(9);
        assert!(patterns("/w", &many).is_err());
    }
}
