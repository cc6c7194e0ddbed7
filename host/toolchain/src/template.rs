//! Makes the crate of a new plugin from the template in `sdk/rust/template`, which is part of this
//! program.

use crate::ToolchainError;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of plugins, and so of their steps, are at most this long.
const NAME_BYTES_MAX: usize = 64;

/// Words that cargo or Rust keep for themselves.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        include_str!("../../../sdk/rust/template/Cargo.toml.in"),
    ),
    (
        "README.md",
        include_str!("../../../sdk/rust/template/README.md.in"),
    ),
    (
        "src/lib.rs",
        include_str!("../../../sdk/rust/template/lib.rs.in"),
    ),
    (
        ".gitignore",
        include_str!("../../../sdk/rust/template/gitignore.in"),
    ),
];

/// Where the new crate gets the SDK from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SdkSource {
    /// A directory on this machine: `sdk/rust` in a clone of Toolpost.
    Path(PathBuf),
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// A branch, tag or revision; none is the default branch.
        revision: Option<String>,
    },
    /// A released version.
    Version(String),
}

impl SdkSource {
    /// As Cargo.toml has it.
    fn requirement(&self) -> String {
        match self {
            Self::Path(path) => {
                // Cargo takes a relative one from the new crate, not from here.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                format!("{{ path = {} }}", quote(&path.display().to_string()))
            }
            Self::Git {
                url,
                revision: None,
            } => format!("{{ git = {} }}", quote(url)),
            Self::Git {
                url,
                revision: Some(revision),
            } => {
                format!("{{ git = {}, rev = {} }}", quote(url), quote(revision))
            }
            Self::Version(version) => quote(version),
        }
    }
}

/// Writes the crate of a new plugin into `directory`, which must not be there yet, and returns the
/// files.
///
/// # Errors
///
/// When the name is none that a plugin can have, and when the files cannot be written.
pub fn new_plugin(
    name: &str,
    sdk: &SdkSource,
    directory: &Path,
) -> Result<Vec<PathBuf>, ToolchainError> {
    check_name(name)?;
    let type_name = type_name(name);
    let values = [
        ("@NAME@", name),
        ("@TYPE@", &type_name),
        ("@SDK@", &sdk.requirement()),
    ];
    if directory.exists() {
        return Err(ToolchainError::Exists {
            path: directory.to_owned(),
        });
    }
    let mut written = Vec::new();
    for (file_name, template) in FILES {
        let path = directory.join(file_name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(ToolchainError::file("create", parent))?;
        let text = values
            .iter()
            .fold((*template).to_owned(), |text, (placeholder, value)| {
                text.replace(placeholder, value)
            });
        fs::write(&path, text).map_err(ToolchainError::file("write", &path))?;
        written.push(path);
    }
    Ok(written)
}

/// Lower-case words joined by hyphens; the first one starts with a letter, so that it names a crate.
fn check_name(name: &str) -> Result<(), ToolchainError> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let is_fine = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('-').all(is_word)
        && !RESERVED.contains(&name);
    if is_fine {
        Ok(())
    } else {
        Err(ToolchainError::PluginName {
            name: name.to_owned(),
        })
    }
}

/// `todo-count` as the name of a type: `TodoCount`.
fn type_name(name: &str) -> String {
    let capitalised = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    capitalised.collect()
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_joined_by_hyphens() {
        for name in ["a", "todo-count", "x86-check", "a1-2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "", "Todo", "a_b", "-a", "a-", "a--b", "1a", "a/b", "..", "test", "fn", &long,
        ] {
            let error = check_name(name).expect_err(name);
            assert!(error.to_string().contains("lower-case words"), "{error}");
        }
        assert_eq!(type_name("todo-count-2"), "TodoCount2");
    }

    #[test]
    fn the_sdk_can_come_from_anywhere() {
        let check = |source: SdkSource, expected| assert_eq!(source.requirement(), expected);
        check(SdkSource::Version("0.1".to_owned()), r#""0.1""#);
        check(
            SdkSource::Path(r#"/a "b"\c"#.into()),
            r#"{ path = "/a \"b\"\\c" }"#,
        );
        let url = "https://example.org/t.git".to_owned();
        let git = SdkSource::Git {
            url: url.clone(),
            revision: None,
        };
        check(git, r#"{ git = "https://example.org/t.git" }"#);
        let pinned = SdkSource::Git {
            url,
            revision: Some("v1".to_owned()),
        };
        check(
            pinned,
            r#"{ git = "https://example.org/t.git", rev = "v1" }"#,
        );
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let sdk = SdkSource::Version("0.1".to_owned());
        let error = new_plugin("a", &sdk, directory.path()).expect_err("it is there");
        assert!(matches!(error, ToolchainError::Exists { .. }), "{error}");
        let files = new_plugin("a", &sdk, &directory.path().join("a")).expect("it is new");
        assert_eq!(files.len(), FILES.len());
        for file in files {
            let text = fs::read_to_string(&file).expect("it was written");
            assert!(
                !text.contains("@NAME@") && !text.contains("@TYPE@"),
                "{}",
                file.display()
            );
        }
    }
}
