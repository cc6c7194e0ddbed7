//! Unpacks Debian's ready-built Rust packages into the cache.
//!
//! Debian packages the standard library for WebAssembly next to its compiler, so a machine that
//! reaches a Debian mirror and nothing else can build plugins. apt runs with directories of its own
//! here: it checks the archive's signatures as usual, and the system's packages, lists and caches
//! stay untouched. No root is needed.

mod sources;

use crate::{TARGET, ToolchainError, process};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The release whose packages are used, whatever this system runs: they bring their own C library.
const SUITE: &str = "trixie";

/// The compiler with the standard library of this machine and of WebAssembly, and every shared
/// library that it loads.
const PACKAGES: &[&str] = &[
    "rustc",
    "libstd-rust-1.85",
    "libstd-rust-dev",
    "libstd-rust-dev-wasm32",
    "libllvm19",
    "libc6",
    "libgcc-s1",
    "gcc-14-base",
    "libstdc++6",
    "libz3-4",
    "libxml2",
    "libedit2",
    "libffi8",
    "libbsd0",
    "libmd0",
    "libtinfo6",
    "liblzma5",
    "zlib1g",
    "libzstd1",
];

/// Changes whenever a different content would be unpacked, so that an old cache is left alone.
const RECIPE: &str = "debian-trixie-rust-1.85-1";

/// The packages have 140 MB; this allows for 0.25 MB/s.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);
const UNPACK_TIMEOUT: Duration = Duration::from_secs(300);

/// What differs between processors.
struct Machine {
    loader: &'static str,
    libraries: &'static str,
}

fn machine() -> Result<Machine, ToolchainError> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok(Machine {
            loader: "usr/lib64/ld-linux-x86-64.so.2",
            libraries: "usr/lib/x86_64-linux-gnu",
        }),
        ("linux", "aarch64") => Ok(Machine {
            loader: "usr/lib/ld-linux-aarch64.so.1",
            libraries: "usr/lib/aarch64-linux-gnu",
        }),
        (_, architecture) => Err(ToolchainError::Architecture { architecture }),
    }
}

/// The toolchain that an earlier run has unpacked.
pub(crate) fn cached(cache_dir: &Path) -> Option<PathBuf> {
    // The directory gets its name when it is complete, so its being there is enough.
    Some(root_dir(cache_dir)).filter(|root| root.is_dir())
}

/// The program that behaves as `rustc`.
pub(crate) fn compiler(root: &Path) -> PathBuf {
    root.join("rustc")
}

/// Whether `library_dir` holds a standard library.
pub(crate) fn has_standard_library(library_dir: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(library_dir) else {
        return false;
    };
    entries.any(|entry| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// Fetches and unpacks the toolchain, once however many processes want it at the same moment.
pub(crate) fn fetch(
    cache_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolchainError> {
    let machine = machine()?;
    let archive = sources::archive_uri(Path::new("/etc/apt")).ok_or(ToolchainError::NotDebian)?;
    fs::create_dir_all(cache_dir).map_err(ToolchainError::file("create", cache_dir))?;
    let lock_path = cache_dir.join(format!("{RECIPE}.lock"));
    let lock = File::create(&lock_path).map_err(ToolchainError::file("create", &lock_path))?;
    lock.lock()
        .map_err(ToolchainError::file("lock", &lock_path))?;
    if let Some(root) = cached(cache_dir) {
        return Ok(root);
    }

    let staging = tempfile::Builder::new()
        .prefix(".staging-")
        .tempdir_in(cache_dir)
        .map_err(ToolchainError::file("create a directory in", cache_dir))?;
    let (apt, tree) = (staging.path().join("apt"), staging.path().join("root"));
    download(&apt, &archive, progress)?;
    unpack(&apt, &tree, progress)?;
    write_compiler(&tree, &machine)?;
    verify(&tree)?;
    let root = root_dir(cache_dir);
    fs::rename(&tree, &root).map_err(ToolchainError::file("create", &root))?;
    Ok(root)
}

fn root_dir(cache_dir: &Path) -> PathBuf {
    cache_dir.join(format!("{RECIPE}-{}", std::env::consts::ARCH))
}

/// Lets apt fetch [`PACKAGES`] into `apt`.
fn download(
    apt: &Path,
    archive: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ToolchainError> {
    for directory in ["state/lists/partial", "cache/archives/partial", "packages"] {
        let path = apt.join(directory);
        fs::create_dir_all(&path).map_err(ToolchainError::file("create", &path))?;
    }
    let write = |name: &str, text: &str| {
        let path = apt.join(name);
        fs::write(&path, text).map_err(ToolchainError::file("write", path))
    };
    write("status", "")?;
    write(
        "sources.list",
        &format!("deb [signed-by={}] {archive} {SUITE} main\n", keyring()?),
    )?;
    write("apt.conf", &configuration(apt))?;

    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .current_dir(apt.join("packages"))
            .arg("-c")
            .arg(apt.join("apt.conf"));
        command.arg("-q").args(arguments);
        process::run(command, DOWNLOAD_TIMEOUT)
    };
    progress(&format!("downloading Rust for WebAssembly from {archive}"));
    apt_get(&["update"])?;
    apt_get(&[&["download"], PACKAGES].concat()).map(drop)
}

/// apt's configuration: everything below `apt`, and none of the hooks of the system.
fn configuration(apt: &Path) -> String {
    let apt = apt.display();
    format!(
        r#"Dir::State "{apt}/state";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
Dir::Etc::SourceList "{apt}/sources.list";
Dir::Etc::SourceParts "-";
APT::Sandbox::User "";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
"#
    )
}

fn keyring() -> Result<&'static str, ToolchainError> {
    const KEYRINGS: [&str; 2] = [
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/keyrings/debian-archive-keyring.pgp",
    ];
    let keyring = KEYRINGS.into_iter().find(|path| Path::new(path).is_file());
    keyring.ok_or(ToolchainError::NotDebian)
}

fn unpack(apt: &Path, tree: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ToolchainError> {
    progress("unpacking it");
    let packages = apt.join("packages");
    let entries = fs::read_dir(&packages).map_err(ToolchainError::file("read", &packages))?;
    for entry in entries {
        let entry = entry.map_err(ToolchainError::file("read", &packages))?;
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(entry.path()).arg(tree);
        process::run(command, UNPACK_TIMEOUT)?;
    }
    Ok(())
}

/// Writes the program that stands for `rustc`: it starts the real one with the libraries next to it,
/// wherever the directory is.
fn write_compiler(tree: &Path, machine: &Machine) -> Result<(), ToolchainError> {
    let Machine { loader, libraries } = machine;
    let script = format!(
        "#!/bin/sh\nroot=${{0%/*}}\n\
         exec \"$root/{loader}\" --library-path \"$root/{libraries}:$root/usr/lib\" \
         \"$root/usr/bin/rustc\" --sysroot \"$root/usr\" \"$@\"\n"
    );
    let path = compiler(tree);
    fs::write(&path, script).map_err(ToolchainError::file("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .map_err(ToolchainError::file("make executable", &path))
}

/// Runs the unpacked compiler, so that an archive with other contents is noticed now and here.
fn verify(tree: &Path) -> Result<(), ToolchainError> {
    let mut command = Command::new(compiler(tree));
    command.args(["--target", TARGET, "--print", "target-libdir"]);
    let library_dir = PathBuf::from(process::run(command, UNPACK_TIMEOUT)?.trim());
    if has_standard_library(&library_dir) {
        return Ok(());
    }
    let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
    Err(ToolchainError::file(
        "find the standard library in",
        library_dir,
    )(missing))
}
