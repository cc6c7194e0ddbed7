//! The `git` step: a source checkout.

mod checkout;
pub(crate) mod errors;
mod params;

use toolpost_core::Results;
use toolpost_core::model::LogType;
use toolpost_core::step::CutShort;

use self::checkout::{Checkout, CheckoutError, Target};
pub(crate) use self::params::GitParams;
use crate::build::StepContext;
use crate::build::outcome::{Fault, StepEnd};

/// Characters of a revision that people are shown.
const SHORT_REVISION_CHARS: usize = 10;

/// Checks out and sets `got_revision`.
pub(super) async fn run(step: &StepContext, params: &GitParams) -> Result<StepEnd, Fault> {
    let sources = &step.build.sources;
    let stamp = sources
        .iter()
        .find(|stamp| stamp.codebase == params.codebase);
    let target = Target::new(params, stamp).map_err(Fault::Failed)?;
    let log = step.logs.open("stdio", LogType::Stdio).await?;
    let checkout = Checkout {
        step,
        params,
        target: &target,
        log: &log,
    };
    let revision = match checkout.run().await {
        Ok(revision) => revision,
        Err(CheckoutError::Fault(fault)) => return Err(fault),
        Err(CheckoutError::Git(failure)) => {
            let text = failure.describe(&target.repository);
            log.header(&text).await;
            return Err(Fault::Failed(text));
        }
        Err(CheckoutError::TimedOut(command)) => {
            return Ok(StepEnd {
                results: Results::Failure,
                summary: Some(command),
                cut_short: Some(CutShort::TimedOut),
            });
        }
    };
    step.build
        .set_got_revision(&params.codebase, &revision, "Git")
        .await?;
    let short: String = revision.chars().take(SHORT_REVISION_CHARS).collect();
    let summary = match target.reference.as_str() {
        "HEAD" => format!("checked out {short}"),
        reference => format!("checked out {reference} at {short}"),
    };
    Ok(StepEnd::new(Results::Success, summary))
}
