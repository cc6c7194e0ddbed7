//! The loop of one poller.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use toolpost_config::config::{ChangeSourceConfig, GitPollerConfig};
use toolpost_core::Timestamp;
use toolpost_core::backoff::Backoff;
use toolpost_store::{NewChange, Store, StoreError};
use tracing::{info, warn};

use super::commits::Commit;
use super::cursor::{Cursor, Heads, News};
use super::git::{BRANCHES_MAX, Mirror};
use crate::clock::Clock;
use crate::engine::lock;
use crate::status::PollerStatus;
use crate::steps::git::errors::GitFailure;

/// Changes that one branch can bring in one poll. Of more, the newest count.
const CHANGES_PER_BRANCH_MAX: usize = 1_000;

/// Wait after the first failure, unless the interval is shorter; doubled after each further one.
const RETRY_WAIT_MIN: Duration = Duration::from_secs(10);

/// The longest wait after failures, unless the interval is longer.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(600);

/// Why a poll failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Git(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the repository has {0} branches that are followed, at most {BRANCHES_MAX} are; narrow `branches`"
    )]
    TooManyBranches(usize),
}

/// What others see of a poller and may ask of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PollerHandle {
    status: Arc<Mutex<PollerStatus>>,
    poll: Arc<Notify>,
}

impl PollerHandle {
    pub(crate) fn new(status: PollerStatus) -> Self {
        Self {
            status: Arc::new(Mutex::new(status)),
            poll: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn status(&self) -> PollerStatus {
        lock(&self.status).clone()
    }

    /// Polls as soon as possible.
    pub(crate) fn poll_now(&self) {
        self.poll.notify_one();
    }
}

/// Runs one poller.
#[derive(Clone)]
pub(crate) struct PollerActor {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) source: Arc<ChangeSourceConfig>,
    pub(crate) git: Arc<GitPollerConfig>,
    /// Where pollers keep their copies.
    pub(crate) cache_dir: PathBuf,
    pub(crate) handle: PollerHandle,
}

impl PollerActor {
    /// Polls until it is dropped.
    pub(crate) async fn run(self) {
        let interval = self.git.interval;
        let mut backoff = Backoff::new(RETRY_WAIT_MIN.min(interval), RETRY_WAIT_MAX.max(interval))
            .with_jitter(0.0);
        let mut next = self.clock.now();
        if !self.git.poll_at_launch {
            next = next.after(interval);
        }
        let mut mirror = None;
        loop {
            lock(&self.handle.status).next_poll_at = Some(next);
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                () = self.handle.poll.notified() => {}
            }
            let polled = self.poll(&mut mirror).await;
            let wait = match &polled {
                Ok(_) => {
                    backoff.succeeded();
                    interval
                }
                Err(_) => backoff.next_wait(0.0),
            };
            let now = self.clock.now();
            next = now.after(wait);
            self.tell(polled, backoff.failures(), now);
        }
    }

    fn tell(&self, polled: Result<Heads, Failure>, failures: u32, now: Timestamp) {
        let name = &self.source.name;
        let mut status = lock(&self.handle.status);
        status.failures = failures;
        match polled {
            Ok(heads) => {
                if status.error.take().is_some() {
                    info!(change_source.name = %name, "change source `{name}` works again");
                }
                status.polled_at = Some(now);
                status.heads = heads.into_iter().collect();
            }
            Err(failure) => {
                let text = failure.to_string();
                if status.error.as_ref() != Some(&text) {
                    warn!(change_source.name = %name, "change source `{name}`: {text}");
                }
                status.error = Some(text);
            }
        }
    }

    /// Asks once. Gives the heads of the followed branches.
    async fn poll(&self, mirror: &mut Option<Mirror>) -> Result<Heads, Failure> {
        let mirror = match mirror {
            Some(mirror) => mirror,
            None => {
                let dir = self.cache_dir.join(directory_name(&self.source.name));
                let opened = Mirror::open(dir, &self.git.repository).await;
                mirror.insert(opened.map_err(|failure| self.failure(&failure))?)
            }
        };
        let heads = mirror
            .remote_heads()
            .await
            .map_err(|failure| self.failure(&failure))?;
        let heads: Heads = heads
            .into_iter()
            .filter(|(branch, _)| self.git.branches.contains(branch))
            .collect();
        if heads.len() > BRANCHES_MAX {
            return Err(Failure::TooManyBranches(heads.len()));
        }
        let name = &self.source.name;
        let stored = self.store.get_state(name, Cursor::KEY).await?;
        let cursor = Cursor::read(stored.as_ref(), &self.git.repository);
        if cursor.as_ref().is_some_and(|cursor| cursor.heads == heads) {
            return Ok(heads);
        }
        let found = self.changes(mirror, cursor.as_ref(), heads).await;
        let (changes, heads) = found.map_err(|failure| self.failure(&failure))?;
        let cursor = Cursor {
            repository: self.git.repository.clone(),
            heads: heads.clone(),
        };
        let state = Some((Cursor::KEY.to_owned(), cursor.write()));
        let added = self
            .store
            .add_changes(name, changes, state, self.clock.now())
            .await?;
        if !added.is_empty() {
            info!(change_source.name = %name, "change source `{name}` found {} changes", added.len());
        }
        Ok(heads)
    }

    fn failure(&self, failure: &GitFailure) -> Failure {
        Failure::Git(failure.describe(&self.git.repository))
    }

    /// What is new since the cursor, and the heads up to which it is. At first sight of a repository nothing
    /// is new, unless the newest commits are asked for.
    async fn changes(
        &self,
        mirror: &Mirror,
        cursor: Option<&Cursor>,
        heads: Heads,
    ) -> Result<(Vec<NewChange>, Heads), GitFailure> {
        if cursor.is_none() && !self.git.build_newest {
            return Ok((Vec::new(), heads));
        }
        let heads = mirror.fetch(&heads).await?;
        let mut changes = Vec::new();
        let Some(cursor) = cursor else {
            for (branch, head) in &heads {
                let newest = mirror.commits(head, [], 1).await?;
                changes.extend(newest.into_iter().map(|commit| self.change(branch, commit)));
            }
            return Ok((changes, heads));
        };
        for (branch, news) in cursor.news(&heads) {
            let Some(head) = heads.get(&branch) else {
                continue;
            };
            let known = cursor.heads.values();
            let mut commits = mirror.commits(head, known, CHANGES_PER_BRANCH_MAX).await?;
            if commits.len() == CHANGES_PER_BRANCH_MAX {
                warn!(
                    change_source.name = %self.source.name,
                    "branch `{branch}` moved by {CHANGES_PER_BRANCH_MAX} commits or more; older ones are not reported"
                );
            }
            // A known branch that moved to commits that are known from elsewhere (fast-forward merge, reset)
            // is something else to build all the same.
            if commits.is_empty() && news == News::Moved {
                commits = mirror.commits(head, [], 1).await?;
            }
            changes.extend(
                commits
                    .into_iter()
                    .map(|commit| self.change(&branch, commit)),
            );
        }
        Ok((changes, heads))
    }

    fn change(&self, branch: &str, commit: Commit) -> NewChange {
        NewChange {
            author: commit.author,
            committer: Some(commit.committer),
            comments: commit.comments,
            files: commit.files,
            branch: Some(branch.into()),
            revision: Some(commit.revision),
            revlink: None,
            category: self.source.category.clone(),
            repository: self.git.repository.clone(),
            codebase: self.source.codebase.clone(),
            project: self.source.project.clone(),
            when: commit.when,
            ..NewChange::default()
        }
    }
}

/// A name for a directory that is different for every name of a change source.
fn directory_name(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02x}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::directory_name;

    #[test]
    fn names_become_directories_of_their_own() {
        let names = ["main", "https://x/y.git", "../..", "a%2f", "a/"];
        let dirs = names.map(directory_name);
        assert_eq!(
            dirs,
            [
                "main",
                "https%3a%2f%2fx%2fy%2egit",
                "%2e%2e%2f%2e%2e",
                "a%252f",
                "a%2f"
            ]
        );
    }
}
