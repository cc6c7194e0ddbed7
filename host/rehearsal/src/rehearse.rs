//! Runs a test.

mod reporter;
mod scheduler;
mod step;

use std::sync::Arc;

use serde_json::Value;
use toolpost_sandbox::{PluginVersion, SandboxOptions};

use crate::script::{Play, ScriptFault, Test};
use crate::stage::{Clock, Notes, ScriptedServices, Secrets, text_of};
use crate::verdict::{Mismatch, Verdict};

/// How a sandbox has to be set up for tests.
#[must_use]
pub fn sandbox_options() -> SandboxOptions {
    SandboxOptions {
        threads: 1,
        pooling: false,
        // Its author waits for it.
        low_priority: false,
        calls_on_callers_runtime: true,
        ..SandboxOptions::default()
    }
}

/// Runs a test with a plugin, which was loaded into a sandbox with [`sandbox_options`]. Blocks until it is over.
///
/// # Errors
/// What is wrong with the script.
///
/// # Panics
/// Inside of a tokio runtime.
pub fn rehearse(test: Test, plugin: &Arc<PluginVersion>) -> Result<Verdict, ScriptFault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    let runtime = runtime.map_err(|error| {
        test.source
            .fault(0, format!("no runtime for the test: {error}"))
    })?;
    let (source, line) = (Arc::clone(&test.source), test.line);
    let fault = |text: String| source.fault(line, text);
    let verdict = runtime.block_on(async {
        match &test.play {
            Play::Step(_) => step::run(test, plugin).await,
            Play::Scheduler(_) => scheduler::run(test, plugin).await,
            Play::Reporter(_) => reporter::run(test, plugin).await,
            Play::Recording(_) => step::replay(test, plugin).await,
        }
    });
    verdict.map_err(fault)
}

/// What a test of any kind stands on.
struct Ground {
    notes: Arc<Notes>,
    services: Arc<ScriptedServices>,
    parameters: Value,
}

impl Ground {
    fn new(test: &mut Test, plugin: &PluginVersion) -> Result<Self, String> {
        let start = test.common.start(&test.source);
        let start = start.map_err(|fault| fault.text)?;
        let secrets = Secrets::new(&test.common.secrets)?;
        let notes = Notes::new(Clock::starting_at(start), secrets);
        let source = Arc::clone(&test.source);
        let parameters = test.common.parameters();
        let services = ScriptedServices::new(&mut test.common, &source, plugin.wants(), &notes)?;
        Ok(Self {
            notes,
            services: Arc::new(services),
            parameters,
        })
    }

    /// What the plugin keeps, for people.
    fn storage(&self) -> Vec<(String, Value)> {
        let storage = self.services.storage();
        let all = storage.iter();
        all.map(|(key, value)| (key.clone(), text_of(value)))
            .collect()
    }

    /// What the script has no answer to, at the line of the test, and the answers that nobody asked for.
    fn unmet(&self, line: usize) -> Vec<Mismatch> {
        let mut unmet = std::mem::take(&mut self.notes.lock().unanswered);
        for mismatch in &mut unmet {
            mismatch.line = line;
        }
        let http = self.services.http();
        unmet.extend(http.left("a request that was expected", |answer| {
            answer.request.clone()
        }));
        unmet
    }
}
