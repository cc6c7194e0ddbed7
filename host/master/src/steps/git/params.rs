//! Parameters of the `git` step.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::steps::params::{Environment, Span};

/// Checks out the revision that is to be built, by git on the worker, and sets the property `got_revision`.
///
/// Repository, branch and revision come from the source stamp of the build unless they are given here.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GitParams {
    /// URL or path, as `git fetch` takes it. Without it: the repository of the source stamp.
    pub(crate) repository: Option<String>,
    /// Branch, where the source stamp names none. Without both: the branch that HEAD of the repository names.
    pub(crate) branch: Option<String>,
    /// Revision, instead of that of the source stamp. Without both: the newest of the branch.
    pub(crate) revision: Option<String>,
    /// Codebase whose source stamp counts; empty for the only one.
    pub(crate) codebase: String,
    /// Whether the newest revision of the branch is taken even where the source stamp names one.
    pub(crate) always_use_latest: bool,
    /// How much of the former build is kept.
    pub(crate) mode: Mode,
    /// How a full checkout is made; only with `mode = "full"`.
    pub(crate) method: Method,
    /// `true` or a number of commits: history is cut there.
    pub(crate) shallow: Option<Shallow>,
    /// Whether submodules are checked out too.
    pub(crate) submodules: bool,
    /// Whether tags are fetched.
    pub(crate) tags: bool,
    /// Whether git shows its progress in the log, which also keeps the step from being taken for stuck.
    pub(crate) progress: bool,
    /// What is done about errors of the network.
    pub(crate) retry: Retry,
    /// Whether everything is removed and fetched anew when an existing checkout cannot be updated.
    pub(crate) clobber_on_failure: bool,
    /// Values of `git -c`, for instance `{ "core.autocrlf" = "false" }`.
    pub(crate) git_config: BTreeMap<String, String>,
    /// Environment variables: a string sets one, `false` takes it away.
    pub(crate) env: Environment,
    /// A git command is ended when it prints nothing for this long.
    pub(crate) timeout: Span,
    /// A git command is ended when it runs for this long.
    pub(crate) max_time: Option<Span>,
}

/// How much of the former build is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// All files that git does not know.
    Incremental,
    /// None, or as `method` says.
    Full,
}

/// How a full checkout is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// Removes the directory and fetches everything.
    Clobber,
    /// Removes all files that git does not know, ignored ones too.
    Fresh,
    /// Removes files that git does not know, but keeps ignored ones.
    Clean,
    /// Keeps a checkout in `source` and copies it to the build's directory.
    Copy,
}

/// Where history is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shallow {
    /// Not at all.
    No,
    /// After this many commits; not 0.
    Depth(u32),
}

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Switch(bool),
            Depth(u32),
        }
        match Written::deserialize(deserializer)? {
            Written::Switch(true) => Ok(Self::Depth(1)),
            Written::Switch(false) => Ok(Self::No),
            Written::Depth(0) => Err(D::Error::custom("a depth is 1 or more")),
            Written::Depth(depth) => Ok(Self::Depth(depth)),
        }
    }
}

impl JsonSchema for Shallow {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Shallow".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "boolean" },
                { "type": "integer", "minimum": 1, "maximum": u32::MAX }
            ]
        })
    }
}

/// What is done about errors of the network.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retry {
    /// How often a command is tried in all.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) attempts: u32,
    /// Wait before the second attempt; doubled before each further one.
    pub(crate) delay: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            delay: Span::seconds(2),
        }
    }
}

/// Buildbot's limit for a silent command.
const TIMEOUT_DEFAULT: Span = Span::seconds(1_200);

impl Default for GitParams {
    fn default() -> Self {
        Self {
            repository: None,
            branch: None,
            revision: None,
            codebase: String::new(),
            always_use_latest: false,
            mode: Mode::Incremental,
            method: Method::Fresh,
            shallow: None,
            submodules: false,
            tags: false,
            progress: false,
            retry: Retry::default(),
            clobber_on_failure: false,
            git_config: BTreeMap::new(),
            env: Environment::new(),
            timeout: TIMEOUT_DEFAULT,
            max_time: None,
        }
    }
}

impl GitParams {
    /// History is cut after this many commits.
    pub(crate) fn depth(&self) -> Option<u32> {
        match self.shallow {
            Some(Shallow::Depth(depth)) => Some(depth),
            Some(Shallow::No) | None => None,
        }
    }
}
