//! What the application decides about the sandbox as a whole.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::HttpOptions;
use crate::machine;

/// Options of [`crate::Sandbox::new`].
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Directory of compiled components; made with mode 0700 if it is not there. `None` compiles anew
    /// at every start.
    pub cache_dir: Option<PathBuf>,
    /// Compiled components that are kept; the ones unused for longest go first.
    pub cache_bytes_max: u64,
    /// Threads that run plugins. As many as there are processors would leave none at rest for who answers people and
    /// workers, and whoever wakes up then waits for one of them although its priority is lower.
    pub threads: usize,
    /// Threads that compile plugins.
    pub compile_threads: usize,
    /// Threads for small components: what an author waits for. All cores, for a moment and at a low priority.
    pub compile_threads_quick: usize,
    /// How long the compilation of one component is waited for.
    pub compile_timeout: Duration,
    /// Calls that exist at one time; further callers wait in order. What bounds them is memory; this is only as many as the
    /// process's address space can be divided between (`MAPPINGS_PER_CALL`).
    pub calls_max: usize,
    /// Memory of all calls together; calls that want more wait in order.
    pub memory_bytes_max: usize,
    /// How long a call waits for more memory when all calls together have it.
    pub growth_wait_max: Duration,
    /// How long a description waits until there is room for it.
    pub describe_wait_max: Duration,
    /// Stack of a plugin.
    pub stack_bytes_max: usize,
    /// A component that is larger is not loaded.
    pub component_bytes_max: u64,
    /// How often plugins that compute let others have their core first.
    pub tick: Duration,
    /// Whether to reserve address space for all calls at the start, which makes a call
    /// cheaper; without effect where the machine does not allow it.
    pub pooling: bool,
    /// How plugins speak HTTP.
    pub http: HttpOptions,
    /// Whether the threads have a lower priority, for the sake of what runs beside them.
    pub low_priority: bool,
    /// Whether calls run on the runtime of their caller instead of threads of their own: for tests of plugins, whose runtime has
    /// a clock that is put forward when everybody waits. A plugin that computes keeps such a caller.
    pub calls_on_callers_runtime: bool,
}

/// Mappings of the process's address space that a call takes: four for its memory (untouched, from the component, grown, guard)
/// and two for its stack.
const MAPPINGS_PER_CALL: usize = 6;
/// Mappings that are left to the rest of the process.
const MAPPINGS_OF_OTHERS: usize = 5_000;
/// Where the system does not say: what Linux allows unless told otherwise (`vm.max_map_count`).
const MAPPINGS_DEFAULT: usize = 65_530;
/// However many mappings there may be: each call has 4 GiB of addresses, of which a process has 128 TiB.
const CALLS_CEILING: usize = 20_000;

/// More threads do not make a small component faster.
const COMPILE_THREADS_QUICK_MAX: usize = 4;

impl Default for SandboxOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cache_dir: None,
            cache_bytes_max: 1 << 30,
            threads: (cores / 2).max(1),
            compile_threads: cores.saturating_sub(1).max(1),
            compile_threads_quick: cores.min(COMPILE_THREADS_QUICK_MAX),
            compile_timeout: Duration::from_secs(5 * 60),
            calls_max: calls_for(mappings_max()),
            memory_bytes_max: half_of_the_machine(),
            growth_wait_max: Duration::from_secs(5 * 60),
            describe_wait_max: Duration::from_secs(30),
            stack_bytes_max: 512 << 10,
            component_bytes_max: 64 << 20,
            tick: Duration::from_millis(1),
            pooling: true,
            http: HttpOptions::default(),
            low_priority: true,
            calls_on_callers_runtime: false,
        }
    }
}

/// How many mappings this process may have.
fn mappings_max() -> usize {
    let told = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let told = told.ok().and_then(|text| text.trim().parse().ok());
    told.unwrap_or(MAPPINGS_DEFAULT)
}

/// How many calls so many mappings allow.
fn calls_for(mappings: usize) -> usize {
    let calls = mappings.saturating_sub(MAPPINGS_OF_OTHERS) / MAPPINGS_PER_CALL;
    calls.clamp(1, CALLS_CEILING)
}

/// Half of the memory that this process may have, in bytes.
fn half_of_the_machine() -> usize {
    const UNKNOWN: u64 = 2 << 30;
    let all = machine::memory_bytes().unwrap_or(UNKNOWN);
    usize::try_from(all / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::RESERVED_CALLS_MAX;

    #[test]
    fn defaults_fit_the_machine() {
        let options = SandboxOptions::default();
        assert!(options.memory_bytes_max >= 64 << 20);
        assert!(options.threads >= 1 && options.compile_threads >= 1);
    }

    #[test]
    fn ten_thousand_calls_fit_the_mappings_that_linux_allows() {
        assert_eq!(calls_for(MAPPINGS_DEFAULT), 10_088);
        assert!(calls_for(MAPPINGS_DEFAULT) - RESERVED_CALLS_MAX >= 10_000);
        assert_eq!(calls_for(1 << 20), CALLS_CEILING);
        assert_eq!(calls_for(0), 1);
    }
}
