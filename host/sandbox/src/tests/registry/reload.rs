//! Adding, replacing, refusing, removing.

use std::fs;

use serde_json::json;

use crate::Want;
use crate::tests::component::Plugin;
use crate::tests::registry::{Farm, bad, good, live, no_parameters, says, status_of};
use crate::tests::support::{hostile, run};

#[tokio::test]
async fn files_are_added_and_replaced() {
    let farm = Farm::new();
    let registry = farm.open().await;
    assert_eq!(registry.rescan().await, []);
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("1"));
    assert_eq!(says(&registry, "greet").await, "1");
    farm.put("greet.wasm", &Plugin::new("greet", "2").build());
    registry.rescan().await;
    assert_eq!(says(&registry, "greet").await, "2");
    registry.rescan().await;
    assert_eq!(
        farm.history(),
        ["greet is live", "greet is replaced", "greet is drained"]
    );
    assert_eq!(status_of(&registry, "greet").unwrap().reloads, 2);
}

#[tokio::test]
async fn a_touch_reloads_nothing() {
    let farm = Farm::new();
    let component = Plugin::new("greet", "1").build();
    farm.put("greet.wasm", &component);
    let registry = farm.open().await;
    let before = registry.step_type("greet").unwrap();
    farm.put("greet.wasm", &component);
    registry.rescan().await;
    fs::write(farm.path("greet.wasm"), &component).unwrap();
    registry.rescan().await;
    let after = registry.step_type("greet").unwrap();
    assert!(std::sync::Arc::ptr_eq(before.plugin(), after.plugin()));
    assert_eq!(farm.history(), ["greet is live"]);
}

#[tokio::test]
async fn a_bad_replacement_keeps_the_old_version() {
    let farm = Farm::new();
    let second = Plugin::new("greet", "2").build();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let truncated = second.slice(..second.len() / 2);
    for (component, reason) in [
        (truncated, "is truncated"),
        (hostile("core-module"), "is a core module"),
        (hostile("other-contract"), "is built for version 2.0.0"),
        (hostile("describe-trap"), "cannot describe itself"),
        (
            Plugin::new("meet", "2").build(),
            "calls itself `meet`: name the file `meet.wasm`",
        ),
    ] {
        farm.put("greet.wasm", &component);
        registry.rescan().await;
        let (version, problem) = live(&registry, "greet");
        assert_eq!(version.as_deref(), Some("1"));
        let problem = problem.unwrap();
        assert!(problem.starts_with(reason), "{problem}");
        assert_eq!(says(&registry, "greet").await, "1");
    }
    farm.put("greet.wasm", &second);
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("2"));
}

#[tokio::test]
async fn a_refusal_is_told_once_and_looked_at_again() {
    let farm = Farm::new();
    farm.put("shell.wasm", &Plugin::new("shell", "1").build());
    let registry = farm.open().await;
    registry.rescan().await;
    registry.rescan().await;
    let reason = "has a step type `shell`, which is built in";
    assert_eq!(live(&registry, "shell"), bad(None, reason));
    assert_eq!(farm.history(), [format!("shell {reason}")]);
    farm.remove("shell.wasm");
    assert_eq!(registry.rescan().await, []);
}

#[tokio::test]
async fn a_version_must_fit_the_running_configuration() {
    let farm = Farm::new();
    farm.uses("greet", json!({"name": "you"}));
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let strict = r#"{"type": "object", "properties": {"name": {"type": "integer"}}}"#;
    farm.put(
        "greet.wasm",
        &Plugin::new("greet", "2").schema(strict).build(),
    );
    registry.rescan().await;
    let reason = "does not take the parameters that builder `unit`, step `greet` has for `greet`: /name: \"you\" is not of type \"integer\"";
    assert_eq!(live(&registry, "greet"), bad(Some("1"), reason));

    farm.put(
        "greet.wasm",
        &Plugin::new("greet", "3").steps(&["meet"]).build(),
    );
    registry.rescan().await;
    let reason = "has no step type `greet` any more, which builder `unit`, step `greet` uses";
    assert_eq!(live(&registry, "greet"), bad(Some("1"), reason));

    farm.uses_nothing();
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("3"));
    assert!(registry.step_type("greet").is_none() && registry.step_type("meet").is_some());
}

#[tokio::test]
async fn a_version_that_asks_for_more_than_is_granted_waits() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let greedy = Plugin::new("greet", "2").wants_host("example.org");
    farm.put("greet.wasm", &greedy.build());
    registry.rescan().await;
    let reason = "asks for HTTP requests to `example.org`, which is not granted: it goes live when [plugin.greet] grants it";
    assert_eq!(live(&registry, "greet"), bad(Some("1"), reason));
    let wanted = vec![Want::Http("example.org".into())];
    let held = status_of(&registry, "greet").unwrap().held.unwrap();
    assert_eq!((held.version.as_str(), &held.missing), ("2", &wanted));

    farm.grant("HTTP requests to `example.org`");
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("2"));
    assert_eq!(status_of(&registry, "greet").unwrap().held, None);

    // What runs goes on without its grant, also after a restart, and shows what it lacks.
    farm.grant_nothing();
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("2"));
    assert_eq!(status_of(&registry, "greet").unwrap().not_granted, wanted);
    let registry = farm.open().await;
    assert_eq!(live(&registry, "greet").0.as_deref(), Some("2"));
    assert_eq!(status_of(&registry, "greet").unwrap().not_granted, wanted);
}

#[tokio::test]
async fn a_plugin_in_use_survives_its_file() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    farm.put("meet.wasm", &Plugin::new("meet", "1").build());
    farm.uses("greet", no_parameters());
    let registry = farm.open().await;
    farm.remove("greet.wasm");
    farm.remove("meet.wasm");
    registry.rescan().await;
    assert!(status_of(&registry, "meet").is_none() && registry.step_type("meet").is_none());
    let (version, problem) = live(&registry, "greet");
    assert_eq!(version.as_deref(), Some("1"));
    assert!(
        problem.unwrap().ends_with(
            "greet.wasm is gone, but builder `unit`, step `greet` uses the plugin: its last good version goes on; put the file back, or take the step out of the configuration"
        )
    );
    assert_eq!(says(&registry, "greet").await, "1");

    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    registry.rescan().await;
    assert_eq!(live(&registry, "greet"), good("1"));

    farm.uses_nothing();
    farm.remove("greet.wasm");
    registry.rescan().await;
    assert_eq!(registry.status(), []);
}

#[tokio::test]
async fn a_build_keeps_the_version_that_it_pinned() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let build = registry.pin(["greet", "shell"]);
    assert!(build.step_type("shell").is_none());
    farm.put("greet.wasm", &Plugin::new("greet", "2").build());
    registry.rescan().await;

    let pinned = build.step_type("greet").unwrap().plugin();
    assert_eq!(run(pinned).await.unwrap().summary, "1");
    assert_eq!(says(&registry, "greet").await, "2");
    let status = status_of(&registry, "greet").unwrap();
    let live = status.live.unwrap();
    let pins = |version: &crate::registry::VersionStatus| (version.version.clone(), version.pins);
    assert_eq!(pins(&live), ("2".into(), 0));
    let draining: Vec<_> = status.draining.iter().map(pins).collect();
    assert_eq!(draining, [("1".into(), 1)]);
    assert_eq!(status.draining[0].calls_total, 1);

    drop(build);
    assert_eq!(status_of(&registry, "greet").unwrap().draining, []);
}

#[tokio::test]
async fn a_removed_plugin_drains() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    let registry = farm.open().await;
    let build = registry.pin(["greet"]);
    farm.remove("greet.wasm");
    registry.rescan().await;
    assert!(registry.step_type("greet").is_none());
    let status = status_of(&registry, "greet").unwrap();
    assert_eq!((status.live, status.draining.len()), (None, 1));
    drop(build);
    registry.rescan().await;
    assert_eq!(registry.status(), []);
}

#[tokio::test]
async fn a_step_type_belongs_to_one_plugin() {
    let farm = Farm::new();
    farm.put("a.wasm", &Plugin::new("a", "1").steps(&["lint"]).build());
    farm.put("b.wasm", &Plugin::new("b", "1").steps(&["lint"]).build());
    let registry = farm.open().await;
    assert_eq!(live(&registry, "a"), good("1"));
    let reason = "has a step type `lint`, which the plugin `a` has already";
    assert_eq!(live(&registry, "b"), bad(None, reason));

    farm.put("a.wasm", &Plugin::new("a", "2").steps(&["check"]).build());
    registry.rescan().await;
    assert_eq!(
        (live(&registry, "a"), live(&registry, "b")),
        (good("2"), good("1"))
    );
}

#[tokio::test]
async fn a_step_type_can_move_to_another_plugin() {
    let farm = Farm::new();
    farm.put("b.wasm", &Plugin::new("b", "1").steps(&["lint"]).build());
    let registry = farm.open().await;
    farm.remove("b.wasm");
    farm.put("a.wasm", &Plugin::new("a", "1").steps(&["lint"]).build());
    registry.rescan().await;
    assert_eq!(live(&registry, "a"), good("1"));
    assert_eq!(registry.step_type("lint").unwrap().plugin().name(), "a");
}

#[tokio::test]
async fn a_renamed_file_is_a_plugin_of_the_wrong_name() {
    let farm = Farm::new();
    farm.put("greet.wasm", &Plugin::new("greet", "1").build());
    farm.uses("greet", no_parameters());
    let registry = farm.open().await;
    fs::rename(farm.path("greet.wasm"), farm.path("hello.wasm")).unwrap();
    registry.rescan().await;
    let reason = "calls itself `greet`: name the file `greet.wasm`";
    assert_eq!(live(&registry, "hello"), bad(None, reason));
    assert_eq!(says(&registry, "greet").await, "1");
}

#[tokio::test]
async fn what_cannot_be_loaded_is_tried_once_until_a_person_asks() {
    let farm = Farm::new();
    farm.put("loop.wasm", &hostile("describe-loop"));
    let registry = farm.open().await;
    let reason = || live(&registry, "loop").1.unwrap();
    let first = reason();
    assert!(first.contains("computed for"), "{first}");
    // Whoever is asked now has another answer.
    farm.sandbox.shutdown();
    registry.reconsider().await;
    assert_eq!(reason(), first);
    registry.rescan().await;
    assert!(reason().contains("shuts down"), "{}", reason());
}
