//! The watch: what a changing directory does by itself.

use std::fs;
use std::time::Duration;

use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, good, live};
use crate::tests::support::until;
use crate::{PluginRegistry, RegistryOptions};

async fn until_live(registry: &PluginRegistry, name: &str, version: &str) {
    until(&format!("{name} {version} is live"), || {
        live(registry, name) == good(version)
    })
    .await;
}

/// Nothing but signs of the system makes it look.
fn signs_only(farm: &Farm) -> RegistryOptions {
    RegistryOptions {
        rescan_interval: Duration::from_secs(3_600),
        ..farm.options()
    }
}

#[tokio::test]
async fn changes_are_seen() {
    let farm = Farm::new();
    let registry = farm.open_with(signs_only(&farm)).await;
    registry.watch();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    until_live(&registry, "greet", "1").await;
    // Written in place instead of renamed.
    fs::write(farm.path("greet.wasm"), Plugin::new("greet", "2").build()).unwrap();
    until_live(&registry, "greet", "2").await;
    farm.remove("greet.wasm");
    until("it is removed", || registry.status().is_empty()).await;
}

#[tokio::test]
async fn a_file_that_is_still_being_copied_is_not_refused() {
    let farm = Farm::new();
    let registry = farm
        .open_with(RegistryOptions {
            incomplete_patience: Duration::from_secs(3_600),
            ..signs_only(&farm)
        })
        .await;
    registry.watch();
    let component = Plugin::new("greet", "1").build();
    let half = component.len() / 2;
    fs::write(farm.path("greet.wasm"), &component[..half]).unwrap();
    // Long enough for several looks at the half.
    tokio::time::sleep(Duration::from_millis(100)).await;
    fs::write(farm.path("greet.wasm"), &component).unwrap();
    until_live(&registry, "greet", "1").await;
    assert_eq!(farm.history(), ["greet is live"]);
}

#[tokio::test]
async fn a_directory_replaced_as_a_whole_is_seen() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm
        .open_with(RegistryOptions {
            rescan_interval: Duration::from_millis(50),
            ..farm.options()
        })
        .await;
    registry.watch();
    let next = farm.dir.path().join("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("greet.wasm"), Plugin::new("greet", "2").build()).unwrap();
    fs::rename(farm.plugins(), farm.dir.path().join("old")).unwrap();
    fs::rename(&next, farm.plugins()).unwrap();
    until_live(&registry, "greet", "2").await;
    farm.put("greet.wasm", &Plugin::new("greet", "3").build());
    until_live(&registry, "greet", "3").await;
}

#[tokio::test]
async fn links_that_are_swapped_are_followed() {
    let farm = Farm::new();
    let registry = farm.open_with(signs_only(&farm)).await;
    registry.watch();
    for version in ["1", "2"] {
        let data = farm.plugins().join(format!("..data-{version}"));
        fs::create_dir(&data).unwrap();
        let component = Plugin::new("greet", version).build();
        fs::write(data.join("greet.wasm"), component).unwrap();
        let link = farm.path("..data.next");
        std::os::unix::fs::symlink(&data, &link).unwrap();
        fs::rename(link, farm.path("..data")).unwrap();
        if version == "1" {
            std::os::unix::fs::symlink("..data/greet.wasm", farm.path("greet.wasm")).unwrap();
        }
        until_live(&registry, "greet", version).await;
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_removes_nothing() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    fs::rename(farm.plugins(), farm.dir.path().join("away")).unwrap();
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("1"));
}

#[tokio::test]
async fn the_watch_ends_with_the_registry() {
    let farm = Farm::new();
    let registry = farm.open().await;
    registry.watch();
    let alive = std::sync::Arc::downgrade(&registry.inner);
    drop(registry);
    until("it is gone", || alive.strong_count() == 0).await;
}
