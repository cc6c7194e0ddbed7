//! Schedulers, apart from the fields of a form.

use std::collections::BTreeMap;

use toolpost_core::PluginKind;
use toolpost_core::filter::{ChangeFilter, Conditions, Pattern};
use toolpost_core::model::SourceStampSpec;

use super::names::Thing;
use super::{Checker, list, texts, value};
use crate::config::{
    FileFilter, PluginSchedulerConfig, SchedulerConfig, SchedulerKind, SingleBranchConfig,
};
use crate::decode::{Keyed, OneOrMany};
use crate::raw::{
    RawCodebase, RawFilter, RawMatcher, RawPluginScheduler, RawScheduler, RawSingleBranch,
};
use crate::tree::At;

/// What Buildbot calls an absent branch or category; a written one is never empty.
const ABSENT: &str = "";

impl Checker<'_, '_> {
    pub(super) fn scheduler(&mut self, raw: At<RawScheduler>) -> Option<SchedulerConfig> {
        match raw.value {
            RawScheduler::SingleBranch(scheduler) => self.single_branch(*scheduler),
            RawScheduler::Force(scheduler) => self.force(*scheduler),
            RawScheduler::Plugin(scheduler) => self.plugin_scheduler(*scheduler),
        }
    }

    fn plugin_scheduler(&mut self, raw: RawPluginScheduler) -> Option<SchedulerConfig> {
        let properties = self.properties(raw.properties);
        let priority = self.priority(raw.priority);
        let builders = self.references(Thing::Builder, raw.builders);
        let scheduler_type = raw.r#use?;
        let parameters = self.type_parameters(
            PluginKind::Scheduler,
            &scheduler_type,
            raw.parameters,
            RawPluginScheduler::KEYS,
        );
        Some(SchedulerConfig {
            name: value(raw.name)?,
            builders: builders?,
            properties,
            kind: SchedulerKind::Plugin(Box::new(PluginSchedulerConfig {
                scheduler_type: scheduler_type.value,
                priority,
                parameters,
            })),
        })
    }

    fn single_branch(&mut self, mut raw: RawSingleBranch) -> Option<SchedulerConfig> {
        let change_filter = self.change_filter(&mut raw);
        let important = list(raw.important_files);
        let unimportant = list(raw.unimportant_files);
        self.globs(&important);
        self.globs(&unimportant);
        let files = FileFilter::new(texts(important), texts(unimportant)).ok();
        let codebases = self.codebases(raw.codebases);
        let properties = self.properties(raw.properties);
        let priority = self.priority(raw.priority);
        let builders = self.references(Thing::Builder, raw.builders);
        let name = value(raw.name)?;
        Some(SchedulerConfig {
            properties,
            builders: builders?,
            kind: SchedulerKind::SingleBranch(Box::new(SingleBranchConfig {
                change_filter,
                tree_stable_timer: raw.tree_stable_timer.map(|timer| timer.value.0),
                files: files?,
                only_important: value(raw.only_important).unwrap_or(false),
                codebases,
                create_absolute_source_stamps: value(raw.create_absolute_source_stamps)
                    .unwrap_or(false),
                reason: value(raw.reason)
                    .unwrap_or_else(|| format!("scheduler {name} saw changes")),
                priority,
            })),
            name,
        })
    }

    fn priority(&mut self, priority: Option<At<i64>>) -> i32 {
        let Some(priority) = priority else { return 0 };
        i32::try_from(priority.value).unwrap_or_else(|_| {
            self.report
                .at(priority.span, "the priority does not fit into 32 bits");
            0
        })
    }

    fn codebases(&mut self, raw: Option<At<Keyed<RawCodebase>>>) -> Vec<SourceStampSpec> {
        let Some(raw) = raw else {
            return vec![SourceStampSpec::default()];
        };
        if raw.value.0.is_empty() {
            self.report
                .at(raw.span, "at least one codebase is needed")
                .help("leave `codebases` out for the only one");
        }
        let codebases = raw.value.0.into_iter().map(|(codebase, (_, stamp))| {
            let stamp = stamp.value;
            SourceStampSpec {
                codebase,
                repository: value(stamp.repository).unwrap_or_default(),
                branch: value(stamp.branch),
                revision: value(stamp.revision),
                project: value(stamp.project).unwrap_or_default(),
                patch: None,
            }
        });
        codebases.collect()
    }

    /// The filter, with the short forms for branches put into it.
    fn change_filter(&mut self, raw: &mut RawSingleBranch) -> ChangeFilter {
        let filter = value(raw.change_filter.take()).unwrap_or_default();
        let mut forms = Vec::new();
        forms.extend(raw.branch.as_ref().map(|branch| branch.span));
        forms.extend(raw.branches.as_ref().map(|branches| branches.span));
        forms.extend(filter.branch.as_ref().map(|branch| branch.span));
        if let [first, second, ..] = forms[..] {
            self.report
                .at(second, "the branch is said twice")
                .related(first, "said here first")
                .help("keep one of `branch`, `branches` and `change_filter.branch`");
        }
        if let Some(branches) = &raw.branches {
            if branches.value.is_empty() {
                self.report
                    .at(branches.span, "at least one branch is needed");
            }
            self.no_repetition(&branches.value);
        }
        let mut checked = self.filter(filter);
        if let Some(branch) = value(raw.branch.take()) {
            checked.branch = Conditions {
                eq: Some(vec![absent_if_empty(branch)]),
                ..Conditions::default()
            };
        } else if let Some(branches) = value(raw.branches.take()) {
            checked.branch = Conditions {
                eq: Some(texts(branches).into_iter().map(absent_if_empty).collect()),
                ..Conditions::default()
            };
        }
        checked
    }

    fn filter(&mut self, raw: RawFilter) -> ChangeFilter {
        let mut properties = BTreeMap::new();
        for (name, (_, matcher)) in value(raw.properties).unwrap_or_default().0 {
            properties.insert(name, self.conditions(Some(matcher), Some));
        }
        ChangeFilter {
            branch: self.conditions(raw.branch, absent_if_empty),
            repository: self.conditions(raw.repository, Some),
            project: self.conditions(raw.project, Some),
            category: self.conditions(raw.category, absent_if_empty),
            codebase: self.conditions(raw.codebase, Some),
            files: self.conditions(raw.files, Some),
            properties,
        }
    }

    fn conditions(
        &mut self,
        raw: Option<At<RawMatcher>>,
        text: impl Fn(String) -> Option<String>,
    ) -> Conditions {
        let Some(raw) = raw else {
            return Conditions::default();
        };
        let table = raw.value.0;
        let is = self.some_of(table.is);
        let not = self.some_of(table.not);
        Conditions {
            eq: is.map(|list| list.into_iter().map(|item| text(item.value)).collect()),
            not_eq: not.map(|list| list.into_iter().map(|item| text(item.value)).collect()),
            re: self.patterns(table.regex),
            not_re: self.patterns(table.not_regex),
        }
    }

    /// A list that must not be empty: nothing would ever fit it.
    fn some_of(&mut self, list: Option<At<OneOrMany<String>>>) -> Option<Vec<At<String>>> {
        let list = list?;
        if list.value.0.is_empty() {
            self.report.at(list.span, "at least one text is needed");
        }
        Some(list.value.0)
    }

    fn patterns(&mut self, list: Option<At<OneOrMany<String>>>) -> Option<Vec<Pattern>> {
        let list = self.some_of(list)?;
        Some(
            list.into_iter()
                .filter_map(|pattern| self.pattern(&pattern))
                .collect(),
        )
    }

    pub(super) fn pattern(&mut self, pattern: &At<String>) -> Option<Pattern> {
        match Pattern::new(&pattern.value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = format!("this is not a regular expression: {}", error.reason);
                self.report.at(pattern.span, message);
                None
            }
        }
    }
}

fn absent_if_empty(text: String) -> Option<String> {
    (text != ABSENT).then_some(text)
}
