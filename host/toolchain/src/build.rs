//! Runs cargo and collects the components that it reports.

use crate::{TARGET, ToolchainError};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A built plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name of its package, which is the name of a plugin: its file is `PACKAGE.wasm` where a
    /// master loads it from, while cargo writes hyphens as underscores.
    pub package: String,
    /// Where cargo has put it.
    pub path: PathBuf,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Optimise; a debug component is several megabytes.
    pub release: bool,
    /// Where cargo puts its files; by default where it does anyway.
    pub target_dir: Option<PathBuf>,
    /// Further arguments for `cargo build`, such as `--locked`.
    pub cargo_args: Vec<OsString>,
    /// Say nothing but warnings and errors.
    pub quiet: bool,
}

/// Stack in a plugin's own memory, where its larger local values are: half as much as the host's stack for its
/// calls. Rust's default is four times as much, and each call is charged for all of it when it enters.
///
/// Arguments of the caller come later and win.
const STACK: &str = "target.wasm32-wasip2.rustflags=[\"-Clink-args=-z stack-size=262144\"]";

pub(crate) fn build(
    environment: &[(&'static str, OsString)],
    crate_dir: &Path,
    options: &BuildOptions,
) -> Result<Vec<Component>, ToolchainError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .current_dir(crate_dir)
        .args([
            "build",
            "--target",
            TARGET,
            "--message-format",
            "json-render-diagnostics",
            "--config",
            STACK,
        ])
        .args(options.release.then_some("--release"))
        .args(options.quiet.then_some("--quiet"))
        .args(&options.cargo_args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(target_dir) = &options.target_dir {
        command.arg("--target-dir").arg(target_dir);
    }
    let mut child = command.spawn().map_err(|source| ToolchainError::Start {
        program: cargo.to_string_lossy().into_owned(),
        source,
    })?;
    let mut components = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(ToolchainError::file("read the output of", &cargo))?;
            components.extend(components_of_message(&line));
        }
    }
    let status = child
        .wait()
        .map_err(ToolchainError::file("wait for", &cargo))?;
    if !status.success() {
        return Err(ToolchainError::Build {
            crate_dir: crate_dir.to_owned(),
            status,
        });
    }
    if components.is_empty() {
        return Err(ToolchainError::NoComponent {
            crate_dir: crate_dir.to_owned(),
        });
    }
    Ok(components)
}

/// The components in one line of cargo's JSON messages; lines that are something else have none.
fn components_of_message(line: &str) -> Vec<Component> {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        return Vec::new();
    };
    let is_library = message["target"]["crate_types"]
        .as_array()
        .is_some_and(|types| types.iter().any(|crate_type| crate_type == "cdylib"));
    if message["reason"] != "compiler-artifact" || !is_library {
        return Vec::new();
    }
    let package = package_name(message["package_id"].as_str().unwrap_or_default());
    let files = message["filenames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    files
        .filter(|file| file.ends_with(".wasm"))
        .map(|file| Component {
            package: package.to_owned(),
            path: PathBuf::from(file),
        })
        .collect()
}

/// The name in a package id specification: `...#name@version`, or `.../name#version` where the
/// directory has the package's name.
fn package_name(id: &str) -> &str {
    let (source, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    fragment.split_once('@').map_or_else(
        || source.rsplit('/').next().unwrap_or(source),
        |(name, _)| name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_components_of_libraries_are_collected() {
        let check = |line: &str, expected: &[(&str, &str)]| {
            let component = |(package, path): &(&str, &str)| Component {
                package: (*package).to_owned(),
                path: PathBuf::from(path),
            };
            let expected: Vec<Component> = expected.iter().map(component).collect();
            assert_eq!(components_of_message(line), expected, "{line}");
        };
        let artifact = |crate_type: &str, files: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///p/a-b#0.1.0","target":{{"crate_types":["{crate_type}"]}},"filenames":[{files}]}}"#
            )
        };
        check(
            &artifact("cdylib", r#""/t/a_b.wasm","/t/a_b.d""#),
            &[("a-b", "/t/a_b.wasm")],
        );
        check(&artifact("bin", r#""/t/tool.wasm""#), &[]);
        check(&artifact("lib", r#""/t/liba.rlib""#), &[]);
        check(r#"{"reason":"build-finished","success":true}"#, &[]);
        check("   Compiling a v0.1.0", &[]);
    }

    #[test]
    fn package_names_are_read_from_both_forms_of_an_id() {
        assert_eq!(
            package_name("path+file:///work/plugins/test-summary#0.1.0"),
            "test-summary"
        );
        assert_eq!(
            package_name("path+file:///work/dir#my-plugin@0.1.0"),
            "my-plugin"
        );
        assert_eq!(package_name("odd"), "odd");
    }
}
