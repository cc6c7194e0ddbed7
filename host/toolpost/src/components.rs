//! Where compiled components are kept for whoever looks at them without being a master.

use std::path::PathBuf;

use toolpost_sandbox::{Sandbox, SandboxOptions, SetupError};
use toolpost_toolchain::default_cache_dir;

/// Names the folder of compiled components, for masters and for everybody else.
pub(crate) const CACHE_VARIABLE: &str = "TOOLPOST_PLUGIN_CACHE";

/// A sandbox that keeps what it compiles, so that `check`, `inspect`, `test` and `replay` of the same component compile it once.
///
/// # Errors
/// When the machine does not allow a sandbox.
pub(crate) fn sandbox(options: SandboxOptions) -> Result<Sandbox, SetupError> {
    let cached = SandboxOptions {
        cache_dir: Some(cache_dir()),
        ..options.clone()
    };
    match Sandbox::new(cached) {
        // Who has no folder that nobody else can write waits a little longer.
        Err(SetupError::CacheDir { .. }) => Sandbox::new(options),
        made => made,
    }
}

fn cache_dir() -> PathBuf {
    let named = std::env::var_os(CACHE_VARIABLE).filter(|named| !named.is_empty());
    named.map_or_else(|| default_cache_dir().join("components"), PathBuf::from)
}
