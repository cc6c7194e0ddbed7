//! Builders.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

use toolpost_core::collapse::CollapsePolicy;
use toolpost_core::locks::{LockAccess, LockMode as Mode};

use super::names::Thing;
use super::{Checker, list, texts, value};
use crate::config::{BuilderConfig, EnvironmentValue};
use crate::decode::Keyed;
use crate::raw::{LockMode, RawBuilder, RawEnvironmentValue, RawLockUse};
use crate::sources::Span;
use crate::tree::At;

/// Directory of steps that say nothing else, as in Buildbot.
const WORKDIR_DEFAULT: &str = "build";

impl Checker<'_, '_> {
    pub(super) fn builder(&mut self, raw: At<RawBuilder>) -> Option<BuilderConfig> {
        let raw = raw.value;
        let tags = list(raw.tags);
        self.no_repetition(&tags);
        let workers = self.references(Thing::Worker, raw.workers);
        let reachable = workers.as_deref().unwrap_or_default();
        let lock_spans: Vec<At<RawLockUse>> = list(raw.locks);
        let locks = self.lock_uses(lock_spans, reachable, &[]);
        let env = self.environment(raw.env);
        let properties = self.properties(raw.properties);
        let default_properties = self.properties(raw.default_properties);
        let workdir = self.workdir(raw.workdir);
        let steps = list(raw.step)
            .into_iter()
            .filter_map(|step| self.step(step, reachable, &locks))
            .map(Arc::new)
            .collect();
        let project = raw.project;
        let project = project.filter(|project| self.is_known(Thing::Project, project));
        let name = raw.name?;
        let build_dir = self.build_dir(raw.build_dir, &name);
        let max_builds = self.at_least_one(raw.max_builds);
        let collapse = match value(raw.collapse_requests) {
            Some(false) => CollapsePolicy::Never,
            Some(true) | None => CollapsePolicy::Compatible,
        };
        Some(BuilderConfig {
            name: name.value,
            description: value(raw.description),
            project: value(project),
            tags: texts(tags),
            workers: workers?,
            env,
            properties,
            default_properties,
            locks,
            max_builds,
            collapse,
            build_dir,
            workdir: workdir.unwrap_or_else(|| WORKDIR_DEFAULT.into()),
            steps,
        })
    }

    fn environment(
        &mut self,
        raw: Option<At<Keyed<RawEnvironmentValue>>>,
    ) -> BTreeMap<String, EnvironmentValue> {
        let mut env = BTreeMap::new();
        for (name, (key, variable)) in value(raw).unwrap_or_default().0 {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.report
                    .at(key, format!("`{name}` cannot be the name of a variable"));
            }
            let checked = match variable.value {
                RawEnvironmentValue::Unset => EnvironmentValue::Unset,
                RawEnvironmentValue::Set(text) => {
                    self.template_with_secrets(&text, variable.span);
                    EnvironmentValue::Set(text)
                }
            };
            env.insert(name, checked);
        }
        env
    }

    /// Directory of a builder below that of its worker; no two builders may share one, because each is
    /// free to empty its own.
    fn build_dir(&mut self, given: Option<At<String>>, name: &At<String>) -> String {
        if let Some(given) = &given {
            self.relative_dir(given);
        }
        let dir = given.unwrap_or_else(|| At {
            value: directory_name(&name.value),
            span: name.span,
        });
        // Of two builders with one name, the name is the problem.
        let first = self
            .build_dirs
            .insert(dir.value.clone(), (name.value.clone(), dir.span));
        if let Some((other, first)) = first
            && other != name.value
        {
            self.report
                .at(
                    dir.span,
                    format!("two builders share the directory `{}`", dir.value),
                )
                .related(first, "the other one")
                .help("give one of them another `build_dir`");
        }
        dir.value
    }

    pub(super) fn workdir(&mut self, dir: Option<At<String>>) -> Option<String> {
        let dir = dir?;
        if !self.template(&dir.value, dir.span) {
            self.relative_dir(&dir);
        }
        Some(dir.value)
    }

    /// Notes a directory that leaves the one that it is in.
    fn relative_dir(&mut self, dir: &At<String>) {
        let stays = Path::new(&dir.value)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if dir.value.is_empty() || !stays {
            self.report
                .at(dir.span, "expected a relative directory without `..`");
        }
    }

    /// Uses of locks by a builder, or by a step of a builder that holds `held`, on any of `workers`.
    pub(super) fn lock_uses(
        &mut self,
        raw: Vec<At<RawLockUse>>,
        workers: &[String],
        held: &[LockAccess],
    ) -> Vec<LockAccess> {
        let mut uses: Vec<LockAccess> = Vec::with_capacity(raw.len());
        for raw in raw {
            let Some(access) = self.lock_use(raw.value, raw.span, workers) else {
                continue;
            };
            if uses.iter().any(|other| other.lock == access.lock) {
                let message = format!("lock `{}` is asked for twice at once", access.lock);
                self.report.at(raw.span, message).help("name it once");
            } else if held.iter().any(|other| other.lock == access.lock) {
                let message = format!("lock `{}` is held by the whole build", access.lock);
                self.report
                    .at(raw.span, message)
                    .help("the step would wait for its own build: take it out of one of them");
            }
            uses.push(access);
        }
        uses
    }

    fn lock_use(&mut self, raw: RawLockUse, span: Span, workers: &[String]) -> Option<LockAccess> {
        let raw = raw.0;
        let exclusive = value(raw.mode) == Some(LockMode::Exclusive);
        if exclusive && let Some(count) = &raw.count {
            self.report
                .at(count.span, "exclusive use has no count")
                .help("take out `count`, or `mode = \"exclusive\"`");
        }
        let count = self.at_least_one(raw.count).unwrap_or(1);
        let name = raw.name?;
        if !self.is_known(Thing::Lock, &name) {
            return None;
        }
        let spec = self.locks.get(&name.value)?;
        let short = workers.iter().find(|worker| spec.limit_on(worker) < count);
        if let Some(worker) = short {
            let message = format!(
                "lock `{}` gives at most {} on worker `{worker}`, never {count}",
                name.value,
                spec.limit_on(worker)
            );
            self.report
                .at(span, message)
                .help("raise the lock's `max_count`, or ask for less");
        }
        Some(LockAccess {
            lock: name.value,
            mode: match exclusive {
                true => Mode::Exclusive,
                false => Mode::Counting { count },
            },
        })
    }
}

/// A name as a directory: what could mean something to a file system becomes an underscore.
fn directory_name(name: &str) -> String {
    let safe = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+') => c,
        _ => '_',
    };
    let directory: String = name.chars().map(safe).collect();
    match directory.as_str() {
        "." | ".." => directory.replace('.', "_"),
        _ => directory,
    }
}
