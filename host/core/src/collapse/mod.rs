//! Decides which pending requests of a builder one build can stand for. Pure; completes nothing itself.
//!
//! The rules are those of the section "Collapsing Build Requests" of Buildbot's manual. Where two requests
//! have changes, their revisions may differ: the newer one contains the older. Where neither has any, the
//! revisions must be equal, because both were asked for by hand.

#[cfg(test)]
mod tests;

use crate::ids::{BuildsetId, RequestId};
use crate::model::SourceStampSpec;
use crate::sourcestamp::by_codebase;
use crate::{BuilderId, Properties};

/// Whether requests are collapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CollapsePolicy {
    /// Each request gets a build of its own (`collapse_requests = false`).
    Never,
    /// Compatible requests share one (`collapse_requests = true`, the default).
    #[default]
    Compatible,
}

/// What is known of the source stamp of a request beyond what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedSource {
    /// The source stamp.
    pub stamp: SourceStampSpec,
    /// Whether changes led to it.
    pub has_changes: bool,
}

/// A pending request, as far as collapsing looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct CollapseCandidate {
    /// Its id; requests with larger ids are newer.
    pub id: RequestId,
    /// Its builder.
    pub builder_id: BuilderId,
    /// Its build set.
    pub buildset_id: BuildsetId,
    /// Whether a trigger step waits for it.
    pub waited_for: bool,
    /// One for each codebase.
    pub sources: Vec<RequestedSource>,
    /// Properties of its build set.
    pub properties: Properties,
}

/// Source of the properties that a scheduler was configured with. Only those keep requests apart.
pub const SCHEDULER_PROPERTY_SOURCE: &str = "Scheduler";

/// Requests that one build carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The newest: the build is for its source stamps.
    pub main: RequestId,
    /// The others; they end as skipped when the build starts.
    pub collapsed: Vec<RequestId>,
}

/// The requests that a build does together with `chosen`, the request whose turn it is. `pending` may
/// contain it and may contain requests of other builders.
#[must_use]
pub fn group(
    policy: CollapsePolicy,
    chosen: &CollapseCandidate,
    pending: &[CollapseCandidate],
) -> Group {
    let together: Vec<RequestId> = match policy {
        CollapsePolicy::Never => Vec::new(),
        CollapsePolicy::Compatible => pending
            .iter()
            .filter(|other| is_compatible(chosen, other) || is_compatible(other, chosen))
            .map(|other| other.id)
            .collect(),
    };
    let main = together
        .iter()
        .copied()
        .fold(chosen.id, |newest, id| newest.max(id));
    let collapsed = std::iter::once(chosen.id)
        .filter(|id| !together.contains(id))
        .chain(together.iter().copied())
        .filter(|id| *id != main)
        .collect();
    Group { main, collapsed }
}

/// Whether a build for `newer` carries out `older` as well.
#[must_use]
pub fn is_compatible(newer: &CollapseCandidate, older: &CollapseCandidate) -> bool {
    // Of two requests only the newer may take in the other, or they would take in each other.
    older.id < newer.id
        && older.builder_id == newer.builder_id
        && !older.waited_for
        && !newer.waited_for
        && (older.buildset_id == newer.buildset_id
            || (have_compatible_sources(newer, older)
                && scheduler_properties(newer).eq(scheduler_properties(older))))
}

fn have_compatible_sources(newer: &CollapseCandidate, older: &CollapseCandidate) -> bool {
    let codebases = |candidate: &CollapseCandidate| {
        by_codebase(candidate.sources.iter().map(|source| &source.stamp)).len()
    };
    codebases(newer) == codebases(older)
        && newer.sources.iter().all(|source| {
            older
                .sources
                .iter()
                .any(|other| are_compatible_sources(source, other))
        })
}

fn are_compatible_sources(newer: &RequestedSource, older: &RequestedSource) -> bool {
    let revisions = match (newer.has_changes, older.has_changes) {
        (true, true) => true,
        (false, false) => newer.stamp.revision == older.stamp.revision,
        (true, false) | (false, true) => false,
    };
    newer.stamp.same_line(&older.stamp)
        && newer.stamp.patch.is_none()
        && older.stamp.patch.is_none()
        && revisions
}

/// The scheduler's name is one of them and says nothing about what is built.
fn scheduler_properties(
    candidate: &CollapseCandidate,
) -> impl Iterator<Item = (&str, &serde_json::Value)> {
    candidate
        .properties
        .iter()
        .filter(|(name, property)| {
            *name != "scheduler" && property.source == SCHEDULER_PROPERTY_SOURCE
        })
        .map(|(name, property)| (name, &property.value))
}
