//! Projects and their codebases.

use super::names::{Thing, identifier_fault, register};
use super::{Checker, list, value};
use crate::config::ProjectConfig;
use crate::raw::RawProject;
use crate::tree::At;

impl Checker<'_, '_> {
    pub(super) fn project(&mut self, raw: At<RawProject>) -> Option<ProjectConfig> {
        let raw = raw.value;
        let codebases = list(raw.codebase);
        let names = codebases.iter().filter_map(|item| item.value.name.as_ref());
        register(Thing::Codebase, names, self.report);
        let codebases = codebases.into_iter().filter_map(|codebase| {
            let name = codebase.value.name?.value;
            let slug = self.slug(codebase.value.slug, &name);
            Some((name, slug))
        });
        let codebases = codebases.collect();
        let name = raw.name?.value;
        Some(ProjectConfig {
            slug: self.slug(raw.slug, &name),
            name,
            description: value(raw.description),
            codebases,
        })
    }

    fn slug(&mut self, given: Option<At<String>>, name: &str) -> String {
        let Some(given) = given else {
            return name.to_owned();
        };
        if let Some(fault) = identifier_fault(&given.value) {
            self.report.at(given.span, format!("a slug {fault}"));
        }
        given.value
    }
}
