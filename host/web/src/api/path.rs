//! What a path under `/api/v2` asks for. Pure: segments in, [`Endpoint`] out; nothing is looked up.

use super::schema::Resource;
use crate::auth::Sight;

/// A builder, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuilderRef {
    Id(i64),
    Name(String),
}

/// A project, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProjectRef {
    Id(i64),
    Name(String),
}

/// A step of a build, by number or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepKey {
    Number(i64),
    Name(String),
}

/// A build, by id or by its builder and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildRef {
    Id(i64),
    Numbered(BuilderRef, i64),
}

/// A step, by id or by its build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepRef {
    Id(i64),
    Of(BuildRef, StepKey),
}

/// A log, by id or by its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogRef {
    Id(i64),
    Of(StepRef, String),
}

/// A worker, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerRef {
    Id(i64),
    Name(String),
}

/// Narrows a collection, or is one more condition on a single resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Master(i64),
    Builder(BuilderRef),
    Worker(i64),
    Change(i64),
    SourceStamp(i64),
    Buildset(i64),
    Request(i64),
    Build(BuildRef),
    /// Builds that a trigger step of this build asked for.
    TriggeredBy(i64),
    Step(StepRef),
    Reporter(i64),
    TestResultSet(i64),
    Project(ProjectRef),
    Codebase(i64),
    /// Of builds of the commits from one to a later one.
    CommitRange(i64, i64),
    /// What belongs to builders that may be seen.
    Seen(Sight),
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Root,
    Spec,
    /// Every resource of a type, within the scopes.
    Collection(Resource, Vec<Scope>),
    /// The resource with this id, if it is within the scopes.
    Single(Resource, i64, Vec<Scope>),
    Builder(BuilderRef, Vec<Scope>),
    Worker(WorkerRef, Vec<Scope>),
    Build(BuildRef),
    Step(StepRef),
    Log(LogRef),
    Contents(LogRef),
    Raw {
        log: LogRef,
        inline: bool,
    },
    /// What a step of a plugin asked of its master.
    Recording(StepRef),
    /// The component with this digest.
    Component(String),
    BuildProperties(BuildRef),
    BuildData(BuildRef, String),
    BuildDataValue(BuildRef, String),
    BuildsetProperties(i64),
    /// Those of its build set; the web interface of Buildbot asks for them.
    RequestProperties(i64),
    BuildPropertyList(i64),
    BuildsetPropertyList(i64),
    ChangePropertyList(i64),
    ForceSchedulers(Option<BuilderRef>),
    ForceScheduler(String),
    Project(ProjectRef),
    /// By its name, in a project.
    Codebase(ProjectRef, String),
    /// By its revision, in a codebase.
    Commit(i64, String),
    /// Where two commits part.
    CommonCommit(i64, i64),
    Plugins,
    Plugin(String),
    PluginVersions(String),
    PluginEvents(String),
    PluginMetrics(String),
    Reporters,
    Reporter(i64),
    Tokens,
    Token(i64),
    /// What people did.
    Audit,
    /// The description of the API for programs.
    OpenApi,
    /// Why a request waits.
    Why(i64),
    /// The end of a log, and what is added to it.
    Tail(LogRef),
    /// Lines of a log in which something stands.
    Search(LogRef),
}

/// Characters of a digest.
const DIGEST_CHARACTERS: usize = 64;

/// Finds out what the decoded segments after `/api/v2` ask for; `None` when no such path is served.
pub(crate) fn parse(segments: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    Some(match segments {
        [] => E::Root,
        ["application.spec"] => E::Spec,
        ["openapi.json"] => E::OpenApi,
        ["masters", rest @ ..] => return masters(rest),
        ["builders"] => E::Collection(Resource::Builder, vec![]),
        ["builders", builder, rest @ ..] => return builder_path(BuilderRef::parse(builder), rest),
        ["workers"] => E::Collection(Resource::Worker, vec![]),
        ["workers", worker] => E::Worker(WorkerRef::parse(worker)?, vec![]),
        ["workers", id, "builders"] => {
            E::Collection(Resource::Builder, vec![Scope::Worker(number(id)?)])
        }
        ["workers", id, "builds"] => {
            E::Collection(Resource::Build, vec![Scope::Worker(number(id)?)])
        }
        ["schedulers", rest @ ..] => return plain(Resource::Scheduler, rest),
        ["changesources", rest @ ..] => return plain(Resource::ChangeSource, rest),
        ["forceschedulers"] => E::ForceSchedulers(None),
        ["forceschedulers", name] => E::ForceScheduler(identifier(name)?),
        ["changes", id, "builds"] => {
            E::Collection(Resource::Build, vec![Scope::Change(number(id)?)])
        }
        ["changes", id, "properties_list"] => E::ChangePropertyList(number(id)?),
        ["changes", rest @ ..] => return plain(Resource::Change, rest),
        ["sourcestamps", id, "changes"] => {
            E::Collection(Resource::Change, vec![Scope::SourceStamp(number(id)?)])
        }
        ["sourcestamps", rest @ ..] => return plain(Resource::SourceStamp, rest),
        ["buildsets", id, "properties"] => E::BuildsetProperties(number(id)?),
        ["buildsets", id, "properties_list"] => E::BuildsetPropertyList(number(id)?),
        ["buildsets", id, "sourcestamps"] => {
            E::Collection(Resource::SourceStamp, vec![Scope::Buildset(number(id)?)])
        }
        ["buildsets", rest @ ..] => return plain(Resource::Buildset, rest),
        ["buildrequests", id, "builds"] => {
            E::Collection(Resource::Build, vec![Scope::Request(number(id)?)])
        }
        ["buildrequests", id, "properties"] => E::RequestProperties(number(id)?),
        ["buildrequests", id, "why"] => E::Why(number(id)?),
        ["buildrequests", rest @ ..] => return plain(Resource::BuildRequest, rest),
        ["builds"] => E::Collection(Resource::Build, vec![]),
        ["builds", id, "property_list"] => E::BuildPropertyList(number(id)?),
        ["builds", id, "triggered_builds"] => {
            E::Collection(Resource::Build, vec![Scope::TriggeredBy(number(id)?)])
        }
        ["builds", id, rest @ ..] => return build_path(BuildRef::Id(number(id)?), rest),
        ["steps", id, rest @ ..] => return step_path(StepRef::Id(number(id)?), rest),
        ["logs", id, rest @ ..] => return log_path(LogRef::Id(number(id)?), rest),
        ["reporters"] => E::Reporters,
        ["reporters", id] => E::Reporter(number(id)?),
        ["reporters", id, "deliveries"] => {
            E::Collection(Resource::Delivery, vec![Scope::Reporter(number(id)?)])
        }
        ["test_result_sets", id, "results"] => E::Collection(
            Resource::TestResult,
            vec![Scope::TestResultSet(number(id)?)],
        ),
        ["test_result_sets", rest @ ..] => return plain(Resource::TestResultSet, rest),
        ["deliveries", rest @ ..] => return plain(Resource::Delivery, rest),
        ["tokens"] => E::Tokens,
        ["tokens", id] => E::Token(number(id)?),
        ["audit"] => E::Audit,
        ["components", digest] => E::Component(hexadecimal(digest)?),
        ["projects", rest @ ..] => return projects(rest),
        ["codebases", rest @ ..] => return codebases(rest),
        ["branches", id] => E::Single(Resource::Branch, number(id)?, vec![]),
        ["commits", id] => E::Single(Resource::Commit, number(id)?, vec![]),
        ["plugins"] => E::Plugins,
        ["plugins", name] => E::Plugin((*name).to_owned()),
        ["plugins", name, "versions"] => E::PluginVersions((*name).to_owned()),
        ["plugins", name, "events"] => E::PluginEvents((*name).to_owned()),
        ["plugins", name, "metrics"] => E::PluginMetrics((*name).to_owned()),
        _ => return None,
    })
}

/// A type that has only the list and the single resource.
fn plain(resource: Resource, rest: &[&str]) -> Option<Endpoint> {
    match rest {
        [] => Some(Endpoint::Collection(resource, vec![])),
        [id] => Some(Endpoint::Single(resource, number(id)?, vec![])),
        _ => None,
    }
}

fn projects(rest: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    let [project, rest @ ..] = rest else {
        return Some(E::Collection(Resource::Project, vec![]));
    };
    let project = match number(project) {
        Some(id) => ProjectRef::Id(id),
        None => ProjectRef::Name(identifier(project)?),
    };
    Some(match rest {
        [] => E::Project(project),
        ["builders"] => E::Collection(Resource::Builder, vec![Scope::Project(project)]),
        ["codebases", name] => E::Codebase(project, identifier(name)?),
        _ => return None,
    })
}

fn codebases(rest: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    let [id, rest @ ..] = rest else {
        return plain(Resource::Codebase, rest);
    };
    let id = number(id)?;
    Some(match rest {
        [] => E::Single(Resource::Codebase, id, vec![]),
        ["branches"] => E::Collection(Resource::Branch, vec![Scope::Codebase(id)]),
        ["commits"] => E::Collection(Resource::Commit, vec![Scope::Codebase(id)]),
        ["commits_by_revision", revision] => E::Commit(id, (*revision).to_owned()),
        ["commit_range", from, to, "commits_common_parent"] => {
            E::CommonCommit(number(from)?, number(to)?)
        }
        ["commit_range", from, to, "test_result_sets"] => {
            let range = Scope::CommitRange(number(from)?, number(to)?);
            E::Collection(Resource::TestResultSet, vec![range])
        }
        _ => return None,
    })
}

fn masters(rest: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    let [id, rest @ ..] = rest else {
        return plain(Resource::Master, rest);
    };
    let master = Scope::Master(number(id)?);
    Some(match rest {
        [] => E::Single(Resource::Master, number(id)?, vec![]),
        ["builders"] => E::Collection(Resource::Builder, vec![master]),
        ["builders", builder] => E::Builder(BuilderRef::Id(number(builder)?), vec![master]),
        ["builders", builder, "workers"] => {
            let builder = Scope::Builder(BuilderRef::Id(number(builder)?));
            E::Collection(Resource::Worker, vec![master, builder])
        }
        ["builders", builder, "workers", worker] => {
            let builder = Scope::Builder(BuilderRef::Id(number(builder)?));
            E::Worker(WorkerRef::parse(worker)?, vec![master, builder])
        }
        ["workers"] => E::Collection(Resource::Worker, vec![master]),
        ["workers", worker] => E::Worker(WorkerRef::parse(worker)?, vec![master]),
        ["schedulers"] => E::Collection(Resource::Scheduler, vec![master]),
        ["schedulers", id] => E::Single(Resource::Scheduler, number(id)?, vec![master]),
        ["changesources"] => E::Collection(Resource::ChangeSource, vec![master]),
        ["changesources", id] => E::Single(Resource::ChangeSource, number(id)?, vec![master]),
        _ => return None,
    })
}

fn builder_path(builder: BuilderRef, rest: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    let scope = || vec![Scope::Builder(builder.clone())];
    Some(match rest {
        [] => E::Builder(builder, vec![]),
        ["builds"] => E::Collection(Resource::Build, scope()),
        ["builds", build, rest @ ..] => {
            return build_path(BuildRef::Numbered(builder, number(build)?), rest);
        }
        ["buildrequests"] => E::Collection(Resource::BuildRequest, scope()),
        ["test_result_sets"] => E::Collection(Resource::TestResultSet, scope()),
        ["forceschedulers"] => E::ForceSchedulers(Some(builder)),
        ["masters"] => E::Collection(Resource::Master, scope()),
        ["masters", id] => E::Single(Resource::Master, number(id)?, scope()),
        ["workers"] => E::Collection(Resource::Worker, scope()),
        ["workers", worker] => E::Worker(WorkerRef::parse(worker)?, scope()),
        _ => return None,
    })
}

fn build_path(build: BuildRef, rest: &[&str]) -> Option<Endpoint> {
    use Endpoint as E;
    Some(match rest {
        [] => E::Build(build),
        ["changes"] => E::Collection(Resource::Change, vec![Scope::Build(build)]),
        ["artifacts"] => E::Collection(Resource::Artifact, vec![Scope::Build(build)]),
        ["data"] => E::Collection(Resource::BuildData, vec![Scope::Build(build)]),
        ["data", name] => E::BuildData(build, identifier(name)?),
        ["data", name, "value"] => E::BuildDataValue(build, identifier(name)?),
        ["properties"] => E::BuildProperties(build),
        ["test_result_sets"] => E::Collection(Resource::TestResultSet, vec![Scope::Build(build)]),
        ["steps"] => E::Collection(Resource::Step, vec![Scope::Build(build)]),
        ["steps", step, rest @ ..] => {
            let key = match number(step) {
                Some(number) => StepKey::Number(number),
                None => StepKey::Name((*step).to_owned()),
            };
            return step_path(StepRef::Of(build, key), rest);
        }
        _ => return None,
    })
}

fn step_path(step: StepRef, rest: &[&str]) -> Option<Endpoint> {
    Some(match rest {
        [] => Endpoint::Step(step),
        ["logs"] => Endpoint::Collection(Resource::Log, vec![Scope::Step(step)]),
        ["recording"] => Endpoint::Recording(step),
        ["test_result_sets"] => {
            Endpoint::Collection(Resource::TestResultSet, vec![Scope::Step(step)])
        }
        ["logs", slug, rest @ ..] => return log_path(LogRef::Of(step, identifier(slug)?), rest),
        _ => return None,
    })
}

fn log_path(log: LogRef, rest: &[&str]) -> Option<Endpoint> {
    Some(match rest {
        [] => Endpoint::Log(log),
        ["contents"] => Endpoint::Contents(log),
        ["raw"] => Endpoint::Raw { log, inline: false },
        ["raw_inline"] => Endpoint::Raw { log, inline: true },
        ["tail"] => Endpoint::Tail(log),
        ["search"] => Endpoint::Search(log),
        _ => return None,
    })
}

impl BuilderRef {
    /// A number is an id, anything else a name.
    pub(crate) fn parse(segment: &str) -> Self {
        number(segment).map_or_else(|| Self::Name(segment.to_owned()), Self::Id)
    }
}

impl WorkerRef {
    /// A number is an id, an identifier a name.
    pub(crate) fn parse(segment: &str) -> Option<Self> {
        match number(segment) {
            Some(id) => Some(Self::Id(id)),
            None => identifier(segment).map(Self::Name),
        }
    }
}

fn number(segment: &str) -> Option<i64> {
    segment.parse().ok()
}

/// A digest, or the beginning of one.
fn hexadecimal(segment: &str) -> Option<String> {
    is_digest(segment).then(|| segment.to_owned())
}

/// Whether a text is a digest, or the beginning of one.
pub(crate) fn is_digest(text: &str) -> bool {
    let holds = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    holds && !text.is_empty() && text.len() <= DIGEST_CHARACTERS
}

/// An identifier as Buildbot has it: letters, digits, `.`, `_`, `-`, not starting with a digit or a dot.
fn identifier(segment: &str) -> Option<String> {
    let starts = segment.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-'));
    let holds = segment
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (starts && holds).then(|| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::patterns::PATTERNS;

    fn parsed(path: &str) -> Option<Endpoint> {
        let segments: Vec<_> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        parse(&segments)
    }

    #[test]
    fn every_listed_path_is_understood() {
        for (pattern, _) in PATTERNS {
            let path: Vec<_> = pattern
                .split('/')
                .map(|segment| match segment.split_once(':') {
                    Some(("n", _)) => "7",
                    Some(("i", _)) => "name",
                    Some(("s", _)) => "any name",
                    _ => segment,
                })
                .collect();
            assert!(parsed(&path.join("/")).is_some(), "{pattern}");
        }
    }

    #[test]
    fn paths_name_what_they_ask_for() {
        let table = [
            (
                "/builders/unit tests/builds/3",
                Some(Endpoint::Build(BuildRef::Numbered(
                    BuilderRef::Name("unit tests".into()),
                    3,
                ))),
            ),
            (
                "/builders/5",
                Some(Endpoint::Builder(BuilderRef::Id(5), vec![])),
            ),
            (
                "/builds/3/steps/compile/logs/stdio/raw",
                Some(Endpoint::Raw {
                    log: LogRef::Of(
                        StepRef::Of(BuildRef::Id(3), StepKey::Name("compile".into())),
                        "stdio".into(),
                    ),
                    inline: false,
                }),
            ),
            (
                "/workers/local",
                Some(Endpoint::Worker(WorkerRef::Name("local".into()), vec![])),
            ),
            ("/components/b7", Some(Endpoint::Component("b7".into()))),
            ("/components/..", None),
            ("/components/\u{1d54b}", None),
            ("/builds/x", None),
            ("/builds/3/nothing", None),
            ("/steps", None),
            ("/nothing", None),
            ("/builds/99999999999999999999", None),
        ];
        for (path, expected) in table {
            assert_eq!(parsed(path), expected, "{path}");
        }
    }
}
