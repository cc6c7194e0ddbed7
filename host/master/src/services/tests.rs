use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use toolpost_config::{Sources, check};
use toolpost_store::StoreOptions;

use super::*;
use crate::steps::NativeCatalog;

struct Room {
    dir: TempDir,
    shared: Arc<Capabilities>,
}

/// The services with a secret `key`, as far as a configuration grants them to the plugin `p`.
async fn room(text: &str) -> Room {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    std::fs::write(&file, "key-value-0\n").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    let url = format!("sqlite:{}", dir.path().join("farm.db").display());
    let store = Store::open(StoreOptions::new(url, dir.path().join("objects")));
    let shared = Arc::new(Capabilities::new(store.await.expect("a store")));
    let room = Room { dir, shared };
    room.configure(text).await;
    room
}

impl Room {
    async fn configure(&self, text: &str) {
        let text = format!("{text}\n[secret.key]\nfile = \"key\"\n");
        let sources = Sources::from_texts(self.dir.path(), [("toolpost.toml", text)]);
        let config = check(&sources, &NativeCatalog).expect("a good configuration");
        self.shared.configure(&Arc::new(config)).await;
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        let wants = [Want::Secret("*".into()), Want::Storage, Want::Mail];
        self.services_wanting(&wants)
    }

    fn services_wanting(&self, wants: &[Want]) -> Arc<dyn PluginServices> {
        Services::of(&self.shared, &Wanted::new("p", wants))
    }
}

#[tokio::test]
async fn what_is_not_granted_is_refused_with_the_setting_that_grants_it() {
    let room = room("").await;
    let services = room.services();
    let told = [
        services.secret_placeholder("key").await.map(drop),
        services.hmac_sha256("key", Bytes::new()).await.map(drop),
        services.stored("k").await.map(drop),
        services.send_mail(message(), "k").await,
    ];
    let told = told.map(|told| told.expect_err("refused"));
    let secret = "the secret `key` is not granted: add `grant.secrets = [\"key\"]` to [plugin.p]";
    assert_eq!(
        told,
        [
            HostError::Config(secret.into()),
            HostError::Config(secret.into()),
            HostError::Config(
                "storage is not granted: add `grant.storage = true` to [plugin.p]".into()
            ),
            HostError::Config("mail is not granted: add `grant.mail = true` to [plugin.p]".into()),
        ]
    );
}

#[tokio::test]
async fn a_grant_counts_from_the_next_call_and_so_does_its_end() {
    let room = room("[plugin.p]\ngrant.secrets = [\"key\"]\ngrant.storage = true").await;
    let services = room.services();
    let placeholder = services.secret_placeholder("key").await.expect("granted");
    assert!(!placeholder.contains("key-value-0"));
    let sent = Bytes::from(format!("Bearer {placeholder}"));
    assert_eq!(
        services.fill_in(sent.clone()).await,
        Ok("Bearer key-value-0".into())
    );
    assert_eq!(services.mask("got key-value-0".into()), "got <key>");
    services
        .store("k", Some("v".into()))
        .await
        .expect("granted");
    assert_eq!(services.stored("k").await, Ok(Some("v".into())));
    assert_eq!(services.compare_and_store("k", None, None).await, Ok(false));
    room.configure("").await;
    assert!(services.secret_placeholder("key").await.is_err());
    let refused = "the secret `key` is not granted: add `grant.secrets = [\"key\"]` to [plugin.p]";
    assert_eq!(
        services.fill_in(sent).await,
        Err(HostError::Config(refused.into())),
        "what stands for a secret is not sent"
    );
    assert!(services.stored("k").await.is_err());
}

#[tokio::test]
async fn a_secret_that_was_not_asked_for_is_not_filled_in_although_it_is_granted() {
    let room = room("[plugin.p]\ngrant.secrets = [\"key\"]").await;
    let placeholder = room.services().secret_placeholder("key").await;
    let sent = Bytes::from(placeholder.expect("granted"));
    let other = room.services_wanting(&[Want::Secret("other".into())]);
    let refused = other.fill_in(sent).await.expect_err("refused");
    assert!(
        matches!(&refused, HostError::Permanent(text) if text.contains("add `secret(\"key\")` to the `wants`")),
        "{refused}"
    );
}

#[tokio::test]
async fn templates_are_rendered_within_limits() {
    let room = room("").await;
    let services = room.services();
    let render = async |template: &str| {
        let values = serde_json::json!({ "who": "world", "many": [1, 2] });
        services.render(template.into(), values).await
    };
    assert_eq!(render("hello {{ who }}").await, Ok("hello world".into()));
    assert!(matches!(
        render("{{ nobody }}").await,
        Err(HostError::Config(_))
    ));
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(matches!(render(endless).await, Err(HostError::Config(_))));
}

#[test]
fn wants_are_held_against_grants() {
    let grants = |text: &str| {
        let text = format!("[secret.key]\nfile = \"key\"\n[plugin.p]\n{text}");
        let sources = Sources::from_texts("/farm", [("toolpost.toml", text)]);
        let config = check(&sources, &NativeCatalog).expect("a good configuration");
        config.plugins["p"].grants.clone()
    };
    let http = |host: &str| Want::Http(host.into());
    let table = [
        ("", http("*"), false),
        ("grant.http = [\"a.org\"]", http("*"), true),
        ("grant.http = [\"a.org\"]", http("a.org"), true),
        ("grant.http = [\"a.org\"]", http("b.org"), false),
        (
            "grant.http_private = [\"*.a.org:8443\"]",
            http("x.a.org:8443"),
            true,
        ),
        (
            "grant.secrets = [\"key\"]",
            Want::Secret("key".into()),
            true,
        ),
        ("grant.secrets = [\"key\"]", Want::Secret("*".into()), true),
        (
            "grant.secrets = [\"key\"]",
            Want::Secret("other".into()),
            false,
        ),
        (
            "grant.environment = [\"HOME\"]",
            Want::Environment("HOME".into()),
            true,
        ),
        (
            "grant.environment = [\"HOME\"]",
            Want::Environment("PATH".into()),
            false,
        ),
        ("grant.trigger = [\"*\"]", Want::Trigger("b".into()), true),
        ("", Want::Trigger("b".into()), false),
        (
            "grant.artifacts = [\"lib-*\"]",
            Want::Artifacts("lib-a".into()),
            true,
        ),
        (
            "grant.artifacts = [\"lib-*\"]",
            Want::Artifacts("*".into()),
            true,
        ),
        (
            "grant.artifacts = [\"lib-*\"]",
            Want::Artifacts("b".into()),
            false,
        ),
        (
            "grant.trigger = [\"*\"]",
            Want::Artifacts("*".into()),
            false,
        ),
        ("grant.storage = true", Want::Storage, true),
        ("grant.storage = true", Want::Mail, false),
    ];
    for (granted, want, expected) in table {
        let missing = missing(&grants(granted), std::slice::from_ref(&want));
        assert_eq!(missing.is_empty(), expected, "{granted}: {want}");
    }
}

fn message() -> Message {
    Message {
        sender: None,
        to: vec!["Ann <ann@example.org>".into()],
        cc: Vec::new(),
        bcc: vec!["boss@example.org".into()],
        reply_to: None,
        subject: "build 7: failure".into(),
        text: Some("it failed".into()),
        html: None,
        headers: vec![("X-Builder".into(), "unit".into())],
        attachments: Vec::new(),
    }
}

/// What a mail server was told, until the client left.
async fn serve_mail(listener: TcpListener, refuse: Option<&'static str>) -> String {
    let (stream, _) = listener.accept().await.expect("a client");
    let mut stream: BufReader<TcpStream> = BufReader::new(stream);
    let mut heard = String::new();
    let mut in_data = false;
    stream.write_all(b"220 test\r\n").await.expect("sent");
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.expect("a line") == 0 {
            return heard;
        }
        heard.push_str(&line);
        let answer = match line.trim_end() {
            "." if in_data => {
                in_data = false;
                "250 taken\r\n"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            line if line.starts_with("EHLO") => "250-test\r\n250 AUTH PLAIN\r\n",
            line if line.starts_with("AUTH") => "235 welcome\r\n",
            line if line.starts_with("RCPT") => refuse.unwrap_or("250 ok\r\n"),
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await.expect("sent");
    }
}

fn mail_config(address: SocketAddr) -> String {
    format!(
        "[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"ci\"\npassword = \"{{{{ secret.key }}}}\"\nfrom = \"Farm <ci@example.org>\"\n[plugin.p]\ngrant.mail = true\ngrant.secrets = [\"key\"]\n",
        address.port()
    )
}

#[tokio::test]
async fn a_message_reaches_the_server_with_its_secrets_and_an_id_that_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let room = room(&mail_config(listener.local_addr().expect("bound"))).await;
    let services = room.services();
    let placeholder = services.secret_placeholder("key").await.expect("granted");
    let mut message = message();
    message.text = Some(format!("token {placeholder}"));
    let (heard, sent) = tokio::join!(
        serve_mail(listener, None),
        services.send_mail(message, "key-1")
    );
    assert_eq!(sent, Ok(()));
    // `\0ci\0key-value-0`
    assert!(heard.contains("AUTH PLAIN AGNpAGtleS12YWx1ZS0w"), "{heard}");
    for part in [
        "MAIL FROM:<ci@example.org>",
        "RCPT TO:<ann@example.org>",
        "RCPT TO:<boss@example.org>",
        "From: Farm <ci@example.org>",
        "Subject: build 7: failure",
        "X-Builder: unit",
        "token key-value-0",
        "@example.org>",
    ] {
        assert!(heard.contains(part), "{part} is missing in {heard}");
    }
    assert!(!heard.contains("Bcc:"), "{heard}");
}

#[tokio::test]
async fn refusals_of_the_server_are_told_apart() {
    for (answer, is_permanent) in [("550 no such user\r\n", true), ("450 later\r\n", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let room = room(&mail_config(listener.local_addr().expect("bound"))).await;
        let services = room.services();
        let (_, sent) = tokio::join!(
            serve_mail(listener, Some(answer)),
            services.send_mail(message(), "k")
        );
        let error = sent.expect_err("refused");
        assert_eq!(
            matches!(error, HostError::Permanent(_)),
            is_permanent,
            "{error:?}"
        );
        assert_eq!(
            matches!(error, HostError::Retryable(_)),
            !is_permanent,
            "{error:?}"
        );
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let room = room(&mail_config(closed.local_addr().expect("bound"))).await;
    drop(closed);
    let sent = room.services().send_mail(message(), "k").await;
    assert!(matches!(sent, Err(HostError::Retryable(_))), "{sent:?}");
}

#[tokio::test]
async fn what_is_no_mail_is_refused_before_it_is_sent() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let room = room(&mail_config(nobody)).await;
    let services = room.services();
    let refused = async |change: fn(&mut Message)| {
        let mut message = message();
        change(&mut message);
        services
            .send_mail(message, "k")
            .await
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        [
            refused(|message| message.to = vec!["nobody".into()]).await,
            refused(|message| message.subject = "a\r\nBcc: x@example.org".into()).await,
            refused(|message| message.headers = vec![("Bcc".into(), "x@example.org".into())]).await,
            refused(|message| message.headers = vec![("X-A".into(), "a\r\nBcc: x".into())]).await,
            refused(|message| message.text = Some("x".repeat(5 << 20))).await,
        ],
        [
            "`nobody` is not a mail address",
            "`subject` has more than one line",
            "the header `Bcc` follows from the message",
            "`X-A` has more than one line",
            "the message has 5242893 bytes, at most 4194304 are sent",
        ]
    );
}
