//! What tests of all kinds have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toolpost_core::Timestamp;
use toolpost_replay::recording::Failure;
use toolpost_sandbox::CallLimits;
use toolpost_sandbox::host::HostError;

use super::values::{Content, Moment, Time, Times};
use super::{ScriptFault, Source};
use crate::verdict::Mismatch;

/// The keys of [`Common`].
pub(super) const KEYS: [&str; 11] = [
    "name",
    "use",
    "start",
    "parameters",
    "secrets",
    "grant",
    "storage",
    "environment",
    "mail",
    "limits",
    "http",
];

/// When a test begins, unless it says so: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);

/// What tests of all kinds have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Common {
    pub(crate) name: Option<String>,
    #[serde(rename = "use")]
    pub(crate) use_type: Option<Spanned<String>>,
    start: Option<Spanned<Moment>>,
    pub(crate) parameters: Option<Spanned<Map<String, Value>>>,
    /// Values of secrets by name.
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) grant: Option<GrantTable>,
    /// What the plugin has kept before.
    pub(crate) storage: BTreeMap<String, Content>,
    /// Variables of the master's environment.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) mail: MailTable,
    limits: LimitTable,
    pub(crate) http: Vec<Spanned<HttpTable>>,
}

/// What the operator grants. Without it, all that the plugin asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrantTable {
    pub(crate) http: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) storage: bool,
    pub(crate) mail: bool,
    pub(crate) trigger: Vec<String>,
    pub(crate) artifacts: Vec<String>,
}

/// The mail server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MailTable {
    /// Why it takes no message.
    pub(crate) fails: Option<FailureTable>,
}

/// Limits of the call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitTable {
    cpu: Option<Time>,
    wall: Option<Time>,
    memory_mib: Option<usize>,
}

/// Why something cannot be done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureTable {
    /// `retryable`, `permanent` or `config`.
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) text: String,
}

/// An answer to HTTP requests.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpTable {
    /// `POST https://chat.example.org/*`.
    pub(crate) request: String,
    pub(crate) status: Option<u16>,
    pub(crate) headers: IndexMap<String, String>,
    pub(crate) body: Option<Content>,
    pub(crate) takes: Time,
    /// `refused`, `not-found`, `connect-timeout`, `response-timeout`, or a text.
    pub(crate) fails: Option<String>,
    pub(crate) times: Times,
}

impl Common {
    /// When the test begins.
    pub(crate) fn start(&self, source: &Source) -> Result<Timestamp, ScriptFault> {
        match &self.start {
            None => Ok(START),
            Some(start) => match start.get_ref() {
                Moment::At(at) => Ok(*at),
                Moment::After(_) => {
                    let line = source.line(start.span().start);
                    let text = "`start` is a time, such as 2026-03-02T08:00:00Z";
                    Err(source.fault(line, text))
                }
            },
        }
    }

    /// The limits of the call: those of the contract, but for what the test says.
    pub(crate) fn limits(&self, mut limits: CallLimits) -> CallLimits {
        let own = &self.limits;
        if let Some(cpu) = own.cpu {
            limits.cpu = cpu.0;
        }
        if let Some(wall) = own.wall {
            limits.wall = wall.0;
        }
        if let Some(mib) = own.memory_mib {
            limits.memory_bytes_max = mib << 20;
        }
        limits
    }

    /// The parameters, as they are configured.
    pub(crate) fn parameters(&self) -> Value {
        let parameters = self.parameters.as_ref();
        Value::Object(
            parameters
                .map(|all| all.get_ref().clone())
                .unwrap_or_default(),
        )
    }
}

/// Answers that are given in their order, each so often.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    all: Vec<Answer<T>>,
}

#[derive(Debug)]
struct Answer<T> {
    line: usize,
    table: T,
    times: Times,
    given: AtomicU32,
}

impl<T> Answers<T> {
    pub(crate) fn new(
        source: &Source,
        tables: impl IntoIterator<Item = Spanned<T>>,
        times: impl Fn(&T) -> Times,
    ) -> Self {
        let answer = |table: Spanned<T>| Answer {
            line: source.line(table.span().start),
            times: times(table.get_ref()),
            table: table.into_inner(),
            given: AtomicU32::new(0),
        };
        Self {
            all: tables.into_iter().map(answer).collect(),
        }
    }

    /// The first one that is for this and still to be given.
    pub(crate) fn take(&self, is_for: impl Fn(&T) -> bool) -> Option<&T> {
        let mut left = self.all.iter().filter(|answer| match answer.times {
            Times::Any => true,
            Times::Exactly(times) => answer.given.load(Ordering::Relaxed) < times,
        });
        let answer = left.find(|answer| is_for(&answer.table))?;
        answer.given.fetch_add(1, Ordering::Relaxed);
        Some(&answer.table)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(|answer| &answer.table)
    }

    /// Those that were not given so often as they say.
    pub(crate) fn left(&self, what: &str, name: impl Fn(&T) -> String) -> Vec<Mismatch> {
        let left = self.all.iter().filter_map(|answer| {
            let given = answer.given.load(Ordering::Relaxed);
            let expected = match answer.times {
                Times::Exactly(times) if given < times => times,
                _ => return None,
            };
            let name = name(&answer.table);
            Some(Mismatch {
                line: answer.line,
                what: what.to_owned(),
                expected: match expected {
                    1 => name.clone(),
                    times => format!("{name}, {times} times"),
                },
                seen: match given {
                    0 => "(never)".to_owned(),
                    given => format!("{name}, {given} times"),
                },
            })
        });
        left.collect()
    }
}

impl From<FailureTable> for HostError {
    fn from(failure: FailureTable) -> Self {
        let FailureTable { kind, text } = failure;
        Failure { kind, text }.into()
    }
}
