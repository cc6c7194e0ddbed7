//! Finds the file of a program as a shell would, so that a missing one gets an error that helps.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::command::launch::StartError;

/// The shell that runs lines.
pub(crate) const SHELL: &str = "/bin/sh";

/// Where programs are looked for when `PATH` is not set.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The full path of a program. Names with a `/` are taken from `dir`, others are looked up in
/// `search_path`.
pub(crate) fn find(
    command: &str,
    search_path: Option<&OsStr>,
    dir: &Path,
) -> Result<PathBuf, StartError> {
    if command.contains('/') {
        let path = dir.join(command);
        return match look(&path) {
            Found::Program => Ok(path),
            Found::Other => Err(not_executable(command, path)),
            Found::Nothing => Err(StartError::NoSuchFile {
                command: command.to_owned(),
                path,
            }),
        };
    }
    let search_path = search_path.unwrap_or(OsStr::new(PATH_DEFAULT));
    let mut not_a_program = None;
    for place in std::env::split_paths(search_path) {
        let path = dir.join(place).join(command);
        match look(&path) {
            Found::Program => return Ok(path),
            Found::Other => {
                not_a_program.get_or_insert(path);
            }
            Found::Nothing => {}
        }
    }
    Err(match not_a_program {
        Some(path) => not_executable(command, path),
        None => StartError::NotFound {
            command: command.to_owned(),
            path: search_path.to_string_lossy().into_owned(),
        },
    })
}

enum Found {
    Program,
    Other,
    Nothing,
}

fn look(path: &Path) -> Found {
    match path.metadata() {
        // By the rights that this thread has now, which may not be those of the process.
        Ok(metadata)
            if metadata.is_file()
                && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok() =>
        {
            Found::Program
        }
        Ok(_) => Found::Other,
        Err(_) => Found::Nothing,
    }
}

fn not_executable(command: &str, path: PathBuf) -> StartError {
    StartError::NotExecutable {
        command: command.to_owned(),
        path,
    }
}
