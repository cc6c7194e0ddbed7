//! Scripts: what a plugin is given, what it is answered, and what is expected of it.
//!
//! A file is one test, or several `[[test]]`; what stands above the first of them holds for all: tables are merged key by key,
//! anything else is replaced.

mod common;
pub(crate) mod pattern;
pub(crate) mod reporter;
pub(crate) mod scheduler;
mod source;
pub(crate) mod step;
pub(crate) mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toolpost_sandbox::{PluginKind, PluginVersion, TypeInfo};

pub(crate) use common::{Answers, Common, HttpTable};
use pattern::Pattern;
use reporter::ReporterScript;
use scheduler::SchedulerScript;
pub use source::{ScriptFault, Source};
use step::StepScript;

use crate::seen;

/// A test that a script describes.
#[derive(Debug)]
pub struct Test {
    /// Its name: that of the script, or the file's.
    pub name: String,
    /// Where it is.
    pub source: Arc<Source>,
    /// The line where it begins.
    pub line: usize,
    pub(crate) common: Common,
    pub(crate) play: Play,
    pub(crate) expect: Option<Pattern>,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Play {
    Step(Box<StepScript>),
    Scheduler(Box<SchedulerScript>),
    Reporter(Box<ReporterScript>),
    /// A step, on the answers of this recording.
    Recording(PathBuf),
}

/// The tests of a file, for the types of this plugin: of a script, or of a recording (`*.json`), which is to end as it did.
///
/// # Errors
/// The first thing that is wrong with the script.
pub fn read(path: &Path, plugin: &PluginVersion) -> Result<Vec<Test>, ScriptFault> {
    let is_recording = path
        .extension()
        .is_some_and(|extension| extension == "json");
    match is_recording {
        true => Ok(vec![of_recording(path)]),
        false => read_script(Source::read(path)?, plugin),
    }
}

fn of_recording(path: &Path) -> Test {
    let name = path.file_stem().unwrap_or_default();
    Test {
        name: name.to_string_lossy().into_owned(),
        source: Arc::new(Source::without_text(path)),
        line: 0,
        common: Common::default(),
        play: Play::Recording(path.file_name().unwrap_or_default().into()),
        expect: None,
    }
}

/// The tests of a script.
fn read_script(source: Source, plugin: &PluginVersion) -> Result<Vec<Test>, ScriptFault> {
    let source = Arc::new(source);
    let text = source.text.as_str();
    let root = DeTable::parse(text).map_err(|error| source.toml_fault(&error))?;
    let mut root = root.into_inner();
    let stem = source.path.file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy().into_owned();
    let Some((key, tests)) = root.remove_entry("test") else {
        return Ok(vec![test(&source, 1, &stem, root, plugin)?]);
    };
    let DeValue::Array(tests) = tests.into_inner() else {
        let line = source.line(key.span().start);
        return Err(source.fault(line, "a test is written as [[test]]"));
    };
    let mut all = Vec::new();
    for (number, own) in tests.into_iter().enumerate() {
        let line = source.line(own.span().start);
        let DeValue::Table(own) = own.into_inner() else {
            return Err(source.fault(line, "a test is written as [[test]]"));
        };
        let mut table = root.clone();
        merge(&mut table, own);
        let name = format!("{stem} {}", number + 1);
        all.push(test(&source, line, &name, table, plugin)?);
    }
    Ok(all)
}

/// Puts what a test says itself over what holds for all.
fn merge<'i>(into: &mut DeTable<'i>, own: DeTable<'i>) {
    for (key, value) in own {
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        match into.get_mut(key.get_ref().as_ref()) {
            Some(old) if is_table && matches!(old.get_ref(), DeValue::Table(_)) => {
                let (DeValue::Table(old), DeValue::Table(own)) =
                    (old.get_mut(), value.into_inner())
                else {
                    continue;
                };
                merge(old, own);
            }
            Some(old) => *old = value,
            None => {
                into.insert(key, value);
            }
        }
    }
}

/// A test of a table.
fn test(
    source: &Arc<Source>,
    line: usize,
    name: &str,
    mut table: DeTable<'_>,
    plugin: &PluginVersion,
) -> Result<Test, ScriptFault> {
    let expect = take(&mut table, "expect");
    let recording = take(&mut table, "recording");
    let mut own = DeTable::new();
    for key in common::KEYS {
        if let Some((key, value)) = table.remove_entry(key) {
            own.insert(key, value);
        }
    }
    let common: Common = decode(source, own)?;
    let (play, keys) = match recording {
        Some(recording) => {
            if let Some((key, _)) = table.iter().next() {
                let text = format!("`{}` means nothing beside `recording`", key.get_ref());
                return Err(source.fault(source.line(key.span().start), text));
            }
            let file = recording.get_ref().as_str().map(PathBuf::from);
            let line = source.line(recording.span().start);
            let file =
                file.ok_or_else(|| source.fault(line, "`recording` is the name of a file"))?;
            (Play::Recording(file), seen::STEP)
        }
        None => {
            let info = type_of(source, line, &common, plugin)?;
            of_kind(source, info.kind(), table)?
        }
    };
    let expect = expect.map(|expect| expectation(source, &expect, keys));
    Ok(Test {
        name: common.name.clone().unwrap_or_else(|| name.to_owned()),
        source: Arc::clone(source),
        line,
        common,
        play,
        expect: expect.transpose()?,
    })
}

/// What happens in a test of this kind, and what can be seen of it.
fn of_kind(
    source: &Source,
    kind: PluginKind,
    table: DeTable<'_>,
) -> Result<(Play, &'static [&'static str]), ScriptFault> {
    Ok(match kind {
        PluginKind::Step => (Play::Step(decode(source, table)?), seen::STEP),
        PluginKind::Scheduler => (Play::Scheduler(decode(source, table)?), seen::SCHEDULER),
        PluginKind::Reporter => (Play::Reporter(decode(source, table)?), seen::REPORTER),
    })
}

fn expectation(
    source: &Source,
    expect: &Spanned<DeValue<'_>>,
    keys: &[&str],
) -> Result<Pattern, ScriptFault> {
    let pattern = Pattern::read(source, expect)?;
    let Some(members) = pattern.members() else {
        return Err(source.fault(pattern.line, "`expect` is a table"));
    };
    for (name, member) in members {
        if !keys.contains(&name.as_str()) {
            let near = nearest(name, keys).map(|near| format!("; did you mean `{near}`?"));
            let all = format!(". There are `{}`", keys.join("`, `"));
            let help = near.unwrap_or(all);
            let text = format!("`{name}` is nothing that can be expected{help}");
            return Err(source.fault(member.line, text));
        }
    }
    Ok(pattern)
}

/// What a person may have meant.
fn nearest<'k>(name: &str, keys: &[&'k str]) -> Option<&'k str> {
    const SIMILAR: f64 = 0.8;
    let similarity = |key: &&&str| strsim::jaro_winkler(name, key);
    let nearest = keys
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&nearest) >= SIMILAR).then_some(*nearest)
}

/// The type that a test is about: the one that it names, or the only one.
fn type_of<'p>(
    source: &Source,
    line: usize,
    common: &Common,
    plugin: &'p PluginVersion,
) -> Result<&'p Arc<TypeInfo>, ScriptFault> {
    let types = plugin.types();
    let names: Vec<&str> = types.iter().map(|info| info.name()).collect();
    match (&common.use_type, types) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let text = format!(
                "say which type it is about: use = \"{}\"",
                names.join("\" or \"")
            );
            Err(source.fault(line, text))
        }
        (Some(name), types) => {
            let mut named = types.iter().filter(|info| info.name() == name.get_ref());
            named.next().ok_or_else(|| {
                let line = source.line(name.span().start);
                let has = names.join("`, `");
                source.fault(
                    line,
                    format!(
                        "the plugin has no type `{}`, it has `{has}`",
                        name.get_ref()
                    ),
                )
            })
        }
    }
}

fn take<'i>(table: &mut DeTable<'i>, key: &str) -> Option<Spanned<DeValue<'i>>> {
    table.remove(key)
}

fn decode<T: DeserializeOwned>(source: &Source, table: DeTable<'_>) -> Result<T, ScriptFault> {
    let whole = Spanned::new(0..0, table);
    let decoded = T::deserialize(toml::de::Deserializer::from(whole));
    decoded.map_err(|error| source.toml_fault(&error))
}
