//! Builds of other builders that a step asks for.

use async_trait::async_trait;
use serde_json::Value;
use toolpost_core::Results;
use toolpost_core::model::SourceStampSpec;

use super::HostError;

/// What triggered builds are to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerSources {
    /// What the build itself builds, with the revisions that it has got.
    OfThisBuild,
    /// The newest of its branches.
    Newest,
    /// These.
    Given(Vec<SourceStampSpec>),
}

/// Builds to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRequest {
    /// Names of the builders.
    pub builders: Vec<String>,
    /// What they are to build.
    pub sources: TriggerSources,
    /// What they start with.
    pub properties: Vec<(String, Value)>,
    /// Why; `None` names the step.
    pub reason: Option<String>,
    /// Higher runs first; `None` as the step's build.
    pub priority: Option<i32>,
    /// Whether the step waits for them.
    pub waited_for: bool,
}

/// One of the builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredBuild {
    /// The builder.
    pub builder: String,
    /// Id of the request.
    pub request: u64,
    /// Number of the build, once there is one.
    pub number: Option<u64>,
    /// Page of the build, or of the request.
    pub url: String,
    /// Once it is final.
    pub results: Option<Results>,
}

/// How far triggered builds are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerProgress {
    /// Id of the build set.
    pub buildset: u64,
    /// The worst result, once all are final.
    pub results: Option<Results>,
    /// By the names of their builders.
    pub builds: Vec<TriggeredBuild>,
}

/// Builds that were asked for.
#[async_trait]
pub trait TriggeredBuilds: Send + Sync + 'static {
    /// How far they are.
    async fn progress(&self) -> Result<TriggerProgress, HostError>;

    /// Waits until all results are final, or the step is cancelled.
    async fn wait(&self) -> Result<TriggerProgress, HostError>;
}
