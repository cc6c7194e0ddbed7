//! The numbers in the text of the contract are those of the host.

use std::path::Path;
use std::time::Duration;

use crate::call::TABLE_ELEMENT_BYTES;
use crate::http::HttpLimits;
use crate::{CallLimits, SandboxOptions};

/// The comments of a file of the contract as one line.
fn text(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/toolpost-plugin-1.0");
    let wit = std::fs::read_to_string(folder.join(file)).unwrap();
    let words = wit.split_whitespace().filter(|word| *word != "///");
    words.collect::<Vec<_>>().join(" ")
}

/// A number as people write it.
fn number(count: impl TryInto<u64>) -> String {
    let digits = count.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(count: impl TryInto<u64>) -> String {
    crate::error::Bytes(count.try_into().unwrap_or(u64::MAX)).to_string()
}

fn time(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (0, ms) => format!("{ms} ms"),
        (s, _) if s % 3_600 == 0 => format!("{} h", s / 3_600),
        (s, _) if s >= 120 && s % 60 == 0 => format!("{} min", s / 60),
        (s, _) => format!("{s} s"),
    }
}

#[test]
fn the_contract_says_the_limits_that_hold() {
    let call = CallLimits::default();
    let (describe, handle, report) = (
        CallLimits::describe(),
        CallLimits::handle(),
        CallLimits::report(),
    );
    let http = HttpLimits::default();
    let stack = SandboxOptions::default().stack_bytes_max;
    let said = [
        (
            "types.wit",
            format!(
                "{} go with one call of a host function",
                bytes(call.payload_bytes_max)
            ),
        ),
        (
            "types.wit",
            format!("{} handles of host resources", number(call.handles_max)),
        ),
        (
            "types.wit",
            format!("at most {} elements", number(call.table_elements_max)),
        ),
        (
            "types.wit",
            format!("{} core instances", number(call.instances_max)),
        ),
        (
            "types.wit",
            format!("{} of memory", bytes(call.memory_bytes_max)),
        ),
        (
            "types.wit",
            format!("tables {TABLE_ELEMENT_BYTES} bytes for each element"),
        ),
        ("types.wit", format!("{} of stack", bytes(stack))),
        (
            "types.wit",
            format!("sends at most {} requests", number(http.requests_max)),
        ),
        (
            "types.wit",
            format!("holds {} responses", number(http.responses_held_max as u64)),
        ),
        (
            "types.wit",
            format!(
                "have at most {}, the headers of each {}",
                bytes(http.response_bytes_max),
                bytes(http.header_bytes_max)
            ),
        ),
        (
            "types.wit",
            format!(
                "there after {} and the first byte after {}",
                time(http.connect),
                time(http.first_byte)
            ),
        ),
        (
            "types.wit",
            format!(
                "longer than {}, and all of it takes at most {}",
                time(http.between_bytes),
                time(http.total)
            ),
        ),
        (
            "commands.wit",
            format!(
                "At most {} run at once and {} are started",
                call.commands_running_max,
                number(call.commands_max)
            ),
        ),
        (
            "step-logs.wit",
            format!("at most {} logs", call.step_logs_max),
        ),
        (
            "step-logs.wit",
            format!(
                "At most {} a call and {} a step",
                bytes(call.payload_bytes_max),
                bytes(call.step_log_bytes_max)
            ),
        ),
        (
            "step.wit",
            format!(
                "{} of computing, {} of memory, {} of stack; {} in all",
                time(call.cpu),
                bytes(call.memory_bytes_max),
                bytes(stack),
                time(call.wall)
            ),
        ),
        (
            "scheduler.wit",
            format!(
                "{} of computing, {} of memory; {} in all",
                time(handle.cpu),
                bytes(handle.memory_bytes_max),
                time(handle.wall)
            ),
        ),
        (
            "reporter.wit",
            format!(
                "{} of computing, {} of memory; {} in all",
                time(report.cpu),
                bytes(report.memory_bytes_max),
                time(report.wall)
            ),
        ),
        (
            "plugin.wit",
            format!(
                "{} of computing, {} in all",
                time(describe.cpu),
                time(describe.wall)
            ),
        ),
        (
            "cancellation.wit",
            format!("has {} to clean up", time(call.cancel_grace)),
        ),
        (
            "log.wit",
            format!("cut after {}", bytes(call.log_line_bytes_max)),
        ),
        (
            "log.wit",
            format!("may write {} in all", bytes(call.log_bytes_max)),
        ),
        (
            "properties.wit",
            format!(
                "at most {} bytes; a value has at most {}",
                call.property_name_bytes_max,
                bytes(call.property_value_bytes_max)
            ),
        ),
        (
            "step-status.wit",
            format!(
                "At most {} a step, of {}",
                call.urls_max,
                bytes(call.url_bytes_max)
            ),
        ),
        (
            "worker-files.wit",
            format!("more than {} match", number(call.glob_matches_max)),
        ),
        (
            "artifacts.wit",
            format!(
                "at most {}; one step uploads at most {} files and {}",
                bytes(call.artifact_bytes_max),
                number(call.artifacts_max),
                bytes(call.artifacts_bytes_max)
            ),
        ),
        (
            "triggers.wit",
            format!("1 to {}.", call.trigger_builders_max),
        ),
        (
            "triggers.wit",
            format!("may ask {} times", call.triggers_max),
        ),
        (
            "build-data.wit",
            format!(
                "a value has at most {}, and one step sets at most {} values and {}",
                bytes(call.build_data_value_bytes_max),
                number(call.build_data_max),
                bytes(call.build_data_bytes_max)
            ),
        ),
        (
            "test-results.wit",
            format!(
                "at most {} sets and {} results",
                call.test_sets_max,
                number(call.test_results_max)
            ),
        ),
        (
            "test-results.wit",
            format!(
                "at most {} a call",
                number(call.test_result_batch_max as u64)
            ),
        ),
        (
            "test-results.wit",
            format!("the value after {}", bytes(call.test_value_bytes_max)),
        ),
        (
            "mail.wit",
            format!("at most {} in one call", call.mails_max),
        ),
        (
            "key-value.wit",
            format!(
                "at most {} bytes, a value has at most {}",
                call.key_bytes_max,
                bytes(call.value_bytes_max)
            ),
        ),
    ];
    for (file, expected) in said {
        let text = text(file);
        assert!(
            text.contains(&expected),
            "{file} does not say `{expected}`: {text}"
        );
    }
}
