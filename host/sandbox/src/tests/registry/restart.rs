//! A start with what the store remembers.

use crate::registry::LiveTypes;
use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, bad, good, live, no_parameters, says};
use crate::{PluginKind, PluginRegistry};

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

const OTHER_SCHEMA: &str =
    r#"{"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}}"#;

/// Opens a farm as a master does whose configuration is right with versions for which this is true.
async fn open_for(farm: &Farm, is_right: fn(&LiveTypes) -> bool) -> PluginRegistry {
    let (store, uses) = (farm.store.clone(), farm.uses.clone());
    let registry = PluginRegistry::prepare(farm.options(), farm.sandbox.clone(), store, uses);
    let registry = registry.await.unwrap();
    let load = registry.load(move |types| usize::from(!is_right(types)));
    load.await.unwrap();
    registry
}

fn takes_no_parameters(types: &LiveTypes) -> bool {
    let greet = types.get(PluginKind::Step, "greet");
    greet.is_some_and(|(_, info)| info.check(&no_parameters()).is_ok())
}

#[tokio::test]
async fn a_version_that_was_refused_does_not_win_by_a_restart() {
    let farm = after_a_run().await;
    farm.uses("greet", no_parameters());
    let registry = farm.open().await;
    let next = Plugin::new("greet", "2").schema(OTHER_SCHEMA);
    farm.put("greet.wasm", &next.build());
    registry.rescan().await;
    let (version, problem) = live(&registry, "greet");
    assert_eq!(version.as_deref(), Some("1"));
    drop(registry);
    farm.uses_nothing();
    let registry = open_for(&farm, takes_no_parameters).await;
    assert_eq!(says(&registry, "greet").await, "1");
    farm.uses("greet", no_parameters());
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), (version, problem));
    // With another configuration it is what is wanted.
    farm.uses_nothing();
    let registry = open_for(&farm, |types| !takes_no_parameters(types)).await;
    assert_eq!(live(&registry, "greet"), good("2"));
}

#[tokio::test]
async fn who_had_a_type_first_keeps_it_over_a_restart() {
    let farm = after_a_run().await;
    farm.put(
        "first.wasm",
        &Plugin::new("first", "1").steps(&["greet"]).build(),
    );
    let reason = "has a step type `greet`, which the plugin `greet` has already";
    let registry = farm.open().await;
    assert_eq!(live(&registry, "first"), bad(None, reason));
    assert_eq!(live(&registry, "greet"), good("1"));
}

#[tokio::test]
async fn what_a_configuration_needs_goes_live_beside_what_does_not_fit_it() {
    let farm = after_a_run().await;
    farm.put("meet.wasm", &Plugin::new("meet", "1").build());
    farm.open().await;
    let next = Plugin::new("greet", "2").schema(OTHER_SCHEMA);
    farm.put("greet.wasm", &next.build());
    farm.put(
        "meet.wasm",
        &Plugin::new("meet", "2").steps(&["meet", "part"]).build(),
    );
    let is_right = |types: &LiveTypes| {
        takes_no_parameters(types) && types.get(PluginKind::Step, "part").is_some()
    };
    let registry = open_for(&farm, is_right).await;
    assert_eq!(says(&registry, "greet").await, "1");
    assert_eq!(live(&registry, "meet"), good("2"));
    let before = farm.history();
    let registry = open_for(&farm, |_| false).await;
    assert_eq!(farm.history(), before, "a start that fails records nothing");
    drop(registry);
}
