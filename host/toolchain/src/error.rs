//! Why there is no toolchain, or why a build with it failed.

use std::io;
use std::path::PathBuf;

/// What can go wrong on the way from a crate to a component.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A file or directory could not be used.
    #[error("could not {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("could not start `{program}`: {source}; is it installed and on the PATH?")]
    Start {
        /// The program.
        program: String,
        /// The reason.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed with {status}{}", tail(output))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// A program did not end in time and was stopped.
    #[error("`{command}` did not end within {timeout_s} s and was stopped")]
    TimedOut {
        /// The command line.
        command: String,
        /// The limit.
        timeout_s: u64,
    },
    /// rustup did what it was asked, for a compiler that is not used here.
    #[error("rustup added the target, but to another toolchain than the `rustc` on the PATH")]
    OtherToolchain,
    /// This system's package sources name no Debian archive.
    #[error("the package sources of this system name no Debian archive")]
    NotDebian,
    /// Debian's packages are unpacked for some processors only.
    #[error("Debian's packages are used on x86_64 and aarch64 Linux only, not on {architecture}")]
    Architecture {
        /// What this machine is.
        architecture: &'static str,
    },
    /// The linkers that come with a rustup toolchain are not there.
    #[error(
        "the Rust toolchain in {} has no wasm-component-ld; install Rust with rustup",
        sysroot.display()
    )]
    NoLinker {
        /// The toolchain that was looked at.
        sysroot: PathBuf,
    },
    /// No way led to a toolchain.
    #[error(
        "no compiler for {target} plugins: {rustup}; {debian}. \
         Run `rustup target add {target}` where the network allows it, then try again",
        target = crate::TARGET
    )]
    Unavailable {
        /// What rustup answered.
        rustup: Box<ToolchainError>,
        /// Why Debian's packages are no way out.
        debian: Box<ToolchainError>,
    },
    /// Cargo refused the crate; it has printed the reason itself.
    #[error("building the plugins in {} failed with {status}", crate_dir.display())]
    Build {
        /// What was built.
        crate_dir: PathBuf,
        /// How cargo ended.
        status: std::process::ExitStatus,
    },
    /// A program that the language needs is missing.
    #[error("plugins in {language} need {what}, which is not on the PATH; {how}")]
    Needed {
        /// The language of the plugin.
        language: crate::Language,
        /// What is missing.
        what: &'static str,
        /// How to get it.
        how: &'static str,
    },
    /// The SDK did not say what the plugin is.
    #[error("the plugin in {} did not say what it is ({source}); does it use `toolpost-sdk`?", directory.display())]
    Manifest {
        /// Where the plugin is.
        directory: PathBuf,
        /// What is wrong with what it said.
        source: serde_json::Error,
    },
    /// There is no plugin where one should be.
    #[error(
        "{} has no Cargo.toml, plugin.py or plugin.js; say where the plugin is, or make one with \
         `toolpost plugin new`",
        directory.display()
    )]
    NoPlugin {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A new plugin would overwrite something.
    #[error("{} is there already; choose another name or remove it", path.display())]
    Exists {
        /// Where it would be.
        path: PathBuf,
    },
    /// Nothing that a plugin can be called.
    #[error(
        "`{name}` cannot be the name of a plugin: use lower-case words joined by hyphens, such as \
         `todo-count`, at most 64 characters, and no word that Rust keeps for itself"
    )]
    PluginName {
        /// What was asked for.
        name: String,
    },
    /// The crate is not a plugin.
    #[error(
        "{} built, but made no component; a plugin's Cargo.toml says `[lib] crate-type = [\"cdylib\"]`",
        crate_dir.display()
    )]
    NoComponent {
        /// What was built.
        crate_dir: PathBuf,
    },
}

impl ToolchainError {
    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

fn tail(output: &str) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!(": {output}")
    }
}
