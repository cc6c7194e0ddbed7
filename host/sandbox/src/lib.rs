//! Runs plugins: WebAssembly components that bring steps, schedulers and reporters, swapped while they run.
//!
//! * [`Sandbox`] runs a call of a plugin within limits of time, memory and output, on threads of its own.
//! * [`PluginRegistry`] keeps the plugins of a directory: it takes a changed file when the new version
//!   is proven, keeps the old one when not, and lets every build end with the version it began with.
//! * [`StepHost`] is what a step may ask of the master, who implements it.
//!
//! Nothing here knows builds, stores or configurations; they come in through traits. Invariants:
//!
//! * a plugin never runs on a thread of its caller, and nothing that it does blocks one;
//! * a call of a plugin always ends, at the latest at its wall-clock limit;
//! * no state of a plugin outlives a call.

mod admission;
mod bindings;
mod call;
mod compile;
mod engine;
mod error;
mod fair;
pub mod host;
mod http;
mod imports;
mod limits;
mod load;
mod machine;
pub mod metrics;
mod options;
mod plugin;
pub mod registry;
mod sandbox;
#[cfg(test)]
mod tests;

pub use admission::{PoolWait, WaitReason};
pub use call::LineTarget;
pub use engine::{lower_thread_priority, shorten_thread_turns, shorten_turns_of};
pub use error::{PluginErrorKind, SandboxError, Stack};
pub use host::{StepHost, StepLog};
pub use http::{HttpLimits, HttpOptions, Resolve, SystemResolver, Trust, read_authorities};
pub use limits::CallLimits;
pub use load::LoadError;
pub use options::SandboxOptions;
pub use plugin::{
    CallUsage, PluginKind, PluginVersion, ReporterType, SchedulerType, StepOutcome, StepType,
    TypeInfo, VersionUse, Want, Wanted, reporter, scheduler,
};
pub use registry::{
    HeldVersion, PluginRegistry, PluginStatus, Prospect, RegistryEvent, RegistryEventKind,
    RegistryOptions, RegistryStore, UseCheck, VersionStatus,
};
pub use sandbox::{PoolStatus, Sandbox, SetupError};
