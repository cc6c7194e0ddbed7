//! Patches of source stamps: forced through the REST API, applied by a worker to what it checked out, and gone with the next build.

use serde_json::{Value, json};
use toolpost_harness::{Api, Farm};

use crate::far::{Far, Kind, connected};
use crate::remote::{config, free_port};
use crate::support::{Repository, farm, shell};

/// Changes a file, adds one, and has one line that is no ASCII.
pub(crate) const PATCH: &str = "diff --git a/src/hello.txt b/src/hello.txt\n--- a/src/hello.txt\n+++ b/src/hello.txt\n\
    @@ -1,2 +1,2 @@\n-hello\n+pätched\n world\ndiff --git a/src/new.txt b/src/new.txt\nnew file mode 100644\n\
    --- /dev/null\n+++ b/src/new.txt\n@@ -0,0 +1 @@\n+new\n";

/// Fits at its first place only.
const MISFIT: &str = "--- hello.txt\n+++ hello.txt\n@@ -1,2 +1,2 @@\n-hello\n+changed\n world\n\
    @@ -9,2 +9,2 @@\n far\n-moon\n+mars\n";

const PLAIN: &str = "src/hello.txt hello world\n";

/// A builder that leaves something behind which only a cleaning takes away.
fn steps(repository: &Repository) -> String {
    let list = "for f in src/*; do echo $f $(cat $f); done; echo object > ignored.o";
    format!(
        "[[builder.step]]\nuse = \"git\"\nrepository = {:?}\n\n{}name = \"list\"\n",
        repository.path(),
        shell(list)
    )
}

/// Forces a build with these fields and gives it when it is complete.
pub(crate) async fn forced(api: &Api, builder: &str, fields: Value) -> Value {
    let id = api.builder_id(builder).await.to_string();
    let mut params = json!({"builderid": id, "reason": "test"});
    params
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let made = api.control("forceschedulers/force", "force", params).await;
    let made = made.unwrap_or_else(|error| panic!("{}: {}", error.status, error.body));
    api.finished(made[1][&id].as_i64().unwrap()).await
}

/// What is listed by a build, which must have worked.
async fn listed(api: &Api, build: &Value) -> String {
    let steps = api.steps(build).await;
    assert_eq!(build["results"], 0, "{steps:#?}");
    api.log(build, "list", "stdio").await
}

/// The patch of a build's only source stamp.
pub(crate) async fn patch_of(api: &Api, build: &Value) -> Value {
    let request = api
        .get(&format!("buildrequests/{}", build["buildrequestid"]))
        .await;
    let set = &request["buildrequests"][0]["buildsetid"];
    let sets = api.get(&format!("buildsets/{set}")).await;
    let stamp = &sets["buildsets"][0]["sourcestamps"][0];
    let alone = api.get(&format!("sourcestamps/{}", stamp["ssid"])).await;
    assert_eq!(alone["sourcestamps"][0], *stamp);
    stamp["patch"].clone()
}

async fn patches_come_and_go(farm: &Farm, builder: &str) {
    let api = farm.api();
    let patched = forced(
        api,
        builder,
        json!({"patch_body": PATCH, "patch_author": "Ada", "patch_comment": "try"}),
    )
    .await;
    let text = listed(api, &patched).await;
    let with_patch = "src/hello.txt pätched world\nsrc/new.txt new\n";
    assert!(text.contains(with_patch), "{builder}: {text}");
    let step = &api.steps(&patched).await[0];
    assert!(
        step["state_string"]
            .as_str()
            .unwrap()
            .ends_with(" with a patch"),
        "{step}"
    );
    let kept = api.log(&patched, "git", "patch").await;
    assert!(kept.contains(PATCH), "{kept}");
    let patch = patch_of(api, &patched).await;
    let shown = json!({
        "author": "Ada", "body": PATCH, "comment": "try", "level": 1,
        "patchid": patch["patchid"], "subdir": ".",
    });
    assert_eq!(patch, shown);

    let plain = forced(api, builder, json!({})).await;
    let text = listed(api, &plain).await;
    assert!(
        text.contains(PLAIN) && !text.contains("new"),
        "{builder}: {text}"
    );
    assert_eq!(patch_of(api, &plain).await, Value::Null);

    let fields = json!({"patch_body": MISFIT, "patch_level": 0, "patch_subdir": "src"});
    let refused = forced(api, builder, fields).await;
    let steps = api.steps(&refused).await;
    assert_eq!(
        (&refused["results"], steps.len()),
        (&json!(2), 1),
        "{steps:#?}"
    );
    let state = steps[0]["state_string"].as_str().unwrap();
    let hunk = "the patch does not apply: hunk 2 of 2 of src/hello.txt, at line 9";
    assert!(state.contains(hunk), "{state}");
    let log = api.log(&refused, "git", "stdio").await;
    assert!(
        log.contains(hunk) && log.contains("while searching for:\nfar\nmoon"),
        "{log}"
    );
    let after = forced(api, builder, json!({})).await;
    assert!(listed(api, &after).await.contains(PLAIN));

    let again = api
        .control(
            &format!("builds/{}", patched["buildid"]),
            "rebuild",
            json!({}),
        )
        .await
        .unwrap_or_else(|error| panic!("{}: {}", error.status, error.body));
    let requests = again[1].as_object().unwrap();
    let request = requests.values().next().unwrap().as_i64().unwrap();
    let rebuilt = api.finished(request).await;
    let text = listed(api, &rebuilt).await;
    assert!(text.contains(with_patch), "{builder}: {text}");
    assert_eq!(patch_of(api, &rebuilt).await, patch);
}

#[tokio::test]
async fn patches_are_applied_by_every_kind_of_worker_and_gone_with_the_next_build() {
    let repository = Repository::new();
    let files = [("src/hello.txt", "hello\nworld\n"), (".gitignore", "*.o\n")];
    repository.commit("Start", &files);
    let ports = [free_port(), free_port()];
    let builder = steps(&repository);
    // The stock worker is the only one of its farm, and ours shares one with a local worker.
    let stock = config(ports[0], &["far"], &[("far", &builder)]);
    let ours = config(ports[1], &["far"], &[("far", &builder), ("near", &builder)]).replace(
        "name = \"near\"\nworkers = [\"far\"]",
        "name = \"near\"\nworkers = [\"local\"]",
    ) + "\n[[worker]]\nname = \"local\"\nkind = \"local\"\n";
    let asking = |text: String| {
        text.replace(
            "use = \"force\"\n",
            "use = \"force\"\ncodebases = [{ patch = {} }]\n",
        )
    };
    let (stock, ours) = (farm(&asking(stock)), farm(&asking(ours)));
    let (stock, ours) = tokio::join!(stock.start(), ours.start());
    let _workers = [
        Far::start(Kind::Stock, ports[0]),
        Far::start(Kind::Own, ports[1]),
    ];
    tokio::join!(
        connected(&stock, "far", true),
        connected(&ours, "far", true)
    );
    tokio::join!(
        patches_come_and_go(&stock, "far"),
        patches_come_and_go(&ours, "far"),
        patches_come_and_go(&ours, "near"),
    );

    let long = format!("{PATCH}{}", " ".repeat(512 << 10));
    let table = [
        (
            json!({"patch_body": "hello"}),
            "patch_body",
            "is no unified diff",
        ),
        (
            json!({"patch_body": long}),
            "patch_body",
            "takes at most 524288",
        ),
        (
            json!({"patch_body": PATCH, "patch_level": -1}),
            "patch_level",
            "is at least 0",
        ),
        (
            json!({"patch_body": PATCH, "patch_subdir": "../.."}),
            "patch_subdir",
            "leads out",
        ),
        (
            json!({"patch_body": PATCH, "patch_subdir": "/etc"}),
            "patch_subdir",
            "not relative",
        ),
    ];
    for (fields, name, message) in table {
        let refused = ours
            .api()
            .control("forceschedulers/force", "force", fields)
            .await;
        let refused = refused.expect_err("the form is not good");
        assert_eq!(refused.status, 400);
        let told: Value = serde_json::from_str(&refused.body).unwrap();
        let told = told["error"]["message"][name].as_str().unwrap_or_default();
        assert!(told.contains(message), "{}", refused.body);
    }
}
