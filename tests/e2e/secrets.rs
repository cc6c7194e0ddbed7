//! Secrets reach commands and nobody else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use toolpost_harness::Farm;

use crate::support::{config, farm};

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
    let mut stored = Vec::new();
    files(&farm.path("state"), &mut stored);
    assert!(!stored.is_empty());
    for (path, bytes) in stored {
        for secret in [TOKEN, NEXT_TOKEN, KEY_LINE] {
            assert!(!has(&bytes, secret), "{secret} is in {}", path.display());
        }
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
