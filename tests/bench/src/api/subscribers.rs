//! Clients of `/ws`: who hears of builds, and when.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

/// A client is small: there are a thousand of them in this process.
const BUFFER_BYTES: usize = 4 * 1024;
/// How long nothing may be heard while something is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// A client that listens to builds.
pub(super) struct Subscriber(WebSocketStream<TcpStream>);

impl Subscriber {
    /// Connects, and listens to what begins and ends from now on.
    ///
    /// # Errors
    /// When the master refuses it.
    pub(super) async fn connect(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0);
        let address = format!("ws://{authority}/ws?since=now&path=builds/*/*");
        let connected =
            tokio_tungstenite::client_async_with_config(address, stream, Some(config)).await;
        Ok(Self(connected.context("open /ws")?.0))
    }

    /// Waits for the event of a build with this end (`new`, `finished`); gives its key.
    ///
    /// # Errors
    /// When the connection ends, something was missed, or nothing is heard for long.
    pub(super) async fn hear(&mut self, last: &str) -> anyhow::Result<String> {
        loop {
            let heard = timeout(SILENCE_MAX, self.0.next()).await;
            let frame = heard
                .context("silence")?
                .context("the end of the events")??;
            let Message::Text(text) = frame else {
                continue;
            };
            let event: Value = serde_json::from_str(&text)?;
            let Some(key) = event["k"].as_str() else {
                bail!("{text}");
            };
            if key.rsplit_once('/').is_some_and(|(_, end)| end == last) {
                return Ok(key.to_owned());
            }
        }
    }

    /// Waits until so many builds have finished, each heard of once; gives when the last was heard of.
    ///
    /// # Errors
    /// As for [`Self::hear`]; when one was heard of twice.
    pub(super) async fn hear_all(mut self, builds: usize) -> anyhow::Result<Instant> {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < builds {
            let key = self.hear("finished").await?;
            if !seen.insert(key.clone()) {
                bail!("{key} was told twice");
            }
        }
        Ok(Instant::now())
    }
}
