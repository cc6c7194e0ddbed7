//! Plugins are swapped while builds run.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use toolpost_harness::{Api, Farm, eventually};

use crate::support::{config, farm, gate, root, shell};

/// A plugin crate as `toolpost plugin new` makes it, whose step says something of ours.
struct Crate {
    dir: TempDir,
    farm: Farm,
}

impl Crate {
    async fn new() -> Self {
        let dir = TempDir::with_prefix("toolpost-plugin-").unwrap();
        let farm = farm("").prepare();
        let sdk = root().join("sdk/rust");
        let path = dir.path().to_str().unwrap();
        let new = [
            "plugin",
            "new",
            "probe",
            "--path",
            path,
            "--sdk",
            sdk.to_str().unwrap(),
        ];
        let made = farm.cli(&new).await;
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self { dir, farm }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("probe")
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
        let args = [
            "plugin",
            "build",
            folder.to_str().unwrap(),
            "--output",
            output.to_str().unwrap(),
        ];
        let built = self.farm.cli(&args).await;
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let component = output.join("probe.wasm");
        let inspected = self
            .farm
            .cli(&["plugin", "inspect", component.to_str().unwrap()])
            .await;
        assert!(
            inspected.status.success(),
            "{}",
            String::from_utf8_lossy(&inspected.stderr)
        );
        assert!(String::from_utf8_lossy(&inspected.stdout).contains("probe"));
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

fn steps(open: &Path) -> String {
    // The probe searches a repository, so there has to be one.
    shell("git init --quiet .") + &gate(open) + "[[builder.step]]\nuse = \"probe\"\n"
}

#[tokio::test]
async fn a_plugin_is_swapped_under_a_running_build() {
    let probe = Crate::new().await;
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
    let farm = farm(&config(&[("b", &steps(&open))]))
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
    let probe = Crate::new().await;
    let good = probe.build().await;
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    std::fs::write(&open, "").unwrap();
    let mut farm = farm(&config(&[("b", &steps(&open))]))
        .plugin("probe", good)
        .start()
        .await;
    let digest = live(farm.api(), "probe").await;
    farm.kill().await;
    farm.drop_plugin("probe", b"garbage");
    farm.run().await;
    assert_eq!(live(farm.api(), "probe").await, digest);
    let request = farm.api().force("force", "b").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
}

#[tokio::test]
async fn a_refused_version_does_not_win_by_a_restart() {
    let probe = Crate::new().await;
    let good = probe.build().await;
    probe.edit("src/lib.rs", "#[serde(default = \"default_word\")]", "");
    let other = probe.build().await;
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    std::fs::write(&open, "").unwrap();
    let mut farm = farm(&config(&[("b", &steps(&open))]))
        .plugin("probe", good)
        .start()
        .await;
    let digest = live(farm.api(), "probe").await;
    farm.drop_plugin("probe", &other);
    let reason = refused(farm.api(), "probe").await;
    assert!(reason.contains("does not take the parameters"), "{reason}");
    farm.kill().await;
    farm.run().await;
    assert_eq!(live(farm.api(), "probe").await, digest);
    eventually("the same refusal", async || {
        (refused(farm.api(), "probe").await == reason).then_some(())
    })
    .await;
    let request = farm.api().force("force", "b").await;
    assert_eq!(farm.api().finished(request).await["results"], 0);
}
