//! Runs a test of a reporter: one delivery after the other, each tried as often as its script says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use toolpost_sandbox::host::ReporterHost;
use toolpost_sandbox::reporter::{Delivery, Outcome};
use toolpost_sandbox::{
    CallLimits, CallUsage, PluginErrorKind, PluginVersion, ReporterType, SandboxError,
};

use super::Ground;
use crate::judge::{Usual, judge};
use crate::script::reporter::DeliveryTable;
use crate::script::values::Moment;
use crate::script::{Play, Test};
use crate::seen;
use crate::stage::reports::{ReporterStage, Reports};
use crate::verdict::Verdict;

/// Between two tries of a delivery.
const RETRY_AFTER: Duration = Duration::from_secs(60);

const USUAL: Usual = Usual {
    name: "error",
    value: "",
};

/// Delivers what the script has.
pub(super) async fn run(mut test: Test, plugin: &Arc<PluginVersion>) -> Result<Verdict, String> {
    let ground = Ground::new(&mut test, plugin)?;
    let named = test
        .common
        .use_type
        .as_ref()
        .map(|name| name.get_ref().as_str());
    let mut types = plugin.reporter_types().into_iter();
    let reporter = types.find(|known| named.is_none_or(|name| known.info().name() == name));
    let reporter = reporter.ok_or("the plugin has no such reporter")?;
    let Play::Reporter(script) = &test.play else {
        return Err("it is no test of a reporter".into());
    };
    if script.delivery.is_empty() {
        return Err("there is nothing to deliver: add a [[delivery]]".into());
    }
    let mut run = Run {
        ground: &ground,
        reporter: &reporter,
        limits: test.common.limits(CallLimits::report()),
        reports: Reports::new(test.source.folder().to_owned(), ground.notes.clock.start()),
        outcomes: Vec::new(),
        last: None,
        usage: CallUsage::default(),
    };
    for (number, delivery) in (1..).zip(&script.delivery) {
        run.deliver(number, delivery.get_ref()).await?;
    }
    let took = ground.notes.clock.elapsed();
    let seen = run.seen();
    let mut mismatches = ground.unmet(test.line);
    mismatches.extend(judge(&test, &seen, &USUAL));
    let error = run.last.as_ref().and_then(|last| last.as_ref().err());
    Ok(Verdict {
        mismatches,
        seen,
        stack: error
            .map(|error| error.stack().0.clone())
            .unwrap_or_default(),
        virtual_time: took,
        cpu: run.usage.cpu,
        memory_peak_bytes: run.usage.memory_peak_bytes,
    })
}

struct Run<'a> {
    ground: &'a Ground,
    reporter: &'a ReporterType,
    limits: CallLimits,
    reports: Reports,
    outcomes: Vec<Value>,
    last: Option<Result<Outcome, SandboxError>>,
    usage: CallUsage,
}

impl Run<'_> {
    async fn deliver(&mut self, number: u32, table: &DeliveryTable) -> Result<(), String> {
        let clock = self.ground.notes.clock;
        if let Some(at) = table.at {
            clock
                .until(match at {
                    Moment::At(at) => at,
                    Moment::After(span) => clock.start().after(span),
                })
                .await;
        }
        let happened = clock.now();
        let event = self.reports.event(table, happened)?;
        for attempt in table.attempt..table.attempt + table.tries.max(1) {
            if attempt > table.attempt {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            let delivery = Delivery {
                key: table
                    .key
                    .clone()
                    .unwrap_or_else(|| format!("delivery-{number}")),
                attempt,
                at_ms: u64::try_from(happened.0).unwrap_or(0),
                event: event.clone(),
            };
            if !self.tried(delivery).await {
                break;
            }
        }
        Ok(())
    }

    /// Tries a delivery; whether trying it again may help.
    async fn tried(&mut self, delivery: Delivery) -> bool {
        let host = ReporterStage {
            notes: Arc::clone(&self.ground.notes),
            services: Arc::clone(&self.ground.services),
            logs: self.reports.logs.clone(),
        };
        let host: Arc<dyn ReporterHost> = Arc::new(host);
        let cancel = self.ground.notes.cancel.clone();
        let parameters = &self.ground.parameters;
        let limits = self.limits.clone();
        let told = self
            .reporter
            .report(parameters, delivery, host, limits, cancel);
        let told = told.await.map(|(outcome, usage)| {
            self.usage.cpu += usage.cpu;
            let peak = self.usage.memory_peak_bytes;
            self.usage.memory_peak_bytes = peak.max(usage.memory_peak_bytes);
            outcome
        });
        let is_retryable = matches!(
            &told,
            Err(SandboxError::Plugin {
                kind: PluginErrorKind::Retryable,
                ..
            })
        );
        self.outcomes.push(Value::from(match &told {
            Ok(Outcome::Sent(text)) => format!("sent: {text}"),
            Ok(Outcome::Skipped(text)) => format!("skipped: {text}"),
            Err(error) => format!("{}: {error}", seen::kind_of(error)),
        }));
        self.last = Some(told);
        is_retryable
    }

    fn seen(&mut self) -> Map<String, Value> {
        let mut seen = Map::new();
        match &self.last {
            Some(Ok(Outcome::Sent(text))) => {
                seen.insert("sent".into(), Value::from(text.as_str()));
            }
            Some(Ok(Outcome::Skipped(text))) => {
                seen.insert("skipped".into(), Value::from(text.as_str()));
            }
            Some(Err(error)) => seen::insert_error(&mut seen, Some(error)),
            None => {}
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        seen.insert("outcomes".into(), Value::Array(outcomes));
        let storage = self.ground.storage().into_iter();
        seen::of_services(&mut seen, &self.ground.notes, storage);
        seen
    }
}
