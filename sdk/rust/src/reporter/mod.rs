//! Reporters: what tells others about builds.

mod context;
mod delivery;
mod reports;

pub use context::{ReporterContext, ReporterHost};
pub use delivery::{Delivery, Event};
pub use reports::{
    BuildReport, BuildsetReport, Link, LogReport, RequestReport, StepReport, WorkerReport,
};

use crate::Error;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A reporter type: one value of `use` in a `[[reporter]]` of the configuration.
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Deserialize;
/// use toolpost_sdk::reporter::Event;
/// use toolpost_sdk::{Capability, Delivery, Error, ReportOutcome, Reporter, ReporterContext};
///
/// /// Posts the ends of builds to a chat.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Parameters {
///     /// The room of the chat.
///     room: String,
/// }
///
/// struct Chat;
///
/// impl Reporter for Chat {
///     const NAME: &'static str = "chat";
///     const SUMMARY: &'static str = "Posts the ends of builds to a chat.";
///     type Parameters = Parameters;
///
///     fn report(
///         parameters: Parameters,
///         delivery: &Delivery,
///         ctx: &ReporterContext,
///     ) -> Result<ReportOutcome, Error> {
///         let Event::BuildFinished(build) = &delivery.event else {
///             return Ok(ReportOutcome::skipped("it is not about the end of a build"));
///         };
///         let text = format!("{} {}: {}", build.builder, build.number, build.summary);
///         let url = format!("https://chat.example.org/{}", parameters.room);
///         let token = ctx.secret("chat-token")?;
///         let request = ctx.http().post(url).header("Authorization", format!("Bearer {token}"));
///         // The same at each try, so that the chat can drop what it has had.
///         let request = request.header("Idempotency-Key", &delivery.key);
///         let response = request.body(text).send()?.error_for_status()?;
///         Ok(ReportOutcome::sent(response.status.to_string()))
///     }
/// }
///
/// toolpost_sdk::plugin! {
///     name: "chat",
///     description: "Talks to chats.",
///     reporters: [Chat],
///     wants: [
///         Capability::HttpHost("chat.example.org".into()),
///         Capability::Secret("chat-token".into()),
///     ],
/// }
/// #
/// # // What follows would be in a `#[test]`.
/// use toolpost_sdk::mock::{MockReporterHost, MockResponse};
/// use toolpost_sdk::reporter::BuildReport;
///
/// let host = MockReporterHost::new()
///     .secret("chat-token", "s3cret")
///     .http(MockResponse::new(429).header("Retry-After", "30"));
/// let build = BuildReport { builder: "lint".into(), number: 7, ..BuildReport::default() };
/// let outcome = host.report::<Chat>(
///     serde_json::json!({ "room": "ops" }),
///     &Delivery::of(Event::BuildFinished(build)),
/// );
/// assert_eq!(outcome, Err(Error::retryable("the server answered 429, try again after 30")));
/// // What the server gets: the host has put the secret in the place of its placeholder.
/// assert_eq!(host.requests()[0].header("authorization"), Some("Bearer s3cret"));
/// ```
pub trait Reporter {
    /// The name that the configuration uses: lower-case words joined by hyphens, unique among all reporters of a
    /// master.
    const NAME: &'static str;

    /// What it does, in one sentence.
    const SUMMARY: &'static str;

    /// What the configuration can set. The host checks it against the JSON Schema of this type
    /// before anything runs; add `#[serde(deny_unknown_fields)]`, so that typing errors are found.
    type Parameters: DeserializeOwned + JsonSchema;

    /// Tells one thing. It is called at least once for each: after a crash, or an answer that got lost, again with
    /// the same [`Delivery::key`].
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`]: it is tried again, later and later. The others: it is put aside for the operator.
    fn report(
        parameters: Self::Parameters,
        delivery: &Delivery,
        ctx: &ReporterContext,
    ) -> Result<ReportOutcome, Error>;
}

/// What became of a [`Delivery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It was told; a text for the operator, such as `201 Created`.
    Sent(String),
    /// There was nothing to tell, for this reason.
    Skipped(String),
}

impl ReportOutcome {
    /// It was told; a text for the operator, of at most 1 KiB.
    pub fn sent(text: impl Into<String>) -> Self {
        Self::Sent(text.into())
    }

    /// There was nothing to tell, for this reason, of at most 1 KiB.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}
