//! A git repository for a test. Same commits, same ids: authors and times are fixed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A repository with a working tree.
pub(crate) struct Repo {
    dir: PathBuf,
}

impl Repo {
    /// An empty repository with the branch `main` in a directory that does not exist yet.
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).expect("a directory for the repository");
        let repo = Self { dir };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// Writes a file and commits it. Gives the id of the commit.
    pub(crate) fn commit(&self, file: &str, contents: &str, message: &str) -> String {
        let path = self.dir.join(file);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("directory");
        std::fs::write(path, contents).expect("file");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git, which must succeed. Gives what it printed, trimmed.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {words:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new("git")
            .args(words)
            .current_dir(&self.dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_AUTHOR_DATE", "2026-01-01T12:00:00Z")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_DATE", "2026-01-01T12:00:00Z")
            .output()
            .expect("git runs")
    }
}
