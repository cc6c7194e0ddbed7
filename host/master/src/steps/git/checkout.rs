//! Brings the working directory of a step to the revision that is to be built.
//!
//! One way for all modes: an empty or existing repository, one fetch of what is missing, one checkout. So a
//! checkout that was cut off at any point is repaired by the next one. Runs git on the worker only.

use std::time::Duration;

use toolpost_core::backoff::Backoff;
use toolpost_core::model::SourceStampSpec;
use toolpost_worker::{EnvValue, FileError, Invocation, Status, StopCause};

use super::errors::{GitFailure, without_password};
use super::params::{GitParams, Method, Mode};
use crate::build::StepContext;
use crate::build::command::{self, OutputPlan};
use crate::build::logs::StepLog;
use crate::build::outcome::Fault;

/// What is kept of what a git command prints: the last words of errors, ids of revisions.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Where `method = "copy"` keeps its checkout, beside the working directory.
const COPY_SOURCE_DIR: &str = "source";

/// What a killed git leaves behind. Nobody else works in the directory of a build.
const LOCK_FILES: [&str; 4] = ["index.lock", "HEAD.lock", "config.lock", "shallow.lock"];

/// Longest wait before a further attempt.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(300);

/// Why a checkout did not work.
#[derive(Debug)]
pub(super) enum CheckoutError {
    /// What git said.
    Git(GitFailure),
    /// The patch cannot be applied, for people.
    Patch(String),
    /// A git command took too long.
    TimedOut(String),
    /// Something around git.
    Fault(Fault),
}

impl From<Fault> for CheckoutError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<FileError> for CheckoutError {
    fn from(error: FileError) -> Self {
        Self::Fault(Fault::Failed(error.to_string()))
    }
}

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) repository: String,
    /// A name as `git fetch` takes it.
    pub(super) reference: String,
    pub(super) revision: Option<String>,
}

impl Target {
    /// What parameters and source stamp say together.
    ///
    /// # Errors
    /// No repository is named.
    pub(super) fn new(params: &GitParams, stamp: Option<&SourceStampSpec>) -> Result<Self, String> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let stamped = stamp.map(|stamp| stamp.repository.clone());
        let repository = given(&params.repository)
            .or_else(|| given(&stamped))
            .ok_or_else(|| match params.codebase.as_str() {
                "" => "no repository: the build has none, and the step gives none".to_owned(),
                codebase => format!("no repository: the build has none for codebase `{codebase}`"),
            })?;
        let branch = stamp
            .and_then(|stamp| given(&stamp.branch))
            .or_else(|| given(&params.branch));
        let revision = given(&params.revision).or_else(|| {
            let stamped = stamp.and_then(|stamp| given(&stamp.revision));
            stamped.filter(|_| !params.always_use_latest)
        });
        for (what, text) in [("branch", &branch), ("revision", &revision)] {
            // It would be read as an option.
            if let Some(text) = text.as_ref().filter(|text| text.starts_with('-')) {
                return Err(format!("`{text}` is no {what}"));
            }
        }
        Ok(Self {
            repository,
            reference: branch.unwrap_or_else(|| "HEAD".into()),
            revision,
        })
    }
}

/// One checkout under way.
pub(super) struct Checkout<'a> {
    pub(super) step: &'a StepContext,
    pub(super) params: &'a GitParams,
    pub(super) target: &'a Target,
    pub(super) log: &'a StepLog,
}

impl Checkout<'_> {
    /// Does it. Gives the full id of the revision.
    pub(super) async fn run(&self) -> Result<String, CheckoutError> {
        let files = self.step.files();
        if self.is_full(Method::Clobber) {
            self.remove(&self.step.rendered.workdir).await?;
        }
        let dir = self.dir();
        let existed = files.stat(format!("{dir}/.git")).await?.is_some();
        let revision = match self.update(&dir, existed).await {
            Err(CheckoutError::Git(failure)) if existed && self.may_clobber(&failure) => {
                let text = failure.describe(&self.target.repository);
                self.log
                    .header(&format!("{text}; everything is fetched anew"))
                    .await;
                self.remove(&dir).await?;
                self.update(&dir, false).await?
            }
            updated => updated?,
        };
        if self.is_full(Method::Copy) {
            let workdir = &self.step.rendered.workdir;
            self.remove(workdir).await?;
            self.log
                .header(&format!("copying `{dir}` to `{workdir}`"))
                .await;
            files.copy(dir, workdir.clone()).await?;
        }
        Ok(revision)
    }

    fn is_full(&self, method: Method) -> bool {
        self.params.mode == Mode::Full && self.params.method == method
    }

    /// Directory of the repository, relative to the build's.
    fn dir(&self) -> String {
        if self.is_full(Method::Copy) {
            COPY_SOURCE_DIR.into()
        } else {
            self.step.rendered.workdir.clone()
        }
    }

    /// Whether fetching everything anew may help.
    fn may_clobber(&self, failure: &GitFailure) -> bool {
        self.params.clobber_on_failure && matches!(failure, GitFailure::Other(_))
    }

    async fn remove(&self, dir: &str) -> Result<(), CheckoutError> {
        let removed = self.step.files().remove(dir.to_owned()).await?;
        if removed {
            self.log.header(&format!("removed `{dir}`")).await;
        }
        Ok(())
    }

    async fn update(&self, dir: &str, existed: bool) -> Result<String, CheckoutError> {
        if existed {
            let files = self.step.files();
            for name in LOCK_FILES {
                files.remove(format!("{dir}/.git/{name}")).await?;
            }
        }
        let repository = &self.target.repository;
        // Also repairs a repository that was cut off while it was made.
        self.git(dir, &["init", "--quiet"]).await?;
        self.git(
            dir,
            &["config", "--replace-all", "remote.origin.url", repository],
        )
        .await?;
        if existed {
            self.undo_patch(dir).await?;
        }
        if existed && self.params.mode == Mode::Full {
            match self.params.method {
                Method::Fresh => self.git(dir, &["clean", "-f", "-f", "-d", "-x"]).await?,
                Method::Clean => self.git(dir, &["clean", "-f", "-f", "-d"]).await?,
                Method::Clobber | Method::Copy => String::new(),
            };
        }
        let wanted = self.fetch(dir).await?;
        let commit = format!("{wanted}^{{commit}}");
        let revision = self.git(dir, &["rev-parse", "--verify", &commit]).await?;
        let revision = revision.trim().to_owned();
        self.git(
            dir,
            &["checkout", "--quiet", "--force", "--detach", &revision],
        )
        .await?;
        if self.params.submodules {
            self.update_submodules(dir, existed).await?;
        }
        Ok(revision)
    }

    /// Makes sure that what is wanted is there. Gives the name by which it is known.
    async fn fetch(&self, dir: &str) -> Result<String, CheckoutError> {
        let Some(revision) = &self.target.revision else {
            self.fetch_reference(dir, &self.target.reference).await?;
            return Ok("FETCH_HEAD".into());
        };
        // Only a full id means the same for ever.
        if is_full_id(revision) && self.has(dir, revision).await? {
            return Ok(revision.clone());
        }
        // A cut history may not reach the revision, so it is asked for by its id where the server allows that.
        let by_id = self.params.depth().is_some() && is_full_id(revision);
        if by_id && self.fetch_reference(dir, revision).await.is_ok() {
            return Ok(revision.clone());
        }
        self.fetch_reference(dir, &self.target.reference).await?;
        if self.has(dir, revision).await? {
            return Ok(revision.clone());
        }
        match self.fetch_reference(dir, revision).await {
            Ok(()) => Ok("FETCH_HEAD".into()),
            Err(CheckoutError::Git(failure)) if !failure.may_pass() => {
                Err(CheckoutError::Git(GitFailure::NoRevision(revision.clone())))
            }
            Err(error) => Err(error),
        }
    }

    async fn has(&self, dir: &str, revision: &str) -> Result<bool, CheckoutError> {
        let commit = format!("{revision}^{{commit}}");
        match self.git(dir, &["cat-file", "-e", &commit]).await {
            Ok(_) => Ok(true),
            Err(CheckoutError::Git(GitFailure::NoGit)) => {
                Err(CheckoutError::Git(GitFailure::NoGit))
            }
            Err(CheckoutError::Git(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn fetch_reference(&self, dir: &str, reference: &str) -> Result<(), CheckoutError> {
        let depth = self.params.depth().map(|depth| format!("--depth={depth}"));
        let was_shallow = depth.is_none() && {
            let mark = format!("{dir}/.git/shallow");
            self.step.files().stat(mark).await?.is_some()
        };
        let mut words = vec!["fetch", "--force"];
        words.push(if self.params.tags {
            "--tags"
        } else {
            "--no-tags"
        });
        words.extend(depth.as_deref());
        words.extend(was_shallow.then_some("--unshallow"));
        words.push(if self.params.progress {
            "--progress"
        } else {
            "--quiet"
        });
        let refspec = format!("+{reference}");
        words.extend(["--", &self.target.repository, &refspec]);
        self.git_over_network(dir, &words).await
    }

    async fn update_submodules(&self, dir: &str, existed: bool) -> Result<(), CheckoutError> {
        self.git(dir, &["submodule", "--quiet", "sync", "--recursive"])
            .await?;
        let depth = self.params.depth().map(|depth| format!("--depth={depth}"));
        let mut words = vec!["submodule", "update", "--init", "--recursive", "--force"];
        words.extend(depth.as_deref());
        self.git_over_network(dir, &words).await?;
        if existed && self.params.mode == Mode::Full {
            let clean = match self.params.method {
                Method::Fresh => "git clean -f -f -d -x",
                Method::Clean => "git clean -f -f -d",
                Method::Clobber | Method::Copy => return Ok(()),
            };
            self.git(
                dir,
                &["submodule", "--quiet", "foreach", "--recursive", clean],
            )
            .await?;
        }
        Ok(())
    }

    /// Runs a command again when the network failed.
    async fn git_over_network(&self, dir: &str, words: &[&str]) -> Result<(), CheckoutError> {
        let retry = self.params.retry;
        let mut backoff = Backoff::new(retry.delay.0, RETRY_WAIT_MAX).with_jitter(0.0);
        loop {
            let failure = match self.git(dir, words).await {
                Ok(_) => return Ok(()),
                Err(CheckoutError::Git(failure)) if failure.may_pass() => failure,
                Err(error) => return Err(error),
            };
            let wait = backoff.next_wait(0.0);
            if backoff.failures() >= retry.attempts {
                return Err(CheckoutError::Git(failure));
            }
            let text = failure.describe(&self.target.repository);
            let waiting = format!("{text}; trying again in {} s", wait.as_secs_f64());
            self.log.header(&waiting).await;
            tokio::select! {
                () = self.step.build.clock.sleep(wait) => {}
                () = self.step.cancel.cancelled() => return Err(Fault::Cancelled.into()),
            }
        }
    }

    /// Runs one git command. Gives what it printed.
    pub(super) async fn git(&self, dir: &str, words: &[&str]) -> Result<String, CheckoutError> {
        match self.try_git(dir, words).await? {
            Ok(printed) => Ok(printed),
            Err((failure, _)) => Err(CheckoutError::Git(failure)),
        }
    }

    /// Runs one git command. Gives what it printed, or what failed with the last words of its errors.
    pub(super) async fn try_git(
        &self,
        dir: &str,
        words: &[&str],
    ) -> Result<Result<String, (GitFailure, String)>, CheckoutError> {
        let mut argv = vec![
            "git".to_owned(),
            "-c".into(),
            "init.defaultBranch=main".into(),
        ];
        for (name, value) in &self.params.git_config {
            argv.extend(["-c".into(), format!("{name}={value}")]);
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let mut spec = self.step.command(Invocation::Argv(argv));
        spec.dir = dir.into();
        spec.env.extend(self.environment());
        spec.env.extend(command::environment(&self.params.env));
        spec.idle_timeout = Some(self.params.timeout.0);
        spec.total_timeout = self.params.max_time.map(|span| span.0);
        let shown: Vec<String> = words.iter().map(|word| without_password(word)).collect();
        self.log.header(&format!("git {}", shown.join(" "))).await;
        let plan = OutputPlan {
            log: Some(self.log),
            log_stdout: true,
            log_stderr: true,
            headers: false,
            keep_bytes_max: KEPT_BYTES_MAX,
            lines_max: None,
            files: Vec::new(),
        };
        let ended = match self.step.run(spec, plan).await {
            Err(Fault::NoProgram(text)) => {
                self.log.header(&text).await;
                return Err(CheckoutError::Git(GitFailure::NoGit));
            }
            ended => ended?,
        };
        if ended.exit.success() {
            return Ok(Ok(String::from_utf8_lossy(&ended.stdout).into_owned()));
        }
        self.log.header(&ended.exit.to_string()).await;
        if let Some(StopCause::IdleTimeout(_) | StopCause::TotalTimeout(_)) = ended.exit.cause {
            let command = words.first().copied().unwrap_or_default();
            return Err(CheckoutError::TimedOut(format!("git {command}")));
        }
        let stderr = String::from_utf8_lossy(&ended.stderr);
        let failure = match ended.exit.status {
            Status::Code(code) => GitFailure::read(Some(code), &stderr),
            status => GitFailure::Other(status.to_string()),
        };
        Ok(Err((failure, stderr.into_owned())))
    }

    /// Git never asks anybody, speaks the language that is understood here, and stays in the directory of
    /// the build even if that lies in the checkout of something else.
    fn environment(&self) -> [(String, EnvValue); 5] {
        let base_dir = self.step.build.worker.base_dir();
        let ceiling = format!("{base_dir}/{}", self.step.build.build_dir);
        [
            ("LC_ALL", "C".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("SSH_ASKPASS", "/bin/false".to_owned()),
            ("SSH_ASKPASS_REQUIRE", "force".to_owned()),
            ("GIT_CEILING_DIRECTORIES", ceiling),
        ]
        .map(|(name, value)| (name.to_owned(), EnvValue::Set(value)))
    }
}

/// Whether a revision is the whole id of an object (SHA-1 or SHA-256).
fn is_full_id(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(repository: &str, branch: Option<&str>, revision: Option<&str>) -> SourceStampSpec {
        SourceStampSpec {
            repository: repository.into(),
            branch: branch.map(Into::into),
            revision: revision.map(Into::into),
            ..SourceStampSpec::default()
        }
    }

    fn target(params: &str, stamp: Option<&SourceStampSpec>) -> Result<String, String> {
        let params = serde_json::from_str(params).unwrap();
        let target = Target::new(&params, stamp)?;
        let revision = target.revision.unwrap_or_else(|| "newest".into());
        Ok(format!(
            "{} {} {revision}",
            target.repository, target.reference
        ))
    }

    #[test]
    fn parameters_and_source_stamp_say_together_what_is_checked_out() {
        let full = stamp("/s", Some("dev"), Some("abc"));
        let table = [
            ("{}", Some(&full), "/s dev abc"),
            (r#"{"repository": "/p"}"#, Some(&full), "/p dev abc"),
            (r#"{"branch": "main"}"#, Some(&full), "/s dev abc"),
            (r#"{"revision": "def"}"#, Some(&full), "/s dev def"),
            (
                r#"{"always_use_latest": true}"#,
                Some(&full),
                "/s dev newest",
            ),
            (
                r#"{"repository": "/p", "branch": "main"}"#,
                None,
                "/p main newest",
            ),
            (r#"{"repository": "/p"}"#, None, "/p HEAD newest"),
            (
                r#"{"repository": "/p", "branch": ""}"#,
                Some(&stamp("", None, None)),
                "/p HEAD newest",
            ),
        ];
        for (params, stamp, expected) in table {
            assert_eq!(target(params, stamp).as_deref(), Ok(expected), "{params}");
        }
        assert!(target("{}", None).unwrap_err().starts_with("no repository"));
        let evil = stamp("/s", Some("--upload-pack=evil"), None);
        assert_eq!(
            target("{}", Some(&evil)).unwrap_err(),
            "`--upload-pack=evil` is no branch"
        );
    }

    #[test]
    fn only_whole_ids_are_ids() {
        assert!(is_full_id(
            &"0af".repeat(13).chars().chain(['1']).collect::<String>()
        ));
        assert!(is_full_id(&"ab".repeat(32)));
        assert!(!is_full_id("main"));
        assert!(!is_full_id(&"g".repeat(40)));
    }
}
