//! From bytes to a plugin that can run: check, compile, link, describe, check again.

mod contract;
mod description;
mod error;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use wasmtime::component::Component;

use crate::admission::Room;
use crate::call::{self, CallContext, TABLE_ELEMENT_BYTES};
use crate::compile::{CompileError, Compiled, TooMuch};
use crate::fair::Party;
use crate::host::LogLevel;
use crate::plugin::{Linked, PluginKind, PluginVersion};
use crate::sandbox::Shared;
use crate::{CallLimits, SandboxError};

pub(crate) use description::Description;
pub use error::LoadError;

use contract::Built;

pub(crate) use contract::Major;

/// The first bytes of all WebAssembly, then a version and a layer: module or component.
const MAGIC: &[u8] = b"\0asm";
const MODULE_LAYER: &[u8] = &[0x01, 0x00, 0x00, 0x00];
const HEADER_BYTES: usize = 8;
/// What the parser says when the bytes end too early.
const TRUNCATED_TEXTS: [&str; 3] = [
    "unexpected end",
    "unexpected EOF",
    "is out of bounds (bound",
];

/// Makes a plugin of the bytes of a component.
pub(crate) async fn load(
    shared: &Arc<Shared>,
    component: Bytes,
) -> Result<Arc<PluginVersion>, LoadError> {
    check_header(&component, shared.options.component_bytes_max)?;
    let size_bytes = component.len() as u64;
    let Compiled { component, digest } =
        shared
            .compiler
            .compile(component)
            .await
            .map_err(|error| match error {
                CompileError::Invalid(text) => invalid(text),
                CompileError::TooSlow(limit) => LoadError::TooSlow(limit),
                CompileError::TooMuch(TooMuch { what, has, limit }) => {
                    LoadError::TooMuchToCompile { what, has, limit }
                }
            })?;
    let contract = check_contract(shared, &component)?;
    let linked = shared
        .linker
        .instantiate_pre(&component)
        .and_then(|pre| Linked::new(pre, contract.major, |kind| contract.kinds.contains(&kind)))
        .map_err(|error| LoadError::Interface(format!("{error:#}")))?;
    let linked = Arc::new(linked);
    let needs = needs(&component);
    let description = describe(shared, &linked, &digest, needs).await?;
    check_kinds(&linked, &description)?;
    Ok(Arc::new(PluginVersion::new(
        shared.clone(),
        linked,
        needs,
        description,
        crate::plugin::Identity {
            digest,
            contract: contract.version,
            size_bytes,
        },
    )))
}

fn check_header(bytes: &[u8], limit: u64) -> Result<(), LoadError> {
    let length = bytes.len() as u64;
    if length > limit {
        return Err(LoadError::TooLarge {
            bytes: length,
            limit,
        });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(LoadError::NotWasm);
    }
    if bytes.len() < HEADER_BYTES {
        return Err(LoadError::Truncated(format!("it has {length} bytes")));
    }
    if &bytes[MAGIC.len()..HEADER_BYTES] == MODULE_LAYER {
        return Err(LoadError::CoreModule);
    }
    Ok(())
}

fn invalid(text: String) -> LoadError {
    if TRUNCATED_TEXTS.iter().any(|known| text.contains(known)) {
        LoadError::Truncated(text)
    } else {
        LoadError::Invalid(text)
    }
}

/// Whether it has the interface of each kind that it says it brings, and brings something of each that it has.
fn check_kinds(linked: &Linked, description: &Description) -> Result<(), LoadError> {
    for kind in PluginKind::ALL {
        let described = description.types.iter().any(|info| info.kind() == kind);
        if described && !linked.has(kind) {
            return Err(LoadError::MissingExport(kind.as_str()));
        }
        if linked.has(kind) && !described {
            return Err(LoadError::Description(format!(
                "it exports `toolpost:plugin/{kind}` and names no {kind} type"
            )));
        }
    }
    Ok(())
}

fn check_contract(shared: &Shared, component: &Component) -> Result<Built, LoadError> {
    let types = component.component_type();
    let imports: Vec<&str> = types
        .imports(&shared.engine)
        .map(|(name, _)| name)
        .collect();
    let exports: Vec<&str> = types
        .exports(&shared.engine)
        .map(|(name, _)| name)
        .collect();
    contract::check(&imports, &exports)
}

/// What an instance takes at its start, as far as it is known beforehand.
fn needs(component: &Component) -> Room {
    let one = Room {
        calls: 1,
        ..Room::default()
    };
    let Some(required) = component.resources_required() else {
        return one;
    };
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    // The largest memory times their number is too much, but nearly every component has one memory only.
    let largest = required.max_initial_memory_size.unwrap_or(0);
    let bytes = usize::try_from(largest)
        .unwrap_or(usize::MAX)
        .saturating_mul(count(required.num_memories));
    let elements = usize::try_from(required.max_initial_table_size.unwrap_or(0));
    let in_tables = elements
        .unwrap_or(usize::MAX)
        .saturating_mul(count(required.num_tables))
        .saturating_mul(TABLE_ELEMENT_BYTES);
    let bytes = bytes.saturating_add(in_tables);
    Room {
        memories: count(required.num_memories),
        tables: count(required.num_tables),
        bytes: bytes.min(CallLimits::default().memory_bytes_max),
        ..one
    }
}

async fn describe(
    shared: &Arc<Shared>,
    linked: &Arc<Linked>,
    digest: &str,
    needs: Room,
) -> Result<Description, LoadError> {
    let context = CallContext {
        // Nobody knows its name yet.
        party: Party::service("(describe)", digest),
        limits: Arc::new(CallLimits::describe()),
        entry_wait_max: Some(shared.options.describe_wait_max),
        home: None,
        // What a plugin is must not depend on the time or on chance: it is asked again at each start.
        at: Some(Timestamp(0)),
        log: Arc::new(log_description),
        cancel: CancellationToken::new(),
    };
    let call = call::run(
        shared.clone(),
        linked.clone(),
        needs,
        context,
        |plugin, store| {
            Box::pin(async move {
                if let Err(mismatch) = plugin.check_types(store) {
                    return Ok(Err(LoadError::Interface(format!("{mismatch:#}"))));
                }
                Ok(Ok(plugin.describe(store).await?))
            })
        },
    );
    let told = shared
        .on_plugin_threads(call)
        .await
        .and_then(|ended| ended.result)
        .map_err(|error| match error {
            SandboxError::Start(mismatch) => LoadError::Interface(mismatch),
            error => LoadError::Describe(error),
        })?;
    description::check(told?)
}

fn log_description(level: LogLevel, line: &dyn Display) {
    match level {
        LogLevel::Error => tracing::error!("a plugin that describes itself says: {line}"),
        LogLevel::Warn => tracing::warn!("a plugin that describes itself says: {line}"),
        LogLevel::Info => tracing::info!("a plugin that describes itself says: {line}"),
        LogLevel::Debug => tracing::debug!("a plugin that describes itself says: {line}"),
    }
}
