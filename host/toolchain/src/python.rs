//! Builds plugins in Python with componentize-py.

use crate::guest::{Manifest, Workshop};
use crate::unchanged::Sources;
use crate::{Kind, Language, ToolchainError, cache, contract, process, requirements};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What makes the components.
const COMPONENTIZE: &str = "componentize-py==0.25.1";
/// Oldest Python that the SDK runs on. The components have a Python of their own.
const OLDEST: (u32, u32) = (3, 11);
/// Names of Python on the `PATH`, and where systems have it when another one hides it.
const CANDIDATES: [&str; 3] = ["python3", "python", "/usr/bin/python3"];
/// Says the version of a Python that can make virtual environments.
const PROBE: &str = "import sys, venv, ensurepip; print(*sys.version_info[:2])";

const ASK_TIMEOUT: Duration = Duration::from_secs(60);
const INSTALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const BUILD_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What says in an environment which requirements it was made from.
const MADE_FROM: &str = "toolpost-made-from";

/// The module that the component starts with.
const ENTRY: &str = "toolpost_component";

/// Finds a Python that can be used.
///
/// # Errors
///
/// When there is none.
pub fn find_python() -> Result<PathBuf, ToolchainError> {
    let is_good = |candidate: &&&str| {
        let mut command = Command::new(candidate);
        command.args(["-c", PROBE]);
        process::run(command, ASK_TIMEOUT).is_ok_and(|said| parse_version(&said) >= Some(OLDEST))
    };
    CANDIDATES
        .iter()
        .find(is_good)
        .map(PathBuf::from)
        .ok_or(ToolchainError::Needed {
            language: Language::Python,
            what: "Python 3.11 or later with its module `venv`",
            how: "on Debian: `apt-get install python3-venv`",
        })
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Builds the plugin in the workshop.
pub(crate) fn build(
    workshop: &Workshop,
    cache_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Manifest, ToolchainError> {
    let python = find_python()?;
    let tool = cache::ensure(
        cache_dir,
        &COMPONENTIZE.replace("==", "-"),
        COMPONENTIZE,
        |directory| {
            progress(&format!("installing {COMPONENTIZE}"));
            make_environment(&python, directory)?;
            pip(directory, &[OsStr::new(COMPONENTIZE)], directory)
        },
    )?;
    let environment = ensure_environment(&python, &workshop.plugin, progress)?;
    let mut ask = Command::new(environment.join("bin/python"));
    ask.current_dir(&workshop.plugin)
        .args(["-m", "toolpost_sdk.manifest"]);
    let manifest = Manifest::parse(&workshop.plugin, &process::run(ask, ASK_TIMEOUT)?)?;
    let installed = environment.join(MADE_FROM);
    let installed =
        fs::read_to_string(&installed).map_err(ToolchainError::file("read", &installed))?;
    let recipe = [COMPONENTIZE, &entry(&manifest), &installed].concat();
    let packages = site_packages(&environment)?;
    let sources = Sources::of(workshop, &manifest, &recipe, &packages)?;
    if sources.are_unchanged() {
        return Ok(manifest);
    }
    sources.forget();
    workshop.prepare(&manifest, &format!("{ENTRY}.py"), &entry(&manifest))?;
    progress("making the component");
    process::run(
        componentize(workshop, &manifest, &tool, &environment),
        BUILD_TIMEOUT,
    )?;
    sources.note()?;
    Ok(manifest)
}

fn componentize(
    workshop: &Workshop,
    manifest: &Manifest,
    tool: &Path,
    environment: &Path,
) -> Command {
    let mut command = Command::new(tool.join("bin/componentize-py"));
    command
        .current_dir(&workshop.plugin)
        // Adds the packages that the plugin was installed with.
        .env("VIRTUAL_ENV", environment)
        .arg("--quiet")
        .arg("-d")
        .arg(workshop.wit())
        .args(["-w", contract::WORLD])
        // Names that the SDK imports; without HTTP there is no such clash to settle.
        .args([
            "--import-interface-name",
            "toolpost:plugin/types@1.0.0=types",
        ]);
    if manifest.http {
        command.args([
            "--import-interface-name",
            "wasi:http/types@0.2.12=wasi_http_types",
        ]);
    }
    command
        .args(["componentize", ENTRY])
        .arg("-p")
        .arg(&workshop.build)
        .arg("-p")
        .arg(&workshop.plugin)
        .arg("-o")
        .arg(workshop.component(manifest));
    command
}

/// The module that ties the SDK to the plugin.
fn entry(manifest: &Manifest) -> String {
    let mut text = String::from(
        "import toolpost_sdk.component\n\
         from plugin import PLUGIN\n\
         from toolpost_sdk.component.description import Plugin\n",
    );
    if manifest.http {
        text.push_str("import toolpost_sdk.component.wasi_http\n");
    }
    for kind in &manifest.kinds {
        text.push_str(match kind {
            Kind::Step => "from toolpost_sdk.component.steps import Step\n",
            Kind::Scheduler => "from toolpost_sdk.component.schedulers import Scheduler\n",
            Kind::Reporter => "from toolpost_sdk.component.reporters import Reporter\n",
        });
    }
    text.push_str("\ntoolpost_sdk.component.bind(PLUGIN)\n");
    text
}

/// Makes sure that the plugin's own environment has what its requirements.txt asks for, with packages that lie beside the plugin
/// as they are now.
///
/// # Errors
///
/// When Python or a package is missing.
pub fn ensure_environment(
    python: &Path,
    plugin: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolchainError> {
    let requirements_file = plugin.join("requirements.txt");
    let requirements = fs::read_to_string(&requirements_file)
        .map_err(ToolchainError::file("read", &requirements_file))?;
    let environment = plugin.join(".venv");
    let installed = environment.join(MADE_FROM);
    let digest = requirements::digest(plugin, &requirements)?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == digest) {
        return Ok(environment);
    }
    progress("installing requirements.txt into .venv");
    if !environment.join("bin/python").exists() {
        make_environment(python, &environment)?;
    }
    pip(
        &environment,
        &["-r".as_ref(), requirements_file.as_os_str()],
        plugin,
    )?;
    fs::write(&installed, digest).map_err(ToolchainError::file("write", &installed))?;
    Ok(environment)
}

/// Where an environment has its packages: `lib/python3.N/site-packages`.
fn site_packages(environment: &Path) -> Result<PathBuf, ToolchainError> {
    let lib = environment.join("lib");
    let listed = fs::read_dir(&lib).map_err(ToolchainError::file("list", &lib))?;
    let mut found = listed
        .flatten()
        .map(|entry| entry.path().join("site-packages"));
    found.find(|packages| packages.is_dir()).ok_or_else(|| {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        ToolchainError::file("find packages in", &lib)(missing)
    })
}

fn make_environment(python: &Path, directory: &Path) -> Result<(), ToolchainError> {
    let mut command = Command::new(python);
    command.args(["-m", "venv"]).arg(directory);
    process::run(command, INSTALL_TIMEOUT).map(drop)
}

fn pip(environment: &Path, packages: &[&OsStr], working_dir: &Path) -> Result<(), ToolchainError> {
    let mut command = Command::new(environment.join("bin/python"));
    command
        .current_dir(working_dir)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(packages);
    process::run(command, INSTALL_TIMEOUT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        assert_eq!(parse_version("3 11\n"), Some((3, 11)));
        assert!(parse_version("3 9\n") < Some(OLDEST));
        assert!(parse_version("Python 2.7") < Some(OLDEST));
        assert!(parse_version("3 14\n") >= Some(OLDEST));
    }

    #[test]
    fn the_entry_has_the_kinds_of_the_plugin() {
        let manifest = Manifest {
            name: "x".to_owned(),
            kinds: vec![Kind::Scheduler],
            http: false,
        };
        let expected = "import toolpost_sdk.component\nfrom plugin import PLUGIN\n\
            from toolpost_sdk.component.description import Plugin\n\
            from toolpost_sdk.component.schedulers import Scheduler\n\n\
            toolpost_sdk.component.bind(PLUGIN)\n";
        assert_eq!(entry(&manifest), expected);
    }
}
