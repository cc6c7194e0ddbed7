//! Files on the worker.

#[cfg(target_family = "wasm")]
use crate::Host;
use crate::host::HostRef;
use crate::{Error, FileError, FileErrorKind, FileStat, WriteMode};
use std::io::{self, BufRead, Read};

/// What [`FileReader`] asks for at a time.
const READ_BYTES: u32 = 256 * 1024;
/// What the host takes in one call.
const WRITE_BYTES: usize = 4 * 1024 * 1024;

/// The files on the worker. Paths are relative to the working directory of the step, with `/` between
/// their parts, and stay inside the directory of the build.
pub struct Files {
    host: HostRef,
}

impl Files {
    pub(crate) fn new(host: HostRef) -> Self {
        Self { host }
    }

    /// Opens a file for reading from its beginning, a piece at a time, however large it is.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn open(&self, path: impl Into<String>) -> Result<FileReader, FileError> {
        let path = path.into();
        let mut reader = FileReader {
            host: HostRef::clone(&self.host),
            path,
            buffer: Vec::new(),
            consumed: 0,
            next_offset: 0,
            at_end: false,
        };
        // Reads the first piece, because that is how a missing file is noticed here.
        reader.refill()?;
        Ok(reader)
    }

    /// Reads a whole file of at most `bytes_max`.
    ///
    /// # Errors
    ///
    /// When there is no such file, and when it is longer.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut reader = self.open(path)?.take(bytes_max.saturating_add(1));
        reader.read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(Error::permanent(format!(
                "`{path}` has more than {bytes_max} bytes"
            )));
        }
        Ok(bytes)
    }

    /// Reads a whole file of at most `bytes_max` as text; what is no UTF-8 becomes `�`.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_text(&self, path: &str, bytes_max: u64) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.read(path, bytes_max)?).into_owned())
    }

    /// Writes a file in the place of what is there; missing directories are made.
    ///
    /// # Errors
    ///
    /// When the worker cannot write it.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
        self.write_pieces(path, bytes.as_ref(), WriteMode::Replace)
    }

    /// Writes to the end of a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When the worker cannot write it.
    pub fn append(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
        self.write_pieces(path, bytes.as_ref(), WriteMode::Append)
    }

    fn write_pieces(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), FileError> {
        let (first, rest) = bytes.split_at(bytes.len().min(WRITE_BYTES));
        self.host.write_file(path, first, mode)?;
        rest.chunks(WRITE_BYTES)
            .try_for_each(|piece| self.host.write_file(path, piece, WriteMode::Append))
    }

    /// What is at this path.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    pub fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        self.host.stat(path)
    }

    /// Whether there is anything at this path.
    ///
    /// # Errors
    ///
    /// When the worker cannot tell.
    pub fn exists(&self, path: &str) -> Result<bool, FileError> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(FileError {
                kind: FileErrorKind::NotFound,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Paths that match a pattern of `*`, `?`, `[abc]`, `{a,b}` and `**` (any number of
    /// directories), sorted. `*` does not match `/`.
    ///
    /// # Errors
    ///
    /// When the pattern is not valid or more than 10,000 paths match.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, FileError> {
        self.host.glob(pattern)
    }

    /// Makes a directory and those above it, if they are not there.
    ///
    /// # Errors
    ///
    /// When the worker cannot make it.
    pub fn mkdir(&self, path: &str) -> Result<(), FileError> {
        self.host.mkdir(path)
    }

    /// Removes a file, a symbolic link or an empty directory.
    ///
    /// # Errors
    ///
    /// When there is nothing, and when a directory is not empty.
    pub fn remove(&self, path: &str) -> Result<(), FileError> {
        self.host.remove(path, false)
    }

    /// Removes whatever is at this path, with all that is in it.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    pub fn remove_all(&self, path: &str) -> Result<(), FileError> {
        self.host.remove(path, true)
    }
}

/// Reads a file on the worker from its beginning, in pieces.
pub struct FileReader {
    host: HostRef,
    path: String,
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    consumed: usize,
    next_offset: u64,
    at_end: bool,
}

impl FileReader {
    fn refill(&mut self) -> Result<(), FileError> {
        self.buffer = self
            .host
            .read_file(&self.path, self.next_offset, READ_BYTES)?;
        self.consumed = 0;
        self.next_offset += self.buffer.len() as u64;
        self.at_end = self.buffer.len() < READ_BYTES as usize;
        Ok(())
    }
}

impl BufRead for FileReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.buffer.len() && !self.at_end {
            self.refill()?;
        }
        Ok(&self.buffer[self.consumed..])
    }

    fn consume(&mut self, amount: usize) {
        self.consumed = self.buffer.len().min(self.consumed + amount);
    }
}

impl Read for FileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockHost;

    #[test]
    fn a_file_of_any_size_is_read_whole() {
        for size in [
            0,
            1,
            READ_BYTES as usize,
            READ_BYTES as usize + 1,
            1_000_000,
        ] {
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let files = MockHost::new()
                .file("data", content.clone())
                .context()
                .files();
            assert!(
                files.read("data", size as u64).expect("it is there") == content,
                "{size}"
            );
            if size > 0 {
                let error = files
                    .read("data", size as u64 - 1)
                    .expect_err("it is longer");
                assert!(error.to_string().contains("more than"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let files = MockHost::new().context().files();
        let large = vec![b'x'; WRITE_BYTES + 10];
        files.write("a/b.txt", &large).expect("it is written");
        files.append("a/b.txt", "end").expect("it is written");
        assert_eq!(
            files.stat("a/b.txt").expect("it is there").size,
            WRITE_BYTES as u64 + 13
        );
        assert_eq!(files.exists("a/c.txt"), Ok(false));
        files.remove("a/b.txt").expect("it was there");
        assert_eq!(files.exists("a/b.txt"), Ok(false));
        let error = files.open("a/b.txt").err().expect("it is gone");
        assert_eq!(
            error.to_string(),
            "could not read `a/b.txt`: it does not exist"
        );
    }
}
