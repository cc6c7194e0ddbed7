//! The logs that come with a mail.

use crate::parameters::{AttachLogs, Parameters};
use toolpost_sdk::reporter::{BuildReport, LogReport, StepReport};
use toolpost_sdk::{Attachment, Error, ReporterContext, Results};

/// How much all logs together may take, so that the mail with its encoding stays within its limit.
const ALL_BYTES_MAX: usize = 3 * 1024 * 1024;
/// A log of which less than this would fit is left out.
const WORTH_BYTES: usize = 1_000;

/// The ends of the logs of these builds that people want to see.
pub(crate) fn attachments(
    parameters: &Parameters,
    builds: &[BuildReport],
    ctx: &ReporterContext,
) -> Result<Vec<Attachment>, Error> {
    let mut attachments = Vec::new();
    let mut room = ALL_BYTES_MAX;
    for (build, step, log) in wanted(parameters.attach_logs, builds) {
        let bytes_max = parameters.log_bytes_max.min(room);
        if bytes_max < WORTH_BYTES {
            break;
        }
        let text = ctx.read_log_end(log.id, log.lines, bytes_max)?;
        if text.is_empty() {
            continue;
        }
        room -= text.len();
        attachments.push(Attachment {
            name: file_name(build, step, log),
            content_type: "text/plain; charset=utf-8".to_owned(),
            data: text.into_bytes(),
        });
    }
    Ok(attachments)
}

fn wanted(
    which: AttachLogs,
    builds: &[BuildReport],
) -> impl Iterator<Item = (&BuildReport, &StepReport, &LogReport)> {
    let is_wanted = move |step: &StepReport| match which {
        AttachLogs::Never => false,
        AttachLogs::FailedSteps => {
            matches!(step.results, Some(Results::Failure | Results::Exception))
        }
        AttachLogs::AllSteps => true,
    };
    builds.iter().flat_map(move |build| {
        let steps = build.steps.iter().filter(move |step| is_wanted(step));
        steps.flat_map(move |step| step.logs.iter().map(move |log| (build, step, log)))
    })
}

/// A name for a file, of what has a name in the farm: `linux-12-2-unit-tests-stdio.txt`.
fn file_name(build: &BuildReport, step: &StepReport, log: &LogReport) -> String {
    let name = format!(
        "{}-{}-{}-{}-{}",
        build.builder, build.number, step.number, step.name, log.name
    );
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    format!("{}.txt", name.chars().map(plain).collect::<String>())
}
