//! Why a file is not taken as a plugin.

use crate::SandboxError;
use crate::error::Bytes;
use crate::plugin::PluginKind;

/// Why a component is not a plugin that can be used. Reads on after the name of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// More bytes than the sandbox takes.
    #[error("has {}, a plugin may have {}", Bytes(*.bytes), Bytes(*.limit))]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// Does not begin as WebAssembly does.
    #[error("is not WebAssembly")]
    NotWasm,
    /// A module, not a component.
    #[error("is a core module, not a component: was it built for `wasm32-wasip2`?")]
    CoreModule,
    /// Ends too early.
    #[error("is truncated: was it copied completely? ({0})")]
    Truncated(String),
    /// The compiler was not done with it in time.
    #[error("could not be compiled within {} s: the machine is too busy, or the component too large", .0.as_secs())]
    TooSlow(std::time::Duration),
    /// More than the compiler is given to do, since it cannot be stopped.
    #[error("is too much for the compiler: it has {has} {what}, a plugin may have {limit}")]
    TooMuchToCompile {
        /// What there is too much of.
        what: &'static str,
        /// How much it has.
        has: u64,
        /// How much it may have.
        limit: u64,
    },
    /// Not valid in another way.
    #[error("is not a valid component: {0}")]
    Invalid(String),
    /// An interface that every plugin exports is missing.
    #[error(
        "does not export `toolpost:plugin/{0}`: it is no plugin, or was built without its macro"
    )]
    MissingExport(&'static str),
    /// No interface of a kind.
    #[error(
        "exports none of `toolpost:plugin/step`, `scheduler` and `reporter`: it brings nothing, or was built without its macro"
    )]
    NoKind,
    /// Another version of the contract.
    #[error(
        "is built for version {wanted} of the plugin contract, this Toolpost has {offered}: {help}"
    )]
    Contract {
        /// The component's.
        wanted: String,
        /// The host's.
        offered: String,
        /// Which side to upgrade.
        help: String,
    },
    /// Something that no plugin can import.
    #[error("imports `{import}`: {help}")]
    UnknownImport {
        /// What.
        import: String,
        /// Why not.
        help: String,
    },
    /// The names fit, but not the types.
    #[error("does not fit the plugin contract: {0}; build it again with the SDK of this version")]
    Interface(String),
    /// `describe` did not end well.
    #[error("cannot describe itself: {0}")]
    Describe(SandboxError),
    /// `describe` told something that cannot be.
    #[error("describes itself wrongly: {0}")]
    Description(String),
    /// The parameters of a type.
    #[error("has a {kind} type `{name}` with an unusable schema of its parameters: {reason}")]
    Schema {
        /// What it is.
        kind: PluginKind,
        /// Which.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl LoadError {
    /// Whether another try with the same bytes ends the same way.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::TooSlow(_) => false,
            // A wall clock is also about how busy the machine is.
            Self::Describe(SandboxError::WallDeadline { .. }) => false,
            Self::Describe(error) => {
                error.is_fault() || matches!(error, SandboxError::Plugin { .. })
            }
            _ => true,
        }
    }

    /// Whether the file may just not be complete yet.
    #[must_use]
    pub fn may_be_incomplete(&self) -> bool {
        matches!(self, Self::NotWasm | Self::Truncated(_) | Self::Invalid(_))
    }
}
