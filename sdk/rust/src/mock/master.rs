//! The master of a step, for tests: what it keeps, and how other builders end.

use super::{MockHost, State, limit};
use crate::master::{HostTestResults, HostTriggered, Master};
use crate::{
    Artifact, BuildData, BuildOf, BuildRequest, Change, Error, FileKind, Host, Progress, Results,
    TestResult, TriggeredBuild, UploadedDirectory, WriteMode,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const ARTIFACT_NAME_BYTES_MAX: usize = 512;
const DATA_NAME_BYTES_MAX: usize = 256;
const DATA_BYTES_MAX: usize = 1024 * 1024;
const RESULTS_PER_CALL_MAX: usize = 10_000;
const BUILDERS_MAX: usize = 100;
const FILE_MODE: u32 = 0o644;
/// What is read of a file at a time.
const READ_BYTES: u32 = 4 * 1024 * 1024;

/// What the master keeps.
#[derive(Default)]
pub(super) struct MockMaster {
    changes: RefCell<Vec<Change>>,
    artifacts: RefCell<BTreeMap<(BuildOf, String), Vec<u8>>>,
    data: RefCell<BTreeMap<String, BuildData>>,
    test_results: RefCell<BTreeMap<String, TestResults>>,
    builder_results: RefCell<BTreeMap<String, Results>>,
    triggered: RefCell<Vec<BuildRequest>>,
}

#[derive(Default)]
struct TestResults {
    results: Vec<TestResult>,
    totals: Option<(Option<u64>, Option<u64>)>,
}

impl MockHost {
    /// Gives the build a change that it is made for.
    #[must_use]
    pub fn change(self, change: Change) -> Self {
        self.state.master.changes.borrow_mut().push(change);
        self
    }

    /// Lets a build of this builder have an artifact.
    #[must_use]
    pub fn artifact_of(
        self,
        builder: &str,
        number: u64,
        name: &str,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        let key = (BuildOf::Other(builder.to_owned(), number), name.to_owned());
        self.state
            .master
            .artifacts
            .borrow_mut()
            .insert(key, content.into());
        self
    }

    /// Lets triggered builds of this builder end like this, and not with success.
    #[must_use]
    pub fn builder_ends(self, builder: &str, results: Results) -> Self {
        self.state
            .master
            .builder_results
            .borrow_mut()
            .insert(builder.to_owned(), results);
        self
    }

    /// The content of an artifact of the build.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<Vec<u8>> {
        let key = (BuildOf::ThisBuild, name.to_owned());
        self.state.master.artifacts.borrow().get(&key).cloned()
    }

    /// A named value of the build.
    #[must_use]
    pub fn data(&self, name: &str) -> Option<Vec<u8>> {
        let data = self.state.master.data.borrow();
        data.get(name).map(|data| data.value.clone())
    }

    /// The results of a set with this description.
    #[must_use]
    pub fn test_results(&self, description: &str) -> Vec<TestResult> {
        let sets = self.state.master.test_results.borrow();
        sets.get(description)
            .map(|set| set.results.clone())
            .unwrap_or_default()
    }

    /// The numbers of passed and failed tests of a set, if it is complete.
    #[must_use]
    pub fn test_totals(&self, description: &str) -> Option<(Option<u64>, Option<u64>)> {
        self.state
            .master
            .test_results
            .borrow()
            .get(description)?
            .totals
    }

    /// The builds of other builders that the step has asked for.
    #[must_use]
    pub fn triggered(&self) -> Vec<BuildRequest> {
        self.state.master.triggered.borrow().clone()
    }

    fn content(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        loop {
            let part = self.read_file(path, content.len() as u64, READ_BYTES)?;
            if part.is_empty() {
                return Ok(content);
            }
            content.extend(part);
        }
    }
}

impl Master for MockHost {
    fn changes(&self) -> Result<Vec<Change>, Error> {
        Ok(self.state.master.changes.borrow().clone())
    }

    fn upload_file(&self, path: &str, name: &str) -> Result<Artifact, Error> {
        limit(
            "the name of an artifact",
            name.len(),
            ARTIFACT_NAME_BYTES_MAX,
        )?;
        let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.split('/').any(is_odd) || name.contains('\\') {
            return Err(Error::permanent(format!(
                "`{name}` is no name of an artifact"
            )));
        }
        let content = self.content(path)?;
        let artifact = artifact(name, &content);
        let key = (BuildOf::ThisBuild, name.to_owned());
        self.state
            .master
            .artifacts
            .borrow_mut()
            .insert(key, content);
        Ok(artifact)
    }

    fn upload_directory(&self, path: &str, name: &str) -> Result<UploadedDirectory, Error> {
        let stat = self.stat(path)?;
        if stat.kind != FileKind::Directory {
            return Err(Error::permanent(format!("`{path}` is no directory")));
        }
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut uploaded = UploadedDirectory::default();
        for file in self.glob(&format!("{below}**"))? {
            if self.stat(&file)?.kind != FileKind::File {
                continue;
            }
            let inner = file.strip_prefix(&below).unwrap_or(&file);
            let full = if name.is_empty() {
                inner.to_owned()
            } else {
                format!("{name}/{inner}")
            };
            uploaded.files.push(self.upload_file(&file, &full)?);
        }
        Ok(uploaded)
    }

    fn download(&self, build: &BuildOf, name: &str, path: &str) -> Result<Artifact, Error> {
        let artifacts = self.state.master.artifacts.borrow();
        let content = artifacts
            .get(&(build.clone(), name.to_owned()))
            .ok_or_else(|| Error::permanent(format!("there is no artifact `{name}`")))?;
        self.write_file(path, content, WriteMode::Replace)?;
        Ok(artifact(name, content))
    }

    fn find_artifacts(&self, build: &BuildOf, prefix: &str) -> Result<Vec<Artifact>, Error> {
        let artifacts = self.state.master.artifacts.borrow();
        let of_build = artifacts.iter().filter(|((of, _), _)| of == build);
        let found = of_build.filter(|((_, name), _)| name.starts_with(prefix));
        Ok(found
            .map(|((_, name), content)| artifact(name, content))
            .collect())
    }

    fn build_data(&self, name: &str) -> Result<Option<BuildData>, Error> {
        Ok(self.state.master.data.borrow().get(name).cloned())
    }

    fn set_build_data(&self, name: &str, value: &[u8], source: &str) -> Result<(), Error> {
        limit("the name of a value", name.len(), DATA_NAME_BYTES_MAX)?;
        limit("the value", value.len(), DATA_BYTES_MAX)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty()
            || !name.chars().all(fits)
            || name.starts_with(|c: char| c == '.' || c.is_ascii_digit())
        {
            return Err(Error::permanent(format!("`{name}` is no name of a value")));
        }
        let data = BuildData {
            value: value.to_owned(),
            source: if source.is_empty() {
                self.build().step
            } else {
                source.to_owned()
            },
        };
        self.state
            .master
            .data
            .borrow_mut()
            .insert(name.to_owned(), data);
        Ok(())
    }

    fn create_test_results(
        &self,
        description: &str,
        _category: &str,
        _value_unit: &str,
    ) -> Result<Box<dyn HostTestResults>, Error> {
        self.state
            .master
            .test_results
            .borrow_mut()
            .insert(description.to_owned(), TestResults::default());
        Ok(Box::new(OpenSet {
            state: Rc::clone(&self.state),
            description: description.to_owned(),
        }))
    }

    fn trigger(&self, request: &BuildRequest) -> Result<Box<dyn HostTriggered>, Error> {
        limit(
            "the number of builders",
            request.builders.len(),
            BUILDERS_MAX,
        )?;
        if request.builders.is_empty() {
            return Err(Error::config("", "there is no builder to build with"));
        }
        if self.is_cancelled() {
            return Err(Error::permanent("the step is cancelled"));
        }
        let mut triggered = self.state.master.triggered.borrow_mut();
        triggered.push(request.clone());
        Ok(Box::new(MockTriggered(
            self.progress_of(request, triggered.len() as u64),
        )))
    }
}

impl MockHost {
    fn progress_of(&self, request: &BuildRequest, buildset: u64) -> Progress {
        let known = self.state.master.builder_results.borrow();
        let mut names = request.builders.clone();
        names.sort();
        let build = |name: &String| TriggeredBuild {
            builder: name.clone(),
            request: buildset,
            number: Some(1),
            url: format!("http://localhost:8010/builders/{name}/builds/1"),
            results: Some(known.get(name).copied().unwrap_or_default()),
        };
        let builds: Vec<TriggeredBuild> = names.iter().map(build).collect();
        let worst = builds
            .iter()
            .filter_map(|build| build.results)
            .max_by_key(|results| severity(*results));
        Progress {
            buildset,
            results: worst,
            builds,
        }
    }
}

/// Buildbot's order: which result is the one of several builds.
fn severity(results: Results) -> u8 {
    match results {
        Results::Success => 0,
        Results::Skipped => 1,
        Results::Warnings => 2,
        Results::Failure => 3,
        Results::Exception => 4,
        Results::Retry => 5,
        Results::Cancelled => 6,
    }
}

struct OpenSet {
    state: Rc<State>,
    description: String,
}

impl OpenSet {
    fn change(&self, change: impl FnOnce(&mut TestResults)) -> Result<(), Error> {
        let mut sets = self.state.master.test_results.borrow_mut();
        let set = sets
            .get_mut(&self.description)
            .filter(|set| set.totals.is_none());
        change(set.ok_or_else(|| Error::permanent("the set is complete"))?);
        Ok(())
    }
}

impl HostTestResults for OpenSet {
    fn add(&self, results: &[TestResult]) -> Result<(), Error> {
        limit("the number of results", results.len(), RESULTS_PER_CALL_MAX)?;
        let is_about_nothing =
            |result: &TestResult| result.name.is_none() && result.code_path.is_none();
        if results.iter().any(is_about_nothing) {
            return Err(Error::permanent("a result says neither name nor code path"));
        }
        self.change(|set| set.results.extend_from_slice(results))
    }

    fn complete(&self, passed: Option<u64>, failed: Option<u64>) -> Result<(), Error> {
        self.change(|set| set.totals = Some((passed, failed)))
    }
}

/// Builds that have ended as soon as they were asked for.
struct MockTriggered(Progress);

impl HostTriggered for MockTriggered {
    fn progress(&self) -> Result<Progress, Error> {
        Ok(self.0.clone())
    }

    fn wait(&self) -> Result<Progress, Error> {
        Ok(self.0.clone())
    }
}

fn artifact(name: &str, content: &[u8]) -> Artifact {
    let digest = hmac_sha256::Hash::hash(content);
    Artifact {
        name: name.to_owned(),
        size: content.len() as u64,
        mode: FILE_MODE,
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        url: format!("http://localhost:8010/artifacts/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_go_to_the_master_and_back() {
        let host = MockHost::new()
            .file("out/a.txt", "abc")
            .file("out/sub/b.txt", "b")
            .artifact_of("packages", 7, "app.deb", "deb");
        let artifacts = host.context().artifacts();
        let uploaded = artifacts
            .upload_directory("out", "report")
            .expect("it is there");
        let names: Vec<&str> = uploaded
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(names, ["report/a.txt", "report/sub/b.txt"]);
        assert_eq!(
            uploaded.files[0].sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            artifacts
                .find(&BuildOf::ThisBuild, "report/s")
                .map(|found| found.len()),
            Ok(1)
        );
        let other = BuildOf::Other("packages".to_owned(), 7);
        artifacts
            .download(&other, "app.deb", "in/app.deb")
            .expect("it is there");
        assert_eq!(
            host.file_content("in/app.deb").as_deref(),
            Some(b"deb".as_slice())
        );
        assert!(
            artifacts
                .download(&BuildOf::ThisBuild, "app.deb", "x")
                .is_err()
        );
        for (path, name) in [("out/none", "x"), ("out/a.txt", "../x"), ("../a", "x")] {
            let error = artifacts.upload(path, name).expect_err("it is refused");
            assert!(matches!(error, Error::Permanent(_)), "{error:?}");
        }
    }

    #[test]
    fn results_are_handed_over_in_portions() {
        let host = MockHost::new();
        let ctx = host.context();
        let mut set = ctx
            .test_results("tests", "pass_fail", "boolean")
            .expect("a set");
        for n in 0..2_500 {
            set.add(TestResult::named(format!("t{n}"), "1"))
                .expect("it is taken");
        }
        assert_eq!(
            (host.test_results("tests").len(), host.test_totals("tests")),
            (2_000, None)
        );
        set.complete(Some(2_500), Some(0)).expect("it is taken");
        assert_eq!(host.test_results("tests").len(), 2_500);
        assert_eq!(host.test_totals("tests"), Some((Some(2_500), Some(0))));
        let mut other = ctx
            .test_results("other", "code_issue", "message")
            .expect("a set");
        other
            .add(TestResult::at("a.c", 3, "odd"))
            .expect("it is taken");
        drop(other);
        assert_eq!(
            (host.test_results("other").len(), host.test_totals("other")),
            (1, None)
        );
    }

    #[test]
    fn the_worst_of_triggered_builds_counts() {
        let host = MockHost::new()
            .builder_ends("b", Results::Failure)
            .builder_ends("c", Results::Warnings);
        let progress = host
            .context()
            .trigger(["c", "b", "a"])
            .run()
            .expect("they run");
        assert_eq!(progress.results, Some(Results::Failure));
        let builders: Vec<&str> = progress
            .builds
            .iter()
            .map(|build| build.builder.as_str())
            .collect();
        assert_eq!(builders, ["a", "b", "c"]);
        assert!(host.triggered()[0].waited_for);
        assert!(
            MockHost::new()
                .cancelled()
                .context()
                .trigger(["a"])
                .start()
                .is_err()
        );
    }

    #[test]
    fn data_has_names_and_sources() {
        let host = MockHost::new();
        let ctx = host.context();
        ctx.set_build_data("size.bytes", b"12").expect("it is fine");
        let data = ctx
            .build_data("size.bytes")
            .expect("it is fine")
            .expect("it is there");
        assert_eq!(
            (data.value.as_slice(), data.source.as_str()),
            (b"12".as_slice(), "step")
        );
        assert_eq!(host.data("size.bytes").as_deref(), Some(b"12".as_slice()));
        for name in ["", "1st", ".x", "a b"] {
            assert!(ctx.set_build_data(name, b"").is_err(), "{name}");
        }
    }
}
