//! The files of a configuration, read whole.
//!
//! `toolpost.toml`, and every `*.toml` in `conf.d` next to it in the order of their names. Nothing is
//! interpreted here; the text is kept, because problems quote it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::{Place, Problem, Problems};

/// A larger file is refused; a thousand builders take less than one MiB.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 << 20;
/// More files in `conf.d` are refused.
pub const CONFIG_FILES_MAX: usize = 4096;
/// Name of the main file when a directory is given.
pub const CONFIG_FILE_NAME: &str = "toolpost.toml";
/// Directory next to the main file with further files.
pub const CONFIG_DIR_NAME: &str = "conf.d";

/// Part of one source file, bytes. Orders by file, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    name: String,
    text: String,
    /// Byte offset of the start of each line, so that a place is found by bisection.
    line_starts: Vec<u32>,
}

/// The files of a configuration with their text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Relative paths of the configuration start here.
    base_dir: PathBuf,
    files: Vec<Source>,
}

impl Sources {
    /// Sources that are in memory: pairs of name and text, later ones as if they were in `conf.d`.
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        base_dir: impl Into<PathBuf>,
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        let files = texts
            .into_iter()
            .map(|(name, text)| Source::new(name.into(), text.into()))
            .collect();
        Self {
            base_dir: base_dir.into(),
            files,
        }
    }

    /// The directory of the main file, where relative paths of the configuration start.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Name and text of each file, the main one first.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (u32, &str)> {
        (0_u32..).zip(self.files.iter().map(|file| file.text.as_str()))
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.files[span.file as usize]
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// Line and column of a span, with the text of its line.
    pub(crate) fn place(&self, span: Span) -> Place {
        let source = &self.files[span.file as usize];
        source.place(span.start as usize, span.end as usize)
    }
}

impl Source {
    fn new(name: String, mut text: String) -> Self {
        // Some editors put a mark in front; columns count from after it.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        // Sizes are limited to far less than 4 GiB when files are read.
        let offset = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| offset(index + 1)))
            .collect();
        Self {
            name,
            text,
            line_starts,
        }
    }

    fn place(&self, start: usize, end: usize) -> Place {
        let start = self.text.floor_char_boundary(start.min(self.text.len()));
        let end = self
            .text
            .floor_char_boundary(end.clamp(start, self.text.len()));
        let line = self
            .line_starts
            .partition_point(|&first| first as usize <= start)
            - 1;
        let line_start = self.line_starts[line] as usize;
        let line_text = self.text[line_start..].split('\n').next().unwrap_or("");
        let line_text = line_text.strip_suffix('\r').unwrap_or(line_text);
        let end = end.min(line_start + line_text.len()).max(start);
        let characters = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Place {
            file: self.name.clone(),
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column: characters(&self.text[line_start..start]) + 1,
            width: characters(&self.text[start..end]).max(1),
            text: line_text.to_owned(),
        }
    }
}

/// Reads a configuration: a main file, or a directory that has a `toolpost.toml`, and the `conf.d` next
/// to it.
///
/// # Errors
/// Every file that is missing, unreadable, too large or not UTF-8.
pub fn load(path: impl AsRef<Path>) -> Result<Sources, Problems> {
    let given = path.as_ref();
    let main = if given.is_dir() {
        given.join(CONFIG_FILE_NAME)
    } else {
        given.to_owned()
    };
    // Whole, because what is found in it is used by processes that run in other directories.
    let dir = main.parent().filter(|dir| *dir != Path::new(""));
    let dir = dir.unwrap_or(Path::new("."));
    let base_dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let mut problems = Problems::default();
    let mut files = Vec::new();
    let more = list_directory(&dir.join(CONFIG_DIR_NAME)).unwrap_or_else(|refused| {
        problems.list.extend(refused.list);
        Vec::new()
    });
    for file in std::iter::once(main).chain(more) {
        match read(&file) {
            Ok(source) => files.push(source),
            Err(refused) => problems.list.extend(refused.list),
        }
    }
    if problems.list.is_empty() {
        Ok(Sources { base_dir, files })
    } else {
        Err(problems)
    }
}

/// The `*.toml` files of a directory in the order of their names; none when there is no directory.
/// Names that start with a dot are left out: editors keep their unsaved state in such.
fn list_directory(dir: &Path) -> Result<Vec<PathBuf>, Problems> {
    let refuse = |error: std::io::Error| -> Problems {
        Problem::nowhere(format!("cannot list {}: {error}", dir.display()))
            .help("make the directory readable for the user that Toolpost runs as")
            .into()
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refuse(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(refuse)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    if files.len() > CONFIG_FILES_MAX {
        return Err(Problem::nowhere(format!(
            "{} has {} configuration files, at most {CONFIG_FILES_MAX} are read",
            dir.display(),
            files.len()
        ))
        .help("put several builders into one file")
        .into());
    }
    files.sort_unstable();
    Ok(files)
}

fn read(path: &Path) -> Result<Source, Problems> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte over the limit is read, to tell a full file from a larger one; a file that grows
    // meanwhile, or a device, cannot take more.
    let outcome = File::open(path)
        .and_then(|file| file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "name the configuration file, or a directory that has a toolpost.toml"
            }
            _ => "make the file readable for the user that Toolpost runs as",
        };
        let problem = Problem::nowhere(format!("cannot read {name}: {error}")).help(help);
        return Err(problem.into());
    }
    if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(Problem::nowhere(format!(
            "{name} is larger than {} MiB",
            CONFIG_FILE_BYTES_MAX >> 20
        ))
        .help("split it into several files in conf.d")
        .into());
    }
    String::from_utf8(bytes)
        .map(|text| Source::new(name.clone(), text))
        .map_err(|error| not_utf8(&name, &error).into())
}

/// Points at the first byte that is not UTF-8, with the line shown as far as it can be.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problem {
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let mut problem = Problem::nowhere("this is not UTF-8 text").help("save the file as UTF-8");
    problem.place = Some(Source::new(name.to_owned(), text).place(good, good));
    problem
}
