//! Tokens of programs: made, listed and revoked at the command line, shown over HTTP.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::json;
use toolpost_harness::Farm;

use crate::support::{config, farm, password_hash, shell};

const PASSWORD: &str = "correct horse battery";

/// Runs `toolpost token` as somebody.
async fn token(farm: &Farm, user: &str, password: &str, args: &[&str]) -> Output {
    let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toolpost"))
        .arg("token")
        .args(args)
        .args(["--user", user, "--url", &farm.api().url("")])
        .env("TOOLPOST_PASSWORD", password)
        .output();
    command.await.unwrap()
}

/// What it says, if all goes well.
async fn said(farm: &Farm, user: &str, args: &[&str]) -> String {
    let output = token(farm, user, PASSWORD, args).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the master answers to a call by whoever shows this.
async fn call(farm: &Farm, token: &str, path: &str, method: &str, builder: &str) -> StatusCode {
    let params = json!({"builderNames": [builder], "reason": "nightly"});
    let call = json!({"id": 1, "jsonrpc": "2.0", "method": method, "params": params});
    let client = reqwest::Client::new();
    let request = client.post(farm.api().url(&format!("api/v2/{path}")));
    let answer = request.bearer_auth(token).json(&call).send().await;
    answer.unwrap().status()
}

/// What the master answers to somebody who only looks.
async fn look(farm: &Farm, token: &str) -> StatusCode {
    let request = reqwest::Client::new().get(farm.api().url("api/v2/builders"));
    request.bearer_auth(token).send().await.unwrap().status()
}

/// Lets a token end that was made for longer, in the database of a farm that does not run.
fn let_expire(farm: &Farm, name: &str) {
    let python = std::env::var_os("TOOLPOST_TEST_MAIL_PYTHON")
        .expect("TOOLPOST_TEST_MAIL_PYTHON is not set: run the tests with `cargo xtask test`");
    let script = "import sqlite3, sys\n\
        database = sqlite3.connect(sys.argv[1])\n\
        ended = database.execute('UPDATE tokens SET expires_at = created_at + 1 WHERE label = ?', sys.argv[2:])\n\
        assert ended.rowcount == 1\n\
        database.commit()\n";
    let status = std::process::Command::new(python)
        .args(["-c", script])
        .arg(farm.path("state/toolpost.db"))
        .arg(name)
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_token_does_what_it_is_for_until_it_ends() {
    let hash = password_hash(PASSWORD);
    let builders = [("unit", shell("true")), ("docs", shell("true"))];
    let builders = builders
        .each_ref()
        .map(|(name, steps)| (*name, steps.as_str()));
    let rules = format!(
        "\n[web.auth.user.ada]\npassword_hash = {hash:?}\n\n[web.auth.user.eve]\npassword_hash = {hash:?}\n\n\
         [[web.auth.rule]]\nactions = [\"control\"]\nroles = [\"user\"]\n"
    );
    let mut farm = farm(&(config(&builders) + &rules)).start().await;
    let create = [
        "create",
        "nightly",
        "--scope",
        "force",
        "--builder",
        "uni*",
        "--days",
        "30",
    ];
    let nightly = said(&farm, "ada", &create).await;
    assert!(nightly.starts_with("tpt_"), "{nightly}");
    let brief = said(&farm, "ada", &["create", "brief", "--days", "1"]).await;

    let force = "forceschedulers/force";
    for (token, path, method, builder, expected) in [
        (&nightly, force, "force", "unit", StatusCode::OK),
        (&nightly, force, "force", "docs", StatusCode::FORBIDDEN),
        (&nightly, "workers/1", "pause", "", StatusCode::FORBIDDEN),
        (&nightly, "tokens", "create", "", StatusCode::FORBIDDEN),
        (&brief, force, "force", "unit", StatusCode::FORBIDDEN),
        (
            &"tpt_guessed".to_owned(),
            force,
            "force",
            "unit",
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let status = call(&farm, token, path, method, builder).await;
        assert_eq!(status, expected, "{method} of {path} for {builder:?}");
    }
    let requests = farm.api().get("buildrequests").await;
    assert_eq!(requests["meta"]["total"], 1, "{requests}");

    let listed = said(&farm, "ada", &["list"]).await;
    assert!(
        listed.contains("nightly") && listed.contains("brief"),
        "{listed}"
    );
    assert!(!listed.contains(&nightly) && !farm.output().contains(&nightly));
    let of_eve = said(&farm, "eve", &["list"]).await;
    assert_eq!(of_eve, "");
    let refused = token(&farm, "ada", "wrong", &["list"]).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && told.contains("do not fit together"),
        "{told}"
    );
    // The tokens of others are not there.
    let foreign = token(&farm, "eve", PASSWORD, &["revoke", "1"]).await;
    assert!(!foreign.status.success());
    for token in [&nightly, &brief] {
        assert_eq!(look(&farm, token).await, StatusCode::OK);
    }

    said(&farm, "ada", &["revoke", "1"]).await;
    assert_eq!(look(&farm, &nightly).await, StatusCode::UNAUTHORIZED);
    let status = call(&farm, &nightly, force, "force", "unit").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    farm.terminate().await;
    let_expire(&farm, "brief");
    farm.run().await;
    assert_eq!(look(&farm, &brief).await, StatusCode::UNAUTHORIZED);
    let listed = said(&farm, "ada", &["list"]).await;
    assert!(
        listed.contains("revoked") && listed.contains("ended"),
        "{listed}"
    );
}
