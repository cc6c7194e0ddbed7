//! Which contract a component was built for, told from the names of its imports and exports.

use crate::LoadError;
use crate::plugin::PluginKind;

/// The package of the contract.
const PACKAGE: &str = "toolpost:plugin/";
/// The version that this host has.
const MAJOR: u64 = 1;
const MINOR: u64 = 0;
/// What every plugin exports, beside the interface of at least one kind.
const PLUGIN: &str = "plugin";
/// Interfaces of the contract that can be imported.
const IMPORTS: [&str; 18] = [
    "types",
    "log",
    "properties",
    "step-logs",
    "commands",
    "worker-files",
    "step-status",
    "build-info",
    "build-data",
    "test-results",
    "artifacts",
    "triggers",
    "cancellation",
    "reports",
    "secrets",
    "key-value",
    "templates",
    "mail",
];
/// Packages of WASI that are linked, with the versions that fit.
const WASI_PACKAGES: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];
const WASI_VERSION: &str = "0.2.";

/// The contracts that this host can talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Major {
    /// 1.x
    V1,
}

/// What a component was built for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Built {
    /// The version of the contract.
    pub(super) version: String,
    /// The same, as far as it matters for how to talk to it.
    pub(super) major: Major,
    /// The kinds whose interfaces it exports.
    pub(super) kinds: Vec<PluginKind>,
}

/// Checks the names, and tells what the component was built for.
pub(super) fn check(imports: &[&str], exports: &[&str]) -> Result<Built, LoadError> {
    let mut versions: Vec<&str> = exports
        .iter()
        .chain(imports)
        .filter_map(|name| name.strip_prefix(PACKAGE))
        .filter_map(|name| name.split_once('@').map(|(_, version)| version))
        .collect();
    versions.dedup();
    for version in &versions {
        check_version(version)?;
    }
    let exported = |interface: &str| {
        exports.iter().any(|name| {
            let name = name.strip_prefix(PACKAGE).unwrap_or_default();
            name.split_once('@')
                .is_some_and(|(name, _)| name == interface)
        })
    };
    if !exported(PLUGIN) {
        return Err(LoadError::MissingExport(PLUGIN));
    }
    let mut kinds = PluginKind::ALL.to_vec();
    kinds.retain(|kind| exported(kind.as_str()));
    if kinds.is_empty() {
        return Err(LoadError::NoKind);
    }
    for import in imports {
        check_import(import)?;
    }
    Ok(Built {
        major: Major::V1,
        version: versions.first().copied().unwrap_or_default().to_owned(),
        kinds,
    })
}

fn check_version(version: &str) -> Result<(), LoadError> {
    let refused = |help: &str| LoadError::Contract {
        wanted: version.to_owned(),
        offered: format!("{MAJOR}.{MINOR}"),
        help: help.to_owned(),
    };
    let mut parts = version.split(['.', '-', '+']).map(str::parse::<u64>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Err(refused(
            "that is no version; build the plugin with Toolpost's SDK",
        ));
    };
    match (major, minor) {
        (MAJOR, minor) if (0..=MINOR).contains(&minor) => Ok(()),
        (major, _) if major < MAJOR => Err(refused("build the plugin again with a newer SDK")),
        _ => Err(refused(
            "upgrade Toolpost, or build the plugin with an older SDK",
        )),
    }
}

fn check_import(import: &str) -> Result<(), LoadError> {
    let unknown = |help: &str| {
        Err(LoadError::UnknownImport {
            import: import.to_owned(),
            help: help.to_owned(),
        })
    };
    let (path, version) = import.split_once('@').unwrap_or((import, ""));
    if let Some(interface) = path.strip_prefix(PACKAGE) {
        return match IMPORTS.contains(&interface) {
            true => Ok(()),
            false => unknown("the contract has no such interface"),
        };
    }
    if path == "wasi:http/incoming-handler" {
        return unknown("a plugin sends HTTP requests and takes none");
    }
    if !WASI_PACKAGES
        .iter()
        .any(|package| path.starts_with(package))
    {
        return unknown("a plugin can import `toolpost:plugin` and WASI 0.2 only");
    }
    if !version.starts_with(WASI_VERSION) {
        return unknown("only version 0.2 of WASI is there; build for `wasm32-wasip2`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        const PLUGIN: &str = "toolpost:plugin/plugin@1.0.0";
        const STEP: &str = "toolpost:plugin/step@1.0.0";
        let judge = |imports: &[&str], exports: &[&str]| match check(imports, exports) {
            Ok(built) => built.version,
            Err(error) => error.to_string(),
        };
        let table: [(&[&str], &[&str], &str); 12] = [
            (&[], &[PLUGIN, STEP], "1.0.0"),
            (
                &["toolpost:plugin/log@1.0.0", "wasi:io/poll@0.2.6"],
                &["memory", STEP, PLUGIN],
                "1.0.0",
            ),
            (
                &[],
                &[PLUGIN],
                "exports none of `toolpost:plugin/step`, `scheduler` and `reporter`: it brings nothing, or was built without its macro",
            ),
            (
                &[],
                &["toolpost:plugin/plugin@2.0.0", "toolpost:plugin/step@2.0.0"],
                "is built for version 2.0.0 of the plugin contract, this Toolpost has 1.0: upgrade Toolpost, or build the plugin with an older SDK",
            ),
            (
                &["toolpost:plugin/log@1.3.0"],
                &[PLUGIN, STEP],
                "is built for version 1.3.0 of the plugin contract, this Toolpost has 1.0: upgrade Toolpost, or build the plugin with an older SDK",
            ),
            (
                &[],
                &["toolpost:plugin/plugin@0.9.0"],
                "is built for version 0.9.0 of the plugin contract, this Toolpost has 1.0: build the plugin again with a newer SDK",
            ),
            (
                &[],
                &["toolpost:plugin/plugin@x"],
                "is built for version x of the plugin contract, this Toolpost has 1.0: that is no version; build the plugin with Toolpost's SDK",
            ),
            (
                &["toolpost:plugin/warp@1.0.0"],
                &[PLUGIN, STEP],
                "imports `toolpost:plugin/warp@1.0.0`: the contract has no such interface",
            ),
            (
                &["wasi:http/types@0.2.3", "wasi:http/outgoing-handler@0.2.6"],
                &[PLUGIN, STEP],
                "1.0.0",
            ),
            (
                &["wasi:http/incoming-handler@0.2.3"],
                &[PLUGIN, STEP],
                "imports `wasi:http/incoming-handler@0.2.3`: a plugin sends HTTP requests and takes none",
            ),
            (
                &["wasi:cli/stdout@0.3.0"],
                &[PLUGIN, STEP],
                "imports `wasi:cli/stdout@0.3.0`: only version 0.2 of WASI is there; build for `wasm32-wasip2`",
            ),
            (
                &["acme:gpu/device@1.0.0"],
                &[PLUGIN, STEP],
                "imports `acme:gpu/device@1.0.0`: a plugin can import `toolpost:plugin` and WASI 0.2 only",
            ),
        ];
        for (imports, exports, verdict) in table {
            assert_eq!(judge(imports, exports), verdict);
        }
    }
}
