//! What the tests share: farms of the program under test, repositories, plugins.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use toolpost_harness::{Farm, FarmBuilder};

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A farm of the program under test.
pub(crate) fn farm(config: &str) -> FarmBuilder {
    Farm::with(env!("CARGO_BIN_EXE_toolpost"), config)
}

/// A configuration with a local worker, these builders (name and steps as TOML), and a force scheduler
/// `force` for all of them.
pub(crate) fn config(builders: &[(&str, &str)]) -> String {
    let names: Vec<String> = builders
        .iter()
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    let mut text = format!(
        "[[worker]]\nname = \"local\"\nkind = \"local\"\nmax_builds = 16\n\n\
         [[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n",
        names.join(", ")
    );
    for (name, steps) in builders {
        text.push_str(&format!(
            "\n[[builder]]\nname = {name:?}\nworkers = [\"local\"]\ncollapse_requests = false\n\n{steps}\n"
        ));
    }
    text
}

/// A shell step with this command.
pub(crate) fn shell(command: &str) -> String {
    format!("[[builder.step]]\nuse = \"shell\"\ncommand = {command:?}\n")
}

/// A shell step named `gate` that waits until the file exists. It gives up after some minutes, because a
/// farm that is killed at the end of its test cannot end its commands.
pub(crate) fn gate(file: &Path) -> String {
    let command = format!(
        "i=0; until [ -e '{}' ]; do sleep 0.05; i=$((i+1)); [ $i -lt 4000 ] || exit 1; done",
        file.display()
    );
    format!("[[builder.step]]\nuse = \"shell\"\nname = \"gate\"\ncommand = {command:?}\n")
}

/// The component of a first-party plugin.
pub(crate) fn first_party(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("TOOLPOST_TEST_PLUGINS")
        .expect("TOOLPOST_TEST_PLUGINS is not set: run the tests with `cargo xtask test`");
    let path = Path::new(&folder).join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}: run `cargo xtask plugins`", path.display()))
}

/// A component of the hostile set, from its text.
pub(crate) fn hostile(name: &str) -> Vec<u8> {
    let path = root().join(format!("tests/hostile/{name}.wat"));
    wat::parse_file(&path).unwrap_or_else(|e| panic!("{e}"))
}

/// A git repository that a poller can watch.
pub(crate) struct Repository {
    dir: TempDir,
}

impl Repository {
    /// An empty one with the branch `main`.
    pub(crate) fn new() -> Self {
        let repository = Self {
            dir: TempDir::with_prefix("toolpost-repository-").unwrap(),
        };
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Commits these files and gives the revision.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, contents) in files {
            let path = self.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args([
                "-c",
                "user.name=A U Thor",
                "-c",
                "user.email=author@localhost",
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("git is installed");
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
