//! Files that are kept with a build.

use std::sync::{Mutex, PoisonError};

use super::HostError;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Unique in its build; parts joined by `/`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Permissions, such as `0o755`.
    pub mode: u32,
    /// Of the content, in hexadecimal digits.
    pub sha256: String,
    /// Where people find it.
    pub url: String,
}

/// What became of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadedDirectory {
    /// By name.
    pub files: Vec<Artifact>,
    /// Paths that were left out.
    pub skipped: Vec<String>,
}

/// Whose artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOf {
    /// Those of the step's own build.
    This,
    /// Those of the build of this builder with this number.
    Other(String, u64),
}

/// How much a step may still upload. Taken from before anything is stored.
#[derive(Debug)]
pub struct UploadRoom {
    file_bytes_max: u64,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    files: u32,
    bytes: u64,
}

impl UploadRoom {
    /// Room for so many files, none larger than `file_bytes_max`, of so many bytes together.
    #[must_use]
    pub fn new(file_bytes_max: u64, files: u32, bytes: u64) -> Self {
        Self {
            file_bytes_max,
            left: Mutex::new(Left { files, bytes }),
        }
    }

    /// Takes room for one more file.
    ///
    /// # Errors
    /// [`HostError::Permanent`] when there is none.
    pub fn take_file(&self) -> Result<(), HostError> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.files = left.files.checked_sub(1).ok_or_else(|| {
            HostError::Permanent("the step has uploaded as many files as it may".into())
        })?;
        Ok(())
    }

    /// Takes room for more bytes of a file of which `before` bytes were taken already.
    ///
    /// # Errors
    /// [`HostError::Permanent`] when there is none.
    pub fn take_bytes(&self, before: u64, more: u64) -> Result<(), HostError> {
        let limit = self.file_bytes_max;
        if before.saturating_add(more) > limit {
            let text = format!("a file that is uploaded has at most {limit} bytes");
            return Err(HostError::Permanent(text));
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.bytes = left.bytes.checked_sub(more).ok_or_else(|| {
            HostError::Permanent("the step has uploaded as many bytes as it may".into())
        })?;
        Ok(())
    }
}
