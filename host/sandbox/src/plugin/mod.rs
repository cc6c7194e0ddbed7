//! A loaded plugin: its version, and the step types that it brings.

mod step_type;
mod version;

pub use step_type::{CallUsage, StepOutcome, StepType, StepTypeInfo};
pub use version::{PluginVersion, VersionUse};

pub(crate) use version::{Identity, Pin};
