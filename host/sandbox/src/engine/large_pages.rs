//! Large pages for the memory of large plugins.
//!
//! Linux gives a page that is read before it is written as the one page of zeros that all share, and replaces it at the first
//! write; for each replacement it interrupts all cores that run this process (a TLB shootdown), and those who wait for the master
//! wait for that. A plugin that copied fresh memory did it ten thousand times a second, and was in the kernel for half of its
//! time. With pages of 2 MiB there is one for each 512 of them. Memory of less than 2 MiB stays as it is, since no large page fits
//! in it: small plugins take no more than they did.

use wasmtime::{Engine, Instance, Module, Store};

/// A module that has nothing but an empty memory with the name `m`, in the binary format.
const EMPTY_MEMORY: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\0\x07\x05\x01\x01m\x02\0";

/// Asks for large pages wherever the pool of this engine puts memories. Best effort: not every system has them.
pub(super) fn use_large_pages(engine: &Engine) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let asked = place_in_pool(engine)
        .and_then(|place| mapping_around(place).map_err(wasmtime::Error::from))
        .and_then(|(start, end)| ask(start, end).map_err(wasmtime::Error::from));
    if let Err(error) = asked {
        tracing::debug!("plugins have no large pages: {error:#}");
    }
}

/// An address in the memories of the pool.
fn place_in_pool(engine: &Engine) -> wasmtime::Result<usize> {
    let module = Module::from_binary(engine, EMPTY_MEMORY)?;
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance
        .get_memory(&mut store, "m")
        .ok_or_else(|| wasmtime::Error::msg("the memory is not there"))?;
    Ok(memory.data_ptr(&store).addr())
}

/// First address of the mapping that this one is in, and the one after its last.
fn mapping_around(place: usize) -> std::io::Result<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let ranges = maps.lines().filter_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?))
    });
    let mut around = ranges.filter(|(start, end)| (*start..*end).contains(&place));
    around.next().ok_or(std::io::ErrorKind::NotFound.into())
}

#[cfg(target_os = "linux")]
fn ask(start: usize, end: usize) -> std::io::Result<()> {
    let first = std::ptr::with_exposed_provenance_mut(start);
    #[expect(
        unsafe_code,
        reason = "there is no safe interface to `madvise`, and the engine has no option for it"
    )]
    // SAFETY: it changes neither what is in the memory nor who may use it, only the size of the pages that the system takes for
    // it from now on; the mapping lives as long as the engine, and for another one there it would mean no more.
    let done =
        unsafe { rustix::mm::madvise(first, end - start, rustix::mm::Advice::LinuxHugepage) };
    Ok(done?)
}

#[cfg(not(target_os = "linux"))]
fn ask(_start: usize, _end: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::SandboxOptions;
    use crate::engine::build;

    #[test]
    fn the_mapping_of_the_pool_is_found() {
        let built = build(&SandboxOptions {
            calls_max: 10,
            ..SandboxOptions::default()
        });
        let built = built.unwrap();
        let place = place_in_pool(&built.engine).unwrap();
        let (start, end) = mapping_around(place).unwrap();
        // Each memory has 4 GiB of addresses.
        assert!((start..end).contains(&place) && end - start > 10 << 32);
    }
}
