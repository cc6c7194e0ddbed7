//! The configuration: TOML as it is written, checked into types, compared into a plan.
//!
//! ```text
//! load(path) -> Sources -> check_master(&sources)    -> MasterConfig | Problems   before there are plugins
//!                          check(&sources, &catalog) -> Config | Problems
//!                          diff(&running, &wanted)   -> Plan
//! json_schema(&catalog)                              -> what an editor needs
//! ```
//!
//! Reads files and nothing else: no network, no environment, no clock; it never starts, applies or
//! logs anything. Invariant: a [`Config`] that exists is complete and consistent. A configuration that
//! is not says everything that is wrong with it at once, each with file, line and column.

pub mod catalog;
mod check;
pub mod config;
mod decode;
pub mod parameters;
pub mod plan;
pub mod problem;
mod raw;
mod render;
mod schema;
mod sources;
mod suggest;
mod template;
mod tree;

pub use catalog::TypeCatalog;
pub use check::{check, check_master, check_plugins, check_web, check_worker_port};
pub use config::{
    BranchSelection, BuilderConfig, ChangeSourceConfig, ChangeSourceKind, Config, EnvironmentValue,
    FileFilter, ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout,
    GitPollerConfig, LimitsConfig, Link, MasterConfig, ParameterKind, PluginConfig,
    PluginSchedulerConfig, PropertyValues, ReporterConfig, SchedulerConfig, SchedulerKind,
    SchedulerUse, SecretReference, SingleBranchConfig, StepConfig, StepUse, WorkerConfig,
    WorkerKind,
};
pub use parameters::{ParameterProblem, ParametersSchema, SchemaError};
pub use plan::{Plan, diff};
pub use problem::{Place, Problem, Problems};
pub use render::Paint;
pub use schema::json_schema;
pub use sources::{
    CONFIG_DIR_NAME, CONFIG_FILE_BYTES_MAX, CONFIG_FILE_NAME, CONFIG_FILES_MAX, Sources, load,
};
