//! What steps leave with their build.

use toolpost_core::kept::{Artifact, BuildData, TestResult, TestResultSet};

use super::sealed::Stored;
use super::table::{Table, flag, int, link, text, time};
use crate::sql::Cells;
use crate::{Result, StoreError};

impl Stored for Artifact {
    const TABLE: &'static Table = &Table {
        resource: "artifact",
        from: "artifacts t",
        columns: "t.id, t.build_id, t.step_id, t.name, t.size_bytes, t.mode, t.sha256, t.created_at",
        fields: &[
            int("artifactid", "t.id"),
            int("buildid", "t.build_id"),
            int("stepid", "t.step_id"),
            text("name", "t.name"),
            int("size_bytes", "t.size_bytes"),
            int("mode", "t.mode"),
            text("sha256", "t.sha256"),
            time("created_at", "t.created_at"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        let id = cells.get()?;
        let (build_id, step_id, name) = (cells.get()?, cells.get()?, cells.get()?);
        let size_bytes = cells.get()?;
        let mode: i64 = cells.get()?;
        Ok(Self {
            id,
            build_id,
            step_id,
            name,
            size_bytes,
            mode: u32::try_from(mode).map_err(|error| StoreError::Corrupt {
                what: format!("mode of artifact {id}"),
                reason: error.to_string(),
            })?,
            sha256: cells.get()?,
            created_at: cells.get()?,
        })
    }
}

impl Stored for BuildData {
    const TABLE: &'static Table = &Table {
        resource: "build data",
        from: "build_data t",
        columns: "t.id, t.build_id, t.name, t.length, t.source",
        fields: &[
            int("build_dataid", "t.id"),
            int("buildid", "t.build_id"),
            text("name", "t.name"),
            int("length", "t.length"),
            text("source", "t.source"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            build_id: cells.get()?,
            name: cells.get()?,
            length: cells.get()?,
            source: cells.get()?,
        })
    }
}

impl Stored for TestResultSet {
    const TABLE: &'static Table = &Table {
        resource: "set of test results",
        from: "test_result_sets t",
        columns: "t.id, t.builder_id, t.build_id, t.step_id, t.description, t.category, t.value_unit, \
            t.tests_passed, t.tests_failed, t.complete",
        fields: &[
            int("test_result_setid", "t.id"),
            // The commit that was built: one of the revision that its build was of.
            link(
                "commitid",
                "t.build_id IN (SELECT b.id FROM codebase_commits x \
                 JOIN sourcestamps m ON m.revision = x.revision \
                 JOIN buildset_sourcestamps s ON s.sourcestamp_id = m.id \
                 JOIN requests r ON r.buildset_id = s.buildset_id \
                 JOIN builds b ON b.request_id = r.id WHERE x.id",
            ),
            int("builderid", "t.builder_id"),
            int("buildid", "t.build_id"),
            int("stepid", "t.step_id"),
            text("description", "t.description"),
            text("category", "t.category"),
            text("value_unit", "t.value_unit"),
            int("tests_passed", "t.tests_passed").null(),
            int("tests_failed", "t.tests_failed").null(),
            flag("complete", "t.complete"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            builder_id: cells.get()?,
            build_id: cells.get()?,
            step_id: cells.get()?,
            description: cells.get()?,
            category: cells.get()?,
            value_unit: cells.get()?,
            tests_passed: cells.get()?,
            tests_failed: cells.get()?,
            complete: cells.get()?,
        })
    }
}

impl Stored for TestResult {
    const TABLE: &'static Table = &Table {
        resource: "test result",
        from: "test_results t",
        columns: "t.id, t.builder_id, t.test_result_set_id, t.test_name, t.test_code_path, t.line, \
            t.duration_ns, t.value",
        fields: &[
            int("test_resultid", "t.id"),
            int("builderid", "t.builder_id"),
            int("test_result_setid", "t.test_result_set_id"),
            text("test_name", "t.test_name").null_that_differs(),
            text("test_code_path", "t.test_code_path").null_that_differs(),
            int("line", "t.line").null_that_differs(),
            int("duration_ns", "t.duration_ns").null_that_differs(),
            text("value", "t.value"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            builder_id: cells.get()?,
            test_result_set_id: cells.get()?,
            test_name: cells.get()?,
            test_code_path: cells.get()?,
            line: cells.get()?,
            duration_ns: cells.get()?,
            value: cells.get()?,
        })
    }
}
