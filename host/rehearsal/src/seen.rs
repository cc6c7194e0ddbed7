//! What was seen, under the names that `expect` has.

use serde_json::{Map, Value, json};
use toolpost_core::Results;
use toolpost_replay::Collected;
use toolpost_sandbox::host::{LogLevel, Message};
use toolpost_sandbox::{PluginErrorKind, SandboxError, StepOutcome};

use crate::stage::{Notes, text_of};

/// What can be expected of a step.
pub(crate) const STEP: &[&str] = &[
    "result",
    "summary",
    "error",
    "error_kind",
    "properties",
    "logs",
    "urls",
    "progress",
    "commands",
    "files",
    "artifacts",
    "build_data",
    "test_results",
    "triggers",
    "requests",
    "mails",
    "storage",
    "log",
    "took",
];

/// What can be expected of a scheduler.
pub(crate) const SCHEDULER: &[&str] = &[
    "buildsets",
    "status",
    "wake",
    "wake_time",
    "state",
    "listens",
    "events",
    "log",
    "error",
    "error_kind",
];

/// What can be expected of a reporter; `sent`, `skipped` and the error are those of the last try.
pub(crate) const REPORTER: &[&str] = &[
    "sent",
    "skipped",
    "error",
    "error_kind",
    "outcomes",
    "requests",
    "mails",
    "storage",
    "log",
];

/// How a step ended: result, summary, error.
pub(crate) fn end_of_step(
    ended: &Result<StepOutcome, SandboxError>,
    collected: &Collected,
    is_cancelled: bool,
) -> Map<String, Value> {
    let mut seen = Map::new();
    let last = || collected.summary.clone().unwrap_or_default();
    let (results, summary) = match ended {
        Ok(outcome) if outcome.summary.is_empty() => (outcome.results, last()),
        Ok(outcome) => (outcome.results, outcome.summary.clone()),
        Err(error) => (results_of(error), last()),
    };
    let results = if is_cancelled {
        Results::Cancelled
    } else {
        results
    };
    seen.insert("result".into(), Value::from(results.name()));
    seen.insert("summary".into(), Value::from(summary));
    insert_error(&mut seen, ended.as_ref().err());
    seen
}

/// An error under its names, where there is one.
pub(crate) fn insert_error(seen: &mut Map<String, Value>, error: Option<&SandboxError>) {
    if let Some(error) = error {
        seen.insert("error".into(), Value::from(error.to_string()));
        seen.insert("error_kind".into(), Value::from(kind_of(error)));
    }
}

/// What the master makes of an error.
fn results_of(error: &SandboxError) -> Results {
    match error {
        SandboxError::Plugin {
            kind: PluginErrorKind::Retryable,
            ..
        } => Results::Retry,
        SandboxError::Cancelled => Results::Cancelled,
        _ => Results::Exception,
    }
}

/// The plugin's own word for its error, or one for what happened to it.
pub(crate) fn kind_of(error: &SandboxError) -> &'static str {
    match error {
        SandboxError::Plugin { kind, .. } => match kind {
            PluginErrorKind::Retryable => "retryable",
            PluginErrorKind::Permanent => "permanent",
            PluginErrorKind::Config => "config",
        },
        error => error.word(),
    }
}

/// What the plugin did to the step.
pub(crate) fn of_step(seen: &mut Map<String, Value>, notes: &Notes) {
    let mut noted = notes.lock();
    let collected = &noted.collected;
    let logs = collected.logs.iter();
    let logs = logs.map(|(name, log)| (name.clone(), Value::from(log.text())));
    seen.insert("logs".into(), Value::Object(logs.collect()));
    let properties = collected.properties.clone().into_iter().collect();
    seen.insert("properties".into(), Value::Object(properties));
    let urls = collected.urls.iter();
    let urls = urls.map(|(name, url)| (name.clone(), Value::from(url.as_str())));
    seen.insert("urls".into(), Value::Object(urls.collect()));
    if let Some((done, total, unit)) = &collected.progress {
        let progress = format!("{done} of {total} {unit}");
        seen.insert("progress".into(), Value::from(progress));
    }
    let commands = std::mem::take(&mut noted.commands).into_iter();
    seen.insert("commands".into(), commands.map(Value::Object).collect());
    let sets = std::mem::take(&mut noted.test_results).into_iter();
    let sets = sets.map(|set| {
        let mut head = set.head;
        head.insert("results".into(), Value::Array(set.results));
        Value::Object(head)
    });
    seen.insert("test_results".into(), sets.collect());
    let triggers = std::mem::take(&mut noted.triggers);
    seen.insert("triggers".into(), Value::Array(triggers));
}

/// What plugins of several kinds do.
pub(crate) fn of_services(
    seen: &mut Map<String, Value>,
    notes: &Notes,
    storage: impl Iterator<Item = (String, Value)>,
) {
    seen.insert("storage".into(), Value::Object(storage.collect()));
    let mut noted = notes.lock();
    let mails = noted.collected.mails.iter();
    seen.insert(
        "mails".into(),
        mails.map(|(key, mail)| of_mail(key, mail)).collect(),
    );
    let lines = noted.collected.operator.iter();
    let lines = lines.map(|(level, line)| Value::from(format!("{}: {line}", word(*level))));
    seen.insert("log".into(), lines.collect());
    let requests = std::mem::take(&mut noted.requests);
    seen.insert("requests".into(), Value::Array(requests));
}

fn of_mail(key: &str, mail: &Message) -> Value {
    let attachments = mail.attachments.iter().map(|file| {
        json!({
            "name": file.name,
            "content_type": file.content_type,
            "data": text_of(&file.data),
        })
    });
    let headers = mail.headers.iter();
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    json!({
        "subject": mail.subject,
        "to": mail.to,
        "cc": mail.cc,
        "bcc": mail.bcc,
        "from": mail.sender,
        "reply_to": mail.reply_to,
        "text": mail.text,
        "html": mail.html,
        "headers": headers,
        "attachments": attachments.collect::<Vec<_>>(),
        "key": key,
    })
}

/// A level as scripts have it.
pub(crate) fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
