//! What steps leave with their build: files, named values, results of tests. Fields carry Buildbot's names (REST API
//! specification 4.3.0) where Buildbot has the thing.

use crate::ids::{
    ArtifactId, BuildDataId, BuildId, BuilderId, StepId, TestResultId, TestResultSetId,
};
use crate::time::Timestamp;

/// Who set the values of builds in which it is kept what steps used of their workers.
pub const RESOURCES_SOURCE: &str = "resources";

/// Bytes of an artifact's name.
pub const ARTIFACT_NAME_BYTES_MAX: usize = 512;

/// What is wrong with the name of an artifact, if anything. A good one can stand in a URL and be a path below any directory
/// without leading out of it.
#[must_use]
pub fn artifact_name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > ARTIFACT_NAME_BYTES_MAX || name.contains(char::is_control) {
        return Some("the name of an artifact has 1 to 512 printable bytes");
    }
    let is_bad = |part: &str| matches!(part, "" | "." | "..") || part.contains('\\');
    name.split('/').any(is_bad).then_some(
        "the name of an artifact has parts joined by `/`, none of them empty, `.` or `..`, and no backslash",
    )
}

/// A file that is kept with a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Row id.
    pub id: ArtifactId,
    /// The build that it is kept with.
    pub build_id: BuildId,
    /// The step that uploaded it.
    pub step_id: StepId,
    /// Parts joined by `/`; unique in its build.
    pub name: String,
    /// Bytes.
    pub size_bytes: i64,
    /// Permissions, such as `0o755`.
    pub mode: u32,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// A named value of a build, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildData {
    /// Row id.
    pub id: BuildDataId,
    /// Its build.
    pub build_id: BuildId,
    /// Unique in its build.
    pub name: String,
    /// Bytes of the value.
    pub length: i64,
    /// Who set it.
    pub source: String,
}

/// Results of one kind from one run of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResultSet {
    /// Row id.
    pub id: TestResultSetId,
    /// The builder of its build.
    pub builder_id: BuilderId,
    /// Its build.
    pub build_id: BuildId,
    /// The step that made it.
    pub step_id: StepId,
    /// What was run.
    pub description: String,
    /// What the results say (`pass_fail`, `performance` ...).
    pub category: String,
    /// What the values count (`boolean`, `ms` ...).
    pub value_unit: String,
    /// Passed tests, where these words make sense.
    pub tests_passed: Option<i64>,
    /// Failed tests, where these words make sense.
    pub tests_failed: Option<i64>,
    /// Whether all results are there.
    pub complete: bool,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// Row id.
    pub id: TestResultId,
    /// The builder of its build.
    pub builder_id: BuilderId,
    /// Its set.
    pub test_result_set_id: TestResultSetId,
    /// The test.
    pub test_name: Option<String>,
    /// The file with its code.
    pub test_code_path: Option<String>,
    /// The line there.
    pub line: Option<i64>,
    /// How long it took.
    pub duration_ns: Option<i64>,
    /// In the unit of the set.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_artifacts_lead_nowhere() {
        for good in ["a", "a/b.txt", "report/..hidden", "Ä/ö ü", "..."] {
            assert_eq!(artifact_name_fault(good), None, "{good}");
        }
        let long = "x".repeat(ARTIFACT_NAME_BYTES_MAX + 1);
        let bad = [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", "a\\..\\b",
            "a\nb", "a\0", &long,
        ];
        for name in bad {
            assert!(artifact_name_fault(name).is_some(), "{name}");
        }
    }
}
