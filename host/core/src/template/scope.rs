//! The values that templates can name.

use std::collections::BTreeMap;

use minijinja::Value as Engine;
use minijinja::value::Serde;
use serde_json::Value;

use crate::model::SourceStampSpec;
use crate::{Properties, Results};

/// One source stamp as templates see it: `src.CODEBASE.branch`, or `src.branch` when it is the only one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceScope {
    /// What is built.
    pub stamp: SourceStampSpec,
    /// The revision that the build found, once it is known; the asked one counts until then.
    pub got_revision: Option<String>,
}

/// The build: `build.number`, `build.builder`, `build.id`, `build.url` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildScope {
    /// Row id; absent before the build is recorded.
    pub id: Option<i64>,
    /// Number in its builder; absent before the build is recorded.
    pub number: Option<i64>,
    /// Name of the builder.
    pub builder: String,
    /// Why it was started.
    pub reason: String,
    /// Where people look at it; absent where there are no pages.
    pub url: Option<String>,
}

/// The worker: `worker.name`, `worker.info.os`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkerScope {
    /// Its name.
    pub name: String,
    /// What it said of itself.
    pub info: BTreeMap<String, Value>,
}

/// The values that one rendering can name. Cheap to clone.
///
/// Nothing of a build is in it unless it was put there: a template that names `worker` before there is one
/// gets an error that says so.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    names: BTreeMap<String, Engine>,
}

impl From<SourceStampSpec> for SourceScope {
    fn from(stamp: SourceStampSpec) -> Self {
        Self {
            stamp,
            got_revision: None,
        }
    }
}

impl SourceScope {
    fn fields(&self) -> [(&'static str, Engine); 5] {
        let stamp = &self.stamp;
        let revision = self.got_revision.as_ref().or(stamp.revision.as_ref());
        [
            ("branch", stamp.branch.as_deref().into()),
            ("revision", revision.map(String::as_str).into()),
            ("repository", stamp.repository.as_str().into()),
            ("project", stamp.project.as_str().into()),
            ("codebase", stamp.codebase.as_str().into()),
        ]
    }
}

impl Scope {
    /// The names that there can be. Others in a template are mistakes.
    pub const NAMES: [&'static str; 6] = ["prop", "src", "build", "worker", "results", "result"];

    /// The name of secrets, in the few places where they can be.
    pub const SECRETS: &'static str = "secret";

    /// No properties, no sources, nothing else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
            .with_properties(&Properties::new())
            .with_sources(std::iter::empty::<SourceScope>())
    }

    /// These names and no others.
    #[must_use]
    pub fn of_values(values: &serde_json::Map<String, Value>) -> Self {
        let names = values
            .iter()
            .map(|(name, value)| (name.clone(), Engine::from(Serde(value))));
        Self {
            names: names.collect(),
        }
    }

    /// With `prop.NAME` and `prop["NAME"]`.
    #[must_use]
    pub fn with_properties(self, properties: &Properties) -> Self {
        let values = properties
            .iter()
            .map(|(name, property)| (name.to_owned(), Engine::from(Serde(&property.value))));
        self.with("prop", Engine::from_pairs(values))
    }

    /// With `src.CODEBASE.FIELD`, and `src.FIELD` when there is one source only. The fields are `branch`,
    /// `revision`, `repository`, `project` and `codebase`; an unknown branch or revision is null.
    #[must_use]
    pub fn with_sources<S: Into<SourceScope>>(self, sources: impl IntoIterator<Item = S>) -> Self {
        let sources: Vec<SourceScope> = sources.into_iter().map(Into::into).collect();
        let mut values: BTreeMap<String, Engine> = sources
            .iter()
            .filter(|source| !source.stamp.codebase.is_empty())
            .map(|source| {
                let fields = Engine::from_pairs(source.fields());
                (source.stamp.codebase.clone(), fields)
            })
            .collect();
        if let [only] = sources.as_slice() {
            let fields = only.fields().into_iter();
            values.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        }
        self.with("src", Engine::from_pairs(values))
    }

    /// With `build`.
    #[must_use]
    pub fn with_build(self, build: &BuildScope) -> Self {
        let values: [(&str, Engine); 5] = [
            ("id", build.id.into()),
            ("number", build.number.into()),
            ("builder", build.builder.as_str().into()),
            ("reason", build.reason.as_str().into()),
            ("url", build.url.as_deref().into()),
        ];
        self.with("build", Engine::from_pairs(values))
    }

    /// With `worker`.
    #[must_use]
    pub fn with_worker(self, worker: &WorkerScope) -> Self {
        let values = [
            ("name", Engine::from(worker.name.as_str())),
            ("info", Engine::from(Serde(&worker.info))),
        ];
        self.with("worker", Engine::from_pairs(values))
    }

    /// With `results` (Buildbot's number) and `result` (its name, `"success"`): for `hide_step_if` and
    /// whatever else looks back.
    #[must_use]
    pub fn with_results(self, results: Results) -> Self {
        self.with("results", i64::from(results.code()).into())
            .with("result", results.name().into())
    }

    /// With `secret.NAME`: what stands for each secret, never the secret itself.
    #[must_use]
    pub fn with_secrets<'a>(
        self,
        placeholders: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let values = placeholders
            .into_iter()
            .map(|(name, placeholder)| (name.to_owned(), Engine::from(placeholder)));
        self.with(Self::SECRETS, Engine::from_pairs(values))
    }

    fn with(mut self, name: &str, value: Engine) -> Self {
        self.names.insert(name.to_owned(), value);
        self
    }

    pub(super) fn to_engine(&self) -> Engine {
        Engine::from_pairs(
            self.names
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        )
    }

    /// What there is below a name of the scope (`["prop"]`, or `["src", "hello"]`), or the names themselves
    /// for no path; `None` when that does not exist.
    pub(super) fn names_below(&self, path: &[&str]) -> Option<Vec<String>> {
        let mut value = self.to_engine();
        for name in path {
            value = value.get_attr(name).ok().filter(|v| !v.is_undefined())?;
        }
        let names = value.try_iter().ok()?;
        Some(names.map(|name| name.to_string()).collect())
    }
}
