//! Files that are kept with a build.

use crate::Error;
#[cfg(target_family = "wasm")]
use crate::Master;
use crate::host::HostRef;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, unique in its build.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its permissions, such as 0o755.
    pub mode: u32,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// Where people find it.
    pub url: String,
}

/// What became of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadedDirectory {
    /// The files, in the order of their names.
    pub files: Vec<Artifact>,
    /// Paths below the directory that were left out: odd links, sockets, devices.
    pub skipped: Vec<String>,
}

/// Whose artifacts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BuildOf {
    /// Those of the build that this step belongs to.
    #[default]
    ThisBuild,
    /// Those of a build of this builder with this number. Wants [`Capability::Artifacts`](crate::Capability::Artifacts) when it
    /// is not the builder of this step.
    Other(String, u64),
}

/// Files that are kept with a build when the worker's directory is gone: packages, reports, screenshots. They move between
/// worker and master without passing through the plugin.
///
/// ```
/// # use toolpost_sdk::mock::MockHost;
/// # let host = MockHost::new().file("dist/app.tar.gz", "...");
/// # let ctx = host.context();
/// let package = ctx.artifacts().upload("dist/app.tar.gz", "app.tar.gz")?;
/// ctx.add_url("package", &package.url)?;
/// assert_eq!(host.artifact("app.tar.gz").as_deref(), Some(b"...".as_slice()));
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
pub struct Artifacts {
    host: HostRef,
}

impl Artifacts {
    pub(crate) fn new(host: HostRef) -> Self {
        Self { host }
    }

    /// Keeps a file of the worker under this name, in place of one that has it. Names have parts joined by `/`. Ends early
    /// when the step is cancelled.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when there is no such file, a limit does not allow it or the name is none;
    /// [`Error::Retryable`] when the worker is gone.
    pub fn upload(&self, path: &str, name: &str) -> Result<Artifact, Error> {
        self.host.upload_file(path, name)
    }

    /// Keeps each file below a directory of the worker, under `name`, a `/` and its path below that directory; an empty
    /// `name` leaves away both.
    ///
    /// # Errors
    ///
    /// As [`upload`](Self::upload).
    pub fn upload_directory(&self, path: &str, name: &str) -> Result<UploadedDirectory, Error> {
        self.host.upload_directory(path, name)
    }

    /// Writes an artifact to a path on the worker, with its permissions, in place of what is there; missing
    /// directories are made.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when there is no such artifact or the path leads outside; [`Error::Retryable`] when the worker is gone.
    pub fn download(&self, build: &BuildOf, name: &str, path: &str) -> Result<Artifact, Error> {
        self.host.download(build, name, path)
    }

    /// The artifacts of a build whose names start with this, in their order. At most 10,000.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when there is no such build.
    pub fn find(&self, build: &BuildOf, prefix: &str) -> Result<Vec<Artifact>, Error> {
        self.host.find_artifacts(build, prefix)
    }
}
