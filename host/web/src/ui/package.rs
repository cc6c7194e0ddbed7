//! The packages of Buildbot's web interface as pip installs them: found, read whole, and checked before anything is served.
//!
//! Requests never become paths of the file system: a file is served if it was found when the packages were read, under the name
//! that it had then.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use axum::http::HeaderValue;
use mime_guess::mime;

use crate::cache::Blob;

/// The package of the interface itself; the others are its plugins.
const BASE: &str = "buildbot_www";

/// How it is installed.
const INSTALL: &str = "pip install --target DIR buildbot-www==4.3.0 buildbot-waterfall-view==4.3.0 \
    buildbot-console-view==4.3.0 buildbot-grid-view==4.3.0";

/// Where the configuration goes in its page; what has no such place is no release that this program can serve.
pub(super) const CONFIG_PLACE: &str = "<!-- BUILDBOT_CONFIG_PLACEHOLDER -->";

/// Stock packages have some twenty files, 1.5 MiB together; these bounds are for a directory that was meant for something else.
const FILES_MAX: usize = 2_000;
const BYTES_MAX: u64 = 64 << 20;
const DEPTH_MAX: usize = 8;

/// The interface, ready to be served.
#[derive(Debug)]
pub(super) struct StockUi {
    /// Release of the interface.
    pub(super) version: String,
    /// Its page, as it is installed.
    pub(super) index: String,
    /// Plugins that are installed, by name.
    pub(super) plugins: Vec<Plugin>,
    /// Files by their path on the server, without the first slash.
    files: HashMap<String, Blob>,
}

/// A plugin of the interface.
#[derive(Debug)]
pub(super) struct Plugin {
    /// The name that it is configured by, such as `grid_view`.
    pub(super) name: String,
    /// Its release.
    pub(super) version: String,
    package: String,
}

impl StockUi {
    /// The file at a path of the server.
    pub(super) fn file(&self, path: &str) -> Option<&Blob> {
        self.files.get(path)
    }

    /// Reads what is installed in a directory.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub(super) fn load(dir: &Path) -> Result<Self, String> {
        let site = site_packages(dir)?;
        let base = site.join(BASE);
        let mut reader = Reader::default();
        reader.directory(&base.join("static"), "")?;
        let page = base.join("static/index.html");
        let index = std::fs::read_to_string(&page).map_err(|error| unreadable(&page, &error))?;
        let version = version(&base);
        if !index.contains(CONFIG_PLACE) {
            return Err(format!(
                "{} is not the page of buildbot-www 4.3.0, but of release {version}: install the release that Toolpost knows, with `{INSTALL}`",
                page.display()
            ));
        }
        for reference in references(&index) {
            if !reader.files.contains_key(reference) {
                return Err(format!(
                    "{} is missing: the installation is not complete. Do it again, with `{INSTALL}` and --upgrade",
                    base.join("static").join(reference).display()
                ));
            }
        }
        // The page is made anew for each who asks.
        reader.files.remove("index.html");
        let plugins = plugins(&site)?;
        for plugin in &plugins {
            let served = format!("plugins/{}/", plugin.name);
            reader.directory(&site.join(&plugin.package).join("static"), &served)?;
            // The interface asks each plugin for one, and complains where a plugin has none.
            let style = HeaderValue::from_static("text/css; charset=utf-8");
            reader
                .files
                .entry(format!("{served}styles.css"))
                .or_insert_with(|| Blob::file(Vec::new(), style, false));
        }
        Ok(Self {
            version,
            index,
            plugins,
            files: reader.files,
        })
    }

    /// Tells one state of a directory from another without reading what is in it.
    pub(super) fn fingerprint(dir: &Path) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Ok(site) = site_packages(dir) {
            for entry in entries(&site) {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with("buildbot_") {
                    walk(&site.join(&*name), &mut hasher, 0);
                }
            }
        }
        hasher.finish()
    }
}

fn walk(path: &Path, hasher: &mut DefaultHasher, depth: usize) {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return;
    };
    path.hash(hasher);
    if metadata.is_dir() {
        if depth < DEPTH_MAX {
            for entry in entries(path) {
                walk(&entry.path(), hasher, depth + 1);
            }
        }
    } else {
        metadata.len().hash(hasher);
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        modified.hash(hasher);
    }
}

/// The entries of a directory by name; none where it cannot be read.
fn entries(dir: &Path) -> Vec<std::fs::DirEntry> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .map(|entries| entries.flatten().collect())
        .unwrap_or_default();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    entries
}

/// Where the packages are: in the directory itself, or where a virtual environment has them.
fn site_packages(dir: &Path) -> Result<PathBuf, String> {
    if !dir.is_dir() {
        return Err(format!(
            "there is no directory {}: install the interface into it, with `{INSTALL}`",
            dir.display()
        ));
    }
    let of_python = entries(&dir.join("lib"))
        .into_iter()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"));
    std::iter::once(dir.to_owned())
        .chain(of_python)
        .find(|site| site.join(BASE).is_dir())
        .ok_or_else(|| {
            format!(
                "buildbot-www is not installed in {}: do that with `{INSTALL}`",
                dir.display()
            )
        })
}

fn version(package: &Path) -> String {
    std::fs::read_to_string(package.join("VERSION")).map_or_else(
        |_| "unknown".into(),
        |text| text.trim().chars().take(40).collect(),
    )
}

/// The plugins that packages say they have, with something to show.
fn plugins(site: &Path) -> Result<Vec<Plugin>, String> {
    let mut plugins = Vec::new();
    for entry in entries(site) {
        let name = entry.file_name();
        if !name.to_string_lossy().ends_with(".dist-info") {
            continue;
        }
        // Most packages have no such file.
        let Ok(text) = std::fs::read_to_string(entry.path().join("entry_points.txt")) else {
            continue;
        };
        for (name, package) in entry_points(&text) {
            let folder = site.join(package);
            if package != BASE && folder.join("static/scripts.js").is_file() {
                plugins.push(Plugin {
                    name: name.to_owned(),
                    version: version(&folder),
                    package: package.to_owned(),
                });
            }
        }
    }
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    match plugins.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(format!(
            "two packages in {} have a plugin `{}`: remove one of them",
            site.display(),
            pair[0].name
        )),
        None => Ok(plugins),
    }
}

/// Names and packages of the group `buildbot.www` in a file of entry points
/// (<https://packaging.python.org/specifications/entry-points/>).
fn entry_points(text: &str) -> Vec<(&str, &str)> {
    let mut is_ours = false;
    let mut found = Vec::new();
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_ours = line == "[buildbot.www]";
        } else if is_ours
            && let Some((name, object)) = line.split_once('=')
            && let Some((package, _)) = object.split_once(':')
            && is_word(name.trim())
            && is_word(package.trim())
        {
            found.push((name.trim(), package.trim()));
        }
    }
    found
}

/// Files of the package that its page needs.
fn references(index: &str) -> Vec<&str> {
    let attributes = ["src=\"", "href=\""];
    let found = attributes.iter().flat_map(|attribute| {
        index
            .split(attribute)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
    });
    found
        .map(|path| path.strip_prefix("./").unwrap_or(path))
        .filter(|path| !path.contains(':') && !path.starts_with(['/', '#']))
        .collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

/// Reads files into memory, within bounds.
#[derive(Default)]
struct Reader {
    files: HashMap<String, Blob>,
    bytes: u64,
}

impl Reader {
    /// Everything beneath a directory, to be served beneath a path.
    fn directory(&mut self, dir: &Path, served: &str) -> Result<(), String> {
        if !dir.is_dir() {
            return Err(format!(
                "{} is missing: the installation is not complete. Do it again, with `{INSTALL}` and --upgrade",
                dir.display()
            ));
        }
        self.beneath(dir, served, 0)
    }

    fn beneath(&mut self, dir: &Path, served: &str, depth: usize) -> Result<(), String> {
        for entry in entries(dir) {
            let path = entry.path();
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(&path, &error))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if kind.is_symlink() {
                return Err(format!(
                    "{} is a symbolic link, and those are not followed: install copies (`uv pip install --link-mode copy`)",
                    path.display()
                ));
            }
            let served = format!("{served}{name}");
            if kind.is_dir() && depth < DEPTH_MAX {
                self.beneath(&path, &format!("{served}/"), depth + 1)?;
            } else if kind.is_file() {
                self.file(&path, served)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, served: String) -> Result<(), String> {
        let too_much = || {
            format!(
                "{} has more than the {FILES_MAX} files or {} MiB that are served: is it the directory that buildbot-www was installed in?",
                path.display(),
                BYTES_MAX >> 20
            )
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        self.bytes = self.bytes.saturating_add(size.len());
        if self.bytes > BYTES_MAX || self.files.len() >= FILES_MAX {
            return Err(too_much());
        }
        let body = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        // Names in this folder have a digest in them.
        let is_immutable = served.starts_with("assets/");
        let blob = Blob::file(body, content_type(&served), is_immutable);
        self.files.insert(served, blob);
        Ok(())
    }
}

/// What the end of a name says.
fn content_type(name: &str) -> HeaderValue {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    let essence = guessed.essence_str();
    let is_text = guessed.type_() == mime::TEXT || essence.ends_with("javascript");
    let text = match is_text {
        true => format!("{essence}; charset=utf-8"),
        false => essence.to_owned(),
    };
    HeaderValue::try_from(text)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory as pip makes it, with an interface of few words.
    fn installed() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let page = format!(
            "<html><head><style id=\"bb-style\"></style><link href=\"icon.png\" rel=\"icon\">\
             <script type=\"module\" src=\"./assets/index-1.js\"></script></head>\
             <body><div id=\"root\"></div></body> {CONFIG_PLACE}\n</html>"
        );
        let entry = |name: &str, package: &str| format!("[buildbot.www]\n{name} = {package}:ep\n");
        for (path, text) in [
            ("buildbot_www/VERSION", "4.3.0"),
            ("buildbot_www/static/index.html", &page),
            ("buildbot_www/static/icon.png", "\u{89}PNG"),
            ("buildbot_www/static/assets/index-1.js", "start()"),
            (
                "buildbot_www-4.3.0.dist-info/entry_points.txt",
                &entry("base", "buildbot_www"),
            ),
            ("buildbot_grid_view/VERSION", "4.3.0"),
            ("buildbot_grid_view/static/scripts.js", "grid()"),
            (
                "buildbot_grid_view-4.3.0.dist-info/entry_points.txt",
                &entry("grid_view", "buildbot_grid_view"),
            ),
            (
                "buildbot_badges-4.3.0.dist-info/entry_points.txt",
                &entry("badges", "buildbot_badges"),
            ),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        dir
    }

    #[test]
    fn what_pip_installs_is_found() {
        let dir = installed();
        let venv = tempfile::tempdir().expect("a directory");
        let lib = venv.path().join("lib/python3.13");
        std::fs::create_dir_all(&lib).expect("a directory");
        let ui = StockUi::load(dir.path()).expect("an interface");
        std::fs::rename(dir.path(), lib.join("site-packages")).expect("it moves");
        let moved = StockUi::load(venv.path()).expect("an interface");
        for ui in [ui, moved] {
            let names: Vec<_> = ui.plugins.iter().map(|plugin| &*plugin.name).collect();
            assert_eq!((&*ui.version, &*names), ("4.3.0", &["grid_view"][..]));
            let mut files: Vec<_> = ui.files.keys().map(String::as_str).collect();
            files.sort_unstable();
            let expected = [
                "assets/index-1.js",
                "icon.png",
                "plugins/grid_view/scripts.js",
                "plugins/grid_view/styles.css",
            ];
            assert_eq!(files, expected);
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let told = |spoil: &dyn Fn(&Path)| {
            let dir = installed();
            spoil(dir.path());
            let error = StockUi::load(dir.path())
                .map(|_| ())
                .expect_err("a problem");
            error.replace(&dir.path().display().to_string(), "DIR")
        };
        let remove = |path: &'static str| {
            move |dir: &Path| {
                let path = dir.join(path);
                if path.is_dir() {
                    std::fs::remove_dir_all(path).expect("removed");
                } else {
                    std::fs::remove_file(path).expect("removed");
                }
            }
        };
        type Harm<'a> = &'a dyn Fn(&Path);
        let table: [(Harm<'_>, &str); 7] = [
            (&remove(""), "there is no directory DIR/: install"),
            (
                &remove("buildbot_www"),
                "buildbot-www is not installed in DIR: do that with `pip install",
            ),
            (
                &remove("buildbot_www/static"),
                "DIR/buildbot_www/static is missing",
            ),
            (
                &remove("buildbot_www/static/index.html"),
                "DIR/buildbot_www/static/index.html cannot be read",
            ),
            (
                &remove("buildbot_www/static/assets"),
                "DIR/buildbot_www/static/assets/index-1.js is missing",
            ),
            (
                &|dir| {
                    std::fs::write(dir.join("buildbot_www/static/index.html"), "old")
                        .expect("written");
                },
                "is not the page of buildbot-www 4.3.0",
            ),
            (
                &|dir| {
                    let link = dir.join("buildbot_www/static/shadow");
                    std::os::unix::fs::symlink("/etc/shadow", link).expect("a link");
                },
                "DIR/buildbot_www/static/shadow is a symbolic link",
            ),
        ];
        for (spoil, expected) in table {
            let told = told(spoil);
            let expected = expected.replace("DIR/:", "DIR:");
            assert!(told.contains(&expected), "{told:?} without {expected:?}");
        }
    }

    #[test]
    fn a_change_is_noticed() {
        let dir = installed();
        let before = StockUi::fingerprint(dir.path());
        assert_eq!(StockUi::fingerprint(dir.path()), before);
        std::fs::write(dir.path().join("buildbot_www/static/new.txt"), "x").expect("written");
        assert_ne!(StockUi::fingerprint(dir.path()), before);
    }

    #[test]
    fn only_entries_of_the_interface_are_plugins() {
        let text = "[console_scripts]\nx = y:z\n[buildbot.www]\n base = buildbot_www:ep\nbad = ../../etc:ep\n\
            ../up = buildbot_www:ep\nno_colon = a\n[other]\nb = c:d\n";
        assert_eq!(entry_points(text), [("base", "buildbot_www")]);
    }
}
