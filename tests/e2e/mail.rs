//! Mail through a real server: over TLS that its authority vouches for, logged in, with the logs of failed steps.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use toolpost_harness::{Authority, Farm, eventually};

use crate::support::{config, farm, first_party, root, shell, write_secret};

const USER: &str = "farm";
const PASSWORD: &str = "a-password-of-the-farm";

/// The server; it ends when it is dropped.
struct Server {
    process: Child,
    told: std::io::Lines<BufReader<ChildStdout>>,
    port: u64,
}

impl Server {
    /// Starts one that speaks TLS in this `mode`: `starttls` or `tls`.
    fn start(mode: &str, authority: &Authority) -> Self {
        let python = std::env::var_os("TOOLPOST_TEST_MAIL_PYTHON")
            .expect("TOOLPOST_TEST_MAIL_PYTHON is not set: run the tests with `cargo xtask test`");
        let mut process = Command::new(python)
            .arg(root().join("tests/e2e/mail/server.py"))
            .arg(mode)
            .args([authority.server_certificate(), authority.server_key()])
            .args([USER, PASSWORD])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self {
            process,
            told,
            port: 0,
        };
        server.port = server.next()["port"].as_u64().unwrap();
        server
    }

    /// What it tells next; waits for that.
    fn next(&mut self) -> Value {
        let line = self.told.next().expect("the server runs").unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A farm with a builder that fails, and mail about that through a server on `port`.
async fn start(mode: &str, port: u64, trust: &str) -> Farm {
    let steps = shell("echo the lathe is stuck; exit 1");
    let config = config(&[("broken", &steps)])
        + &format!(
            r#"
[master]
{trust}

[mail]
host = "localhost"
port = {port}
tls = "{mode}"
user = "{USER}"
password = "{{{{ secret.mail }}}}"
from = "Farm <ci@example.org>"

[secret.mail]
file = "mail-password"

[plugin.reporter-mail]
grant.mail = true

[[reporter]]
name = "mail"
use = "mail"
to = ["Sheriff <sheriff@example.org>"]
blamed = false
retry = {{ first_wait = "100ms", longest_wait = "1s" }}
"#
        );
    let mut farm = farm(&config)
        .plugin("reporter-mail", first_party("reporter-mail"))
        .prepare();
    write_secret(&farm.path("mail-password"), PASSWORD);
    farm.run().await;
    farm
}

fn trusting(authority: &Authority) -> String {
    format!("ca_file = {:?}", authority.certificate())
}

/// Waits until the only delivery has been tried and gives it.
async fn tried(farm: &Farm) -> Value {
    eventually("the delivery is tried", async || {
        let all = farm.api().get("deliveries").await;
        let delivery = all["deliveries"][0].clone();
        delivery["text"].is_string().then_some(delivery)
    })
    .await
}

async fn arrives(mode: &str) {
    let authority = Authority::new();
    let mut server = Server::start(mode, &authority);
    let farm = start(mode, server.port, &trusting(&authority)).await;
    let request = farm.api().force("force", "broken").await;
    farm.api().finished(request).await;
    let delivery = tried(&farm).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");

    let mail = server.next();
    assert_eq!(mail["tls"], "TLSv1.3");
    assert!(mail["login"].as_str().unwrap().ends_with(USER), "{mail}");
    assert_eq!(mail["sender"], "ci@example.org");
    assert_eq!(mail["recipients"], json!(["sheriff@example.org"]));
    let subject = mail["subject"].as_str().unwrap();
    assert!(subject.contains("Build 1 of broken failed"), "{subject}");
    let [log] = &mail["attachments"].as_array().unwrap()[..] else {
        panic!("one log: {mail}");
    };
    assert_eq!(log["type"], "text/plain");
    assert!(
        log["text"]
            .as_str()
            .unwrap()
            .contains("the lathe is stuck\n"),
        "{log}"
    );
}

#[tokio::test]
async fn mail_arrives_encrypted_after_starttls() {
    arrives("starttls").await;
}

#[tokio::test]
async fn mail_arrives_encrypted_from_the_first_byte_on() {
    arrives("tls").await;
}

#[tokio::test]
async fn a_wrong_password_puts_mail_aside_and_is_not_told() {
    let wrong = "another-password";
    let authority = Authority::new();
    let server = Server::start("starttls", &authority);
    let farm = start("starttls", server.port, &trusting(&authority)).await;
    write_secret(&farm.path("mail-password"), wrong);
    let request = farm.api().force("force", "broken").await;
    farm.api().finished(request).await;
    let delivery = tried(&farm).await;
    assert_eq!(delivery["status"], "dead", "{delivery}");
    let text = delivery["text"].as_str().unwrap();
    assert!(text.contains("535"), "{text}");
    assert!(!text.contains(wrong) && !farm.output().contains(wrong));
}

#[tokio::test]
async fn a_mail_server_that_nobody_vouches_for_gets_nothing() {
    let authority = Authority::new();
    let server = Server::start("tls", &authority);
    let farm = start("tls", server.port, "").await;
    let request = farm.api().force("force", "broken").await;
    farm.api().finished(request).await;
    let delivery = tried(&farm).await;
    assert_eq!(delivery["status"], "pending", "{delivery}");
    let text = delivery["text"].as_str().unwrap();
    assert!(text.contains("UnknownIssuer"), "{text}");
}
