//! The contract on the inside: the generated bindings, the host that they lead to, and the exports that lead
//! to the plugin.

mod bindings;
mod convert;
mod describe;
mod http;
mod master;
mod reporter;
mod scheduler;
mod services;
mod step;

/// The imports of the contract.
pub(crate) struct WasmHost;

/// What the expansion of [`plugin!`](crate::plugin) is written with.
#[doc(hidden)]
pub mod exports {
    pub use super::bindings::imports::toolpost::plugin::types::Error as WitError;
    pub use super::bindings::{plugin_world, reporter_world, scheduler_world, step_world};
    pub use super::describe::describe;
    pub use super::reporter::report;
    pub use super::scheduler::handle;
    pub use super::step::run;

    pub use plugin_world::exports::toolpost::plugin::plugin;
    pub use reporter_world::exports::toolpost::plugin::reporter;
    pub use scheduler_world::exports::toolpost::plugin::scheduler;
    pub use step_world::exports::toolpost::plugin::step;
}
