//! Results of tests.

use std::sync::Arc;

use toolpost_core::kept::TestResult;
use toolpost_core::{BuildId, BuilderId, Event, StepId, TestResultSetId};

use crate::resources::read_all;
use crate::sql::args;
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// A set of results to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTestResultSet {
    /// The builder of the build.
    pub builder: BuilderId,
    /// The build.
    pub build: BuildId,
    /// The step that makes it.
    pub step: StepId,
    /// What was run.
    pub description: String,
    /// What the results say.
    pub category: String,
    /// What the values count.
    pub value_unit: String,
}

/// A result to add.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTestResult {
    /// The test.
    pub test_name: Option<String>,
    /// The file with its code.
    pub test_code_path: Option<String>,
    /// The line there.
    pub line: Option<u32>,
    /// How long it took.
    pub duration_ns: Option<i64>,
    /// In the unit of the set.
    pub value: String,
}

/// Results that one transaction removes, so that others get their turn in between.
const RESULTS_PER_REMOVAL: u64 = 5_000;

impl Store {
    /// Makes an empty set of test results.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_test_result_set(&self, new: NewTestResultSet) -> Result<TestResultSetId> {
        self.write("add_test_result_set", move |tx| {
            let new = new.clone();
            Box::pin(async move {
                let sql = "INSERT INTO test_result_sets \
                    (builder_id, build_id, step_id, description, category, value_unit) \
                    VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
                let args = args![
                    new.builder,
                    new.build,
                    new.step,
                    new.description,
                    new.category,
                    new.value_unit
                ];
                let row = tx.fetch_one("add_test_result_set", sql, args).await?;
                tx.emit(Event::StepChanged(new.step, new.build));
                row.first()
            })
        })
        .await
    }

    /// Adds results to a set.
    ///
    /// # Errors
    /// When the set is unknown, [`StoreError::Conflict`] when it is complete; otherwise when the database fails.
    pub async fn add_test_results(
        &self,
        set: TestResultSetId,
        results: Vec<NewTestResult>,
    ) -> Result<()> {
        let results: Arc<[NewTestResult]> = results.into();
        self.write("add_test_results", move |tx| {
            let results = results.clone();
            Box::pin(async move { add(tx, set, &results).await })
        })
        .await
    }

    /// Says that all results of a set are there, and how many tests passed and failed, where these words make sense.
    ///
    /// # Errors
    /// When the set is unknown, [`StoreError::Conflict`] when it is complete; otherwise when the database fails.
    pub async fn complete_test_result_set(
        &self,
        set: TestResultSetId,
        tests_passed: Option<i64>,
        tests_failed: Option<i64>,
    ) -> Result<()> {
        self.write("complete_test_result_set", move |tx| {
            Box::pin(async move {
                const OPERATION: &str = "complete_test_result_set";
                open_set(tx, OPERATION, set).await?;
                let sql = "UPDATE test_result_sets SET complete = 1, tests_passed = $1, \
                    tests_failed = $2 WHERE id = $3 RETURNING step_id, build_id";
                let args = args![tests_passed, tests_failed, set];
                let row = tx.fetch_one(OPERATION, sql, args).await?;
                let mut cells = row.cells();
                tx.emit(Event::StepChanged(cells.get()?, cells.get()?));
                Ok(())
            })
        })
        .await
    }

    /// Removes what a step has found so far, because it begins again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_test_result_sets(&self, step: StepId) -> Result<()> {
        loop {
            let removed = self.write("remove_test_result_sets", move |tx| {
                Box::pin(async move { remove(tx, step).await })
            });
            if removed.await? < RESULTS_PER_REMOVAL {
                return Ok(());
            }
        }
    }

    /// The first results of a set with the value `0`: of a set that counts in `boolean`, the tests that failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failed_tests(&self, set: TestResultSetId, limit: u32) -> Result<Vec<TestResult>> {
        let mut connection = self.read("failed_tests").await?;
        let end = "WHERE t.test_result_set_id = $1 AND t.value = '0' ORDER BY t.id LIMIT $2";
        read_all(&mut connection, "failed_tests", end, args![set, limit]).await
    }
}

/// The builder of a set that is not complete.
async fn open_set(tx: &mut Tx, operation: &'static str, set: TestResultSetId) -> Result<BuilderId> {
    tx.lock_row(operation, "test_result_sets", set.0).await?;
    let sql = "SELECT builder_id, complete FROM test_result_sets WHERE id = $1";
    let row = tx.fetch_optional(operation, sql, args![set]).await?;
    let row = row.ok_or_else(|| StoreError::not_found("set of test results", set))?;
    let mut cells = row.cells();
    let builder = cells.get()?;
    if cells.get()? {
        return Err(StoreError::Conflict {
            what: format!("set {set} of test results"),
        });
    }
    Ok(builder)
}

async fn add(tx: &mut Tx, set: TestResultSetId, results: &[NewTestResult]) -> Result<()> {
    const OPERATION: &str = "add_test_results";
    let builder = open_set(tx, OPERATION, set).await?;
    let rows = results.iter().map(|result| {
        args![
            builder,
            set,
            &result.test_name,
            &result.test_code_path,
            result.line.map(i64::from),
            result.duration_ns,
            &result.value
        ]
    });
    let into = "INSERT INTO test_results \
        (builder_id, test_result_set_id, test_name, test_code_path, line, duration_ns, value)";
    tx.insert(OPERATION, into, rows.collect(), "").await?;
    Ok(())
}

/// How many results it has removed; fewer than [`RESULTS_PER_REMOVAL`] once all are gone, and their sets.
async fn remove(tx: &mut Tx, step: StepId) -> Result<u64> {
    const OPERATION: &str = "remove_test_result_sets";
    let sql = "DELETE FROM test_results WHERE id IN (SELECT r.id FROM test_results r \
        JOIN test_result_sets s ON s.id = r.test_result_set_id WHERE s.step_id = $1 LIMIT $2)";
    let limit = i64::try_from(RESULTS_PER_REMOVAL).unwrap_or(i64::MAX);
    let removed = tx.execute(OPERATION, sql, args![step, limit]).await?;
    if removed < RESULTS_PER_REMOVAL {
        let sql = "DELETE FROM test_result_sets WHERE step_id = $1 RETURNING build_id";
        let sets = tx.fetch_all(OPERATION, sql, args![step]).await?;
        if let Some(set) = sets.first() {
            tx.emit(Event::StepChanged(step, set.first()?));
        }
    }
    Ok(removed)
}
