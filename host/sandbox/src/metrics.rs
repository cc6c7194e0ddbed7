//! What the calls of plugins took, by plugin and type, since the start of the process. In memory only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plugin::{CallUsage, PluginKind, TypeInfo};
use crate::{PluginVersion, SandboxError};

/// Calls of each type that are remembered one by one.
const RECENT_MAX: usize = 60;
/// Types that are remembered; plugins come and go in a master that runs for months.
const TYPES_MAX: usize = 4_096;
/// The outcome of a call that came to its end.
pub const GOOD: &str = "good";

/// What the calls of one type took.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeMetrics {
    /// Name of the plugin.
    pub plugin: String,
    /// What the type is.
    pub kind: PluginKind,
    /// Its name.
    pub type_name: String,
    /// Calls that ended, by outcome: [`GOOD`], or a word for what went wrong ([`SandboxError::word`]).
    pub calls: BTreeMap<&'static str, u64>,
    /// Processor time of all of them.
    pub cpu: Duration,
    /// Time from start to end of all of them.
    pub wall: Duration,
    /// Time that all of them waited until there was room.
    pub queued: Duration,
    /// The longest of these waits.
    pub queued_longest: Duration,
    /// The most linear memory that one had.
    pub memory_peak_bytes: usize,
    /// Calls of host functions.
    pub host_calls: BTreeMap<&'static str, u64>,
    /// The last calls, oldest first.
    pub recent: Vec<CallSample>,
}

/// One call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSample {
    /// How long ago it ended.
    pub ago: Duration,
    /// What it took.
    pub usage: CallUsage,
    /// How it ended, as in [`TypeMetrics::calls`].
    pub outcome: &'static str,
}

/// The numbers of all types.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<BTreeMap<Key, Numbers>>);

type Key = (String, PluginKind, String);

#[derive(Default)]
struct Numbers {
    calls: BTreeMap<&'static str, u64>,
    sum: CallUsage,
    queued_longest: Duration,
    host_calls: BTreeMap<&'static str, u64>,
    recent: VecDeque<(Instant, CallUsage, &'static str)>,
}

impl Metrics {
    /// Counts a call that ended.
    pub(crate) fn record(
        &self,
        plugin: &PluginVersion,
        info: &TypeInfo,
        usage: CallUsage,
        host_calls: &BTreeMap<&'static str, u64>,
        error: Option<&SandboxError>,
    ) {
        let key = (
            plugin.name().to_owned(),
            info.kind(),
            info.name().to_owned(),
        );
        let mut types = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if types.len() >= TYPES_MAX && !types.contains_key(&key) {
            return;
        }
        let outcome = error.map_or(GOOD, SandboxError::word);
        types
            .entry(key)
            .or_default()
            .add(usage, host_calls, outcome);
    }

    pub(crate) fn read(&self) -> Vec<TypeMetrics> {
        let now = Instant::now();
        let types = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        types
            .iter()
            .map(|(key, numbers)| numbers.told(key, now))
            .collect()
    }
}

impl Numbers {
    fn add(
        &mut self,
        usage: CallUsage,
        host_calls: &BTreeMap<&'static str, u64>,
        outcome: &'static str,
    ) {
        *self.calls.entry(outcome).or_default() += 1;
        self.sum.cpu += usage.cpu;
        self.sum.wall += usage.wall;
        self.sum.queued += usage.queued;
        self.queued_longest = self.queued_longest.max(usage.queued);
        self.sum.memory_peak_bytes = self.sum.memory_peak_bytes.max(usage.memory_peak_bytes);
        for (function, count) in host_calls {
            *self.host_calls.entry(function).or_default() += count;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), usage, outcome));
    }

    fn told(&self, (plugin, kind, type_name): &Key, now: Instant) -> TypeMetrics {
        let recent = self.recent.iter().map(|(at, usage, outcome)| CallSample {
            ago: now.saturating_duration_since(*at),
            usage: *usage,
            outcome,
        });
        TypeMetrics {
            plugin: plugin.clone(),
            kind: *kind,
            type_name: type_name.clone(),
            calls: self.calls.clone(),
            cpu: self.sum.cpu,
            wall: self.sum.wall,
            queued: self.sum.queued,
            queued_longest: self.queued_longest,
            memory_peak_bytes: self.sum.memory_peak_bytes,
            host_calls: self.host_calls.clone(),
            recent: recent.collect(),
        }
    }
}
