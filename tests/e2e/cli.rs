//! The command line.

use crate::support::{config, farm, shell};

#[tokio::test]
async fn check_and_plan_say_beforehand_what_would_happen() {
    let mut farm = farm(&config(&[("old", &shell("true"))])).start().await;
    let check = farm.cli(&["check"]).await;
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
    farm.terminate().await;

    farm.write_config(&config(&[("new", &shell("true"))]));
    let plan = farm.cli(&["plan"]).await;
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(
        plan.status.success(),
        "{}",
        String::from_utf8_lossy(&plan.stderr)
    );
    assert!(text.contains("new") && text.contains("old"), "{text}");

    farm.write_config("[[builder]]\nname = 7\n");
    let check = farm.cli(&["check"]).await;
    assert_eq!(check.status.code(), Some(2));
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(said.contains("toolpost.toml:2:8"), "{said}");
}

#[tokio::test]
async fn the_schema_is_json_and_knows_the_step_types() {
    let farm = farm(&config(&[("b", &shell("true"))])).prepare();
    let schema = farm.cli(&["schema"]).await;
    assert!(
        schema.status.success(),
        "{}",
        String::from_utf8_lossy(&schema.stderr)
    );
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema.to_string().contains("set-property-from-command"));
}
