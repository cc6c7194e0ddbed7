//! `toolpost plugin new`: the crate of a new plugin.

use std::path::Path;

use anyhow::Context as _;

use super::Done;
use crate::output::{Failure, Printer};

/// The files of the crate, with places to fill in: `@NAME@`, `@TYPE@` and `@SDK@`.
const TEMPLATE: [(&str, &str); 4] = [
    (
        "Cargo.toml",
        include_str!("../../../../sdk/rust/template/Cargo.toml.in"),
    ),
    (
        "src/lib.rs",
        include_str!("../../../../sdk/rust/template/lib.rs.in"),
    ),
    (
        "README.md",
        include_str!("../../../../sdk/rust/template/README.md.in"),
    ),
    (
        ".gitignore",
        include_str!("../../../../sdk/rust/template/gitignore.in"),
    ),
];

/// Longest name, as the contract has it.
const NAME_BYTES_MAX: usize = 64;

/// Makes the crate in a folder of the plugin's name below `path`.
pub(crate) fn plugin_new(name: &str, path: &Path, sdk: Option<&Path>, printer: Printer) -> Done {
    check_name(name)?;
    let folder = path.join(name);
    if folder.exists() {
        return Err(Failure::Usage(format!(
            "{} exists already; choose another name or --path",
            folder.display()
        )));
    }
    let sdk = sdk_requirement(sdk)?;
    for (file, template) in TEMPLATE {
        let file = folder.join(file);
        let text = template
            .replace("@NAME@", name)
            .replace("@TYPE@", &type_name(name))
            .replace("@SDK@", &sdk);
        let parent = file.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&file, text))
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    printer.line(format_args!(
        "Made {0}. Next:\n  cd {0}\n  cargo test\n  toolpost plugin build --output PLUGIN_DIRECTORY_OF_THE_MASTER",
        folder.display()
    ));
    Ok(())
}

/// A plugin's name is that of its file, of its crate and of its step type.
fn check_name(name: &str) -> Result<(), Failure> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let hyphens = !name.ends_with('-') && !name.contains("--");
    if starts && rest && hyphens && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "`{name}` is no plugin name: use up to {NAME_BYTES_MAX} lower-case letters, digits and single \
         hyphens, a letter first"
    )))
}

/// `my-plugin` as a Rust type: `MyPlugin`.
fn type_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

/// How the crate asks for the SDK in its `Cargo.toml`.
fn sdk_requirement(folder: Option<&Path>) -> Result<String, Failure> {
    let Some(folder) = folder else {
        return Ok(format!("{:?}", env!("CARGO_PKG_VERSION")));
    };
    let absolute = std::fs::canonicalize(folder)
        .with_context(|| format!("there is no SDK in {}", folder.display()))?;
    Ok(format!("{{ path = {:?} }}", absolute.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types() {
        for (name, expected) in [
            ("hello", "Hello"),
            ("count-todo2", "CountTodo2"),
            ("a-1-b", "A1B"),
        ] {
            assert!(check_name(name).is_ok(), "{name}");
            assert_eq!(type_name(name), expected);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "", "Hello", "1st", "-a", "a-", "a--b", "a_b", "ä", "a/b", "..",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
