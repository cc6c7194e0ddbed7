//! Where something can change what is in the plugin directory: there, and at every symbolic link on the way to it or to
//! one of its files. Links are how Kubernetes (`..data`) and Nix replace files that nobody may write to.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use notify::Event;

use crate::registry::files::plugin_name;

/// Links that are followed on the way to one file, as Linux does.
const LINKS_MAX: usize = 40;
/// Directories that are watched for one plugin directory.
const DIRS_MAX: usize = 64;

/// The directory as it is now, with everything that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surroundings {
    dir: PathBuf,
    /// Which directory the path leads to now; it may be replaced as a whole.
    identity: Option<(u64, u64)>,
    /// Names whose replacement changes what is in the directory: links on the way, and the directory itself.
    entries: BTreeSet<PathBuf>,
    /// Where these names are, and the directory itself.
    dirs: BTreeSet<PathBuf>,
}

impl Surroundings {
    /// Looks at a directory, which need not be there.
    pub(super) fn of(dir: &Path) -> Self {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let metadata = fs::metadata(&dir).ok();
        let mut found = Self {
            identity: metadata.map(|metadata| (metadata.dev(), metadata.ino())),
            entries: BTreeSet::new(),
            dirs: BTreeSet::from([dir.clone()]),
            dir,
        };
        found.follow(&found.dir.clone());
        let files = fs::read_dir(&found.dir).into_iter().flatten().flatten();
        for file in files {
            let is_link = file.file_type().is_ok_and(|kind| kind.is_symlink());
            if is_link && plugin_name(&file.file_name()).is_some() {
                found.follow(&file.path());
            }
        }
        found
    }

    /// Notes every link on the way to an absolute path, and its end.
    fn follow(&mut self, path: &Path) {
        let mut ahead = names(path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            match fs::read_link(&next) {
                Ok(target) if links < LINKS_MAX => {
                    links += 1;
                    self.note(&here, next);
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    for name in names(&target).into_iter().rev() {
                        ahead.push_front(name);
                    }
                }
                _ if ahead.is_empty() => self.note(&here, next),
                _ => here = next,
            }
        }
    }

    fn note(&mut self, dir: &Path, entry: PathBuf) {
        if self.dirs.len() < DIRS_MAX || self.dirs.contains(dir) {
            self.dirs.insert(dir.to_owned());
            self.entries.insert(entry);
        }
    }

    /// The plugin directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directories to be watched.
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(PathBuf::as_path)
    }

    /// Whether an event may be one of a plugin. What editors and copy programs write beside is not, nor what happens beside
    /// a link.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        let matters = |path: &PathBuf| {
            let is_plugin = || {
                path.file_name()
                    .is_some_and(|name| plugin_name(name).is_some())
            };
            *path == self.dir
                || self.entries.contains(path)
                || (path.parent() == Some(&self.dir) && is_plugin())
        };
        event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(matters)
    }
}

/// The names in a path, without its root and `.`.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::EventKind;

    use super::*;

    #[test]
    fn every_link_on_the_way_matters_and_nothing_beside() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        fs::create_dir_all(at("store/v1")).unwrap();
        fs::write(at("store/v1/greet.wasm"), "").unwrap();
        fs::create_dir(at("real")).unwrap();
        symlink("v1", at("store/current")).unwrap();
        symlink("real", at("plugins")).unwrap();
        symlink("../store/current/greet.wasm", at("real/greet.wasm")).unwrap();
        symlink("round.wasm", at("real/round.wasm")).unwrap();
        let seen = Surroundings::of(&at("plugins"));
        let dirs: Vec<&Path> = seen.dirs().collect();
        let expected = ["", "plugins", "real", "store", "store/v1"].map(|path| match path {
            "" => root.clone(),
            path => at(path),
        });
        assert_eq!(dirs, expected);
        for (path, concerns) in [
            ("plugins", true),
            ("plugins/new.wasm", true),
            ("plugins/.new.wasm.swp", false),
            ("plugins/new.wasm~", false),
            ("plugins/4913", false),
            ("real/greet.wasm", true),
            ("store/current", true),
            ("store/other", false),
            ("store/v1/greet.wasm", true),
            ("beside", false),
        ] {
            let event = Event::new(EventKind::Any).add_path(at(path));
            assert_eq!(seen.concerns(&event), concerns, "{path}");
        }
        assert_eq!(seen, Surroundings::of(&at("plugins")));
        fs::remove_file(at("store/current")).unwrap();
        assert_ne!(seen, Surroundings::of(&at("plugins")));
    }
}
