//! What git's error texts mean for a person, and whether trying again may help. Pure.
//!
//! The texts are git's own in the C locale; every caller sets `LC_ALL=C`.

/// Why a git command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GitFailure {
    /// There is no repository at this URL, or none that may be read.
    RepositoryGone,
    /// The repository has no such branch (or other reference).
    NoBranch(String),
    /// The repository has no such revision, or gives it to nobody.
    NoRevision(String),
    /// The server wants other credentials.
    Denied,
    /// The server's key or certificate is not trusted.
    Untrusted,
    /// The network or the server failed; trying again may help.
    Network(String),
    /// No space is left where git writes.
    DiskFull,
    /// There is no git program.
    NoGit,
    /// Something else: git's last words.
    Other(String),
}

impl GitFailure {
    /// Reads what git said on its standard error.
    pub(crate) fn read(exit_code: Option<i32>, stderr: &str) -> Self {
        if exit_code == Some(127) {
            return Self::NoGit;
        }
        let lower = stderr.to_lowercase();
        let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        if let Some(reference) = after(stderr, "couldn't find remote ref ") {
            return Self::NoBranch(reference);
        }
        if let Some(revision) = after(stderr, "upload-pack: not our ref ") {
            return Self::NoRevision(revision);
        }
        if has(&["no space left on device", "disk quota exceeded"]) {
            return Self::DiskFull;
        }
        if has(&NETWORK) {
            return Self::Network(last_words(stderr));
        }
        if has(&UNTRUSTED) {
            return Self::Untrusted;
        }
        if has(&DENIED) {
            return Self::Denied;
        }
        if has(&GONE) {
            return Self::RepositoryGone;
        }
        Self::Other(last_words(stderr))
    }

    /// Whether the same command may work a little later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Network(_))
    }

    /// One line for people.
    pub(crate) fn describe(&self, repository: &str) -> String {
        let repository = without_password(repository);
        match self {
            Self::RepositoryGone => {
                format!("repository {repository} is gone, or was never there")
            }
            Self::NoBranch(reference) => {
                let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
                format!("branch {branch} does not exist in {repository}")
            }
            Self::NoRevision(revision) => {
                format!("revision {revision} does not exist in {repository}")
            }
            Self::Denied => format!("{repository} refuses the credentials of this worker"),
            Self::Untrusted => {
                format!("the key or certificate of {repository} is not trusted")
            }
            Self::Network(words) => format!("{repository} cannot be reached: {words}"),
            Self::DiskFull => "no space is left on the worker's disk".into(),
            Self::NoGit => "there is no git program in the PATH".into(),
            Self::Other(words) => format!("git failed: {words}"),
        }
    }
}

const NETWORK: [&str; 15] = [
    "could not resolve host",
    "connection refused",
    "connection reset",
    "connection timed out",
    "operation timed out",
    "network is unreachable",
    "no route to host",
    "early eof",
    "unexpected disconnect",
    "remote end hung up unexpectedly",
    "rpc failed",
    "returned error: 5",
    "returned error: 429",
    "temporary failure in name resolution",
    "ssl_error_syscall",
];

const UNTRUSTED: [&str; 4] = [
    "host key verification failed",
    "ssl certificate problem",
    "server certificate verification failed",
    "detected dubious ownership",
];

const DENIED: [&str; 6] = [
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "returned error: 401",
    "returned error: 403",
];

const GONE: [&str; 5] = [
    "does not appear to be a git repository",
    "repository not found",
    "returned error: 404",
    "not a git repository",
    "' not found",
];

/// The rest of the line after `marker`.
fn after(text: &str, marker: &str) -> Option<String> {
    let (_, rest) = text.split_once(marker)?;
    let word = rest.lines().next()?.trim();
    Some(word.to_owned()).filter(|word| !word.is_empty())
}

const LAST_WORDS_CHARS_MAX: usize = 300;

/// The line that says most: the last `fatal:` or `error:`, else the last that is not empty.
fn last_words(stderr: &str) -> String {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let line = lines()
        .rfind(|line| line.starts_with("fatal:") || line.starts_with("error:"))
        .or_else(|| lines().next_back())
        .unwrap_or("it said nothing");
    let line = line
        .trim_start_matches("fatal:")
        .trim_start_matches("error:")
        .trim();
    line.chars().take(LAST_WORDS_CHARS_MAX).collect()
}

/// The URL without the password in it, for logs and pages.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => match rest[..at].split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:xxx{}", &rest[at..]),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_git_are_understood() {
        use GitFailure as F;
        let table = [
            (
                "fatal: '/srv/gone.git' does not appear to be a git repository\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n",
                F::RepositoryGone,
            ),
            (
                "fatal: repository 'https://example.org/x.git/' not found\n",
                F::RepositoryGone,
            ),
            (
                "fatal: couldn't find remote ref nope\n",
                F::NoBranch("nope".into()),
            ),
            (
                "fatal: couldn't find remote ref refs/heads/a/b\n",
                F::NoBranch("refs/heads/a/b".into()),
            ),
            (
                "fatal: remote error: upload-pack: not our ref 00ff\n",
                F::NoRevision("00ff".into()),
            ),
            (
                "fatal: unable to access 'https://x/': Could not resolve host: x\n",
                F::Network("unable to access 'https://x/': Could not resolve host: x".into()),
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 503\n",
                F::Network(
                    "unable to access 'https://x/': The requested URL returned error: 503".into(),
                ),
            ),
            (
                "fatal: could not read Username for 'https://x': terminal prompts disabled\n",
                F::Denied,
            ),
            (
                "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
                F::Denied,
            ),
            (
                "Host key verification failed.\nfatal: Could not read from remote repository.\n",
                F::Untrusted,
            ),
            ("fatal: write error: No space left on device\n", F::DiskFull),
            (
                "warning: something\nerror: pathspec 'x' did not match\n\n",
                F::Other("pathspec 'x' did not match".into()),
            ),
            ("", F::Other("it said nothing".into())),
        ];
        for (stderr, expected) in table {
            assert_eq!(F::read(Some(128), stderr), expected, "{stderr}");
        }
        assert_eq!(F::read(Some(127), "sh: git: not found"), F::NoGit);
    }

    #[test]
    fn passwords_are_not_shown() {
        let table = [
            (
                "https://me:secret@example.org/x.git",
                "https://me:xxx@example.org/x.git",
            ),
            (
                "https://me@example.org/x.git",
                "https://me@example.org/x.git",
            ),
            (
                "ssh://git@example.org:22/a@b.git",
                "ssh://git@example.org:22/a@b.git",
            ),
            ("git@example.org:x.git", "git@example.org:x.git"),
            ("/srv/x.git", "/srv/x.git"),
        ];
        for (url, shown) in table {
            assert_eq!(without_password(url), shown);
        }
        let gone = GitFailure::RepositoryGone.describe("https://a:b@example.org/x");
        assert_eq!(
            gone,
            "repository https://a:xxx@example.org/x is gone, or was never there"
        );
    }
}
