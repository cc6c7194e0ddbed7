//! Plugins are swapped while builds run.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use toolpost_harness::{Api, eventually};

use crate::support::{config, farm, first_party, gate, guest_target, root, shell};

/// A plugin crate as `toolpost plugin new` makes it, whose step says something of ours.
struct Crate {
    dir: TempDir,
    name: &'static str,
}

impl Crate {
    /// `name` is of this test alone: components of all tests are in one target directory.
    async fn new(name: &'static str) -> Self {
        let dir = TempDir::with_prefix("toolpost-plugin-").unwrap();
        let made = Self { dir, name };
        let sdk = root().join("sdk/rust");
        let path = made.dir.path().to_str().unwrap();
        let new = ["new", name, "--path", path, "--sdk", sdk.to_str().unwrap()];
        made.plugin(&new).await;
        made
    }

    /// Runs a subcommand of `toolpost plugin`, which has to succeed, and gives what it printed.
    async fn plugin(&self, args: &[&str]) -> String {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_toolpost"))
            .arg("plugin")
            .args(args)
            .env("CARGO_TARGET_DIR", guest_target())
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join(self.name)
    }

    /// Replaces a text in the crate's sources, which must be there.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(from),
            "{} has no {from:?}:\n{text}",
            path.display()
        );
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Builds it with the program and gives the component.
    async fn build(&self) -> Vec<u8> {
        let output = self.dir.path().join("out");
        let folder = self.folder();
        let output = output.to_str().unwrap();
        self.plugin(&["build", folder.to_str().unwrap(), "--output", output])
            .await;
        let component = Path::new(output).join(format!("{}.wasm", self.name));
        let inspected = self.plugin(&["inspect", component.to_str().unwrap()]).await;
        assert!(inspected.contains(self.name));
        std::fs::read(component).unwrap()
    }
}

/// Digests of the versions of a plugin that are live or still used.
async fn digests(api: &Api, name: &str) -> Vec<String> {
    let plugin = api.plugin(name).await.unwrap_or(Value::Null);
    let versions = plugin["versions"].as_array().cloned().unwrap_or_default();
    versions
        .iter()
        .map(|v| v["digest"].as_str().unwrap_or_default().to_owned())
        .collect()
}

async fn live(api: &Api, name: &str) -> Option<String> {
    let plugin = api.plugin(name).await?;
    let versions = plugin["versions"].as_array()?;
    let live = versions.iter().find(|v| v["state"] == "live")?;
    Some(live["digest"].as_str()?.to_owned())
}

async fn refused(api: &Api, name: &str) -> String {
    eventually("the refusal", async || {
        Some(
            api.plugin(name).await?["last_reload"]["reason"]
                .as_str()?
                .to_owned(),
        )
    })
    .await
}

fn state_of<'a>(steps: &'a [Value], name: &str) -> &'a str {
    let step = steps.iter().find(|s| s["name"] == name);
    step.and_then(|s| s["state_string"].as_str())
        .unwrap_or_else(|| panic!("{name}: {steps:?}"))
}

fn steps(plugin: &str, open: &Path) -> String {
    // The plugin searches a repository, so there has to be one.
    let search = format!("[[builder.step]]\nuse = \"{plugin}\"\n");
    shell("git init --quiet .") + &gate(open) + &search
}

#[tokio::test]
async fn a_plugin_is_swapped_under_a_running_build() {
    let probe = Crate::new("probe").await;
    let first = probe.build().await;
    probe.edit(
        "src/lib.rs",
        "{count} lines with {word}",
        "found {count} times {word}",
    );
    probe.edit("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    let second = probe.build().await;
    assert_ne!(first, second);

    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let farm = farm(&config(&[("b", &steps("probe", &open))]))
        .plugin("probe", first)
        .start()
        .await;
    let api = farm.api();
    let old_digest = live(api, "probe").await.expect("the first version is live");
    let old = api.force("force", "b").await;
    api.running(old, "gate").await;

    farm.drop_plugin("probe", &second);
    let new_digest = eventually("the second version to be live", async || {
        live(api, "probe")
            .await
            .filter(|digest| *digest != old_digest)
    })
    .await;
    let both = digests(api, "probe").await;
    assert!(
        both.contains(&old_digest) && both.contains(&new_digest),
        "{both:?}"
    );
    let new = api.force("force", "b").await;
    api.running(new, "gate").await;
    std::fs::write(&open, "").unwrap();

    let build = api.finished(old).await;
    let text = state_of(&api.steps(&build).await, "probe").to_owned();
    assert!(
        text.contains("lines with TODO"),
        "the running build kept its version: {text}"
    );
    let build = api.finished(new).await;
    let text = state_of(&api.steps(&build).await, "probe").to_owned();
    assert!(
        text.contains("found 0 times TODO"),
        "the next build has the new one: {text}"
    );

    // A bad file and a missing one leave the last good version at work.
    farm.drop_plugin("probe", &second[..second.len() / 3]);
    let reason = refused(api, "probe").await;
    assert!(reason.contains("truncated"), "{reason}");
    let page = api.text("plugins").await.unwrap();
    assert!(page.contains("truncated"), "the page says why");
    std::fs::remove_file(farm.path("plugins/probe.wasm")).unwrap();
    eventually("the removal to be refused", async || {
        refused(api, "probe").await.contains("use").then_some(())
    })
    .await;
    let again = api.force("force", "b").await;
    let build = api.finished(again).await;
    assert_eq!(build["results"], 0);
    assert!(state_of(&api.steps(&build).await, "probe").contains("found 0 times TODO"));
    assert_eq!(live(api, "probe").await, Some(new_digest));
}

#[tokio::test]
async fn the_last_good_version_survives_a_restart() {
    let summed_up =
        "[[builder.step]]\nuse = \"test-summary\"\ncommand = \"echo ok 1; echo 1..1\"\n";
    let mut farm = farm(&config(&[("b", summed_up)]))
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let digest = live(farm.api(), "test-summary").await;
    farm.kill().await;
    farm.drop_plugin("test-summary", b"garbage");
    farm.run().await;
    assert_eq!(live(farm.api(), "test-summary").await, digest);
    let request = farm.api().force("force", "b").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
}

#[tokio::test]
async fn a_refused_version_does_not_win_by_a_restart() {
    let picky = Crate::new("picky").await;
    let good = picky.build().await;
    picky.edit("src/lib.rs", "#[serde(default = \"default_word\")]", "");
    let other = picky.build().await;
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    std::fs::write(&open, "").unwrap();
    let mut farm = farm(&config(&[("b", &steps("picky", &open))]))
        .plugin("picky", good)
        .start()
        .await;
    let digest = live(farm.api(), "picky").await;
    farm.drop_plugin("picky", &other);
    let reason = refused(farm.api(), "picky").await;
    assert!(reason.contains("does not take the parameters"), "{reason}");
    farm.kill().await;
    farm.run().await;
    assert_eq!(live(farm.api(), "picky").await, digest);
    eventually("the same refusal", async || {
        (refused(farm.api(), "picky").await == reason).then_some(())
    })
    .await;
    let request = farm.api().force("force", "b").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
}
