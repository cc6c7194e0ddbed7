//! The WebAssembly engine, set up for plugins.
//!
//! Address space for all calls is reserved at the start where the machine allows it (the pooling
//! allocator): then a call costs no system call for its memory. A machine with a limit on address space gets
//! a smaller pool, or memory on demand.

mod large_pages;
mod nudge;
mod priority;
mod ticker;

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::admission::Room;
use crate::{SandboxOptions, SetupError};

pub(crate) use nudge::{Stretch, Threads, give_way};
pub(crate) use priority::PLUGIN_NICE;
pub use priority::{lower_thread_priority, shorten_thread_turns, shorten_turns_of};
pub(crate) use ticker::Ticker;

/// Stack that is left for host functions, which run on the plugin's stack.
const HOST_STACK_BYTES: usize = 512 << 10;
/// Frames of a stack that people are shown.
const STACK_FRAMES_MAX: usize = 30;
/// Pools that are tried, largest first, as shares of the configured number of calls.
const POOL_SHARES: [usize; 3] = [1, 10, 100];
/// Tables of one component, on average: a Rust component has 2, a Python one about 20. Where there are more, fewer calls are let in.
const TABLES_PER_CALL: usize = 4;
/// Elements of one table; the limit of a call is enforced by its own limiter.
const TABLE_ELEMENTS_MAX: usize = 64 << 10;
/// Bytes of an idle slot that stay in memory, so that the next call does not fault them in again.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// Idle slots that keep them.
const WARM_SLOTS_MAX: u32 = 100;

/// An engine and what it could reserve.
pub(crate) struct BuiltEngine {
    pub(crate) engine: Engine,
    /// What the pool has room for, bytes aside; `None` without a pool.
    pub(crate) pooled: Option<Room>,
}

/// The best engine that this machine allows.
pub(crate) fn build(options: &SandboxOptions) -> Result<BuiltEngine, SetupError> {
    if options.pooling {
        for share in POOL_SHARES {
            let calls = (options.calls_max / share).max(1);
            match Engine::new(&pooled(options, calls)) {
                Ok(engine) => {
                    large_pages::use_large_pages(&engine);
                    return Ok(BuiltEngine {
                        engine,
                        pooled: Some(room(calls)),
                    });
                }
                Err(error) => {
                    tracing::debug!("no address space for {calls} plugin calls: {error:#}");
                }
            }
        }
        tracing::info!(
            "this machine does not allow to reserve address space; plugins get memory on demand"
        );
    }
    let engine =
        Engine::new(&common(options)).map_err(|error| SetupError::Engine(format!("{error:#}")))?;
    Ok(BuiltEngine {
        engine,
        pooled: None,
    })
}

fn common(options: &SandboxOptions) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // No plugin of this contract is asynchronous inside, and a call is cheaper without.
        .concurrency_support(false)
        .max_wasm_stack(options.stack_bytes_max)
        .async_stack_size(options.stack_bytes_max + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(STACK_FRAMES_MAX));
    config
}

/// What a pool for so many calls has.
fn room(calls: usize) -> Room {
    Room {
        calls,
        memories: calls,
        tables: calls * TABLES_PER_CALL,
        bytes: usize::MAX,
    }
}

fn pooled(options: &SandboxOptions, calls: usize) -> Config {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let room = room(calls);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(calls))
        .total_stacks(count(calls))
        .total_memories(count(room.memories))
        // Only a number: an instance has no place of its own in the pool.
        .total_core_instances(u32::MAX)
        .total_tables(count(room.tables))
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_tables_per_module(16)
        .max_memories_per_module(16)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(WARM_SLOTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .async_stack_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = common(options);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module, Store};

    use super::*;

    /// With large pages as well, which the system replaces, scans and gives up in other ways than small ones.
    #[test]
    fn nothing_is_left_of_a_large_memory_in_its_place() {
        const PAGES: u64 = 400;
        /// In the middle of a page, beside what the module fills itself, and well inside.
        const BEGINNINGS: [usize; 3] = [2_000, 65_536, 4_200_000];
        const TEXT: &str = r#"(module (memory (export "m") 17) (data (i32.const 1024) "ab"))"#;
        let options = SandboxOptions {
            calls_max: 1,
            ..SandboxOptions::default()
        };
        let built = build(&options).unwrap();
        assert!(built.pooled.is_some(), "the machine allows no pool");
        let module = Module::new(&built.engine, wat::parse_str(TEXT).unwrap()).unwrap();
        for beginning in BEGINNINGS {
            for _ in 0..2 {
                let mut store = Store::new(&built.engine, ());
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                let memory = instance.get_memory(&mut store, "m").unwrap();
                memory.grow(&mut store, PAGES).unwrap();
                let bytes = memory.data_mut(&mut store);
                let (text, rest) = bytes.split_at_mut(1026);
                assert!(text.ends_with(b"\0ab") && rest.iter().all(|byte| *byte == 0));
                bytes[beginning..].fill(0xa5);
            }
        }
    }
}
