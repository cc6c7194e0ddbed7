//! `artifacts`.

use std::sync::Arc;

use toolpost_core::kept::{ARTIFACT_NAME_BYTES_MAX, artifact_name_fault};

use crate::bindings::toolpost::plugin::artifacts::{self, Artifact, BuildOf, UploadedDirectory};
use crate::call::{CallState, Stop};
use crate::host::{self, HostError};
use crate::imports::files::PATH_BYTES_MAX;
use crate::imports::{Answer, answer, refuse};
use crate::{StepHost, Want};

/// Paths of left-out entries that are told.
const SKIPPED_MAX: usize = 1_000;
/// Artifacts of one answer.
const FOUND_MAX: u32 = 10_000;

fn path_objection(path: &str) -> Option<&'static str> {
    let is_bad = path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0');
    is_bad.then_some("the path must have 1 to 4096 bytes, none of them NUL")
}

impl From<host::Artifact> for Artifact {
    fn from(artifact: host::Artifact) -> Self {
        Self {
            name: artifact.name,
            size: artifact.size,
            mode: artifact.mode,
            sha256: artifact.sha256,
            url: artifact.url,
        }
    }
}

impl From<BuildOf> for host::BuildOf {
    fn from(of: BuildOf) -> Self {
        match of {
            BuildOf::ThisBuild => Self::This,
            BuildOf::Other((builder, number)) => Self::Other(builder, number),
        }
    }
}

impl CallState {
    /// Whether the plugin has said that it reads what this build has kept.
    fn check_build_of(
        &self,
        what: &'static str,
        of: &host::BuildOf,
    ) -> Result<Result<(), HostError>, Stop> {
        let host::BuildOf::Other(builder, _) = of else {
            return Ok(Ok(()));
        };
        if *builder == self.step(what)?.build_info().builder {
            return Ok(Ok(()));
        }
        let need = Want::Artifacts(builder.clone());
        Ok(self.home(what)?.wanted.check(&need))
    }
}

impl artifacts::Host for CallState {
    async fn upload_file(&mut self, path: String, name: String) -> Answer<Artifact> {
        if let Some(objection) = path_objection(&path).or_else(|| artifact_name_fault(&name)) {
            return refuse(objection);
        }
        let room = self.upload_room.clone();
        let upload =
            async move |host: Arc<dyn StepHost>| host.farm().upload_file(&path, &name, room).await;
        let kept = self.ask_until_stopped("artifacts.upload-file", upload);
        Ok(answer(kept.await?)?.map(Into::into))
    }

    async fn upload_directory(&mut self, path: String, name: String) -> Answer<UploadedDirectory> {
        let of_name = || match name.as_str() {
            "" => None,
            name => artifact_name_fault(name),
        };
        if let Some(objection) = path_objection(&path).or_else(of_name) {
            return refuse(objection);
        }
        let room = self.upload_room.clone();
        let upload = async move |host: Arc<dyn StepHost>| {
            let farm = host.farm();
            farm.upload_directory(&path, &name, room, SKIPPED_MAX).await
        };
        let kept = self.ask_until_stopped("artifacts.upload-directory", upload);
        Ok(answer(kept.await?)?.map(|uploaded| UploadedDirectory {
            files: uploaded.files.into_iter().map(Into::into).collect(),
            skipped: uploaded.skipped,
        }))
    }

    async fn download(&mut self, build: BuildOf, name: String, path: String) -> Answer<Artifact> {
        if let Some(objection) = path_objection(&path).or_else(|| artifact_name_fault(&name)) {
            return refuse(objection);
        }
        let of = host::BuildOf::from(build);
        if let Err(refused) = self.check_build_of("artifacts.download", &of)? {
            return answer(Err(refused));
        }
        let download =
            async move |host: Arc<dyn StepHost>| host.farm().download(&of, &name, &path).await;
        let written = self.ask_until_stopped("artifacts.download", download);
        Ok(answer(written.await?)?.map(Into::into))
    }

    async fn find(&mut self, build: BuildOf, prefix: String) -> Answer<Vec<Artifact>> {
        if prefix.len() > ARTIFACT_NAME_BYTES_MAX {
            return Ok(Ok(Vec::new()));
        }
        let of = host::BuildOf::from(build);
        if let Err(refused) = self.check_build_of("artifacts.find", &of)? {
            return answer(Err(refused));
        }
        let find = async move |host: Arc<dyn StepHost>| {
            host.farm().artifacts(&of, &prefix, FOUND_MAX).await
        };
        let found = self.ask("artifacts.find", find).await?;
        Ok(answer(found)?.map(|found| found.into_iter().map(Into::into).collect()))
    }
}
