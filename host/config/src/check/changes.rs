//! Change sources.

use std::path::Path;
use std::time::Duration;

use super::{Checker, texts, value};
use crate::config::{
    BranchSelection, ChangeSourceConfig, ChangeSourceKind, GitPollerConfig, compile_glob,
};
use crate::raw::{RawBranches, RawChangeSource, RawGitPoller};
use crate::tree::At;

/// Time between two polls when none is configured.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// A shorter one would be an attack on the repository.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

impl Checker<'_, '_> {
    pub(super) fn change_source(&mut self, raw: At<RawChangeSource>) -> Option<ChangeSourceConfig> {
        match raw.value {
            RawChangeSource::GitPoller(poller) => self.git_poller(poller),
        }
    }

    fn git_poller(&mut self, raw: RawGitPoller) -> Option<ChangeSourceConfig> {
        if let Some(interval) = &raw.interval
            && interval.value.0 < INTERVAL_MIN
        {
            self.report
                .at(interval.span, "the interval must be at least one second");
        }
        let branches = raw.branches.and_then(|branches| self.branches(branches));
        let repository = raw.repository?;
        if repository.value.trim().is_empty() || repository.value.starts_with('-') {
            self.report
                .at(repository.span, "expected the URL or path of a repository");
        }
        let name = value(raw.name).unwrap_or_else(|| repository.value.clone());
        Some(ChangeSourceConfig {
            name,
            project: value(raw.project).unwrap_or_default(),
            codebase: value(raw.codebase).unwrap_or_default(),
            category: value(raw.category),
            kind: ChangeSourceKind::GitPoller(GitPollerConfig {
                repository: self.repository(&repository.value),
                branches: branches?,
                interval: raw.interval.map_or(INTERVAL_DEFAULT, |given| given.value.0),
                poll_at_launch: value(raw.poll_at_launch).unwrap_or(false),
                build_newest: value(raw.build_newest).unwrap_or(false),
            }),
        })
    }

    /// A path that starts with a dot starts at the directory of the configuration; all else is git's.
    fn repository(&self, repository: &str) -> String {
        let first = Path::new(repository).components().next();
        let relative = matches!(
            first,
            Some(std::path::Component::CurDir | std::path::Component::ParentDir)
        );
        if relative {
            self.path(repository).display().to_string()
        } else {
            repository.to_owned()
        }
    }

    fn branches(&mut self, raw: At<RawBranches>) -> Option<BranchSelection> {
        let patterns = match raw.value {
            RawBranches::All => return Some(BranchSelection::All),
            RawBranches::Patterns(patterns) => patterns,
        };
        if patterns.is_empty() {
            self.report
                .at(raw.span, "at least one branch is needed")
                .help("write \"all\" for every branch");
        }
        self.no_repetition(&patterns);
        for pattern in &patterns {
            if let Some(short) = pattern.value.strip_prefix("refs/heads/") {
                self.report
                    .at(pattern.span, "branches go by their short names")
                    .help(format!("write \"{short}\""));
            }
        }
        self.globs(&patterns);
        BranchSelection::matching(texts(patterns)).ok()
    }

    /// Notes patterns that are no globs.
    pub(super) fn globs(&mut self, patterns: &[At<String>]) {
        for pattern in patterns {
            if let Err(error) = compile_glob(&pattern.value) {
                self.report
                    .at(pattern.span, format!("this is not a pattern: {}", error.kind()))
                    .help("`*` stands for anything up to a slash, `**` for anything, `?` for one character");
            }
        }
    }
}
