//! The `git` step: a source checkout.

mod checkout;
pub(crate) mod errors;
mod params;
mod patch;

use toolpost_core::Results;
use toolpost_core::model::LogType;
use toolpost_core::step::CutShort;
use toolpost_store::LogStream;

use self::checkout::{Checkout, CheckoutError, Target};
pub(crate) use self::params::GitParams;
use crate::build::StepContext;
use crate::build::outcome::{Fault, StepEnd};

/// Characters of a revision that people are shown.
const SHORT_REVISION_CHARS: usize = 10;

/// Checks out, sets `got_revision`, and applies the patch of the source stamp.
pub(super) async fn run(step: &StepContext, params: &GitParams) -> Result<StepEnd, Fault> {
    let sources = &step.build.sources;
    let stamp = sources
        .iter()
        .find(|stamp| stamp.codebase == params.codebase);
    let target = Target::new(params, stamp).map_err(Fault::Failed)?;
    let patch = match stamp.and_then(|stamp| stamp.patch) {
        Some(id) => Some(step.build.store.patch(id).await?),
        None => None,
    };
    if let Some(patch) = &patch {
        let log = step.logs.open("patch", LogType::Text).await?;
        log.append(LogStream::Output, &patch.body).await?;
    }
    let log = step.logs.open("stdio", LogType::Stdio).await?;
    let checkout = Checkout {
        step,
        params,
        target: &target,
        log: &log,
    };
    let revision = match checkout.run().await {
        Ok(revision) => revision,
        Err(error) => return failed(error, &checkout).await,
    };
    step.build
        .set_got_revision(&params.codebase, &revision, "Git")
        .await?;
    let short: String = revision.chars().take(SHORT_REVISION_CHARS).collect();
    let mut summary = match target.reference.as_str() {
        "HEAD" => format!("checked out {short}"),
        reference => format!("checked out {reference} at {short}"),
    };
    if let Some(patch) = &patch {
        if let Err(error) = checkout.apply(patch).await {
            return failed(error, &checkout).await;
        }
        summary.push_str(" with a patch");
    }
    Ok(StepEnd::new(Results::Success, summary))
}

/// How the step ends when something did not work.
async fn failed(error: CheckoutError, checkout: &Checkout<'_>) -> Result<StepEnd, Fault> {
    let text = match error {
        CheckoutError::Fault(fault) => return Err(fault),
        CheckoutError::Git(failure) => failure.describe(&checkout.target.repository),
        CheckoutError::Patch(text) => text,
        CheckoutError::TimedOut(command) => {
            return Ok(StepEnd {
                results: Results::Failure,
                summary: Some(command),
                cut_short: Some(CutShort::TimedOut),
            });
        }
    };
    checkout.log.header(&text).await;
    Err(Fault::Failed(text))
}
