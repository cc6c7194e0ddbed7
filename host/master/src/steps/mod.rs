//! Native steps: their parameters, schemas and what they do.

mod disk;
pub(crate) mod git;
mod native;
pub(crate) mod params;
mod property;
mod shell;
mod transfer;
mod trigger;

pub use native::NativeCatalog;
pub(crate) use native::NativeStep;
