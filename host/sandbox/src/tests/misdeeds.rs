//! Every misdeed of the hostile set in every export: each ends with its reason, and leaves nothing behind.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use toolpost_hostile::{Export, MISDEEDS, Misdeed};

use crate::host::{HostError, LogLevel, NoServices, PluginServices, ReporterHost};
use crate::plugin::{reporter, scheduler};
use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::tests::support::{PATIENCE, hostile, limits, run_with, sandbox};
use crate::{CallLimits, PluginVersion, Sandbox, SandboxError};

/// A master with nothing to offer to reporters.
struct Nobody;

#[async_trait]
impl ReporterHost for Nobody {
    fn log(&self, _: LogLevel, _: &dyn Display) {}

    async fn read_log(&self, log: u64, _: u64, _: u32, _: usize) -> Result<String, HostError> {
        Err(HostError::Permanent(format!("there is no log {log}")))
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::new(NoServices)
    }
}

/// What people are told when a plugin of the set is used; nothing when it did what it should.
async fn told(sandbox: &Sandbox, misdeed: &Misdeed, export: Export) -> Option<String> {
    let plugin = match sandbox.load(misdeed.component(export).into()).await {
        Ok(plugin) => plugin,
        Err(error) => return Some(error.to_string()),
    };
    let ended = tokio::time::timeout(PATIENCE, call(&plugin, export, limits_for(misdeed))).await;
    ended.expect("a call must end")
}

/// Processor time enough to reach the limit that is meant: the host's work on lines counts as well.
fn limits_for(misdeed: &Misdeed) -> CallLimits {
    match misdeed.word {
        "log-flood" => CallLimits {
            cpu: PATIENCE,
            ..limits()
        },
        _ => limits(),
    }
}

async fn call(plugin: &Arc<PluginVersion>, export: Export, limits: CallLimits) -> Option<String> {
    let error = match export {
        Export::Describe | Export::Run => run_with(plugin, ScriptedHost::new(), limits).await.err(),
        Export::Handle => handle(plugin, limits).await,
        Export::Report => report(plugin, limits).await,
    };
    error.map(|error| {
        // What is refused is told to the plugin, which gives up by itself.
        let gave_up = matches!(error, SandboxError::Plugin { .. });
        assert!(error.is_fault() || gave_up, "{error}");
        error.to_string()
    })
}

async fn handle(plugin: &Arc<PluginVersion>, limits: CallLimits) -> Option<SandboxError> {
    let question = scheduler::Question {
        parameters: &no_parameters(),
        state: &Value::Null,
        event: scheduler::Event::Timer,
        now: Timestamp(1_000),
    };
    let scheduler = plugin.scheduler_types().remove(0);
    let handled = scheduler.handle(
        question,
        limits,
        Arc::new(|_, _| ()),
        CancellationToken::new(),
    );
    handled.await.err()
}

async fn report(plugin: &Arc<PluginVersion>, limits: CallLimits) -> Option<SandboxError> {
    let delivery = reporter::Delivery {
        key: "key".into(),
        attempt: 1,
        at_ms: 1_000,
        event: reporter::Event::WorkerLost(reporter::WorkerReport {
            name: "local".into(),
            url: "/workers".into(),
            builders: Vec::new(),
            info: "{}".into(),
            last_seen_ms: None,
        }),
    };
    let reporter = plugin.reporter_types().remove(0);
    let (parameters, cancel) = (no_parameters(), CancellationToken::new());
    let reported = reporter.report(&parameters, delivery, Arc::new(Nobody), limits, cancel);
    reported.await.err()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_misdeed_in_every_export_ends_with_its_reason() {
    let sandbox = sandbox();
    let mut wrong = Vec::new();
    // Those that speak HTTP have tests of their own, with somebody to speak to.
    let silent = MISDEEDS.iter().filter(|it| !it.word.starts_with("http-"));
    for misdeed in silent {
        for export in misdeed.exports() {
            let name = misdeed.plugin_name(export);
            let told = told(&sandbox, misdeed, export).await;
            let told = told.unwrap_or_else(|| "nothing".into());
            if !told.contains(misdeed.reason) {
                wrong.push(format!("{name}: {told}"));
            }
            let pool = sandbox.pool();
            assert_eq!(
                (pool.calls, pool.memory_bytes, pool.waiting),
                (0, 0, 0),
                "{name}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_description_cannot_throw_dice() {
    let mut descriptions = Vec::new();
    for _ in 0..4 {
        let plugin = sandbox().load(hostile("describe-dice")).await.unwrap();
        descriptions.push(plugin.describe_json().clone());
    }
    descriptions.dedup();
    assert_eq!(descriptions.len(), 1);
}
