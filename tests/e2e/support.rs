//! What the tests share: farms of the program under test, repositories, plugins.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
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

/// Writes a secret as operators have to: only for its owner.
pub(crate) fn write_secret(file: &Path, value: &str) {
    std::fs::write(file, value).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A hash of a password, as the program makes it.
pub(crate) fn password_hash(password: &str) -> String {
    let mut process = Command::new(env!("CARGO_BIN_EXE_toolpost"))
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(password.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The key of webhooks.
pub(crate) const HOOK_KEY: &str = "the key of the hook";

/// The key that [`webhook_grants`] is about, in a file of this folder.
pub(crate) fn hook_key(dir: &Path) -> PathBuf {
    let file = dir.join("hook-key");
    write_secret(&file, HOOK_KEY);
    file
}

/// Lets `reporter-webhook` do what it asks for: send requests, as `grant` says, and sign them with a key.
pub(crate) fn webhook_grants(grant: &str, key: &Path) -> String {
    format!(
        "\n[plugin.reporter-webhook]\n{grant}\ngrant.secrets = [\"hook-key\"]\n\n[secret.hook-key]\nfile = {key:?}\n"
    )
}

/// A component of the hostile set.
pub(crate) fn hostile(name: &str) -> Vec<u8> {
    toolpost_hostile::component(name)
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

    /// Makes so many commits without files on top of `main`, and gives their revisions, oldest first.
    pub(crate) fn commit_many(&self, count: usize) -> Vec<String> {
        let mut import = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git is installed");
        let mut stream = String::new();
        for number in 0..count {
            stream.push_str(&format!(
                "commit refs/heads/main\ncommitter A U Thor <author@localhost> {} +0000\ndata <<END\ncommit {number}\nEND\n",
                1_700_000_000 + number
            ));
            if number == 0 {
                stream.push_str("from refs/heads/main^0\n");
            }
        }
        let mut stdin = import.stdin.take().expect("it is piped");
        stdin.write_all(stream.as_bytes()).expect("git reads it");
        drop(stdin);
        assert!(import.wait().expect("git ends").success());
        let count = format!("--max-count={count}");
        let listed = self.git(&["rev-list", "--reverse", &count, "main"]);
        listed.lines().map(str::to_owned).collect()
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

/// Where plugins of the tests are compiled, so that what they depend on is compiled once.
///
/// Beside the target directory of the program, so that it outlives the test and not the clone.
pub(crate) fn guest_target() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_toolpost"));
    let target = program.ancestors().nth(2).unwrap();
    target.join("guide")
}
