//! `toolpost plugin`: making, building and looking at plugins.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_sandbox::{PluginVersion, Sandbox, SandboxOptions, UseCheck as _};
use toolpost_toolchain::{ToolchainError, build_plugin, default_cache_dir};

use super::Done;
use super::check::configured_uses;
use crate::output::{Failure, Printer};

/// `toolpost plugin build`
pub(crate) fn plugin_build(path: &Path, output: Option<&Path>, printer: Printer) -> Done {
    let components = build_plugin(path, &default_cache_dir(), &mut |line| printer.note(line))
        .map_err(|error| match error {
            ToolchainError::NoPlugin { .. } => Failure::Usage(error.to_string()),
            error => error.into(),
        })?;
    for component in components {
        let file = match output {
            Some(folder) => install(&component.path, folder, &component.package)?,
            None => component.path,
        };
        let size = std::fs::metadata(&file)?.len();
        printer.line(format_args!("{} ({} KB)", file.display(), size / 1000));
    }
    Ok(())
}

/// Puts a component into a folder in one move, because a master may watch it.
pub(super) fn install(component: &Path, folder: &Path, package: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let file = folder.join(format!("{package}.wasm"));
    let staged = folder.join(format!(".{package}.wasm.part"));
    std::fs::copy(component, &staged)
        .and_then(|_| std::fs::rename(&staged, &file))
        .with_context(|| format!("put the component to {}", file.display()))?;
    Ok(file)
}

/// `toolpost plugin inspect`
pub(crate) fn plugin_inspect(
    file: &Path,
    config: Option<&Path>,
    json: bool,
    printer: Printer,
) -> Done {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sandbox = Sandbox::new(SandboxOptions {
        threads: 1,
        pooling: false,
        ..SandboxOptions::default()
    })?;
    let plugin = runtime
        .block_on(sandbox.load(Bytes::from(bytes)))
        .with_context(|| format!("{} is no plugin that a master would take", file.display()))?;
    let types: Vec<Value> = plugin
        .types()
        .iter()
        .map(|info| {
            json!({
                "kind": info.kind().as_str(),
                "name": info.name(),
                "summary": info.summary(),
                "parameters": **info.schema(),
                "form": info.force_schema().map(|schema| (**schema).clone()),
            })
        })
        .collect();
    let wants: Vec<String> = plugin.wants().iter().map(ToString::to_string).collect();
    let against = config.map(|config| against(config, &plugin, printer));
    let against = against.transpose()?;
    if json {
        let value = json!({
            "name": plugin.name(),
            "version": plugin.version(),
            "digest": plugin.digest(),
            "contract": plugin.contract(),
            "description": plugin.description(),
            "size_bytes": plugin.size_bytes(),
            "types": types,
            "wants": wants,
            "configuration": against.as_ref().map(Against::to_json),
        });
        printer.line(format_args!("{value:#}"));
        return Ok(());
    }
    printer.line(format_args!("{} {}", plugin.name(), plugin.version()));
    printer.line(format_args!("  {}", plugin.description()));
    printer.line(format_args!(
        "  contract {}, sha256 {}",
        plugin.contract(),
        plugin.digest()
    ));
    if !wants.is_empty() {
        printer.line(format_args!("  asks for {}", wants.join(", ")));
    }
    for told in &types {
        print_type(told, printer);
    }
    if let Some(against) = &against {
        against.print(printer);
    }
    Ok(())
}

/// A plugin against a configuration.
struct Against {
    /// What it asks for and is not granted.
    missing: Vec<String>,
    /// Each use, and why it does not fit.
    uses: Vec<(String, Option<String>)>,
}

/// Holds a plugin against a configuration, which is checked with the plugins of its own folder.
fn against(config: &Path, plugin: &PluginVersion, printer: Printer) -> Result<Against, Failure> {
    let uses = configured_uses(config, printer)?;
    let missing = uses.not_granted(plugin.name(), plugin.wants());
    let all = plugin.types().iter().flat_map(|info| {
        let of_type = uses.uses_of(info.kind(), info.name()).into_iter();
        of_type.map(|place| {
            let fits = uses.check(info, &place);
            (place.place, fits.err())
        })
    });
    Ok(Against {
        missing: missing.iter().map(ToString::to_string).collect(),
        uses: all.collect(),
    })
}

impl Against {
    fn to_json(&self) -> Value {
        let uses = self.uses.iter();
        let uses = uses.map(|(place, problem)| json!({ "place": place, "problem": problem }));
        json!({ "missing": self.missing, "uses": uses.collect::<Vec<_>>() })
    }

    fn print(&self, printer: Printer) {
        printer.line("\nin the configuration");
        for want in &self.missing {
            printer.line(format_args!("  not granted: {want}"));
        }
        for (place, problem) in &self.uses {
            match problem {
                None => printer.line(format_args!("  used by {place}: it fits")),
                Some(problem) => printer.line(format_args!("  used by {place}: {problem}")),
            }
        }
        if self.uses.is_empty() {
            printer.line("  not used");
        }
    }
}

/// A type with its parameters, required ones marked.
fn print_type(told: &Value, printer: Printer) {
    printer.line(format_args!(
        "\n{} {}: {}",
        text(&told["kind"]),
        text(&told["name"]),
        text(&told["summary"])
    ));
    let schema = &told["parameters"];
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, parameter) in schema["properties"].as_object().into_iter().flatten() {
        let mark = if required.contains(&name.as_str()) {
            " (required)"
        } else {
            ""
        };
        let described = text(&parameter["description"])
            .lines()
            .next()
            .unwrap_or_default();
        printer.line(format_args!("  {name:<24}{described}{mark}"));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
