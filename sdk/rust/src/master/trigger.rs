//! Builds of other builders.

use super::HostTriggered;
#[cfg(target_family = "wasm")]
use crate::Master;
use crate::host::HostRef;
use crate::{Error, Properties, Results, SourceStamp, Value};

/// What triggered builds are to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sources {
    /// What this build builds, with the revisions that it has got.
    #[default]
    OfThisBuild,
    /// The branches that this build builds, each as it is when the other build starts.
    Newest,
    /// These, one for each codebase.
    Given(Vec<SourceStamp>),
}

/// Builds to ask for, as [`Trigger`] puts them together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildRequest {
    /// The names of the builders, 1 to 100. Each gets one request.
    pub builders: Vec<String>,
    /// What they are to build.
    pub sources: Sources,
    /// Properties that the builds start with.
    pub properties: Properties,
    /// Why, for people; `None`: a sentence that names this build and step.
    pub reason: Option<String>,
    /// Higher runs first; `None`: as this build.
    pub priority: Option<i32>,
    /// Whether the step waits for them.
    pub waited_for: bool,
}

/// One of the builds that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredBuild {
    /// The builder.
    pub builder: String,
    /// The id of the request.
    pub request: u64,
    /// The number of the build, once one has started.
    pub number: Option<u64>,
    /// The page of the build, or of the request as long as there is none.
    pub url: String,
    /// The result, once it is final.
    pub results: Option<Results>,
}

/// How far builds are that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The id of the build set.
    pub buildset: u64,
    /// The worst of the results, once all are final.
    pub results: Option<Results>,
    /// The builds, in the order of the names of their builders.
    pub builds: Vec<TriggeredBuild>,
}

/// Builds of other builders that are being put together; [`start`](Self::start) and [`run`](Self::run) ask for them.
/// Wants [`Capability::Trigger`](crate::Capability::Trigger) for each builder.
///
/// ```
/// # use toolpost_sdk::mock::MockHost;
/// # let host = MockHost::new();
/// # let ctx = host.context();
/// use toolpost_sdk::Results;
///
/// let progress = ctx.trigger(["docs", "packages"]).property("version", "1.2").run()?;
/// assert_eq!(progress.results, Some(Results::Success));
/// assert_eq!(host.triggered()[0].builders, ["docs", "packages"]);
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
#[must_use = "nothing is built until it is started"]
pub struct Trigger {
    host: HostRef,
    request: BuildRequest,
}

impl Trigger {
    pub(crate) fn new(host: HostRef, builders: Vec<String>) -> Self {
        let request = BuildRequest {
            builders,
            ..BuildRequest::default()
        };
        Self { host, request }
    }

    /// Builds these sources; without this, what this build builds.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.request.sources = sources;
        self
    }

    /// Gives the builds a property.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.request.properties.insert(name.into(), value.into());
        self
    }

    /// Says why, for people.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.request.reason = Some(reason.into());
        self
    }

    /// Lets them run before requests with a lower priority; without this, they have that of this build.
    pub fn priority(mut self, priority: i32) -> Self {
        self.request.priority = Some(priority);
        self
    }

    /// Asks for the builds and goes on. What becomes of them can be asked for as long as the step runs.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a builder is not granted or there is none of that name; [`Error::Permanent`] when the step is
    /// cancelled, a property is not allowed, or this build was itself triggered through too many others.
    pub fn start(self) -> Result<Triggered, Error> {
        Ok(Triggered {
            builds: self.host.trigger(&self.request)?,
        })
    }

    /// Asks for the builds and waits until they have ended. Meanwhile this build takes no place on its worker. They are
    /// stopped when the step is. When it is cancelled, results may be missing.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn run(self) -> Result<Progress, Error> {
        self.start_waited_for()?.wait()
    }

    /// Asks for the builds, and says that the step is going to [wait](Triggered::wait) for them: they are stopped when the step
    /// is, and run also while the master drains.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_waited_for(mut self) -> Result<Triggered, Error> {
        self.request.waited_for = true;
        self.start()
    }
}

/// Builds that were asked for. Dropping it changes nothing for them.
pub struct Triggered {
    builds: Box<dyn HostTriggered>,
}

impl Triggered {
    /// How far they are now.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the master cannot tell.
    pub fn progress(&self) -> Result<Progress, Error> {
        self.builds.progress()
    }

    /// Waits until all results are final. Returns early when the step is cancelled: then results may be missing.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the master cannot tell.
    pub fn wait(&self) -> Result<Progress, Error> {
        self.builds.wait()
    }
}
