//! Secrets reach commands and nobody else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_harness::{Answer, Farm, Receiver};

use crate::steps::{GRANTS, script};
use crate::support::{config, farm, first_party};

const TOKEN: &str = "tok/en+'with \"odd\" & long-enough-0123456789";
const NEXT_TOKEN: &str = "another-token-after-the-rotation";
const KEY_LINE: &str = "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSk";

/// Prints `$TOKEN` in every way that programs do.
const LEAK: &str = r#"
echo "plain $TOKEN"
printf '%s' "$TOKEN" | base64
printf '%s' "u:$TOKEN" | base64 -w 20
printf '%s' "us:$TOKEN:tail" | base64 -w 0 | tr '+/' '-_'; echo
printf '%s' "$TOKEN" | od -An -v -tx1 | tr -d ' \n'; echo
printf '%s' "$TOKEN" | head -c 9; sleep 0.4; printf '%s' "$TOKEN" | tail -c +10; echo
cat "$(dirname "$0")/encoded"
echo "$TOKEN" >&2
set -x; : "$TOKEN"
"#;

/// What a secret and its encodings have in common with nothing else.
fn traces(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        secret.to_owned(),
        "with%20%22odd%22".into(),
        "with \\\"odd\\\"".into(),
        "with+%22odd%22".into(),
        hex,
        // Of the Base64 of the token, the same in each alignment but for where it starts.
        "d2l0aCAib2RkIi".into(),
        "l0aCAib2RkIiAm".into(),
        "aXRoICJvZGQiIC".into(),
    ]
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

struct Vault {
    dir: TempDir,
}

impl Vault {
    fn new() -> Self {
        let dir = TempDir::with_prefix("toolpost-secrets-").unwrap();
        let vault = Self { dir };
        put(&vault.path("token"), &format!("{TOKEN}\n"));
        put(
            &vault.path("key"),
            &format!("-----BEGIN-----\n{KEY_LINE}\n{KEY_LINE}x\n-----END-----\n"),
        );
        put(&vault.path("leak.sh"), LEAK);
        put(
            &vault.path("encoded"),
            "tok%2Fen%2B%27with%20%22odd%22%20%26%20long-enough-0123456789\n\
             tok%2fen%2b%27with+%22odd%22+%26+long-enough-0123456789\n\
             {\"token\":\"tok/en+'with \\\"odd\\\" & long-enough-0123456789\"}\n",
        );
        vault
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        let steps = format!(
            "[[builder.step]]\nuse = \"shell\"\nname = \"leak\"\ncommand = [\"sh\", {leak:?}]\nenv = {{ TOKEN = \"{{{{ secret.token }}}}\" }}\n\n\
             [[builder.step]]\nuse = \"shell\"\nname = \"words\"\ncommand = [\"echo\", \"{{{{ secret.token }}}}\"]\n\n\
             [[builder.step]]\nuse = \"shell\"\nname = \"input\"\ncommand = \"sed s/^/12:00:/\"\nstdin = \"{{{{ secret.key }}}}\"\n",
            leak = self.path("leak.sh"),
        );
        format!(
            "{}\n[secret.token]\nfile = {:?}\n[secret.key]\nfile = {:?}\n",
            config(&[("leaky", &steps)]),
            self.path("token"),
            self.path("key"),
        )
    }
}

/// Everything that the API tells of a build.
async fn told(farm: &Farm, build: &Value) -> String {
    let api = farm.api();
    let mut told = build.to_string();
    for step in api.steps(build).await {
        told.push_str(&step.to_string());
    }
    for step in ["leak", "words", "input"] {
        told.push_str(&api.log(build, step, "stdio").await);
    }
    told
}

/// Everything that the API tells of a build with one step: its logs, and what else it has found.
async fn told_of_plugin(farm: &Farm, build: &Value) -> String {
    let api = farm.api();
    let mut told = build.to_string();
    for step in api.steps(build).await {
        let step_id = &step["stepid"];
        told.push_str(&step.to_string());
        let logs = api.get(&format!("steps/{step_id}/logs")).await;
        for log in logs["logs"].as_array().unwrap() {
            told.push_str(&log.to_string());
            told.push_str(
                &api.text(&format!("api/v2/logs/{}/raw", log["logid"]))
                    .await
                    .unwrap(),
            );
        }
        let sets = api.get(&format!("steps/{step_id}/test_result_sets")).await;
        told.push_str(&sets.to_string());
        for set in sets["test_result_sets"].as_array().unwrap() {
            let results = format!("test_result_sets/{}/results", set["test_result_setid"]);
            told.push_str(&api.get(&results).await.to_string());
        }
    }
    let build_id = &build["buildid"];
    told.push_str(
        &api.get(&format!("builds/{build_id}/properties"))
            .await
            .to_string(),
    );
    told.push_str(
        &api.get(&format!("builds/{build_id}/data"))
            .await
            .to_string(),
    );
    let value = api
        .text(&format!("api/v2/builds/{build_id}/data/told/value"))
        .await;
    told.push_str(&value.unwrap_or_default());
    told.push_str(&api.get("plugins").await.to_string());
    for page in ["plugins", "plugins/script"] {
        told.push_str(&api.text(page).await.unwrap());
    }
    told
}

/// Every file below a folder, as far as it is text or has text in it.
fn files(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Fails when a secret is in anything that the farm keeps.
pub(crate) fn assert_unknown(farm: &Farm, secret: &str) {
    let mut stored = Vec::new();
    files(&farm.path("state"), &mut stored);
    assert!(!stored.is_empty());
    for (path, bytes) in stored {
        assert!(!has(&bytes, secret), "{secret} is in {}", path.display());
    }
}

#[tokio::test]
async fn secrets_are_hidden_in_every_encoding_and_nowhere_stored() {
    let vault = Vault::new();
    let farm = farm(&vault.config()).start().await;
    let api = farm.api();
    let build = api.finished(api.force("force", "leaky").await).await;
    let told_of_build = told(&farm, &build).await;
    assert_eq!(build["results"], 0, "{told_of_build}\n{}", farm.output());
    for trace in traces(TOKEN).iter().map(String::as_str).chain([KEY_LINE]) {
        assert!(
            !told_of_build.contains(trace),
            "{trace} is in {told_of_build}"
        );
        assert!(
            !farm.output().contains(trace),
            "{trace} is in {}",
            farm.output()
        );
    }
    for shown in ["plain <token>", "12:00:<key>", "{\"token\":\"<token>\"}"] {
        assert!(
            told_of_build.contains(shown),
            "{shown} is not in {told_of_build}"
        );
    }
    put(&vault.path("token"), NEXT_TOKEN);
    let build = api.finished(api.force("force", "leaky").await).await;
    let told_of_next = told(&farm, &build).await;
    assert_eq!(build["results"], 0, "{told_of_next}");
    assert!(!told_of_next.contains(NEXT_TOKEN), "{told_of_next}");
    assert!(told_of_next.contains("plain <token>"), "{told_of_next}");
    for secret in [TOKEN, NEXT_TOKEN, KEY_LINE] {
        assert_unknown(&farm, secret);
    }
}

#[tokio::test]
async fn a_secret_that_everybody_can_read_is_refused_with_what_to_do() {
    let vault = Vault::new();
    let token = vault.path("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let farm = farm(&vault.config()).start().await;
    let api = farm.api();
    let build = api.finished(api.force("force", "leaky").await).await;
    let steps = api.steps(&build).await;
    let told = steps[0]["state_string"].as_str().unwrap();
    let help = format!("run `chmod o= {}`", token.display());
    assert!(told.contains(&help), "{told}");
    assert!(farm.output().contains(&help), "{}", farm.output());
}

/// Prints the secret of the only argument from two commands of one log at once, and in the reach of plugins.
const LEAK_TO_PLUGIN: &str = r#"
printf '%s' "$TOKEN" > token
for i in 1 2 3; do cat token; echo; done > tokens
sh "$(dirname "$0")/leak.sh"
echo "word $1"
"#;

#[tokio::test]
async fn a_plugin_shows_no_secret_wherever_it_puts_one() {
    let vault = Vault::new();
    put(&vault.path("leak-to-plugin.sh"), LEAK_TO_PLUGIN);
    let interleaved = |wait: &str| {
        format!(
            "for i in $(seq 20); do head -c 20 token; sleep {wait}; tail -c +21 token; echo; done"
        )
    };
    let placeholder = "{{ secret.token }}";
    let leak = json!({
        "do": "run",
        "argv": ["sh", vault.path("leak-to-plugin.sh"), placeholder],
        "env": {"TOKEN": placeholder},
    });
    let actions = json!([
        leak,
        {"do": "start", "shell": [interleaved("0.01"), interleaved("0.013")], "log": "both"},
        {"do": "wait"},
        {"do": "log-file", "name": "pieces", "file": "tokens", "piece": 7},
        {"do": "tell-file", "file": "token"},
        {"do": "trap-with-file", "file": "tokens"},
    ]);
    let more = format!("[secret.token]\nfile = {:?}\n", vault.path("token"));
    let steps = script("", &actions);
    let farm = farm(&(config(&[("leaky", &steps)]) + GRANTS + &more))
        .plugin("script", first_party("script"))
        .start()
        .await;
    let api = farm.api();
    for secret in [TOKEN, NEXT_TOKEN] {
        put(&vault.path("token"), secret);
        let build = api.finished(api.force("force", "leaky").await).await;
        let told = told_of_plugin(&farm, &build).await;
        assert_eq!(build["results"], 4, "{told}\n{}", farm.output());
        for shown in [
            "plain <token>",
            "word <token>",
            "it was <token>",
            "<p><token>",
        ] {
            assert!(told.contains(shown), "{shown} is not in {told}");
        }
        let half = &secret[..secret.len() - 4];
        for trace in [secret, half, &secret[4..]] {
            assert!(!told.contains(trace), "{trace} is in {told}");
            assert!(!farm.output().contains(trace), "{}", farm.output());
        }
    }
    for secret in [TOKEN, NEXT_TOKEN] {
        assert_unknown(&farm, secret);
    }
}

/// What steps of the plugin `script` do with secrets of which only `token` is granted to it.
#[tokio::test]
async fn a_secret_that_is_not_granted_leaves_neither_by_http_nor_by_mail() {
    const OTHER: &str = "a-secret-of-somebody-else-0123456789";
    let vault = Vault::new();
    put(&vault.path("other"), OTHER);
    let receiver = Receiver::start(|_, _| Answer {
        after: Duration::ZERO,
        status: StatusCode::OK,
    })
    .await;
    let url = format!("http://{}/", receiver.address());
    let with = |secret: &str| json!({"Authorization": format!("Bearer {{{{ secret.{secret} }}}}")});
    let get = |secret: &str| json!({"do": "http", "url": url, "headers": with(secret)});
    let post = json!({"do": "http", "url": url, "body": "{{ secret.other }}"});
    let mail = json!({"do": "mail", "text": "{{ secret.other }}", "times": 1});
    let is_there = json!({"do": "run", "argv": ["touch", "granted"]});
    let fails = json!({"do": "trap-with-file", "file": "granted"});
    let granted = json!([is_there, get("token"), fails]);
    let steps = [
        ("header", script("", &json!([get("other")]))),
        ("body", script("", &json!([post]))),
        ("mail", script("", &json!([mail]))),
        ("granted", script("", &granted)),
    ];
    let builders: Vec<_> = steps
        .iter()
        .map(|(name, steps)| (*name, &**steps))
        .collect();
    let more = format!(
        "[plugin.script]\ngrant.http = [\"{address}\"]\ngrant.secrets = [\"token\"]\ngrant.mail = true\n\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"ci@example.org\"\n\n\
         [secret.token]\nfile = {token:?}\n[secret.other]\nfile = {other:?}\n",
        address = receiver.address(),
        port = receiver.address().port(),
        token = vault.path("token"),
        other = vault.path("other"),
    );
    let farm = farm(&(config(&builders) + "\n" + &more))
        .plugin("script", first_party("script"))
        .start()
        .await;
    let api = farm.api();
    for builder in ["header", "body", "mail"] {
        let build = api.finished(api.force("force", builder).await).await;
        let told = told_of_plugin(&farm, &build).await;
        assert_eq!(build["results"], 4, "{told}");
        assert!(
            told.contains("the secret `other` is not granted") && told.contains("[plugin.script]"),
            "{builder}: {told}"
        );
        assert!(!told.contains(OTHER), "{told}");
    }
    assert_eq!(receiver.count(), 0, "nothing was sent");

    let build = api.finished(api.force("force", "granted").await).await;
    let [sent] = &receiver.received()[..] else {
        panic!("sent once: {}", told_of_plugin(&farm, &build).await);
    };
    assert_eq!(sent.header("authorization"), format!("Bearer {TOKEN}"));
    let step = format!("builds/{}/steps/script/recording", build["buildid"]);
    let recording = api.get(&step).await.to_string();
    assert!(recording.contains("Bearer "), "{recording}");
    for secret in [TOKEN, OTHER] {
        assert!(!recording.contains(secret), "{recording}");
        assert!(!farm.output().contains(secret), "{}", farm.output());
        assert_unknown(&farm, secret);
    }
}
