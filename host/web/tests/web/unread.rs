//! Bodies that are longer than is taken, sent over a real connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::TestFarm;

/// What has come by then has to have come: far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes a request whole before it reads, as simple clients do, and another one after it. Gives all that comes back.
async fn write_then_read(farm: &TestFarm, head: &str, body: Vec<u8>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = farm.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    let next = "GET /api HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await?;
    let mut read = Vec::new();
    let all = stream.read_to_end(&mut read);
    tokio::time::timeout(PATIENCE, all).await.expect("an end")?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn whoever_writes_all_before_it_reads_hears_why_not() {
    let farm = TestFarm::new().await;
    let long = 20 << 20;
    let json = "content-type: application/json\r\n";
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let foreign = "content-type: application/json\r\norigin: https://evil.example\r\n";
    for (path, headers, expected) in [
        ("/api/v2/builds/1", json, "413 Payload Too Large"),
        ("/force/force", form, "413 Payload Too Large"),
        ("/nowhere", json, "404 Not Found"),
        ("/api/v2/builds/1", foreign, "403 Forbidden"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {long}\r\n\r\n"
        );
        let answers = write_then_read(&farm, &head, vec![b' '; long]).await;
        let answers = answers.unwrap_or_else(|error| panic!("{path}: {error}"));
        let first = format!("HTTP/1.1 {expected}\r\n");
        assert!(answers.starts_with(&first), "{path}: {answers}");
        // The connection is good for more.
        assert_eq!(
            answers.matches("HTTP/1.1 200 OK").count(),
            1,
            "{path}: {answers}"
        );
    }
}

#[tokio::test]
async fn whoever_never_ends_is_cut_off() {
    let farm = TestFarm::new().await;
    let head = "POST /api/v2/builds/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 200000000\r\n\r\n";
    // The rest of it cannot be written any more.
    let cut = write_then_read(&farm, head, vec![b' '; 200_000_000]).await;
    assert!(cut.is_err(), "{cut:?}");
}
