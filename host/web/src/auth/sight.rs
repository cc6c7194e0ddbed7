//! Which builders somebody may see, and with them their requests, builds, steps, logs and files.
//!
//! Most people see all of them, and are answered from the common cache. Whoever does not has answers of their own, kept apart by what
//! they see; lists are narrowed by a condition in SQL, and what is not to be seen is answered as if it were not there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Extensions;
use toolpost_core::access::{Action, Target};
use toolpost_core::codebase::Project;
use toolpost_core::model::Builder;
use toolpost_core::{BuilderId, ProjectId};
use toolpost_store::{Filter, Op, Query, Resource};

use super::caller::Caller;
use super::proof;
use crate::cache::{Depends, Versions as _};
use crate::error::ApiError;
use crate::state::Web;

/// Builders, or projects, that are read at a time.
const PAGE_ROWS: u32 = 1_000;

/// What somebody sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Sight {
    /// Everything.
    #[default]
    All,
    /// What belongs to some of the builders.
    Part(Arc<Part>),
}

/// Some of the builders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    seen: BTreeSet<BuilderId>,
    names: BTreeSet<String>,
    hidden: BTreeSet<BuilderId>,
}

impl Sight {
    /// Whether a builder may be seen.
    pub(crate) fn sees(&self, builder: BuilderId) -> bool {
        match self {
            Self::All => true,
            Self::Part(part) => part.seen.contains(&builder),
        }
    }

    /// The same, by name.
    pub(crate) fn sees_name(&self, builder: &str) -> bool {
        match self {
            Self::All => true,
            Self::Part(part) => part.names.contains(builder),
        }
    }

    /// Whether everything may be seen.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// The condition on a field with ids of builders.
    pub(crate) fn filter(&self, field: &str) -> Option<Filter> {
        let Self::Part(part) = self else { return None };
        let (op, ids) = match part.hidden.len() < part.seen.len() {
            true => (Op::Ne, &part.hidden),
            false => (Op::Eq, &part.seen),
        };
        Some(filter(field, op, ids))
    }

    /// The condition on a field that has the ids of several builders: one of them may be seen.
    pub(crate) fn filter_any(&self, field: &str) -> Option<Filter> {
        let Self::Part(part) = self else { return None };
        Some(filter(field, Op::Contains, &part.seen))
    }

    /// A query for what belongs to builders, narrowed to those that may be seen.
    pub(crate) fn narrow(&self, mut query: Query) -> Query {
        query.filters.extend(self.filter("builderid"));
        query
    }

    /// What an answer is kept under for whoever sees as much.
    pub(crate) fn key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match self {
            Self::All => Cow::Borrowed(key),
            Self::Part(part) => {
                let ids: Vec<String> = part.seen.iter().map(ToString::to_string).collect();
                Cow::Owned(format!("{key}\0{}", ids.join(",")))
            }
        }
    }
}

fn filter(field: &str, op: Op, ids: &BTreeSet<BuilderId>) -> Filter {
    let mut values: Vec<String> = ids.iter().map(ToString::to_string).collect();
    if values.is_empty() {
        // No builder has it.
        values.push("-1".into());
    }
    Filter {
        field: field.to_owned(),
        op,
        values,
    }
}

/// All builders and the names of their projects.
#[derive(Default)]
struct Known {
    builders: Vec<Builder>,
    projects: BTreeMap<ProjectId, String>,
}

/// The same, as they were when they last changed.
#[derive(Default)]
pub(super) struct KnownBuilders(Mutex<Option<(u64, Arc<Known>)>>);

impl KnownBuilders {
    async fn all(&self, web: &Web) -> Result<Arc<Known>, ApiError> {
        // Before they are read, so that they are never older.
        let version = web.version(Depends::Builders);
        if let Some((of, builders)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == version
            && !web.options.database_is_shared
        {
            return Ok(Arc::clone(builders));
        }
        let builders = every(web, "builderid", |builder: &Builder| builder.id.0).await?;
        let projects = every(web, "projectid", |project: &Project| project.id.0).await?;
        let projects = projects.into_iter();
        let projects = projects.map(|project| (project.id, project.name)).collect();
        let all = Arc::new(Known { builders, projects });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((version, Arc::clone(&all)));
        Ok(all)
    }
}

/// All rows of a kind, page by page.
async fn every<T: Resource>(
    web: &Web,
    id: &'static str,
    id_of: impl Fn(&T) -> i64,
) -> Result<Vec<T>, ApiError> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let last = all.last().map_or(0, &id_of);
        let query = Query::new().filter(id, Op::Gt, last).limit(PAGE_ROWS);
        let page = web.store.list::<T>(&query).await?;
        let is_last = page.len() < PAGE_ROWS as usize;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

impl Web {
    /// What somebody sees; an error for whoever sees nothing.
    pub(crate) async fn sight(&self, caller: &Caller) -> Result<Sight, ApiError> {
        let Some(auth) = self.rules() else {
            return Ok(Sight::All);
        };
        let policy = &auth.policy;
        if !caller.may(policy, Action::View, &Target::default()) {
            return Err(ApiError::forbidden(caller, "look at this farm"));
        }
        if policy.views_alike(caller.person()) {
            return Ok(Sight::All);
        }
        let known = self.auth.builders.all(self).await?;
        let builders = &known.builders;
        let project_of = |builder: &Builder| known.projects.get(&builder.project_id?);
        let may_see = |builder: &&Builder| {
            let target = Target {
                builder: Some(&builder.name),
                tags: &builder.tags,
                project: project_of(builder).map(String::as_str),
                ..Target::default()
            };
            caller.may(policy, Action::View, &target)
        };
        let (seen, hidden): (Vec<&Builder>, Vec<&Builder>) = builders.iter().partition(may_see);
        if hidden.is_empty() && !builders.is_empty() {
            return Ok(Sight::All);
        }
        Ok(Sight::Part(Arc::new(Part {
            names: seen.iter().map(|builder| builder.name.clone()).collect(),
            seen: seen.iter().map(|builder| builder.id).collect(),
            hidden: hidden.iter().map(|builder| builder.id).collect(),
        })))
    }
}

/// Lets a connection that stays open go on for as long as whoever opened it may.
#[derive(Clone)]
pub(crate) struct Pass {
    /// Who knows the rules of now; `None` when there are none.
    web: Option<Web>,
    caller: Arc<Caller>,
    sight: Sight,
}

impl Pass {
    /// For whoever opens a connection with a request that came through the gate.
    pub(crate) fn of(web: &Web, extensions: &Extensions) -> Self {
        Self {
            web: Some(web.clone()),
            caller: Caller::of(extensions),
            sight: extensions.get().cloned().unwrap_or_default(),
        }
    }

    /// What they saw when they came.
    pub(crate) fn first_sight(&self) -> Sight {
        self.sight.clone()
    }

    /// What they see now; an error when they are not logged in any more, or may not see anything.
    pub(crate) async fn sight(&self) -> Result<Sight, ApiError> {
        let Some(web) = &self.web else {
            return Ok(self.first_sight());
        };
        if let Some(auth) = web.rules()
            && !proof::is_good(web, &auth, &self.caller.proof).await?
        {
            let gone = "you are not logged in any more";
            return Err(ApiError::Unauthenticated(gone.into()));
        }
        web.sight(&self.caller).await
    }

    /// For whoever may see everything.
    #[cfg(test)]
    pub(crate) fn to_everything() -> Self {
        Self {
            web: None,
            caller: Arc::default(),
            sight: Sight::default(),
        }
    }
}
