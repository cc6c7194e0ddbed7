//! Compiled components on disk, so that a start does not compile them again.
//!
//! Loading one runs its bytes as machine code. Therefore the directory and every file in it must belong to
//! this user and be writable by nobody else, and a file carries a checksum that finds damage. Whoever can write as this
//! user can run code as this user anyway.
//!
//! The name of a file has the component's digest and a hash of everything that the code depends on
//! (version and settings of the engine, features of the processor). The cache is never needed: whatever goes
//! wrong with a file costs a compilation.

use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::SetupError;

/// Permissions that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// SHA-256 in front of the compiled code.
const CHECKSUM_BYTES: usize = 32;
const SUFFIX: &str = "cwasm";

pub(super) struct Cache {
    dir: PathBuf,
    /// What compiled code depends on, hexadecimal.
    compatibility: String,
    bytes_max: u64,
    /// Makes names of temporary files unique in this process.
    next_temporary: AtomicU64,
}

impl Cache {
    /// Opens the directory, or makes it.
    pub(super) fn open(dir: &Path, engine: &Engine, bytes_max: u64) -> Result<Self, SetupError> {
        let refuse = |reason: String| SetupError::CacheDir {
            path: dir.to_owned(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| refuse(error.to_string()))?;
        let metadata = fs::symlink_metadata(dir).map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_dir() {
            return Err(refuse("it is not a directory".into()));
        }
        if !is_private(&metadata) {
            return Err(refuse(
                "others could put code into it; it must belong to this user and have mode 0700"
                    .into(),
            ));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            dir: dir.to_owned(),
            compatibility: format!("{:016x}", hasher.finish()),
            bytes_max,
            next_temporary: AtomicU64::new(0),
        })
    }

    /// The compiled component with this digest, if it is there and sound.
    pub(super) fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        match self.load(engine, &path) {
            Ok(component) => component,
            Err(reason) => {
                tracing::warn!(
                    "compiles a plugin again, because {}: {reason}",
                    path.display()
                );
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn load(&self, engine: &Engine, path: &Path) -> Result<Option<Component>, String> {
        let Some(code) = read_checked(path)? else {
            return Ok(None);
        };
        #[expect(
            unsafe_code,
            reason = "the only way to load compiled code; only this user can have written it, and its checksum is right"
        )]
        let component = unsafe { Component::deserialize(engine, &code) };
        component.map(Some).map_err(|error| format!("{error:#}"))
    }

    /// Keeps a compiled component. A failure is only logged.
    pub(super) fn put(&self, digest: &str, component: &Component) {
        let written = component
            .serialize()
            .map_err(|error| format!("{error:#}"))
            .and_then(|code| self.write(digest, &code).map_err(|error| error.to_string()));
        if let Err(reason) = written {
            let dir = self.dir.display();
            tracing::warn!("cannot keep a compiled plugin in {dir}: {reason}");
        }
    }

    fn write(&self, digest: &str, code: &[u8]) -> std::io::Result<()> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .dir
            .join(format!(".{}-{number}.tmp", std::process::id()));
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let renamed = file
            .write_all(&Sha256::digest(code))
            .and_then(|()| file.write_all(code))
            .and_then(|()| fs::rename(&temporary, self.path(digest)));
        if renamed.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        renamed?;
        self.prune()
    }

    /// Removes the files that were not used for longest until the rest is small enough.
    fn prune(&self) -> std::io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                let metadata = entry.metadata()?;
                let used = metadata.accessed().or_else(|_| metadata.modified())?;
                files.push((used, metadata.len(), path));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= self.bytes_max {
                break;
            }
            fs::remove_file(path)?;
            total -= length;
        }
        Ok(())
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir
            .join(format!("{digest}-{}.{SUFFIX}", self.compatibility))
    }
}

/// The code in a file, `None` when there is no file.
fn read_checked(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let mut file = match File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() || !is_private(&metadata) {
        return Err("others could have written it".into());
    }
    let mut checksum = [0; CHECKSUM_BYTES];
    let mut code = Vec::new();
    file.read_exact(&mut checksum)
        .and_then(|()| file.read_to_end(&mut code))
        .map_err(|error| error.to_string())?;
    if Sha256::digest(&code)[..] != checksum {
        return Err("it is damaged".into());
    }
    Ok(Some(code))
}

fn is_private(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn component(engine: &Engine) -> Component {
        Component::new(engine, "(component (core module (func)))").unwrap()
    }

    fn open(dir: &Path, bytes_max: u64) -> (Cache, Engine) {
        let engine = Engine::default();
        let cache = Cache::open(dir, &engine, bytes_max).unwrap();
        (cache, engine)
    }

    #[test]
    fn what_was_put_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = open(&dir.path().join("new"), u64::MAX);
        assert!(cache.get(&engine, "d1").is_none());
        cache.put("d1", &component(&engine));
        assert!(cache.get(&engine, "d1").is_some());
        assert!(cache.get(&engine, "d2").is_none());
    }

    #[test]
    fn a_damaged_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = open(dir.path(), u64::MAX);
        let damages: [fn(&mut Vec<u8>); 3] = [
            |bytes| bytes.truncate(100),
            |bytes| bytes.clear(),
            |bytes| *bytes.last_mut().unwrap() ^= 1,
        ];
        for damage in damages {
            cache.put("d1", &component(&engine));
            let mut bytes = fs::read(cache.path("d1")).unwrap();
            damage(&mut bytes);
            fs::write(cache.path("d1"), bytes).unwrap();
            assert!(cache.get(&engine, "d1").is_none());
            assert!(!cache.path("d1").exists());
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = open(dir.path(), u64::MAX);
        cache.put("d1", &component(&engine));
        fs::set_permissions(cache.path("d1"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.get(&engine, "d1").is_none());
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Cache::open(dir.path(), &Engine::default(), u64::MAX)
            .err()
            .unwrap();
        assert!(refused.to_string().contains("mode 0700"), "{refused}");
    }

    #[test]
    fn it_does_not_grow_past_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = open(dir.path(), 0);
        cache.put("d1", &component(&engine));
        assert!(cache.get(&engine, "d1").is_none());
    }
}
