//! Makes a new plugin of the templates in `sdk/*/template`, which are part of this program.

use crate::{Kind, Language, ToolchainError};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of plugins, and so of their types, are at most this long.
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

/// A file of a template: where it goes, and its text with places to fill in.
type Template = (&'static str, &'static str);

macro_rules! template {
    ($language:literal: $($name:literal from $source:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../sdk/", $language, "/template/", $source, ".in")))),+]
    };
}

fn common_files(language: Language) -> &'static [Template] {
    match language {
        Language::Rust => template!("rust":
            "Cargo.toml" from "Cargo.toml", "README.md" from "README.md", ".gitignore" from "gitignore"),
        Language::Python => template!("python":
            "requirements.txt" from "requirements.txt", "README.md" from "README.md", ".gitignore" from "gitignore"),
        Language::JavaScript => template!("js":
            "package.json" from "package.json", "README.md" from "README.md", ".gitignore" from "gitignore"),
    }
}

fn kind_files(language: Language, kind: Kind) -> &'static [Template] {
    match (language, kind) {
        (Language::Rust, Kind::Step) => template!("rust": "src/lib.rs" from "step.rs"),
        (Language::Rust, Kind::Scheduler) => template!("rust": "src/lib.rs" from "scheduler.rs"),
        (Language::Rust, Kind::Reporter) => template!("rust": "src/lib.rs" from "reporter.rs"),
        (Language::Python, Kind::Step) => {
            template!("python": "plugin.py" from "step.py", "test_plugin.py" from "step_test.py")
        }
        (Language::Python, Kind::Scheduler) => {
            template!("python": "plugin.py" from "scheduler.py", "test_plugin.py" from "scheduler_test.py")
        }
        (Language::Python, Kind::Reporter) => {
            template!("python": "plugin.py" from "reporter.py", "test_plugin.py" from "reporter_test.py")
        }
        (Language::JavaScript, Kind::Step) => {
            template!("js": "plugin.js" from "step.js", "plugin.test.js" from "step_test.js")
        }
        (Language::JavaScript, Kind::Scheduler) => {
            template!("js": "plugin.js" from "scheduler.js", "plugin.test.js" from "scheduler_test.js")
        }
        (Language::JavaScript, Kind::Reporter) => {
            template!("js": "plugin.js" from "reporter.js", "plugin.test.js" from "reporter_test.js")
        }
    }
}

/// The script that tests a plugin of this kind in every language: it does the same.
fn script(kind: Kind) -> Template {
    match kind {
        Kind::Step => (
            "tests/step.toml",
            include_str!("../../../sdk/scripts/step.toml.in"),
        ),
        Kind::Scheduler => (
            "tests/scheduler.toml",
            include_str!("../../../sdk/scripts/scheduler.toml.in"),
        ),
        Kind::Reporter => (
            "tests/reporter.toml",
            include_str!("../../../sdk/scripts/reporter.toml.in"),
        ),
    }
}

/// What the plugins of the templates do.
fn summary(kind: Kind) -> &'static str {
    match kind {
        Kind::Step => "Counts the lines of a source tree that contain a word.",
        Kind::Scheduler => "Builds changes together when no more of them arrive.",
        Kind::Reporter => "Tells a chat which builds have failed.",
    }
}

/// How the configuration uses them.
fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Step => "[[builder.step]]\nuse = \"@NAME@\"\nword = \"DEPRECATED\"\nat_most = 10",
        Kind::Scheduler => {
            "[[scheduler]]\nname = \"together\"\nuse = \"@NAME@\"\nbuilders = [\"linux\"]\nquiet_s = 30"
        }
        Kind::Reporter => {
            "[plugin.@NAME@]\ngrant.http = [\"chat.example.org\"]\n\n\
             [[reporter]]\nname = \"chat\"\nuse = \"@NAME@\"\nevents = [\"build-finished\"]\n\
             url = \"https://chat.example.org/hook\""
        }
    }
}

/// Where the new plugin gets the SDK from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SdkSource {
    /// A directory on this machine: one of `sdk` in a clone of Toolpost.
    Path(PathBuf),
    /// A released version.
    Version(String),
}

impl SdkSource {
    /// As the file of the language that names dependencies has it.
    fn requirement(&self, language: Language) -> String {
        match self {
            Self::Path(path) => {
                // A relative one would be taken from the new plugin, not from here.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let path = path.display().to_string();
                match language {
                    Language::Rust => format!("{{ path = {} }}", quote(&path)),
                    Language::Python => path,
                    // Inside a string of JSON, which escapes the same as TOML's does.
                    Language::JavaScript => {
                        quote(&format!("file:{path}")).trim_matches('"').to_owned()
                    }
                }
            }
            Self::Version(version) => match language {
                Language::Rust => quote(version),
                Language::Python => format!("toolpost-sdk=={version}"),
                Language::JavaScript => version.clone(),
            },
        }
    }
}

/// What to make.
#[derive(Debug, Clone)]
pub struct NewPlugin<'a> {
    /// The name of the plugin, and of its only type.
    pub name: &'a str,
    /// What it is written in.
    pub language: Language,
    /// What it brings.
    pub kind: Kind,
    /// Where it gets the SDK from.
    pub sdk: SdkSource,
}

/// Writes the files of a new plugin into `directory`, which must not be there yet, and returns them.
///
/// # Errors
///
/// When the name is none that a plugin can have, and when the files cannot be written.
pub fn new_plugin(
    plugin: &NewPlugin<'_>,
    directory: &Path,
) -> Result<Vec<PathBuf>, ToolchainError> {
    check_name(plugin.name)?;
    if directory.exists() {
        return Err(ToolchainError::Exists {
            path: directory.to_owned(),
        });
    }
    let files = common_files(plugin.language)
        .iter()
        .chain(kind_files(plugin.language, plugin.kind))
        .copied()
        .chain([script(plugin.kind)]);
    let mut written = Vec::new();
    for (file_name, template) in files {
        let path = directory.join(file_name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(ToolchainError::file("create", parent))?;
        fs::write(&path, fill_in(template, plugin))
            .map_err(ToolchainError::file("write", &path))?;
        written.push(path);
    }
    Ok(written)
}

fn fill_in(template: &str, plugin: &NewPlugin<'_>) -> String {
    let summary = summary(plugin.kind);
    let values = [
        // The example has a name to fill in, so it comes first.
        ("@EXAMPLE@", example(plugin.kind)),
        ("@SUMMARY@", summary),
        ("@DESCRIPTION@", summary.trim_end_matches('.')),
        ("@KIND@", &plugin.kind.to_string()),
        ("@TYPE@", &type_name(plugin.name)),
        ("@SDK@", &plugin.sdk.requirement(plugin.language)),
        ("@NAME@", plugin.name),
    ];
    values
        .iter()
        .fold(template.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
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
        let check = |language, source: SdkSource, expected| {
            assert_eq!(source.requirement(language), expected, "{language}");
        };
        let version = || SdkSource::Version("0.1".to_owned());
        check(Language::Rust, version(), r#""0.1""#);
        check(Language::Python, version(), "toolpost-sdk==0.1");
        check(Language::JavaScript, version(), "0.1");
        let path = || SdkSource::Path(r#"/a "b"\c"#.into());
        check(Language::Rust, path(), r#"{ path = "/a \"b\"\\c" }"#);
        check(Language::Python, path(), r#"/a "b"\c"#);
        check(Language::JavaScript, path(), r#"file:/a \"b\"\\c"#);
    }

    #[test]
    fn every_template_is_filled_in_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().expect("temporary directory");
        for language in Language::ALL {
            for kind in Kind::ALL {
                let plugin = NewPlugin {
                    name: "a-b",
                    language,
                    kind,
                    sdk: SdkSource::Version("0.1".to_owned()),
                };
                let target = directory.path().join(format!("{language}-{kind}"));
                for file in new_plugin(&plugin, &target).expect("it is new") {
                    let text = fs::read_to_string(&file).expect("it was written");
                    assert!(!has_placeholder(&text), "{}: {text}", file.display());
                }
                assert_eq!(Language::of(&target).expect("a plugin"), language);
                let error = new_plugin(&plugin, &target).expect_err("it is there");
                assert!(matches!(error, ToolchainError::Exists { .. }), "{error}");
            }
        }
    }

    fn has_placeholder(text: &str) -> bool {
        text.split('@')
            .any(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()))
    }
}
