//! Recognises compiler warnings in the output of a build. Pure: lines in, [`Warning`]s out.
//!
//! Takes lines of any length and content, keeps a bounded amount, and never fails: a line that is no
//! warning is passed over.

mod collect;
mod formats;
#[cfg(test)]
mod real;

#[cfg(test)]
pub(crate) use collect::Kept;
pub(crate) use collect::{Collector, Rules, Suppression};
pub(crate) use formats::CustomFormat;

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Warning {
    /// File as the compiler says it; empty when it says none.
    pub(crate) file: String,
    /// Line, counted from 1.
    pub(crate) line: Option<u32>,
    /// Column, counted from 1.
    pub(crate) column: Option<u32>,
    /// What it says.
    pub(crate) message: String,
    /// The compiler's name for this kind of warning (`-Wunused`, `C4996`, `dead_code` ...).
    pub(crate) code: Option<String>,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}
