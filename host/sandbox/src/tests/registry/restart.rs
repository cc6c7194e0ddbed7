//! A start with what the store remembers.

use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, bad, good, live, no_parameters, says};

/// A farm whose plugin `greet` 1 was live before it stopped.
async fn after_a_run() -> Farm {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    farm.open().await;
    farm
}

#[tokio::test]
async fn a_bad_file_starts_the_last_good_version() {
    let farm = after_a_run().await;
    let broken = Plugin::new("greet", "2").build();
    farm.put("greet.wasm", &broken.slice(..broken.len() / 2));
    let registry = farm.open().await;
    let (version, problem) = live(&registry, "greet");
    assert_eq!(version.as_deref(), Some("1"));
    assert!(problem.unwrap().starts_with("is truncated"));
    assert_eq!(says(&registry, "greet").await, "1");
}

#[tokio::test]
async fn a_missing_file_starts_the_last_good_version_until_it_is_not_needed() {
    let farm = after_a_run().await;
    farm.remove("greet.wasm");
    let registry = farm.open().await;
    let reason =
        "the file is gone; the last good version goes on until the configuration does without it";
    assert_eq!(live(&registry, "greet"), bad(Some("1"), reason));
    farm.uses("greet", no_parameters());
    registry.rescan().await;
    assert_eq!(says(&registry, "greet").await, "1");
    farm.uses_nothing();
    registry.rescan().await;
    assert_eq!(registry.status(), []);
    assert_eq!(farm.open().await.status(), [], "removed for good");
}

#[tokio::test]
async fn a_changed_file_starts_as_it_is() {
    let farm = after_a_run().await;
    farm.put("greet.wasm", &Plugin::new("greet", "2").build());
    assert_eq!(live(&farm.open().await, "greet"), good("2"));
}
