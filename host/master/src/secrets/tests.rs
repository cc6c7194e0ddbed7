use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toolpost_config::{Config, Sources, check};

use super::*;
use crate::steps::NativeCatalog;

fn config(dir: &Path, text: &str) -> Config {
    let sources = Sources::from_texts(dir, [("toolpost.toml", text)]);
    check(&sources, &NativeCatalog).expect("a good configuration")
}

fn put(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

async fn secrets(dir: &Path, text: &str) -> Secrets {
    let secrets = Secrets::default();
    secrets.configure(&config(dir, text)).await;
    secrets
}

#[tokio::test]
async fn a_secret_is_read_anew_at_each_use_and_its_former_value_stays_hidden() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    put(&file, "first-value\n", 0o600);
    let secrets = secrets(dir.path(), "[secret.token]\nfile = \"token\"").await;
    assert_eq!(&*secrets.masker().mask_text("a first-value"), "a <token>");
    put(&file, "second-value\n", 0o600);
    let value = secrets.value("token").await.expect("readable");
    assert_eq!(value.expose(), "second-value");
    let placeholder = secrets.placeholder("token");
    let text = format!("first-value second-value {placeholder} third-value");
    assert_eq!(
        &*secrets.masker().mask_text(&text),
        "<token> <token> <token> third-value"
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_says_what_to_do_and_not_what_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    put(&dir.path().join("open"), "open-value\n", 0o644);
    put(&dir.path().join("short"), "1234\n", 0o600);
    std::fs::create_dir(dir.path().join("dir")).expect("made");
    let text = "[secret]\nopen.file = \"open\"\nshort.file = \"short\"\ndir.file = \"dir\"\ngone.file = \"gone\"\nvar.environment = \"TOOLPOST_TEST_NOT_SET\"";
    let secrets = secrets(dir.path(), text).await;
    let shown = dir.path().display().to_string();
    let mut told = Vec::new();
    for name in ["open", "short", "dir", "gone", "var", "other"] {
        let error = secrets.value(name).await.expect_err("not usable");
        told.push(error.to_string().replace(&shown, "DIR"));
    }
    assert_eq!(
        told,
        [
            "the secret `open` cannot be used: everybody on this machine can open DIR/open; run `chmod o= DIR/open`",
            "the secret `short` cannot be used: it has fewer than 6 bytes and could not be hidden in logs",
            "the secret `dir` cannot be used: DIR/dir is not a file",
            "the secret `gone` cannot be used: DIR/gone: No such file or directory (os error 2)",
            "the secret `var` cannot be used: the variable `TOOLPOST_TEST_NOT_SET` of the master is not set",
            "there is no secret `other`: add a [secret.other]",
        ]
    );
}

#[tokio::test]
async fn files_of_a_directory_are_secrets() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = dir.path().join("keys");
    std::fs::create_dir(&keys).expect("made");
    put(&keys.join("deploy-key"), "deploy-value", 0o400);
    put(&keys.join(".hidden"), "hidden-value", 0o400);
    let secrets = secrets(dir.path(), "[master]\nsecrets_dir = \"keys\"").await;
    let names: Vec<String> = secrets.names().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["deploy-key"]);
    assert_eq!(
        &*secrets.masker().mask_text("deploy-value hidden-value"),
        "<deploy-key> hidden-value"
    );
    for name in ["../keys/deploy-key", ".hidden", ""] {
        assert_eq!(
            secrets.value(name).await,
            Err(SecretError::Unknown(name.into()))
        );
    }
}

#[tokio::test]
async fn only_what_may_be_used_is_filled_in() {
    let dir = tempfile::tempdir().expect("a directory");
    put(&dir.path().join("a"), "value-of-a", 0o600);
    put(&dir.path().join("b"), "value-of-b", 0o600);
    let secrets = secrets(dir.path(), "[secret]\na.file = \"a\"\nb.file = \"b\"").await;
    let (a, b) = (secrets.placeholder("a"), secrets.placeholder("b"));
    assert_ne!(
        a,
        Secrets::default().placeholder("a"),
        "each start has its own"
    );
    let may_use_a = |name: &str| name == "a";
    let text = format!("{a} {a}");
    let filling = secrets.filling([text.as_bytes()], may_use_a).await;
    assert_eq!(
        filling.expect("readable").text(&text),
        "value-of-a value-of-a"
    );
    let refused = secrets.filling([a.as_bytes(), b.as_bytes()], may_use_a);
    assert_eq!(
        refused.await.err(),
        Some(SecretError::NotAllowed("b".into())),
        "what stands for a secret is no use to whoever gets it"
    );
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let code = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(code[..4], [0x5b, 0xdc, 0xc1, 0x46]);
}
