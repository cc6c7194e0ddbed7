//! Results of single tests.

/// A set of results to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTestSet {
    /// What was run.
    pub description: String,
    /// What the results say, such as `pass_fail`.
    pub category: String,
    /// What the values count, such as `boolean`.
    pub value_unit: String,
}

/// A set that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestSet(pub i64);

/// One result. It has a name or a code path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The test.
    pub name: Option<String>,
    /// Where its code is.
    pub code_path: Option<String>,
    /// The line there, from 1.
    pub line: Option<u32>,
    /// How long it took.
    pub duration_ns: Option<u64>,
    /// In the unit of the set.
    pub value: String,
}
