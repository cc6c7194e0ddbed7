//! The patch of a source stamp: applied to what was checked out, and undone before the next checkout.
//!
//! It goes to the worker as a file, because not every worker gives its commands an input. That file and the mark that says that
//! the checkout is not as it was committed lie beside git's own, where no build sees them and no cleaning takes them away.

use bytes::Bytes;
use toolpost_core::patch::Patch;
use toolpost_worker::WriteMode;

use super::checkout::{Checkout, CheckoutError};
use super::errors::GitFailure;

/// Beneath the checkout: the patch, while it is applied.
const PATCH_FILE: &str = ".git/toolpost.patch";

/// Beneath the checkout: there when a patch was, or was to be, applied.
const PATCHED_MARK: &str = ".git/toolpost-patched";

impl Checkout<'_> {
    /// Applies it to the working directory.
    pub(super) async fn apply(&self, patch: &Patch) -> Result<(), CheckoutError> {
        let (dir, files) = (&self.step.rendered.workdir, self.step.files());
        let write = async |name: &str, bytes: Bytes| {
            let path = format!("{dir}/{name}");
            files.write(path, bytes, WriteMode::Replace, None).await
        };
        // First, so that what is cut off on the way is undone, too.
        write(PATCHED_MARK, Bytes::from_static(b"patched\n")).await?;
        write(PATCH_FILE, Bytes::copy_from_slice(&patch.body)).await?;
        // What was copied has other times than the index says, and is not looked at more closely otherwise. It fails only where
        // something really differs, which is told below.
        let _ = self
            .try_git(dir, &["update-index", "-q", "--refresh"])
            .await?;
        let level = format!("-p{}", patch.level);
        let subdir = patch.dir().map(|dir| format!("--directory={dir}"));
        let mut words = vec!["apply", "--index", "--verbose", &level];
        words.extend(subdir.as_deref());
        words.extend(["--", PATCH_FILE]);
        let applied = self.try_git(dir, &words).await?;
        files.remove(format!("{dir}/{PATCH_FILE}")).await?;
        match applied {
            Ok(_) => Ok(()),
            Err((failure @ (GitFailure::NoGit | GitFailure::DiskFull), _)) => {
                Err(CheckoutError::Git(failure))
            }
            Err((_, stderr)) => Err(CheckoutError::Patch(refusal(patch, &stderr))),
        }
    }

    /// Makes what is checked out as it was committed, if a patch was applied to it, and takes away what was built of that.
    pub(super) async fn undo_patch(&self, dir: &str) -> Result<(), CheckoutError> {
        let mark = format!("{dir}/{PATCHED_MARK}");
        let files = self.step.files();
        if files.stat(mark.clone()).await?.is_none() {
            return Ok(());
        }
        self.log.header("the last build had a patch").await;
        self.git(dir, &["reset", "--quiet", "--hard"]).await?;
        self.git(dir, &["clean", "-f", "-f", "-d", "-x"]).await?;
        files.remove(mark).await?;
        Ok(())
    }
}

/// Longest last words of git that are shown, characters.
const WORDS_CHARS_MAX: usize = 300;

/// Why git did not apply a patch, with the first hunk that does not fit.
fn refusal(patch: &Patch, stderr: &str) -> String {
    let errors = || {
        stderr
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
    };
    let mut misfits = errors().filter_map(|error| {
        let (path, line) = error.strip_prefix("patch failed: ")?.rsplit_once(':')?;
        Some((path, line.parse::<u64>().ok()?))
    });
    let Some((path, line)) = misfits.next() else {
        let words = errors().next().or_else(|| stderr.lines().next_back());
        let words: String = words
            .unwrap_or("git does not say why")
            .chars()
            .take(WORDS_CHARS_MAX)
            .collect();
        return format!("the patch does not apply: {words}");
    };
    let hunk = match patch.hunk_at(path, line) {
        Some((number, of)) => format!("hunk {number} of {of} of {path}, at line {line}"),
        None => format!("{path}, at line {line}"),
    };
    match misfits.count() {
        0 => format!("the patch does not apply: {hunk}"),
        others => format!("the patch does not apply: {hunk}, and {others} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hunk_that_does_not_fit_is_named() {
        let patch = Patch {
            level: 1,
            body: b"--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-c\n+d\n".to_vec(),
            author: String::new(),
            comment: String::new(),
            subdir: "lib".into(),
        };
        let table = [
            (
                "Checking patch lib/x.c...\nerror: while searching for:\nc\n\nerror: patch failed: lib/x.c:9\nerror: lib/x.c: patch does not apply\n",
                "the patch does not apply: hunk 2 of 2 of lib/x.c, at line 9",
            ),
            (
                "error: patch failed: a:b:7\nerror: patch failed: y:8\n",
                "the patch does not apply: a:b, at line 7, and 1 more",
            ),
            (
                "Checking patch lib/x.c...\nerror: lib/x.c: No such file or directory\n",
                "the patch does not apply: lib/x.c: No such file or directory",
            ),
            ("", "the patch does not apply: git does not say why"),
        ];
        for (stderr, text) in table {
            assert_eq!(refusal(&patch, stderr), text);
        }
    }
}
