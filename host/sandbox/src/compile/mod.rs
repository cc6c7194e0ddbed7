//! Compiles components away from everything else: on threads of their own, at a low priority, each component
//! once. Small components have a thread of their own, so that they do not wait for large ones, which take seconds. What
//! could keep a thread for long is not begun (`effort`).

mod cache;
mod effort;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::{PLUGIN_NICE, lower_thread_priority};
use crate::{SandboxOptions, SetupError};

use cache::Cache;

pub(crate) use effort::TooMuch;

/// A component that takes moments to compile.
const QUICK_BYTES_MAX: usize = 2 << 20;

/// The threads and the cache.
pub(crate) struct Compiler {
    threads: rayon::ThreadPool,
    /// For small components, and for what is compiled already.
    quick: rayon::ThreadPool,
    /// For one component, waiting for others included.
    timeout: Duration,
    engine: Engine,
    cache: Option<Arc<Cache>>,
}

/// A component that can run.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// SHA-256 of its bytes, hexadecimal.
    pub(crate) digest: String,
}

/// Why there is nothing to run: the compiler's own words about bytes that are no valid component, its patience, or what would try it.
pub(crate) enum CompileError {
    TooMuch(TooMuch),
    Invalid(String),
    TooSlow(Duration),
}

impl Compiler {
    pub(crate) fn new(engine: &Engine, options: &SandboxOptions) -> Result<Self, SetupError> {
        let low_priority = options.low_priority;
        let pool = |name: &'static str, threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(move |index| format!("{name}-{index}"))
                .start_handler(move |_| {
                    if low_priority {
                        lower_thread_priority(PLUGIN_NICE);
                    }
                })
                .build()
                .map_err(|error| SetupError::Threads(std::io::Error::other(error)))
        };
        let cache = match &options.cache_dir {
            Some(dir) => Some(Arc::new(Cache::open(dir, engine, options.cache_bytes_max)?)),
            None => None,
        };
        Ok(Self {
            threads: pool("plugin-compile", options.compile_threads.max(1))?,
            quick: pool("plugin-quick", options.compile_threads_quick.max(1))?,
            timeout: options.compile_timeout,
            engine: engine.clone(),
            cache,
        })
    }

    /// Compiles a component, or finds it compiled already.
    pub(crate) async fn compile(&self, bytes: Bytes) -> Result<Compiled, CompileError> {
        let compiled = tokio::time::timeout(self.timeout, self.compile_patiently(bytes)).await;
        // The thread goes on with it, and the cache has it then.
        compiled.unwrap_or(Err(CompileError::TooSlow(self.timeout)))
    }

    async fn compile_patiently(&self, bytes: Bytes) -> Result<Compiled, CompileError> {
        let crashed = || CompileError::Invalid("the compiler crashed".into());
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let known = bytes.clone();
        let find = move || {
            let digest = hex_digest(&known);
            let found = cache.and_then(|cache| cache.get(&engine, &digest));
            (digest, found)
        };
        let (digest, found) = on(&self.quick, find).await.ok_or_else(crashed)?;
        if let Some(component) = found {
            return Ok(Compiled { component, digest });
        }
        let pool = match bytes.len() <= QUICK_BYTES_MAX {
            true => &self.quick,
            false => &self.threads,
        };
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let compile = move || compile_here(&engine, cache.as_deref(), &bytes, digest);
        on(pool, compile).await.ok_or_else(crashed)?
    }
}

/// Does something on threads of their own; `None` when it panics there.
async fn on<T: Send + 'static>(
    pool: &rayon::ThreadPool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    pool.spawn(move || {
        // Nobody waits any more when the load was given up.
        let _ = sender.send(work());
    });
    receiver.await.ok()
}

fn compile_here(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    digest: String,
) -> Result<Compiled, CompileError> {
    effort::check(bytes).map_err(CompileError::TooMuch)?;
    let component = Component::from_binary(engine, bytes)
        .map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
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
