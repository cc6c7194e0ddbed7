//! Patches of source stamps: what one is, what is taken for one, and which of its hunks a place belongs to. Pure.
//!
//! A body is what `diff -u` and `git diff` write. It is read as far as that tells a patch from other text and one that is
//! whole from one that was cut off; whether it applies is for git to say, on the worker.

/// A larger body is not taken, bytes: it is kept as it is, and is part of answers of the REST API.
pub const PATCH_BODY_BYTES_MAX: usize = 512 << 10;

/// The most directories that are stripped from the names of files.
pub const PATCH_LEVEL_MAX: u32 = 100;

/// Longest author and subdirectory, bytes.
pub const PATCH_NAME_BYTES_MAX: usize = 1_024;

/// Longest comment, bytes.
pub const PATCH_COMMENT_BYTES_MAX: usize = 16 << 10;

/// What is changed in a revision before it is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Patch {
    /// How many directories are stripped from the names of files in it (`patch -p`).
    pub level: u32,
    /// A unified diff, as it was given.
    pub body: Vec<u8>,
    /// Who wrote it; empty if nobody says.
    pub author: String,
    /// What it is about; empty if nobody says.
    pub comment: String,
    /// The directory that its files are in, relative to the source; empty or `.` for the source itself.
    pub subdir: String,
}

/// What is wrong with a patch, and with which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchFault {
    /// The part: `body`, `level`, `author`, `comment` or `subdir`.
    pub part: &'static str,
    /// A sentence without a beginning, for people: `has 7 bytes, and takes at most 5`.
    pub message: String,
}

fn fault(part: &'static str, message: impl Into<String>) -> PatchFault {
    let message = message.into();
    PatchFault { part, message }
}

impl Patch {
    /// Whether it can be kept and sent to a worker.
    ///
    /// # Errors
    /// The first part that cannot.
    pub fn check(&self) -> Result<(), PatchFault> {
        let lengths = [
            ("body", self.body.len(), PATCH_BODY_BYTES_MAX),
            ("author", self.author.len(), PATCH_NAME_BYTES_MAX),
            ("comment", self.comment.len(), PATCH_COMMENT_BYTES_MAX),
            ("subdir", self.subdir.len(), PATCH_NAME_BYTES_MAX),
        ];
        for (part, length, max) in lengths {
            if length > max {
                let message = format!("has {length} bytes, and takes at most {max}");
                return Err(fault(part, message));
            }
        }
        for (part, text) in [("author", &self.author), ("comment", &self.comment)] {
            if text.contains('\0') {
                return Err(fault(part, "has a character that no text has"));
            }
        }
        if self.level > PATCH_LEVEL_MAX {
            return Err(fault("level", format!("is at most {PATCH_LEVEL_MAX}")));
        }
        if let Some(message) = subdir_fault(&self.subdir) {
            return Err(fault("subdir", message));
        }
        let files = files(&self.body).map_err(|message| fault("body", message))?;
        match files.is_empty() {
            true => Err(fault("body", "is no unified diff (`diff -u`, `git diff`)")),
            false => Ok(()),
        }
    }

    /// Its directory; `None` for the source itself.
    #[must_use]
    pub fn dir(&self) -> Option<&str> {
        let dir = self.subdir.trim_matches('/');
        let dir = dir.strip_prefix("./").unwrap_or(dir);
        (!dir.is_empty() && dir != ".").then_some(dir)
    }

    /// Which hunk of a file starts at this line of the file as it is without the patch: its number, and of how many.
    ///
    /// `path` is relative to the source, so it begins with the patch's own directory.
    #[must_use]
    pub fn hunk_at(&self, path: &str, line: u64) -> Option<(usize, usize)> {
        let inner = match self.dir() {
            Some(dir) => path.strip_prefix(dir)?.strip_prefix('/')?,
            None => path,
        };
        let level = self.level as usize;
        let files = files(&self.body).ok()?;
        files
            .iter()
            .filter(|file| stripped(file.path, level).is_some_and(|name| name == inner))
            .find_map(|file| {
                let at = file.hunks.iter().position(|start| *start == line)?;
                Some((at + 1, file.hunks.len()))
            })
    }
}

/// Why a text cannot be the directory of a patch.
fn subdir_fault(subdir: &str) -> Option<&'static str> {
    if subdir.starts_with(['/', '\\', '~', '-']) || subdir.get(1..2) == Some(":") {
        return Some("is not relative to the source");
    }
    if subdir.split(['/', '\\']).any(|part| part == "..") {
        return Some("leads out of the source: it may not have `..`");
    }
    if subdir.chars().any(char::is_control) {
        return Some("has characters that no path has");
    }
    None
}

/// What a patch says of one file.
#[derive(Debug, PartialEq, Eq)]
struct FileDiff<'a> {
    /// Its name with the directories that are stripped.
    path: &'a [u8],
    /// The first line of each hunk in the file as it is without the patch.
    hunks: Vec<u64>,
}

/// Without its first directories; `None` when there are fewer.
fn stripped(path: &[u8], level: usize) -> Option<&str> {
    let mut rest = std::str::from_utf8(path).ok()?;
    for _ in 0..level {
        rest = rest.split_once('/')?.1.trim_start_matches('/');
    }
    Some(rest)
}

/// The files of a diff; none when it is no diff.
fn files(body: &[u8]) -> Result<Vec<FileDiff<'_>>, String> {
    let mut files: Vec<FileDiff<'_>> = Vec::new();
    // Behind the last line feed is no line.
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let mut lines = body.split(|byte| *byte == b'\n').enumerate();
    let mut old: &[u8] = b"";
    while let Some((at, line)) = lines.next() {
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            // Renames, modes and binary files have no hunks.
            let last = names.rsplit(|byte| *byte == b' ').next();
            files.push(FileDiff {
                path: last.unwrap_or_default(),
                hunks: Vec::new(),
            });
        } else if let Some(name) = line.strip_prefix(b"--- ") {
            old = named(name);
        } else if let Some(name) = line.strip_prefix(b"+++ ").filter(|_| !old.is_empty()) {
            let new = named(name);
            let path = if new == b"/dev/null" { old } else { new };
            old = b"";
            match files.last_mut().filter(|file| file.hunks.is_empty()) {
                Some(announced) => announced.path = path,
                None => files.push(FileDiff {
                    path,
                    hunks: Vec::new(),
                }),
            }
        } else if let (Some(file), Some(hunk)) = (files.last_mut(), Hunk::read(line)) {
            file.hunks.push(hunk.start);
            let rest = lines.by_ref().map(|(_, line)| line);
            if !hunk.is_whole(rest) {
                return Err(format!("is cut off in the hunk of its line {}", at + 1));
            }
        }
    }
    let is_some = |file: &FileDiff<'_>| !file.hunks.is_empty();
    let is_git = body.starts_with(b"diff --git ") || contains(body, b"\ndiff --git ");
    match is_git || files.iter().any(is_some) {
        true => Ok(files),
        false => Ok(Vec::new()),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The name of a file, without the time that `diff` writes behind it.
fn named(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|byte| matches!(byte, b'\t' | b'\r'));
    &rest[..end.unwrap_or(rest.len())]
}

/// The line that a hunk begins with.
struct Hunk {
    start: u64,
    old_lines: u64,
    new_lines: u64,
}

impl Hunk {
    /// `@@ -START,LINES +START,LINES @@`; one line where there is no number.
    fn read(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"@@ -")?;
        // Behind it may stand anything.
        let end = rest.windows(3).position(|window| window == b" @@")?;
        let ranges = std::str::from_utf8(&rest[..end]).ok()?;
        let (old, new) = ranges.split_once(" +")?;
        let range = |text: &str| match text.split_once(',') {
            Some((start, lines)) => Some((start.parse().ok()?, lines.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        };
        let ((start, old_lines), (_, new_lines)): ((u64, u64), (u64, u64)) =
            (range(old)?, range(new)?);
        Some(Self {
            start,
            old_lines,
            new_lines,
        })
    }

    /// Whether as many lines follow as it says; takes them.
    fn is_whole<'a>(&self, mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
        let (mut old, mut new) = (self.old_lines, self.new_lines);
        while old > 0 || new > 0 {
            let Some(line) = lines.next() else {
                return false;
            };
            // A line that is only a space may have lost it on its way.
            let (less_old, less_new) = match line.first() {
                None | Some(b' ' | b'\r') => (1, 1),
                Some(b'-') => (1, 0),
                Some(b'+') => (0, 1),
                Some(b'\\') => (0, 0),
                Some(_) => return false,
            };
            match (old.checked_sub(less_old), new.checked_sub(less_new)) {
                (Some(less_old), Some(less_new)) => (old, new) = (less_old, less_new),
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_HUNKS: &str = "\
--- a/src/x.c\t2026-01-01
+++ b/src/x.c\t2026-01-02
@@ -1,3 +1,3 @@ int main()
 a
-b
+c
 d
@@ -40 +40,2 @@
 e
+f
\\ No newline at end of file
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+new
";

    const RENAME: &str = "\
diff --git a/old.txt b/new.txt
similarity index 100%
rename from old.txt
rename to new.txt
";

    fn patch(body: &str) -> Patch {
        Patch {
            level: 1,
            body: body.into(),
            author: String::new(),
            comment: String::new(),
            subdir: ".".into(),
        }
    }

    fn check(patch: &Patch) -> Result<(), (&'static str, String)> {
        patch.check().map_err(|fault| (fault.part, fault.message))
    }

    #[test]
    fn diffs_are_told_from_other_texts() {
        for good in [TWO_HUNKS, RENAME] {
            assert_eq!(check(&patch(good)), Ok(()), "{good}");
            let mail = format!("From: Ada\nSubject: x\n\n---\n x | 1 +\n\n{good}-- \n2.43\n");
            assert_eq!(check(&patch(&mail)), Ok(()), "{mail}");
            assert_eq!(check(&patch(&good.replace('\n', "\r\n"))), Ok(()));
        }
        let no_diff = "is no unified diff (`diff -u`, `git diff`)";
        let cut = &TWO_HUNKS[..TWO_HUNKS.find(" d\n").unwrap()];
        let table = [
            ("", no_diff),
            ("a\nb\n", no_diff),
            ("1c1\n< a\n---\n> b\n", no_diff),
            ("--- a\n+++ b\n", no_diff),
            ("@@ -1 +1 @@\n-a\n+b\n", no_diff),
            (cut, "is cut off in the hunk of its line 3"),
            (
                "--- a\n+++ b\n@@ -1,9 +1,9 @@\n-a\n@@ -1 +1 @@\n",
                "is cut off in the hunk of its line 3",
            ),
        ];
        for (body, message) in table {
            let expected = Err(("body", message.to_owned()));
            assert_eq!(check(&patch(body)), expected, "{body}");
        }
    }

    #[test]
    fn a_patch_stays_in_the_source_and_within_its_limits() {
        let subdirs = [
            ("", None),
            (".", None),
            ("./", None),
            ("lib/a b", None),
            ("/etc", Some("is not relative to the source")),
            ("\\\\host", Some("is not relative to the source")),
            ("c:/x", Some("is not relative to the source")),
            ("--unsafe-paths", Some("is not relative to the source")),
            (
                "lib/../..",
                Some("leads out of the source: it may not have `..`"),
            ),
            (
                "lib\\..\\x",
                Some("leads out of the source: it may not have `..`"),
            ),
            ("a\nb", Some("has characters that no path has")),
        ];
        for (subdir, message) in subdirs {
            let patch = Patch {
                subdir: subdir.into(),
                ..patch(TWO_HUNKS)
            };
            let expected = message.map_or(Ok(()), |text| Err(("subdir", text.to_owned())));
            assert_eq!(check(&patch), expected, "{subdir}");
        }
        let long = |length: usize| Patch {
            body: vec![b'x'; length],
            ..patch("")
        };
        let (part, message) = check(&long(PATCH_BODY_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(part, "body");
        assert_eq!(message, "has 524289 bytes, and takes at most 524288");
        let deep = Patch {
            level: 101,
            ..patch(TWO_HUNKS)
        };
        assert_eq!(check(&deep), Err(("level", "is at most 100".into())));
    }

    #[test]
    fn a_hunk_is_found_by_its_file_and_line() {
        let at = |patch: &Patch, path, line| patch.hunk_at(path, line);
        let plain = patch(TWO_HUNKS);
        assert_eq!(at(&plain, "src/x.c", 1), Some((1, 2)));
        assert_eq!(at(&plain, "src/x.c", 40), Some((2, 2)));
        assert_eq!(at(&plain, "new.txt", 0), Some((1, 1)));
        assert_eq!(at(&plain, "src/x.c", 7), None);
        assert_eq!(at(&plain, "x.c", 1), None);
        let elsewhere = Patch {
            level: 2,
            subdir: "./lib/".into(),
            ..plain
        };
        assert_eq!(at(&elsewhere, "lib/x.c", 40), Some((2, 2)));
        assert_eq!(at(&elsewhere, "x.c", 40), None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
            let hostile = Patch { body, ..patch("") };
            let _ = hostile.check();
            let cut = cut.min(TWO_HUNKS.len());
            let part = patch(&TWO_HUNKS[..cut]);
            let _ = (part.check(), part.hunk_at("src/x.c", 1));
        }
    }
}
