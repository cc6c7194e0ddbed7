//! `toolpost plugin inspect`: what components are, as a master would see them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};
use toolpost_sandbox::{PluginVersion, Sandbox, SandboxOptions, TypeInfo, UseCheck};

use super::Done;
use super::check::configured_uses;
use crate::components;
use crate::output::Printer;

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Whole schemas instead of the names of parameters.
    pub(crate) schema: bool,
    /// As JSON, where schemas are whole anyway.
    pub(crate) json: bool,
}

/// A component, and what it is as a plugin.
struct Inspected {
    file: PathBuf,
    plugin: anyhow::Result<PluginInfo>,
}

/// What there is to say about a plugin.
struct PluginInfo {
    plugin: Arc<PluginVersion>,
    against: Option<Against>,
}

/// `toolpost plugin inspect`. Of a folder, all components that a master would look at.
pub(crate) fn plugin_inspect(
    path: &Path,
    config: Option<&Path>,
    shown: Shown,
    printer: Printer,
) -> Done {
    let is_folder = path.is_dir();
    let files = match is_folder {
        true => components_in(path)?,
        false => vec![path.to_owned()],
    };
    let uses = config.map(|config| configured_uses(config, printer));
    let uses = uses.transpose()?;
    let mut inspected = inspect(files, uses.as_ref().map(|uses| uses as &dyn UseCheck))?;
    if !is_folder && let Some(bad) = inspected.pop_if(|one| one.plugin.is_err()) {
        return Ok(bad.plugin.map(drop)?);
    }
    if shown.json {
        let mut all: Vec<Value> = inspected.iter().map(Inspected::to_json).collect();
        let value = match is_folder {
            true => Value::from(all),
            false => all.pop().unwrap_or_default(),
        };
        printer.line(format_args!("{value:#}"));
    } else {
        for (n, one) in inspected.iter().enumerate() {
            if n > 0 {
                printer.line("");
            }
            one.print(shown, printer);
        }
    }
    match inspected.iter().filter(|one| one.plugin.is_err()).count() {
        0 => Ok(()),
        bad => Err(anyhow::anyhow!("{bad} of {} files are no plugins", inspected.len()).into()),
    }
}

/// The components of a folder, in the order of their names, without those that are still being written.
fn components_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || format!("read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(read)? {
        let path = entry.with_context(read)?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort_unstable();
    match files.is_empty() {
        true => anyhow::bail!("there are no components (*.wasm) in {}", folder.display()),
        false => Ok(files),
    }
}

fn inspect(files: Vec<PathBuf>, uses: Option<&dyn UseCheck>) -> anyhow::Result<Vec<Inspected>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sandbox = components::sandbox(SandboxOptions {
        threads: 1,
        pooling: false,
        ..SandboxOptions::default()
    })?;
    let all = files.into_iter().map(|file| {
        let plugin = runtime.block_on(load(&sandbox, &file));
        let plugin = plugin.map(|plugin| PluginInfo {
            against: uses.map(|uses| against(uses, &plugin)),
            plugin,
        });
        Inspected { file, plugin }
    });
    Ok(all.collect())
}

async fn load(sandbox: &Sandbox, file: &Path) -> anyhow::Result<Arc<PluginVersion>> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let loaded = sandbox.load(Bytes::from(bytes)).await;
    loaded.with_context(|| format!("{} is no plugin that a master would take", file.display()))
}

impl Inspected {
    fn to_json(&self) -> Value {
        let file = self.file.display().to_string();
        match &self.plugin {
            Ok(info) => {
                let mut value = info.to_json();
                value["file"] = file.into();
                value
            }
            Err(error) => json!({ "file": file, "problem": format!("{error:#}") }),
        }
    }

    fn print(&self, shown: Shown, printer: Printer) {
        match &self.plugin {
            Ok(info) => info.print(shown, printer),
            Err(error) => printer.line(format_args!("{error:#}")),
        }
    }
}

impl PluginInfo {
    fn wants(&self) -> Vec<String> {
        let wants = self.plugin.wants().iter();
        wants.map(ToString::to_string).collect()
    }

    fn to_json(&self) -> Value {
        let plugin = &self.plugin;
        let types: Vec<Value> = plugin.types().iter().map(|info| type_json(info)).collect();
        json!({
            "name": plugin.name(),
            "version": plugin.version(),
            "digest": plugin.digest(),
            "contract": plugin.contract(),
            "description": plugin.description(),
            "size_bytes": plugin.size_bytes(),
            "types": types,
            "wants": self.wants(),
            "configuration": self.against.as_ref().map(Against::to_json),
        })
    }

    fn print(&self, shown: Shown, printer: Printer) {
        let plugin = &self.plugin;
        printer.line(format_args!("{} {}", plugin.name(), plugin.version()));
        printer.line(format_args!("  {}", plugin.description()));
        printer.line(format_args!(
            "  contract {}, {} bytes, sha256 {}",
            plugin.contract(),
            plugin.size_bytes(),
            plugin.digest()
        ));
        let wants = self.wants();
        if !wants.is_empty() {
            printer.line(format_args!("  asks for {}", wants.join(", ")));
        }
        for info in plugin.types() {
            print_type(info, shown, printer);
        }
        if let Some(against) = &self.against {
            against.print(printer);
        }
    }
}

fn type_json(info: &TypeInfo) -> Value {
    json!({
        "kind": info.kind().as_str(),
        "name": info.name(),
        "summary": info.summary(),
        "parameters": **info.schema(),
        "form": info.force_schema().map(|schema| (**schema).clone()),
    })
}

fn print_type(info: &TypeInfo, shown: Shown, printer: Printer) {
    printer.line(format_args!(
        "\n{} {}: {}",
        info.kind(),
        info.name(),
        info.summary()
    ));
    if !shown.schema {
        return print_parameters(info.schema(), printer);
    }
    printer.line(format_args!("{:#}", **info.schema()));
    if let Some(form) = info.force_schema() {
        printer.line(format_args!("form\n{:#}", **form));
    }
}

/// The parameters of a type, required ones marked.
fn print_parameters(schema: &Value, printer: Printer) {
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

/// A plugin against a configuration.
struct Against {
    /// What it asks for and is not granted.
    missing: Vec<String>,
    /// Each use, and why it does not fit.
    uses: Vec<(String, Option<String>)>,
}

/// Holds a plugin against a configuration.
fn against(uses: &dyn UseCheck, plugin: &PluginVersion) -> Against {
    let missing = uses.not_granted(plugin.name(), plugin.wants());
    let all = plugin.types().iter().flat_map(|info| {
        let of_type = uses.uses_of(info.kind(), info.name()).into_iter();
        of_type.map(|place| {
            let fits = uses.check(info, &place);
            (place.place, fits.err())
        })
    });
    Against {
        missing: missing.iter().map(ToString::to_string).collect(),
        uses: all.collect(),
    }
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
