//! What `toolpost worker` says of its machine: what steps used of it, and that there is no room.

use serde_json::{Value, json};
use toolpost_harness::eventually;

use crate::far::{Far, Kind, connected, worker};
use crate::remote::{config, free_port};
use crate::support::{farm, shell};

/// A step that computes, and has 64 MiB at once.
fn heavy() -> String {
    let line = "k=0; while [ $k -lt 200000 ]; do k=$((k + 1)); done; \
                dd if=/dev/zero of=/dev/null bs=64M count=1";
    shell(line) + "name = \"heavy\"\n"
}

fn assert_told(step: &Value) {
    let used = &step["resources"];
    assert_eq!(used["commands"], 1, "{step}");
    let number = |name: &str| used[name].as_i64().unwrap();
    assert!(number("user_ms") + number("system_ms") >= 10, "{used}");
    assert!(
        (64 << 20..128 << 20).contains(&number("memory_peak_bytes")),
        "{used}"
    );
}

#[tokio::test]
async fn what_a_step_used_is_kept_with_it() {
    let port = free_port();
    let steps =
        heavy() + "\n[[builder.step]]\nuse = \"set-property\"\nproperty = \"p\"\nvalue = \"x\"\n";
    let mut text = config(port, &["far"], &[("away", &steps)]);
    text.push_str(&format!(
        "\n[[worker]]\nname = \"here\"\nkind = \"local\"\n\n\
         [[scheduler]]\nname = \"near\"\nuse = \"force\"\nbuilders = [\"home\"]\n\n\
         [[builder]]\nname = \"home\"\nworkers = [\"here\"]\n\n{steps}"
    ));
    let farm = farm(&text).start().await;
    let _far = Far::start(Kind::Own, port);
    connected(&farm, "far", true).await;
    let api = farm.api();
    for (scheduler, builder) in [("force", "away"), ("near", "home")] {
        let request = api.force(scheduler, builder).await;
        let build = api.finished(request).await;
        assert_eq!(build["results"], 0, "{build}");
        let steps = api.steps(&build).await;
        assert_told(&steps[0]);
        // It ran no command.
        assert_eq!(steps[1]["resources"], Value::Null);
    }
}

#[tokio::test]
async fn nothing_new_begins_where_there_is_no_room() {
    let port = free_port();
    let steps = shell("echo built") + "name = \"step\"\n";
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let own = |least: &str| {
        let master = format!("ws://127.0.0.1:{port}");
        Far::own("open sesame", &master).option("--free-disk-min-mib", least)
    };
    let api = farm.api();
    let paused = async |wanted: bool| {
        eventually(&format!("paused: {wanted}"), async || {
            let far = worker(farm.api(), "far").await;
            (far["paused"] == json!(wanted)).then_some(far)
        })
        .await
    };
    let far = own(&u32::MAX.to_string()).started();
    let told = paused(true).await;
    let reason = told["pause_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the worker says: ") && reason.contains("`free_disk_min_mib`"),
        "{reason}"
    );
    let request = api.force("force", "unit").await;
    drop(far);
    connected(&farm, "far", false).await;
    // It stays paused until the worker says otherwise.
    assert!(api.builds_of(request).await.is_empty());
    assert_eq!(worker(api, "far").await["paused"], true);
    let _far = own("1").started();
    paused(false).await;
    assert_eq!(api.finished(request).await["results"], 0);
}
