//! A script's file, and what is wrong in it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file with scripts.
#[derive(Debug)]
pub struct Source {
    /// As people named it.
    pub path: PathBuf,
    pub(crate) text: String,
}

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFault {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 when it is about the whole file.
    pub line: usize,
    /// For people.
    pub text: String,
}

impl fmt::Display for ScriptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.text),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.text),
        }
    }
}

impl std::error::Error for ScriptFault {}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no text.
    pub(super) fn read(path: &Path) -> Result<Self, ScriptFault> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ScriptFault {
            path: path.to_owned(),
            line: 0,
            text: format!("cannot be read: {error}"),
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    #[cfg(test)]
    pub(super) fn of_text(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    /// A file that is no script.
    pub(super) fn without_text(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            text: String::new(),
        }
    }

    /// Where what a script names is looked for.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The line at a byte, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    pub(crate) fn fault(&self, line: usize, text: impl Into<String>) -> ScriptFault {
        ScriptFault {
            path: self.path.clone(),
            line,
            text: text.into(),
        }
    }

    /// A fault of the TOML, or of what stands there.
    pub(crate) fn toml_fault(&self, error: &toml::de::Error) -> ScriptFault {
        let line = error
            .span()
            .map_or(0, |Range { start, .. }| self.line(start));
        self.fault(line, error.message())
    }
}
