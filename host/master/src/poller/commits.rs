//! Reads commits from `git log` without being fooled by what people write into them. Pure.
//!
//! The fields of a commit are ended by NUL, which no commit can hold. The files follow in raw format,
//! each entry a field that begins with a colon and one with the path, so that a path is never taken
//! for a commit. Bytes that are not UTF-8 become U+FFFD.

use toolpost_core::Timestamp;

/// Arguments of `git log` whose output [`read_commits`] reads.
pub(crate) const LOG_ARGUMENTS: [&str; 7] = [
    "-z",
    "--raw",
    "--no-renames",
    "--no-abbrev",
    "--diff-merges=first-parent",
    "--encoding=UTF-8",
    "--format=%H%x00%aN <%aE>%x00%cN <%cE>%x00%ct%x00%B%x00",
];

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) revision: String,
    pub(crate) author: String,
    pub(crate) committer: String,
    pub(crate) when: Timestamp,
    pub(crate) comments: String,
    pub(crate) files: Vec<String>,
}

/// Reads what `git log` with [`LOG_ARGUMENTS`] printed, in its order; at most `files_max` paths of each commit.
///
/// # Errors
/// Where the output does not have that form.
pub(crate) fn read_commits(output: &[u8], files_max: usize) -> Result<Vec<Commit>, String> {
    let mut fields = output.split(|byte| *byte == 0).peekable();
    let mut commits = Vec::new();
    while let Some(revision) = fields.next() {
        if revision.is_empty() && fields.peek().is_none() {
            break;
        }
        let mut field = || {
            fields
                .next()
                .map(text)
                .ok_or("git log ended within a commit")
        };
        let revision = text(revision);
        let (author, committer) = (field()?, field()?);
        let seconds = field()?;
        let when = seconds
            .parse()
            .map(Timestamp::from_seconds)
            .map_err(|_| format!("`{seconds}` is no time of a commit"))?;
        let comments = field()?.trim_end().to_owned();
        field()?;
        let mut files = Vec::new();
        while fields.peek().is_some_and(|entry| is_raw_entry(entry)) {
            fields.next();
            let path = fields.next().ok_or("git log ended before a path")?;
            if files.len() < files_max {
                files.push(text(path));
            }
        }
        commits.push(Commit {
            revision,
            author,
            committer,
            when,
            comments,
            files,
        });
    }
    Ok(commits)
}

fn is_raw_entry(field: &[u8]) -> bool {
    field.strip_prefix(b"\n").unwrap_or(field).first() == Some(&b':')
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads `git ls-remote`: full reference names and the ids of what they point to.
pub(crate) fn read_references(output: &[u8]) -> Vec<(String, String)> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| {
            let (id, reference) = line.split_once('\t')?;
            Some((reference.to_owned(), id.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_commit_is_taken_for_structure() {
        let output = b"aa\0A <a@x>\0C <c@x>\x0012\0one\n\nbody :100 \xff\n\0\0\n:000000 100644 0 1 A\0:q\0:000000 100644 0 1 A\0b\nx\0bb\0B <b@x>\0C <c@x>\x0013\0empty\n\0\0cc\0B <b@x>\0C <c@x>\x0014\0\0\0\n:1 1 1 1 M\0f\0";
        let commits = read_commits(output, 10).unwrap();
        let short: Vec<_> = commits
            .iter()
            .map(|c| (c.revision.as_str(), c.comments.as_str(), c.files.clone()))
            .collect();
        assert_eq!(
            short,
            [
                (
                    "aa",
                    "one\n\nbody :100 \u{fffd}",
                    vec![":q".to_owned(), "b\nx".to_owned()]
                ),
                ("bb", "empty", vec![]),
                ("cc", "", vec!["f".to_owned()]),
            ]
        );
        assert_eq!(commits[0].when, Timestamp(12_000));
        assert_eq!(commits[0].committer, "C <c@x>");
    }

    #[test]
    fn files_are_limited_and_nothing_is_nothing() {
        let output = b"aa\0A\0C\x0012\0m\0\0\n:1\0a\0:1\0b\0:1\0c\0bb\0A\0C\x0012\0m\0\0";
        let commits = read_commits(output, 2).unwrap();
        assert_eq!(commits[0].files, ["a", "b"]);
        assert_eq!(commits[1].revision, "bb");
        assert_eq!(read_commits(b"", 2), Ok(vec![]));
        assert!(read_commits(b"aa\0A\0C\0", 2).is_err());
        assert!(read_commits(b"aa\0A\0C\0soon\0m\0\0", 2).is_err());
    }
}
