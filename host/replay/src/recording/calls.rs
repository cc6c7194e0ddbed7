//! The names of calls, those of the contract, and what they are about in JSON.

use serde_json::{Map, Value, json};
use toolpost_sandbox::host::{
    BuildOf, CommandLine, CommandSpec, HttpRequest, Message, NewTestSet, TestResult, TestSet,
    TriggerRequest, TriggerSources,
};

use crate::facts::{StampFacts, headers, millis, payload};

pub(crate) const LOG: &str = "log.write";
pub(crate) const PROPERTY: &str = "properties.get";
pub(crate) const PROPERTIES: &str = "properties.all";
pub(crate) const SET_PROPERTY: &str = "properties.set";
pub(crate) const OPEN_LOG: &str = "step-logs.open";
pub(crate) const APPEND: &str = "step-logs.append";
pub(crate) const FINISH_LOG: &str = "step-logs.finish";
pub(crate) const COMMAND: &str = "commands.start";
pub(crate) const READ: &str = "worker-files.read";
pub(crate) const WRITE: &str = "worker-files.write";
pub(crate) const STAT: &str = "worker-files.stat";
pub(crate) const GLOB: &str = "worker-files.glob";
pub(crate) const MKDIR: &str = "worker-files.mkdir";
pub(crate) const REMOVE: &str = "worker-files.remove";
pub(crate) const SUMMARY: &str = "step-status.set-summary";
pub(crate) const PROGRESS: &str = "step-status.set-progress";
pub(crate) const URL: &str = "step-status.add-url";
pub(crate) const SECRET: &str = "secrets.placeholder";
pub(crate) const HMAC: &str = "secrets.hmac-sha256";
pub(crate) const STORED: &str = "key-value.get";
pub(crate) const STORE: &str = "key-value.set";
pub(crate) const COMPARE_AND_STORE: &str = "key-value.compare-and-set";
pub(crate) const KEYS: &str = "key-value.keys";
pub(crate) const RENDER: &str = "templates.render";
pub(crate) const HTTP: &str = "wasi:http.handle";
pub(crate) const MAIL: &str = "mail.send";
pub(crate) const CHANGES: &str = "build-info.changes";
pub(crate) const UPLOAD_FILE: &str = "artifacts.upload-file";
pub(crate) const UPLOAD_DIRECTORY: &str = "artifacts.upload-directory";
pub(crate) const DOWNLOAD: &str = "artifacts.download";
pub(crate) const ARTIFACTS: &str = "artifacts.find";
pub(crate) const BUILD_DATA: &str = "build-data.get";
pub(crate) const SET_BUILD_DATA: &str = "build-data.set";
pub(crate) const TEST_SET: &str = "test-results.create";
pub(crate) const TEST_RESULTS: &str = "test-results.add";
pub(crate) const COMPLETE_TEST_SET: &str = "test-results.complete";
pub(crate) const TRIGGER: &str = "triggers.request";
pub(crate) const TRIGGER_PROGRESS: &str = "triggers.progress";
pub(crate) const TRIGGER_WAIT: &str = "triggers.wait";

/// Calls whose answer tells the plugin nothing but that it was done: a replay can answer them without a recording.
pub(crate) fn only_tells(call: &str) -> bool {
    [
        LOG,
        SET_PROPERTY,
        OPEN_LOG,
        APPEND,
        FINISH_LOG,
        WRITE,
        MKDIR,
        REMOVE,
        SUMMARY,
        PROGRESS,
        URL,
        STORE,
        MAIL,
        SET_BUILD_DATA,
        TEST_RESULTS,
        COMPLETE_TEST_SET,
    ]
    .contains(&call)
}

/// What a command is about. Only what is set, so that it reads well.
pub(crate) fn command(spec: &CommandSpec) -> Value {
    let mut about = Map::new();
    match &spec.command {
        CommandLine::Argv(argv) => about.insert("argv".into(), json!(argv)),
        CommandLine::Shell(line) => about.insert("shell".into(), json!(line)),
    };
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            about.insert(name.into(), value);
        }
    };
    set("workdir", spec.workdir.as_ref().map(|dir| json!(dir)));
    set("env", (!spec.env.is_empty()).then(|| json!(spec.env)));
    set("stdin", spec.stdin.as_ref().map(|data| payload(data)));
    let timeout = |limit: Option<std::time::Duration>| limit.map(|limit| json!(millis(limit)));
    set("idle-timeout-ms", timeout(spec.idle_timeout));
    set("total-timeout-ms", timeout(spec.total_timeout));
    set("log", spec.log.as_ref().map(|name| json!(name)));
    set("capture", spec.capture.then_some(Value::Bool(true)));
    Value::Object(about)
}

pub(crate) fn trigger(request: &TriggerRequest) -> Value {
    let sources = match &request.sources {
        TriggerSources::OfThisBuild => json!("of-this-build"),
        TriggerSources::Newest => json!("newest"),
        TriggerSources::Given(stamps) => {
            let stamps = stamps.iter().cloned().map(StampFacts::from);
            json!(stamps.collect::<Vec<_>>())
        }
    };
    json!({
        "builders": request.builders,
        "sources": sources,
        "properties": request.properties,
        "reason": request.reason,
        "priority": request.priority,
        "waited-for": request.waited_for,
    })
}

pub(crate) fn build_of(of: &BuildOf) -> Value {
    match of {
        BuildOf::This => json!("this-build"),
        BuildOf::Other(builder, number) => json!([builder, number]),
    }
}

/// A request; secrets are placeholders in it.
pub(crate) fn http(request: &HttpRequest) -> Value {
    json!({
        "request": format!("{} {}", request.method(), request.uri()),
        "headers": headers(request.headers()),
        "body": payload(request.body()),
    })
}

pub(crate) fn mail(message: &Message, key: &str) -> Value {
    let body = |text: &Option<String>| text.as_ref().map(|text| payload(text.as_bytes()));
    json!({
        "key": key,
        "to": message.to,
        "cc": message.cc,
        "bcc": message.bcc,
        "subject": message.subject,
        "text": body(&message.text),
        "html": body(&message.html),
    })
}

/// Results of tests, in a form that can be compared: there may be very many.
pub(crate) fn test_results(set: TestSet, results: &[TestResult]) -> Value {
    let each = results.iter().map(|result| {
        json!([
            result.name,
            result.code_path,
            result.line,
            result.duration_ns,
            result.value
        ])
    });
    let text = Value::Array(each.collect()).to_string();
    json!({ "set": set.0, "results": payload(text.as_bytes()) })
}

pub(crate) fn test_set(set: &NewTestSet) -> Value {
    json!({
        "description": set.description,
        "category": set.category,
        "value-unit": set.value_unit,
    })
}
