//! `/builds/N/patches/M`: the patch that a build was made with, as it was given.
//!
//! It is somebody's text: a browser takes it for nothing else.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use serde::Deserialize;
use toolpost_core::PatchId;
use toolpost_core::model::{Build, BuildRequest, Buildset, SourceStamp};
use toolpost_core::patch::Patch;
use toolpost_store::Store;

use super::build::id_of;
use super::shell::Ask;
use crate::api::rows::patches_of;
use crate::artifacts::disposition;
use crate::error::ApiError;
use crate::state::Web;

/// A source stamp of a build, for its page.
pub(super) struct SourceView {
    pub(super) stamp: SourceStamp,
    pub(super) patch: Option<PatchView>,
}

/// What the page of a build says of a patch.
pub(super) struct PatchView {
    pub(super) href: String,
    pub(super) size_bytes: i64,
    pub(super) level: u32,
    pub(super) author: String,
    pub(super) comment: String,
    /// Empty for the source itself.
    pub(super) subdir: String,
}

impl SourceView {
    /// Those of the build set that a build is of.
    pub(super) async fn of(
        store: &Store,
        build: &Build,
        buildset: Option<&Buildset>,
    ) -> Result<Vec<Self>, ApiError> {
        let stamps = buildset.map_or(&[][..], |set| &set.sourcestamps);
        let mut patches = patches_of(store, stamps).await?;
        let views = stamps.iter().map(|stamp| Self {
            stamp: stamp.clone(),
            patch: stamp.spec.patch.and_then(|id| {
                let patch = patches.remove(&id)?;
                Some(PatchView::new(build, id, patch))
            }),
        });
        Ok(views.collect())
    }
}

impl PatchView {
    fn new(build: &Build, id: PatchId, patch: Patch) -> Self {
        Self {
            href: format!("/builds/{}/patches/{id}", build.id),
            size_bytes: i64::try_from(patch.body.len()).unwrap_or(i64::MAX),
            level: patch.level,
            subdir: patch.dir().unwrap_or_default().to_owned(),
            author: patch.author,
            comment: patch.comment,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct How {
    /// To keep it, not to look at it.
    download: Option<String>,
}

pub(super) async fn raw(
    State(web): State<Web>,
    Path((build, patch)): Path<(String, String)>,
    Query(how): Query<How>,
    ask: Ask,
) -> Response<Body> {
    match find(&web, &build, &patch, how.download.is_none()).await {
        Ok(response) => response,
        Err(error) => ask.fail(&web, &error),
    }
}

async fn find(
    web: &Web,
    build: &str,
    patch: &str,
    shown: bool,
) -> Result<Response<Body>, ApiError> {
    let store = &web.store;
    let id = PatchId(id_of("patch", patch)?);
    let build = store.get::<Build>(id_of("build", build)?).await?;
    let request = store.get::<BuildRequest>(build.request_id).await?;
    let stamps = store.sourcestamps_of(request.buildset_id).await?;
    // Who may see this build need not see others.
    if !stamps.iter().any(|stamp| stamp.spec.patch == Some(id)) {
        return Err(ApiError::not_found(format!(
            "patch {id} of build {}",
            build.id
        )));
    }
    let patch = store.patch(id).await?;
    let mut response = Response::new(Body::from(patch.body));
    describe(response.headers_mut(), id, shown)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(response)
}

fn describe(
    headers: &mut HeaderMap,
    id: PatchId,
    shown: bool,
) -> Result<(), header::InvalidHeaderValue> {
    let name = format!("patch-{id}.diff");
    headers.insert(header::CONTENT_DISPOSITION, disposition(shown, &name)?);
    let fixed = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Ok(())
}
