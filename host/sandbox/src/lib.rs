//! Runs plugins.
mod error;
pub mod host;
mod limits;
mod options;
mod plugin;
pub mod registry;
mod sandbox;

pub use error::{PluginErrorKind, SandboxError, Stack};
pub use host::{StepHost, StepLog};
pub use limits::CallLimits;
pub use options::SandboxOptions;
pub use plugin::{CallUsage, LoadError, PluginVersion, StepOutcome, StepType, StepTypeInfo};
pub use registry::{
    PluginRegistry, PluginStatus, RegistryEvent, RegistryEventKind, RegistryOptions, RegistryStore,
    UseCheck,
};
pub use sandbox::{PoolStatus, Sandbox, SetupError};
