//! What a worker tells about its machine.

use std::collections::BTreeMap;
use std::path::Path;

/// Names and values as the master stores and shows them.
pub(crate) fn collect(base_dir: &Path) -> BTreeMap<String, String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut info = BTreeMap::from([
        ("system".to_owned(), std::env::consts::OS.to_owned()),
        ("architecture".to_owned(), std::env::consts::ARCH.to_owned()),
        ("numcpus".to_owned(), cpus.to_string()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("basedir".to_owned(), base_dir.display().to_string()),
    ]);
    info.extend(host_name().map(|name| ("host".to_owned(), name)));
    info
}

fn host_name() -> Option<String> {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel.or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
