//! The exports of a component: one interface for each kind that it brings.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::exports::toolpost::plugin::{plugin, reporter, scheduler, step};
use crate::call::CallState;
use crate::plugin::PluginKind;

/// A component that is linked and whose exports are found.
#[derive(Clone)]
pub(crate) struct Linked {
    pre: InstancePre<CallState>,
    plugin: plugin::GuestIndices,
    step: Option<step::GuestIndices>,
    scheduler: Option<scheduler::GuestIndices>,
    reporter: Option<reporter::GuestIndices>,
}

impl Linked {
    /// Finds the exports of the kinds that the component says it has. The types of functions are looked at when an
    /// instance starts.
    pub(crate) fn new(
        pre: InstancePre<CallState>,
        has: impl Fn(PluginKind) -> bool,
    ) -> wasmtime::Result<Self> {
        let kinds = &pre;
        let step = has(PluginKind::Step).then(|| step::GuestIndices::new(kinds));
        let scheduler = has(PluginKind::Scheduler).then(|| scheduler::GuestIndices::new(kinds));
        let reporter = has(PluginKind::Reporter).then(|| reporter::GuestIndices::new(kinds));
        Ok(Self {
            plugin: plugin::GuestIndices::new(&pre)?,
            step: step.transpose()?,
            scheduler: scheduler.transpose()?,
            reporter: reporter.transpose()?,
            pre,
        })
    }

    pub(crate) fn has(&self, kind: PluginKind) -> bool {
        match kind {
            PluginKind::Step => self.step.is_some(),
            PluginKind::Scheduler => self.scheduler.is_some(),
            PluginKind::Reporter => self.reporter.is_some(),
        }
    }

    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Started<'_>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Started {
            linked: self,
            instance,
        })
    }
}

/// An instance of a component, in the store of one call.
pub(crate) struct Started<'a> {
    linked: &'a Linked,
    instance: Instance,
}

impl Started<'_> {
    /// Whether the functions of all kinds have the types of the contract.
    pub(crate) fn check_types(&self, store: &mut Store<CallState>) -> wasmtime::Result<()> {
        self.plugin(store)?;
        if self.linked.has(PluginKind::Step) {
            self.step(store)?;
        }
        if self.linked.has(PluginKind::Scheduler) {
            self.scheduler(store)?;
        }
        if self.linked.has(PluginKind::Reporter) {
            self.reporter(store)?;
        }
        Ok(())
    }

    pub(crate) fn plugin(&self, store: &mut Store<CallState>) -> wasmtime::Result<plugin::Guest> {
        self.linked.plugin.load(store, &self.instance)
    }

    pub(crate) fn step(&self, store: &mut Store<CallState>) -> wasmtime::Result<step::Guest> {
        let indices = self.linked.step.as_ref();
        indices
            .ok_or_else(|| missing(PluginKind::Step))?
            .load(store, &self.instance)
    }

    pub(crate) fn scheduler(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<scheduler::Guest> {
        let indices = self.linked.scheduler.as_ref();
        indices
            .ok_or_else(|| missing(PluginKind::Scheduler))?
            .load(store, &self.instance)
    }

    pub(crate) fn reporter(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<reporter::Guest> {
        let indices = self.linked.reporter.as_ref();
        indices
            .ok_or_else(|| missing(PluginKind::Reporter))?
            .load(store, &self.instance)
    }
}

fn missing(kind: PluginKind) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the plugin has no {kind}s"))
}
