//! Decides which toolchain is used, cheapest way first.

use crate::{Origin, TARGET, Toolchain, ToolchainError, debian, process};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// `rustc --print` answers at once; the limit is for a broken installation.
const RUSTC_TIMEOUT: Duration = Duration::from_secs(60);

/// Where to look and how long to wait.
#[derive(Debug, Clone)]
pub struct LocateOptions {
    /// Where fetched toolchains are kept.
    pub cache_dir: PathBuf,
    /// How long `rustup target add` may take. Where it cannot reach its server it waits for ever.
    pub rustup_timeout: Duration,
    /// The directory in which the compiler is asked, so that a `rust-toolchain.toml` there counts.
    pub working_dir: PathBuf,
}

impl LocateOptions {
    /// Options for a build in `working_dir`, with the default cache directory and limits.
    #[must_use]
    pub fn new(working_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: default_cache_dir(),
            rustup_timeout: Duration::from_secs(20),
            working_dir: working_dir.into(),
        }
    }
}

/// `$XDG_CACHE_HOME/toolpost`, which by default is `~/.cache/toolpost`.
#[must_use]
pub fn default_cache_dir() -> PathBuf {
    let from_variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    from_variable("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| from_variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("toolpost")
}

pub(crate) fn locate(
    options: &LocateOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Toolchain, ToolchainError> {
    if has_target(&options.working_dir)? {
        return Ok(installed());
    }
    if let Some(root) = debian::cached(&options.cache_dir) {
        return unpacked(root, &options.working_dir);
    }
    progress(&format!("asking rustup for the {TARGET} target"));
    let rustup = match add_target(options) {
        Ok(()) if has_target(&options.working_dir)? => return Ok(installed()),
        Ok(()) => ToolchainError::OtherToolchain,
        Err(error) => error,
    };
    progress(&format!(
        "fetching Debian's Rust packages, because {rustup}"
    ));
    match debian::fetch(&options.cache_dir, progress) {
        Ok(root) => unpacked(root, &options.working_dir),
        Err(debian) => Err(ToolchainError::Unavailable {
            rustup: Box::new(rustup),
            debian: Box::new(debian),
        }),
    }
}

fn installed() -> Toolchain {
    Toolchain {
        origin: Origin::Installed,
        environment: Vec::new(),
    }
}

/// Whether the installed compiler has the standard library of [`TARGET`].
fn has_target(working_dir: &Path) -> Result<bool, ToolchainError> {
    let library_dir = ask_rustc(
        working_dir,
        &["--target", TARGET, "--print", "target-libdir"],
    )?;
    Ok(debian::has_standard_library(Path::new(library_dir.trim())))
}

fn add_target(options: &LocateOptions) -> Result<(), ToolchainError> {
    let mut command = Command::new("rustup");
    command
        .current_dir(&options.working_dir)
        .args(["target", "add", TARGET]);
    process::run(command, options.rustup_timeout).map(drop)
}

/// The environment that makes cargo use Debian's compiler with the linkers of the installed one.
fn unpacked(root: PathBuf, working_dir: &Path) -> Result<Toolchain, ToolchainError> {
    let sysroot = PathBuf::from(ask_rustc(working_dir, &["--print", "sysroot"])?.trim());
    let version = ask_rustc(working_dir, &["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let tools = sysroot.join("lib/rustlib").join(host).join("bin");
    let linker = tools.join("wasm-component-ld");
    if !linker.is_file() {
        return Err(ToolchainError::NoLinker { sysroot });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(tools.join("gcc-ld")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(directories).unwrap_or(path);
    let environment = vec![
        ("RUSTC", debian::compiler(&root).into_os_string()),
        ("CARGO_TARGET_WASM32_WASIP2_LINKER", linker.into_os_string()),
        ("PATH", path),
    ];
    Ok(Toolchain {
        origin: Origin::DebianPackages { root },
        environment,
    })
}

fn ask_rustc(working_dir: &Path, arguments: &[&str]) -> Result<String, ToolchainError> {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(working_dir).args(arguments);
    process::run(command, RUSTC_TIMEOUT)
}
