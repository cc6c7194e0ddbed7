//! The git commands of a poller, in a bare copy of its own.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use toolpost_worker::{CommandSpec, EnvValue, LocalWorker, LocalWorkerOptions, Status};

use super::commits::{Commit, LOG_ARGUMENTS, read_commits, read_references};
use super::cursor::Heads;
use crate::steps::git::errors::GitFailure;

/// A server that does not answer for this long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// The longest fetch of a repository.
const COMMAND_MAX: Duration = Duration::from_secs(3_600);

/// What is read of one command's output: a hundred thousand references, or thousands of commits.
const OUTPUT_BYTES_MAX: usize = 32 << 20;

/// Paths that are kept of one commit.
const FILES_PER_COMMIT_MAX: usize = 10_000;

/// Branches that are followed of one repository.
pub(super) const BRANCHES_MAX: usize = 10_000;

/// Where the copy keeps the heads of followed branches.
const TRACKED: &str = "refs/toolpost/heads/";

/// A bare copy of a repository.
pub(super) struct Mirror {
    worker: LocalWorker,
    repository: String,
}

impl Mirror {
    /// Opens or makes the copy.
    pub(super) async fn open(dir: PathBuf, repository: &str) -> Result<Self, GitFailure> {
        let worker = LocalWorker::open(LocalWorkerOptions::new(dir)).await;
        let worker = worker.map_err(|error| GitFailure::Other(error.to_string()))?;
        let mirror = Self {
            worker,
            repository: repository.into(),
        };
        mirror.git(&["init", "--bare", "--quiet"], None).await?;
        Ok(mirror)
    }

    /// The heads of all branches as the repository tells them now.
    pub(super) async fn remote_heads(&self) -> Result<Heads, GitFailure> {
        let output = self
            .git(&["ls-remote", "--heads", "--", &self.repository], None)
            .await?;
        let heads = read_references(&output)
            .into_iter()
            .filter_map(|(reference, id)| {
                let branch = reference.strip_prefix("refs/heads/")?;
                Some((branch.to_owned(), id))
            });
        Ok(heads.collect())
    }

    /// Fetches these branches and gives their heads as they were fetched: the repository may have moved on
    /// since it was asked. Other branches are forgotten first, because a branch `a` leaves no room for a branch
    /// `a/b`.
    pub(super) async fn fetch(&self, branches: &Heads) -> Result<Heads, GitFailure> {
        let tracked = self.tracked().await?;
        let mut forget = String::new();
        for branch in tracked
            .keys()
            .filter(|branch| !branches.contains_key(*branch))
        {
            forget.push_str(&format!("delete {TRACKED}{branch}\n"));
        }
        if !forget.is_empty() {
            self.git(&["update-ref", "--stdin"], Some(forget)).await?;
        }
        let wanted = branches
            .iter()
            .filter(|(branch, head)| tracked.get(*branch) != Some(head));
        let refspecs: String = wanted
            .map(|(branch, _)| format!("+refs/heads/{branch}:{TRACKED}{branch}\n"))
            .collect();
        if !refspecs.is_empty() {
            let words = [
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--stdin",
                "--",
                &self.repository,
            ];
            self.git(&words, Some(refspecs)).await?;
        }
        let mut fetched = self.tracked().await?;
        fetched.retain(|branch, _| branches.contains_key(branch));
        Ok(fetched)
    }

    async fn tracked(&self) -> Result<Heads, GitFailure> {
        let format = "--format=%(objectname)%09%(refname)";
        let output = self.git(&["for-each-ref", format, TRACKED], None).await?;
        let heads = read_references(&output)
            .into_iter()
            .filter_map(|(reference, id)| {
                let branch = reference.strip_prefix(TRACKED)?;
                Some((branch.to_owned(), id))
            });
        Ok(heads.collect())
    }

    /// The newest commits that `head` reaches and none of `known` does, oldest first, at most so many. Known
    /// ones that the copy does not have (any more) are passed over.
    pub(super) async fn commits<'a>(
        &self,
        head: &str,
        known: impl IntoIterator<Item = &'a String>,
        commits_max: usize,
    ) -> Result<Vec<Commit>, GitFailure> {
        let mut revisions = format!("{head}\n");
        for revision in known {
            revisions.push_str(&format!("^{revision}\n"));
        }
        let count = format!("--max-count={commits_max}");
        let mut words = vec!["log", "--ignore-missing", "--topo-order", &count, "--stdin"];
        words.extend(LOG_ARGUMENTS);
        let output = self.git(&words, Some(revisions)).await?;
        let commits = read_commits(&output, FILES_PER_COMMIT_MAX);
        let mut commits = commits.map_err(GitFailure::Other)?;
        commits.reverse();
        Ok(commits)
    }

    /// Runs one command in the copy. Dropping the future kills it.
    async fn git(&self, words: &[&str], stdin: Option<String>) -> Result<Bytes, GitFailure> {
        let words = std::iter::once("git").chain(words.iter().copied());
        let mut spec = CommandSpec::argv("mirror.git", words);
        let env = [
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("SSH_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS_REQUIRE", "force"),
            // Never the repository around the state directory.
            ("GIT_DIR", "."),
        ];
        spec.env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), EnvValue::Set(value.to_owned())))
            .collect();
        spec.stdin = stdin.map(Bytes::from);
        spec.idle_timeout = Some(SILENCE_MAX);
        spec.total_timeout = Some(COMMAND_MAX);
        let started = self.worker.start(spec).await;
        let running = started.map_err(|error| GitFailure::Other(error.to_string()))?;
        let captured = running.capture(OUTPUT_BYTES_MAX).await;
        if captured.exit.success() {
            if captured.truncated {
                let text = format!("git printed more than {OUTPUT_BYTES_MAX} bytes");
                return Err(GitFailure::Other(text));
            }
            return Ok(captured.stdout);
        }
        let stderr = String::from_utf8_lossy(&captured.stderr);
        Err(match (captured.exit.cause, captured.exit.status) {
            (Some(cause), _) => GitFailure::Network(cause.to_string()),
            (None, Status::Code(code)) => GitFailure::read(Some(code), &stderr),
            (None, status) => GitFailure::Other(status.to_string()),
        })
    }
}
