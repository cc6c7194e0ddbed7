//! A loaded plugin: its version, and the types that it brings.

mod actions;
mod exports;
pub mod reporter;
pub mod scheduler;
mod step;
mod type_info;
mod version;
mod want;
mod wanted;

pub use reporter::ReporterType;
pub use scheduler::SchedulerType;
pub use step::{StepOutcome, StepType};
pub use toolpost_core::PluginKind;
pub use type_info::{CallUsage, TypeInfo};
pub use version::{PluginVersion, VersionUse};
pub use want::Want;
pub use wanted::Wanted;

pub(crate) use exports::{Linked, Started};
pub(crate) use version::{Identity, Pin};
