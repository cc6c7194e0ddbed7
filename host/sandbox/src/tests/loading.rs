//! Files that are not taken, and why.

use bytes::Bytes;

use crate::tests::component::Plugin;
use crate::tests::support::{hostile, options, run, sandbox};
use crate::{Sandbox, SandboxOptions};

async fn refusal(component: Bytes) -> String {
    sandbox().load(component).await.unwrap_err().to_string()
}

#[tokio::test]
async fn bad_files_are_refused_with_a_reason() {
    let good = Plugin::new("greet", "1").build();
    let truncated = |length: usize| good.slice(..length);
    let garbage = Bytes::from_static(b"#!/bin/sh\nexit 0\n");
    assert_eq!(refusal(garbage).await, "is not WebAssembly");
    assert_eq!(refusal(Bytes::new()).await, "is not WebAssembly");
    assert_eq!(
        refusal(hostile("core-module")).await,
        "is a core module, not a component: was it built for `wasm32-wasip2`?"
    );
    for length in [6, 100, good.len() / 2, good.len() - 1] {
        let text = refusal(truncated(length)).await;
        assert!(
            text.starts_with("is truncated: was it copied completely?"),
            "{text}"
        );
    }
    assert_eq!(
        refusal(hostile("missing-export")).await,
        "exports none of `toolpost:plugin/step`, `scheduler` and `reporter`: it brings nothing, or was built without its macro"
    );
    assert_eq!(
        refusal(hostile("other-contract")).await,
        "is built for version 2.0.0 of the plugin contract, this Toolpost has 1.0: upgrade Toolpost, or build the plugin with an older SDK"
    );
}

#[tokio::test]
async fn what_could_keep_the_compiler_busy_for_ever_is_not_begun() {
    let locals = "(local i64) ".repeat(50_000);
    let branches = "(block (br_if 0 (i32.const 1)))".repeat(500);
    let knot = format!("(component (core module (func {locals} {branches})))");
    let knot = Bytes::from(wat::parse_str(knot).unwrap());
    assert!(knot.len() < 10_000);
    assert_eq!(
        refusal(knot).await,
        "is too much for the compiler: it has 50000000 branches times variables in one function, a plugin may have 4000000"
    );
}

#[tokio::test]
async fn right_names_with_wrong_types_are_refused() {
    let text = refusal(hostile("wrong-types")).await;
    assert!(
        text.starts_with("does not fit the plugin contract: "),
        "{text}"
    );
    assert!(
        text.contains("expected variant of 3 cases, found 2 cases"),
        "{text}"
    );
}

#[tokio::test]
async fn damaged_bytes_are_refused() {
    let mut bytes = Plugin::new("greet", "1").build().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(0xff);
    let text = refusal(bytes.into()).await;
    assert!(
        text.contains("is not a valid component") || text.contains("is truncated"),
        "{text}"
    );
}

#[tokio::test]
async fn bad_descriptions_are_refused_with_a_reason() {
    for (name, reason) in [
        (
            "describe-loop",
            "cannot describe itself: the plugin computed for 0.5",
        ),
        (
            "describe-trap",
            "cannot describe itself: the plugin crashed",
        ),
        (
            "schema-no-json",
            "has a step type `schema-no-json` with an unusable schema of its parameters: it is not JSON",
        ),
        (
            "bad-schema",
            "has a step type `bad-schema` with an unusable schema of its parameters: it is not a valid JSON Schema: at `/properties`",
        ),
    ] {
        let text = refusal(hostile(name)).await;
        assert!(text.starts_with(reason), "{text}");
    }
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused() {
    let sandbox = Sandbox::new(SandboxOptions {
        component_bytes_max: 100,
        ..options()
    })
    .unwrap();
    let error = sandbox.load(hostile("trap")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("a plugin may have 100 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_start_finds_the_component_compiled() {
    let dir = tempfile::tempdir().unwrap();
    let cache_dir = dir.path().join("compiled");
    let cached = || SandboxOptions {
        cache_dir: Some(cache_dir.clone()),
        ..options()
    };
    let component = Plugin::new("greet", "1").build();
    Sandbox::new(cached())
        .unwrap()
        .load(component.clone())
        .await
        .unwrap();
    let files = || std::fs::read_dir(&cache_dir).unwrap().count();
    assert_eq!(files(), 1);
    let plugin = Sandbox::new(cached())
        .unwrap()
        .load(component)
        .await
        .unwrap();
    assert_eq!(run(&plugin).await.unwrap().summary, "1");
    assert_eq!(files(), 1);
}
