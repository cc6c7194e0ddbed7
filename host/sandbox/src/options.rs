//! What the application decides about the sandbox as a whole.

use std::path::PathBuf;
use std::time::Duration;

/// Options of [`crate::Sandbox::new`].
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Directory of compiled components; made with mode 0700 if it is not there. `None` compiles anew
    /// at every start.
    pub cache_dir: Option<PathBuf>,
    /// Compiled components that are kept; the ones unused for longest go first.
    pub cache_bytes_max: u64,
    /// Threads that run plugins, at a lower priority of the operating system.
    pub threads: usize,
    /// Threads that compile plugins, at the same low priority.
    pub compile_threads: usize,
    /// Calls that exist at one time; further callers wait in order.
    pub calls_max: usize,
    /// Memory of all calls together; calls that want more wait in order.
    pub memory_bytes_max: usize,
    /// Stack of a plugin.
    pub stack_bytes_max: usize,
    /// A component that is larger is not loaded.
    pub component_bytes_max: u64,
    /// How often running plugins look at their limits and let others run.
    pub tick: Duration,
    /// Whether to reserve address space for all calls at the start, which makes a call
    /// cheaper; without effect where the machine does not allow it.
    pub pooling: bool,
    /// Whether to use wasmtime's machinery for components that are asynchronous inside. No plugin of this
    /// contract needs it; it is here to be measured.
    pub concurrency_support: bool,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cache_dir: None,
            cache_bytes_max: 1 << 30,
            threads: cores,
            compile_threads: cores.saturating_sub(1).max(1),
            calls_max: 10_000,
            memory_bytes_max: 1 << 30,
            stack_bytes_max: 512 << 10,
            component_bytes_max: 64 << 20,
            tick: Duration::from_millis(10),
            pooling: true,
            concurrency_support: false,
        }
    }
}
