//! What steps have left with a build, for its page; and where a request has got to.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use axum::response::{IntoResponse as _, Redirect};
use toolpost_core::kept::{Artifact, BuildData, RESOURCES_SOURCE, TestResult, TestResultSet};
use toolpost_core::model::{Build, BuildRequest};
use toolpost_store::{Op, Query, Store};

use super::build::id_of;
use super::shell::Ask;
use crate::api::resolve;
use crate::artifacts::path_of;
use crate::error::ApiError;
use crate::state::Web;

/// Artifacts, values and sets of test results that the page of a build shows.
const ARTIFACTS_MAX: u32 = 200;
const DATA_MAX: u32 = 100;
const TEST_SETS_MAX: u32 = 50;

/// Failed tests of a set that are named.
const FAILED_MAX: u32 = 20;

/// What a build has kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) artifacts: Vec<ArtifactView>,
    /// How many there are in all.
    pub(super) artifacts_total: i64,
    pub(super) data: Vec<BuildData>,
    pub(super) test_sets: Vec<TestSetView>,
}

pub(super) struct ArtifactView {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) size_bytes: i64,
    pub(super) sha256: String,
}

pub(super) struct TestSetView {
    pub(super) set: TestResultSet,
    /// How many results it has.
    pub(super) total: i64,
    pub(super) failed: Vec<FailedView>,
}

pub(super) struct FailedView {
    pub(super) name: String,
    pub(super) place: String,
}

impl Kept {
    pub(super) async fn of(store: &Store, build: &Build) -> Result<Self, ApiError> {
        let of_build = Query::new().eq("buildid", build.id);
        let artifacts = store.artifacts_of(build.id, "", ARTIFACTS_MAX).await?;
        let shown = i64::try_from(artifacts.len()).unwrap_or(i64::MAX);
        let artifacts_total = if shown < i64::from(ARTIFACTS_MAX) {
            shown
        } else {
            store.count::<Artifact>(&of_build).await?
        };
        let data = of_build.clone().order("name").limit(DATA_MAX);
        // They are shown with their steps.
        let data = data.filter("source", Op::Ne, RESOURCES_SOURCE);
        let sets = of_build.limit(TEST_SETS_MAX);
        let mut test_sets = Vec::new();
        for set in store.list::<TestResultSet>(&sets).await? {
            test_sets.push(TestSetView::new(store, set).await?);
        }
        Ok(Self {
            artifacts: artifacts.into_iter().map(ArtifactView::new).collect(),
            artifacts_total,
            data: store.list::<BuildData>(&data).await?,
            test_sets,
        })
    }
}

impl ArtifactView {
    fn new(artifact: Artifact) -> Self {
        Self {
            href: path_of(artifact.build_id, &artifact.name),
            name: artifact.name,
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256,
        }
    }
}

impl TestSetView {
    async fn new(store: &Store, set: TestResultSet) -> Result<Self, ApiError> {
        let of_set = Query::new().eq("test_result_setid", set.id);
        let total = store.count::<TestResult>(&of_set).await?;
        let failed = match set.value_unit.as_str() {
            "boolean" => store.failed_tests(set.id, FAILED_MAX).await?,
            _ => Vec::new(),
        };
        Ok(Self {
            failed: failed.into_iter().map(FailedView::new).collect(),
            set,
            total,
        })
    }
}

impl FailedView {
    fn new(result: TestResult) -> Self {
        let place = match (result.test_code_path, result.line) {
            (Some(path), Some(line)) => format!("{path}:{line}"),
            (Some(path), None) => path,
            (None, _) => String::new(),
        };
        match result.test_name {
            Some(name) => Self { name, place },
            None => Self {
                name: place,
                place: String::new(),
            },
        }
    }
}

/// `/requests/N`: leads to the build, or to the builder as long as there is none.
pub(super) async fn request(
    State(web): State<Web>,
    Path(request): Path<String>,
    ask: Ask,
) -> Response<Body> {
    match target(&web.store, &request).await {
        Ok(path) => Redirect::temporary(&path).into_response(),
        Err(error) => ask.fail(&web, &error),
    }
}

async fn target(store: &Store, request: &str) -> Result<String, ApiError> {
    let request = store
        .get::<BuildRequest>(id_of("request", request)?)
        .await?;
    let query = Query::new()
        .eq("buildrequestid", request.id)
        .order("-buildid");
    let build = resolve::first::<Build>(store, query).await?;
    Ok(match build {
        Some(build) => format!("/builds/{}", build.id),
        None => format!("/builders/{}", request.builder_id),
    })
}
