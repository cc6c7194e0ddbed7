//! `toolpost plugin new`: a new plugin.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toolpost_toolchain::{Kind, Language, NewPlugin, SdkSource, ToolchainError, new_plugin};

use super::Done;
use crate::cli::{NewArgs, PluginLanguage};
use crate::output::{Failure, Printer};

/// Makes the plugin in a folder of its name below the path.
pub(crate) fn plugin_new(args: &NewArgs, printer: Printer) -> Done {
    let folder = args.path.join(&args.name);
    let (language, kind) = (Language::from(args.lang), Kind::from(args.kind));
    let plugin = NewPlugin {
        name: &args.name,
        language,
        kind,
        sdk: sdk_source(sdk_folder(args).as_deref())?,
    };
    new_plugin(&plugin, &folder).map_err(|error| match error {
        ToolchainError::PluginName { .. } | ToolchainError::Exists { .. } => {
            Failure::Usage(error.to_string())
        }
        error => error.into(),
    })?;
    printer.line(format_args!("Made {0}. Next:\n  cd {0}", folder.display()));
    for command in next_commands(language) {
        printer.line(format_args!("  {command}"));
    }
    Ok(())
}

/// The folder of the SDK, if it is to come from one.
fn sdk_folder(args: &NewArgs) -> Option<PathBuf> {
    let of_language = match args.lang {
        PluginLanguage::Rust => "rust",
        PluginLanguage::Python => "python",
        PluginLanguage::Js => "js",
    };
    let all = args.sdks.as_ref().map(|sdks| sdks.join(of_language));
    args.sdk.clone().or(all)
}

/// Where the plugin gets the SDK from: the released version of this program, or a folder.
fn sdk_source(folder: Option<&Path>) -> Result<SdkSource, Failure> {
    let Some(folder) = folder else {
        return Ok(SdkSource::Version(env!("CARGO_PKG_VERSION").to_owned()));
    };
    let absolute = std::fs::canonicalize(folder)
        .with_context(|| format!("there is no SDK in {}", folder.display()))?;
    Ok(SdkSource::Path(absolute))
}

/// What to do with a new plugin: test it, and put it live. Python's test needs what the build sets up.
fn next_commands(language: Language) -> [&'static str; 2] {
    const LIVE: &str = "toolpost plugin build --output PLUGIN_DIRECTORY_OF_THE_MASTER";
    match language {
        Language::Rust => ["cargo test", LIVE],
        Language::Python => [LIVE, ".venv/bin/python -m unittest"],
        Language::JavaScript => [LIVE, "node --test"],
    }
}
