//! Makes and builds plugins, with what each of their languages takes.
//!
//! [`new_plugin`] makes a plugin of a template, [`build_plugin`] a component of a plugin. For Python and JavaScript, which
//! run in an engine that is part of the component, a pinned componentize-py or componentize-js is installed into the cache.
//!
//! Plugins in Rust are built for `wasm32-wasip2`. The compiler that the person has knows how to make them
//! as soon as that target's standard library is there, which is looked for in this order:
//!
//! 1. the installed toolchain has it already;
//! 2. an unpacked Debian toolchain from an earlier run is in the cache;
//! 3. `rustup target add` brings it (with a time limit, because behind some networks it hangs);
//! 4. on Debian, its ready-built packages are unpacked into the cache, and the system stays as it is.
//!
//! Nothing outside the cache and the plugin's own directory changes, except for what `rustup target add` does. No code here
//! names a download host: the Debian archive is the one that the system's own package sources name, and `pip` and `npm` are
//! used as they are configured.

mod build;
mod cache;
mod contract;
mod debian;
mod digest;
mod error;
mod guest;
mod javascript;
mod language;
mod locate;
mod process;
mod python;
mod requirements;
mod template;
mod unchanged;

pub use build::{BuildOptions, Component};
pub use error::ToolchainError;
pub use javascript::find_node;
pub use language::{Kind, Language};
pub use locate::{LocateOptions, default_cache_dir};
pub use python::{ensure_environment, find_python};
pub use template::{NewPlugin, SdkSource, new_plugin};

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The compilation target of every plugin.
pub const TARGET: &str = "wasm32-wasip2";

/// Where a toolchain's standard library for [`TARGET`] comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The compiler on the `PATH` has it.
    Installed,
    /// Debian packages unpacked below the cache directory.
    DebianPackages {
        /// The folder with the unpacked packages.
        root: PathBuf,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => formatter.write_str("the installed Rust toolchain"),
            Self::DebianPackages { root } => {
                write!(formatter, "Debian's Rust packages in {}", root.display())
            }
        }
    }
}

/// A compiler that can build plugins.
#[derive(Debug, Clone)]
pub struct Toolchain {
    origin: Origin,
    /// What has to be in the environment of cargo so that it uses this compiler.
    environment: Vec<(&'static str, OsString)>,
}

impl Toolchain {
    /// Finds a toolchain, or fetches one. `progress` gets a line for each thing that takes long.
    ///
    /// # Errors
    ///
    /// When there is no way to get one on this machine; the error says what each way failed with.
    pub fn locate(
        options: &LocateOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, ToolchainError> {
        locate::locate(options, progress)
    }

    /// Where the standard library for plugins comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Builds the crate or workspace in `crate_dir` and returns the components that it produced,
    /// in the order in which cargo finished them. Cargo's own messages go to standard error.
    ///
    /// # Errors
    ///
    /// When cargo cannot be started, when the build fails, and when it produced no component.
    pub fn build(
        &self,
        crate_dir: &Path,
        options: &BuildOptions,
    ) -> Result<Vec<Component>, ToolchainError> {
        build::build(&self.environment, crate_dir, options)
    }
}

/// Builds the plugin in `directory`, in whatever language it is, optimised. `progress` gets a line for each thing that
/// takes long. A component of what is there now is left as it is.
///
/// # Errors
///
/// When there is no plugin, when a tool is missing and cannot be had, and when the tool refuses the plugin.
pub fn build_plugin(
    directory: &Path,
    cache_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Component>, ToolchainError> {
    match Language::of(directory)? {
        Language::Rust => {
            let options = LocateOptions {
                cache_dir: cache_dir.to_owned(),
                ..LocateOptions::new(directory)
            };
            let build = BuildOptions {
                release: true,
                ..BuildOptions::default()
            };
            Toolchain::locate(&options, progress)?.build(directory, &build)
        }
        Language::Python => {
            let build = |workshop: &_| python::build(workshop, cache_dir, progress);
            Ok(vec![guest::build(directory, build)?])
        }
        Language::JavaScript => {
            let build = |workshop: &_| javascript::build(workshop, cache_dir, progress);
            Ok(vec![guest::build(directory, build)?])
        }
    }
}
