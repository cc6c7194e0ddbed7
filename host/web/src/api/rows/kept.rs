//! What steps leave with their build: artifacts, build data, test results.

use toolpost_core::kept::{Artifact, BuildData, TestResult, TestResultSet};

use super::Row;
use crate::api::json::Object;
use crate::api::schema::Resource;
use crate::artifacts::path_of;

impl Row for Artifact {
    const RESOURCE: Resource = Resource::Artifact;
    const ID: &'static str = "artifactid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("artifactid", self.id.0);
        object.int("buildid", self.build_id.0);
        object.time("created_at", self.created_at);
        object.int("mode", self.mode.into());
        object.text("name", &self.name);
        object.text("path", &path_of(self.build_id, &self.name));
        object.text("sha256", &self.sha256);
        object.int("size_bytes", self.size_bytes);
        object.int("stepid", self.step_id.0);
    }
}

impl Row for BuildData {
    const RESOURCE: Resource = Resource::BuildData;
    // No field of the API: Buildbot's have no id.
    const ID: &'static str = "build_dataid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("buildid", self.build_id.0);
        object.int("length", self.length);
        object.text("name", &self.name);
        object.text("source", &self.source);
        // Only the path that ends with `value` gives it.
        object.null("value");
    }
}

impl Row for TestResultSet {
    const RESOURCE: Resource = Resource::TestResultSet;
    const ID: &'static str = "test_result_setid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("builderid", self.builder_id.0);
        object.int("buildid", self.build_id.0);
        object.text("category", &self.category);
        object.bool("complete", self.complete);
        object.text("description", &self.description);
        object.int("stepid", self.step_id.0);
        object.int("test_result_setid", self.id.0);
        object.opt_int("tests_failed", self.tests_failed);
        object.opt_int("tests_passed", self.tests_passed);
        object.text("value_unit", &self.value_unit);
    }
}

impl Row for TestResult {
    const RESOURCE: Resource = Resource::TestResult;
    const ID: &'static str = "test_resultid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("builderid", self.builder_id.0);
        object.opt_int("duration_ns", self.duration_ns);
        object.opt_int("line", self.line);
        object.opt_text("test_code_path", self.test_code_path.as_deref());
        object.opt_text("test_name", self.test_name.as_deref());
        object.int("test_result_setid", self.test_result_set_id.0);
        object.int("test_resultid", self.id.0);
        object.text("value", &self.value);
    }
}
