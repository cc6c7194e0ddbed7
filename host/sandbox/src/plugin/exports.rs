//! The exports of a component, by kind and by version of the contract.
//!
//! The seam for a second major version: callers see the types of the newest contract only, and [`Started`] has one method
//! for each function that a plugin can export. A component that was built for an older contract is another case of
//! [`Exports`], with bindings of its own in [`crate::bindings`], whose answers are converted here; its imports are
//! another `add_to_linker` onto the same [`CallState`]. Minor versions need nothing: the linker takes an import of
//! 1.0 for one of 1.x.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::exports::toolpost::plugin::{plugin, reporter, scheduler, step};
use crate::bindings::toolpost::plugin::types::Error;
use crate::call::CallState;
use crate::load::Major;
use crate::plugin::PluginKind;

/// A component that is linked and whose exports are found.
pub(crate) struct Linked {
    pre: InstancePre<CallState>,
    exports: Exports,
}

enum Exports {
    V1(V1),
}

/// The interfaces of version 1, as far as the component has them.
struct V1 {
    plugin: plugin::GuestIndices,
    step: Option<step::GuestIndices>,
    scheduler: Option<scheduler::GuestIndices>,
    reporter: Option<reporter::GuestIndices>,
}

impl V1 {
    fn new(
        pre: &InstancePre<CallState>,
        has: impl Fn(PluginKind) -> bool,
    ) -> wasmtime::Result<Self> {
        let step = has(PluginKind::Step).then(|| step::GuestIndices::new(pre));
        let scheduler = has(PluginKind::Scheduler).then(|| scheduler::GuestIndices::new(pre));
        let reporter = has(PluginKind::Reporter).then(|| reporter::GuestIndices::new(pre));
        Ok(Self {
            plugin: plugin::GuestIndices::new(pre)?,
            step: step.transpose()?,
            scheduler: scheduler.transpose()?,
            reporter: reporter.transpose()?,
        })
    }
}

impl Linked {
    /// Finds the exports of the kinds that the component has. The types of their functions are looked at when an
    /// instance starts.
    pub(crate) fn new(
        pre: InstancePre<CallState>,
        major: Major,
        has: impl Fn(PluginKind) -> bool,
    ) -> wasmtime::Result<Self> {
        let exports = match major {
            Major::V1 => Exports::V1(V1::new(&pre, has)?),
        };
        Ok(Self { pre, exports })
    }

    pub(crate) fn has(&self, kind: PluginKind) -> bool {
        let Exports::V1(exports) = &self.exports;
        match kind {
            PluginKind::Step => exports.step.is_some(),
            PluginKind::Scheduler => exports.scheduler.is_some(),
            PluginKind::Reporter => exports.reporter.is_some(),
        }
    }

    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Started<'_>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Started {
            exports: &self.exports,
            instance,
        })
    }
}

/// An instance of a component, in the store of one call.
pub(crate) struct Started<'a> {
    exports: &'a Exports,
    instance: Instance,
}

impl Started<'_> {
    /// Whether the functions of all kinds have the types of the contract.
    pub(crate) fn check_types(&self, store: &mut Store<CallState>) -> wasmtime::Result<()> {
        let Exports::V1(exports) = self.exports;
        exports.plugin.load(&mut *store, &self.instance)?;
        if let Some(step) = &exports.step {
            step.load(&mut *store, &self.instance)?;
        }
        if let Some(scheduler) = &exports.scheduler {
            scheduler.load(&mut *store, &self.instance)?;
        }
        if let Some(reporter) = &exports.reporter {
            reporter.load(&mut *store, &self.instance)?;
        }
        Ok(())
    }

    /// `plugin.describe`
    pub(crate) async fn describe(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<plugin::PluginInfo> {
        let Exports::V1(exports) = self.exports;
        let plugin = exports.plugin.load(&mut *store, &self.instance)?;
        plugin.call_describe(store).await
    }

    /// `step.run`
    #[expect(clippy::ptr_arg, reason = "what the generated call takes")]
    pub(crate) async fn run(
        &self,
        store: &mut Store<CallState>,
        type_name: &String,
        parameters: &String,
    ) -> wasmtime::Result<Result<step::StepOutcome, Error>> {
        let Exports::V1(exports) = self.exports;
        let step = exports.step.as_ref();
        let step = step.ok_or_else(|| missing(PluginKind::Step))?;
        let step = step.load(&mut *store, &self.instance)?;
        step.call_run(store, type_name, parameters).await
    }

    /// `scheduler.handle`
    #[expect(clippy::ptr_arg, reason = "what the generated call takes")]
    pub(crate) async fn handle(
        &self,
        store: &mut Store<CallState>,
        type_name: &String,
        parameters: &String,
        state: &String,
        event: &scheduler::Event,
        now_ms: u64,
    ) -> wasmtime::Result<Result<scheduler::Reaction, Error>> {
        let Exports::V1(exports) = self.exports;
        let scheduler = exports.scheduler.as_ref();
        let scheduler = scheduler.ok_or_else(|| missing(PluginKind::Scheduler))?;
        let scheduler = scheduler.load(&mut *store, &self.instance)?;
        scheduler
            .call_handle(store, type_name, parameters, state, event, now_ms)
            .await
    }

    /// `reporter.report`
    #[expect(clippy::ptr_arg, reason = "what the generated call takes")]
    pub(crate) async fn report(
        &self,
        store: &mut Store<CallState>,
        type_name: &String,
        parameters: &String,
        delivery: &reporter::Delivery,
    ) -> wasmtime::Result<Result<reporter::Outcome, Error>> {
        let Exports::V1(exports) = self.exports;
        let reporter = exports.reporter.as_ref();
        let reporter = reporter.ok_or_else(|| missing(PluginKind::Reporter))?;
        let reporter = reporter.load(&mut *store, &self.instance)?;
        reporter
            .call_report(store, type_name, parameters, delivery)
            .await
    }
}

fn missing(kind: PluginKind) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the plugin has no {kind}s"))
}
