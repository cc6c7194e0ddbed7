//! What the configuration can set.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tells people by mail what became of builds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Who always gets it: `name@example.org` or `Name <name@example.org>`.
    #[serde(default)]
    pub(crate) to: Vec<String>,

    /// Who always gets a copy.
    #[serde(default)]
    pub(crate) cc: Vec<String>,

    /// Who always gets a copy that the others don't see.
    #[serde(default)]
    pub(crate) bcc: Vec<String>,

    /// Whether the authors of the changes that a build was made for get it.
    #[serde(default = "yes")]
    pub(crate) blamed: bool,

    /// The domain of authors that are names only: `ann` gets it at `ann@` and this.
    pub(crate) domain: Option<String>,

    /// Only authors with addresses of these domains get it; all, when none is given.
    #[serde(default)]
    pub(crate) blamed_domains: Vec<String>,

    /// Who it is from, if not from whom the master's mails are.
    pub(crate) sender: Option<String>,

    /// Who gets answers, if not the sender.
    pub(crate) reply_to: Option<String>,

    /// The subject, a template.
    pub(crate) subject: Option<String>,

    /// The text, a template.
    pub(crate) text: Option<String>,

    /// The same as HTML, a template. Nothing is escaped by itself: write `{{ build.reason | e }}`. With a `text` and
    /// without this, the mail is text only.
    pub(crate) html: Option<String>,

    /// Further headers, such as `List-Id`; their values are templates.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,

    /// Which logs come with it.
    #[serde(default)]
    pub(crate) attach_logs: AttachLogs,

    /// How much of the end of a log comes with it, in bytes. All logs together are limited to 3 MiB.
    #[serde(default = "default_log_bytes_max")]
    #[schemars(range(min = 1000, max = 1_048_576))]
    pub(crate) log_bytes_max: usize,
}

/// Which logs come with a mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AttachLogs {
    /// None.
    Never,
    /// Those of steps that failed, or could not be run.
    #[default]
    FailedSteps,
    /// Those of all steps.
    AllSteps,
}

fn yes() -> bool {
    true
}

fn default_log_bytes_max() -> usize {
    100_000
}
