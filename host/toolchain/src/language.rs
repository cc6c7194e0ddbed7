//! The languages that plugins are written in, and the kinds of things that they bring.

use crate::ToolchainError;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Built by cargo.
    Rust,
    /// Built by componentize-py.
    Python,
    /// Built by componentize-js.
    JavaScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::JavaScript];

    /// The language of the plugin in this directory.
    ///
    /// # Errors
    ///
    /// When there is no plugin in it.
    pub fn of(directory: &Path) -> Result<Self, ToolchainError> {
        let is_here = |language: &Self| directory.join(language.marker()).is_file();
        Self::ALL
            .into_iter()
            .find(is_here)
            .ok_or_else(|| ToolchainError::NoPlugin {
                directory: directory.to_owned(),
            })
    }

    /// The file that a plugin in this language has.
    pub(crate) fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "plugin.py",
            Self::JavaScript => "plugin.js",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        })
    }
}

/// What a plugin brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Steps of builds.
    Step,
    /// What decides when what is built.
    Scheduler,
    /// What tells others about builds.
    Reporter,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Step, Self::Scheduler, Self::Reporter];
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Step => "step",
            Self::Scheduler => "scheduler",
            Self::Reporter => "reporter",
        })
    }
}
