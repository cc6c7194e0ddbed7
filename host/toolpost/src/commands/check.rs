//! `toolpost check`, `plan` and `schema`: what can be said of a configuration without running it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_config::{Config, Sources};
use toolpost_master::RunningUses;
use toolpost_sandbox::registry::{LastGood, RecordError, RegistryStore, VersionRecord};
use toolpost_sandbox::{PluginRegistry, RegistryEvent, RegistryOptions, SandboxOptions};

use super::Done;
use crate::app::StepTypes;
use crate::cli::{ConfigArgs, PlanArgs};
use crate::components;
use crate::output::{Failure, Printer};

/// `toolpost check`
pub(crate) fn check(args: &ConfigArgs, printer: Printer) -> Done {
    let sources = toolpost_config::load(&args.config)?;
    let config = with_step_types(&sources, printer, |types| {
        toolpost_config::check(&sources, types)
    })??;
    let count = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    printer.line(format_args!(
        "{} is right: {}, {}, {}, {}",
        args.config.display(),
        count(config.builders.len(), "builder"),
        count(config.workers.len(), "worker"),
        count(config.schedulers.len(), "scheduler"),
        count(config.change_sources.len(), "change source"),
    ));
    Ok(())
}

/// `toolpost plan`
pub(crate) fn plan(args: &PlanArgs, printer: Printer) -> Done {
    let sources = toolpost_config::load(&args.config.config)?;
    let plan = with_step_types(&sources, printer, |types| {
        let wanted = toolpost_config::check(&sources, types)?;
        let running = applied_config(&wanted, types);
        Ok::<_, Failure>(toolpost_config::diff(&running, &wanted))
    })??;
    if args.json {
        printer.line(format_args!("{:#}", plan.to_json()));
    } else {
        printer.line(plan.render(printer.paint()).trim_end());
    }
    Ok(())
}

/// What the master applied last; an empty configuration when it never ran, or when what it ran
/// does not fit today's plugins.
fn applied_config(wanted: &Config, types: &StepTypes) -> Config {
    toolpost_master::applied_sources(&wanted.master)
        .and_then(|sources| toolpost_config::check(&sources, types).ok())
        .unwrap_or_default()
}

/// `toolpost schema`
pub(crate) fn schema(args: &ConfigArgs, printer: Printer) -> Done {
    // Without a configuration the schema knows the step types that are built in.
    let schema = match toolpost_config::load(&args.config) {
        Ok(sources) => with_step_types(&sources, printer, toolpost_config_schema)?,
        Err(_) => toolpost_config::json_schema(&toolpost_master::NativeCatalog),
    };
    printer.line(format_args!("{schema:#}"));
    Ok(())
}

fn toolpost_config_schema(types: &StepTypes) -> Value {
    toolpost_config::json_schema(types)
}

/// What a configuration uses and grants.
pub(super) fn configured_uses(path: &Path, printer: Printer) -> Result<RunningUses, Failure> {
    let sources = toolpost_config::load(path)?;
    let config = with_step_types(&sources, printer, |types| {
        toolpost_config::check(&sources, types)
    })??;
    Ok(RunningUses::of(config))
}

/// Loads the plugins of a configuration's plugin directory as a master would, and hands over all step types.
fn with_step_types<T>(
    sources: &Sources,
    printer: Printer,
    then: impl FnOnce(&StepTypes) -> T,
) -> Result<T, Failure> {
    let settings = toolpost_config::check_master(sources)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if !settings.plugin_dir.is_dir() {
            return Ok(then(&StepTypes::default()));
        }
        let registry = open_registry(&settings.plugin_dir, sources).await?;
        for plugin in registry.status() {
            if let Some(problem) = plugin.problem {
                printer.note(format_args!(
                    "warning: {}: {}",
                    plugin.file.display(),
                    problem.reason
                ));
            }
        }
        let types = StepTypes::of(registry.clone());
        let done = then(&types);
        registry.close();
        Ok(done)
    })
}

/// With the grants of the configuration; nothing runs here, so nothing is used.
async fn open_registry(dir: &Path, sources: &Sources) -> Result<PluginRegistry, Failure> {
    // What is wrong with the configuration is told by whoever asked for the types.
    let grants = toolpost_config::check_plugins(sources).unwrap_or_default();
    let uses = RunningUses::with_plugins(grants);
    let sandbox = components::sandbox(SandboxOptions {
        pooling: false,
        ..SandboxOptions::default()
    })?;
    let options = RegistryOptions {
        native_types: toolpost_master::NativeCatalog::all(),
        ..RegistryOptions::new(dir)
    };
    Ok(PluginRegistry::open(options, sandbox, Arc::new(NoRecords), Arc::new(uses)).await?)
}

/// A look at the files alone: nothing is remembered.
struct NoRecords;

#[async_trait]
impl RegistryStore for NoRecords {
    async fn record_version(&self, _: VersionRecord, _: Bytes) -> Result<(), RecordError> {
        Ok(())
    }

    async fn record_event(&self, _: &RegistryEvent) -> Result<(), RecordError> {
        Ok(())
    }

    async fn last_good(&self) -> Result<Vec<LastGood>, RecordError> {
        Ok(Vec::new())
    }

    async fn component(&self, _: &str) -> Result<Option<Bytes>, RecordError> {
        Ok(None)
    }

    async fn rolled_back(&self) -> Result<Vec<String>, RecordError> {
        Ok(Vec::new())
    }
}
