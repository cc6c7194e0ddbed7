//! Back to an earlier version.

use crate::registry::RegistryError;
use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, bad, good, live, no_parameters, says, status_of};
use crate::tests::support::{run, until};

fn crashing(version: &str) -> Plugin {
    Plugin::new("greet", version).body("(unreachable)")
}

const TRIPPED: &str = "the new version 2 failed 3 times in a short time, the last time because the plugin crashed: it reached code that it considers unreachable (an abort, or a panic without a message)";

/// Runs the live version of `greet` so often, though it crashes.
async fn crash(farm_registry: &crate::PluginRegistry, times: usize) {
    for _ in 0..times {
        let step = farm_registry.step_type("greet").unwrap();
        run(step.plugin()).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_new_version_that_keeps_crashing_is_taken_back() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    registry.watch();
    farm.put("greet.wasm", &crashing("2").build());
    registry.rescan().await;
    let digest = registry
        .step_type("greet")
        .unwrap()
        .plugin()
        .digest()
        .to_owned();
    crash(&registry, 2).await;
    assert_eq!(live(&registry, "greet"), good("2"));
    crash(&registry, 1).await;
    until("it is taken back", || {
        live(&registry, "greet").0.as_deref() == Some("1")
    })
    .await;
    assert_eq!(says(&registry, "greet").await, "1");
    let problem = status_of(&registry, "greet").unwrap().problem.unwrap();
    assert_eq!(problem.digest, Some(digest));
    assert!(
        problem.reason.starts_with("rolled back to version "),
        "{}",
        problem.reason
    );
    assert!(problem.reason.contains(TRIPPED), "{}", problem.reason);

    // The file is still there, but is not taken again, not even after a restart.
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), bad(Some("1"), &problem.reason));
    let reason = "this version was rolled back: replace the file with another one";
    assert_eq!(live(&farm.open().await, "greet"), bad(Some("1"), reason));

    farm.put("greet.wasm", &Plugin::new("greet", "3").build());
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("3"));
}

#[tokio::test]
async fn the_first_version_has_nothing_to_go_back_to() {
    let farm = Farm::new();
    farm.put("greet.wasm", &crashing("1").build());
    let registry = farm.open().await;
    crash(&registry, 5).await;
    registry.inner.check_breakers().await;
    assert_eq!(live(&registry, "greet"), good("1"));
    let status = status_of(&registry, "greet").unwrap().live.unwrap();
    assert_eq!((status.calls_total, status.faults_total), (5, 5));
    assert!(status.last_fault.unwrap().starts_with("the plugin crashed"));
}

#[tokio::test]
async fn a_version_that_no_longer_fits_is_not_gone_back_to() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    farm.put(
        "greet.wasm",
        &crashing("2").steps(&["greet", "meet"]).build(),
    );
    registry.rescan().await;
    farm.uses("meet", no_parameters());
    crash(&registry, 3).await;
    registry.inner.check_breakers().await;
    let (version, problem) = live(&registry, "greet");
    assert_eq!(version.as_deref(), Some("2"));
    let problem = problem.unwrap();
    assert!(problem.starts_with(TRIPPED), "{problem}");
    let reason = "has no step type `meet` any more, which builder `unit`, step `meet` uses";
    assert!(problem.ends_with(reason), "{problem}");
}

#[tokio::test]
async fn a_person_can_go_back_and_forth() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let digest = || {
        registry
            .step_type("greet")
            .unwrap()
            .plugin()
            .digest()
            .to_owned()
    };
    let first = digest();
    farm.put("greet.wasm", &Plugin::new("greet", "2").build());
    registry.rescan().await;
    let second = digest();
    registry
        .rollback("greet", &first, "it is slow")
        .await
        .unwrap();
    registry.rescan().await;
    assert_eq!(says(&registry, "greet").await, "1");
    registry
        .rollback("greet", &second, "it is not")
        .await
        .unwrap();
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("2"));
    for (plugin, digest) in [("meet", &first), ("greet", &second), ("greet", &"0".into())] {
        let refused = registry
            .rollback(plugin, digest, "why not")
            .await
            .unwrap_err();
        assert_eq!(
            matches!(refused, RegistryError::UnknownPlugin(_)),
            plugin == "meet"
        );
    }
}

#[tokio::test]
async fn two_bad_versions_end_at_the_last_good_one_also_over_a_restart() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    farm.put("greet.wasm", &crashing("2").build());
    registry.rescan().await;
    crash(&registry, 1).await;
    farm.put("greet.wasm", &crashing("3").build());
    registry.rescan().await;
    drop(registry);
    let registry = farm.open().await;
    assert_eq!(live(&registry, "greet"), good("3"));
    crash(&registry, 3).await;
    registry.inner.check_breakers().await;
    assert_eq!(says(&registry, "greet").await, "1");
}

#[tokio::test]
async fn a_version_without_faults_is_gone_back_to_before_older_ones() {
    let farm = Farm::new();
    for version in ["1", "2"] {
        farm.put("greet.wasm", &Plugin::new("greet", version).build());
        farm.open().await;
    }
    farm.put("greet.wasm", &crashing("3").build());
    let registry = farm.open().await;
    crash(&registry, 3).await;
    registry.inner.check_breakers().await;
    assert_eq!(says(&registry, "greet").await, "2");
}
