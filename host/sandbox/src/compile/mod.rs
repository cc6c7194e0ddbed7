//! Compiles components away from everything else: on threads of their own, at a low priority, each component
//! once.

mod cache;

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::lower_thread_priority;
use crate::{SandboxOptions, SetupError};

use cache::Cache;

/// The threads and the cache.
pub(crate) struct Compiler {
    threads: rayon::ThreadPool,
    engine: Engine,
    cache: Option<Arc<Cache>>,
}

/// A component that can run.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// SHA-256 of its bytes, hexadecimal.
    pub(crate) digest: String,
}

/// The compiler's own words about bytes that are no valid component.
pub(crate) struct CompileError(pub(crate) String);

impl Compiler {
    pub(crate) fn new(engine: &Engine, options: &SandboxOptions) -> Result<Self, SetupError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(options.compile_threads.max(1))
            .thread_name(|index| format!("plugin-compile-{index}"))
            .start_handler(|_| lower_thread_priority())
            .build()
            .map_err(|error| SetupError::Threads(std::io::Error::other(error)))?;
        let cache = match &options.cache_dir {
            Some(dir) => Some(Arc::new(Cache::open(dir, engine, options.cache_bytes_max)?)),
            None => None,
        };
        Ok(Self {
            threads,
            engine: engine.clone(),
            cache,
        })
    }

    /// Compiles a component, or finds it compiled already.
    pub(crate) async fn compile(&self, bytes: Bytes) -> Result<Compiled, CompileError> {
        let (sender, receiver) = oneshot::channel();
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        self.threads.spawn(move || {
            // Nobody waits any more when the load was given up; the cache has it then.
            let _ = sender.send(compile_here(&engine, cache.as_deref(), &bytes));
        });
        receiver
            .await
            .unwrap_or_else(|_| Err(CompileError("the compiler crashed".into())))
    }
}

fn compile_here(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
) -> Result<Compiled, CompileError> {
    let digest = hex_digest(bytes);
    if let Some(component) = cache.and_then(|cache| cache.get(engine, &digest)) {
        return Ok(Compiled { component, digest });
    }
    let component = Component::from_binary(engine, bytes)
        .map_err(|error| CompileError(format!("{error:#}")))?;
    if let Some(cache) = cache {
        cache.put(&digest, &component);
    }
    Ok(Compiled { component, digest })
}

/// SHA-256 of some bytes, hexadecimal.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
