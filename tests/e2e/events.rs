//! Who listens to events and is cut off while builds run hears all of them, each once.
//!
//! `cargo xtask chaos events` keeps him away for a minute, and runs more builds.

use std::cell::Cell;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use toolpost_harness::{Api, CONDITION_DEADLINE};

use crate::remote::Line;
use crate::support::{config, farm, shell};

/// How long he is away, in seconds, and how many builds end meanwhile at least; and the variables that say otherwise.
const AWAY_S: u64 = 1;
const AWAY_VARIABLE: &str = "TOOLPOST_TEST_AWAY_S";
const BUILDS: usize = 40;
const BUILDS_VARIABLE: &str = "TOOLPOST_TEST_AWAY_BUILDS";
/// Builds that end before he is cut off, and after he is back.
const BEFORE: usize = 10;
/// For how long somebody may take nothing, without being taken for gone.
const STALL_MAX: Duration = Duration::from_secs(15);
/// Builds that are asked for at one time.
const AT_ONCE: usize = 20;
/// Everything that there is to hear.
const PATHS: &str = "path=*/*/*&path=builders/*/builds/*/*&path=builds/*/steps/*/*&path=steps/*/logs/*/*\
    &path=builds/*/properties/update";

fn from_variable<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let said = std::env::var(name).ok();
    said.map_or(otherwise, |text| text.parse().ok().unwrap())
}

/// What was heard: keys and numbers.
type Seen = Vec<(String, String)>;

/// Somebody who listens over a line, comes back whenever that breaks, and knows where he was.
struct Listener {
    port: u16,
    /// The builder whose build is the end.
    end: i64,
    /// The last number that he has heard.
    last: String,
    seen: Seen,
    /// Builds that he has heard the end of.
    finished: watch::Sender<usize>,
    connections: usize,
}

impl Listener {
    fn new(port: u16, end: i64, since: &str) -> Self {
        Self {
            port,
            end,
            last: since.to_owned(),
            seen: Vec::new(),
            finished: watch::Sender::new(0),
            connections: 0,
        }
    }

    /// Listens until a build of the builder that is the end has finished. Gives what was heard, and over how many connections.
    async fn listen(mut self) -> (Seen, usize) {
        let deadline =
            CONDITION_DEADLINE + 4 * Duration::from_secs(from_variable(AWAY_VARIABLE, AWAY_S));
        let done = timeout(deadline, async {
            loop {
                let Some(mut socket) = open(self.port, &self.last).await else {
                    // The line is cut; nobody says when it is mended.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                self.connections += 1;
                while let Some(Ok(frame)) = socket.next().await {
                    if let Message::Text(text) = frame
                        && self.hears(&text)
                    {
                        return;
                    }
                }
            }
        });
        done.await.unwrap();
        (self.seen, self.connections)
    }

    /// Takes a message in; whether it was the last.
    fn hears(&mut self, text: &str) -> bool {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        let word = |name: &str| message[name].as_str().map(ToOwned::to_owned);
        let (Some(key), Some(number)) = (word("k"), word("n")) else {
            panic!("{text}");
        };
        self.last.clone_from(&number);
        let is_build = key.starts_with("builds/") && key.split('/').count() == 3;
        let finished = is_build && key.ends_with("/finished");
        if finished {
            self.finished.send_modify(|count| *count += 1);
        }
        self.seen.push((key, number));
        finished && message["m"]["builderid"] == self.end
    }
}

async fn open(port: u16, since: &str) -> Option<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let address = format!("ws://127.0.0.1:{port}/ws?since={since}&{PATHS}");
    Some(client_async(address, stream).await.ok()?.0)
}

/// Runs so many builds.
async fn build(api: &Api, count: usize) {
    let mut left = count;
    while left > 0 {
        let now = left.min(AT_ONCE);
        let requests = (0..now).map(|_| api.force("force", "unit"));
        let requests = futures::future::join_all(requests).await;
        for request in requests {
            api.finished(request).await;
        }
        left -= now;
    }
}

/// The number after which everything that follows is heard.
async fn now(port: u16) -> String {
    let mut socket = open(port, "now").await.unwrap();
    let ask = r#"{"cmd": "startConsuming", "path": "nothing", "since": "now", "_id": 1}"#;
    socket.send(Message::text(ask)).await.unwrap();
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            let said: serde_json::Value = serde_json::from_str(&text).unwrap();
            if said["_id"] == 1 {
                return said["n"].as_str().unwrap().to_owned();
            }
        }
    }
}

fn assert_each_once(name: &str, seen: &Seen, steady: &Seen, builds: usize) {
    let count = |ending: &str| {
        let keys = seen.iter().map(|(key, _)| key.as_str());
        let mut ended: Vec<_> = keys
            .filter(|key| key.starts_with("builds/") && key.ends_with(ending))
            .filter(|key| key.split('/').count() == 3)
            .collect();
        let told = ended.len();
        ended.sort_unstable();
        ended.dedup();
        (told, ended.len())
    };
    assert_eq!(count("/new"), (builds, builds), "{name}");
    assert_eq!(count("/finished"), (builds, builds), "{name}");
    // The same events with the same numbers in the same order as somebody who was there all the time.
    let differs = seen.iter().zip(steady).find(|(one, other)| one != other);
    assert_eq!(differs, None, "{name}");
    assert_eq!(seen.len(), steady.len(), "{name}");
}

#[tokio::test]
async fn who_is_cut_off_while_builds_run_or_takes_nothing_hears_each_event_once() {
    let away = Duration::from_secs(from_variable(AWAY_VARIABLE, AWAY_S));
    let builds = from_variable(BUILDS_VARIABLE, BUILDS);
    let steps = shell("echo one; echo two");
    let farm = farm(&config(&[("unit", &steps), ("end", &steps)]))
        .start()
        .await;
    let api = farm.api();
    let port = api
        .url("")
        .trim_end_matches('/')
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let (end, here) = (api.builder_id("end").await, now(port).await);

    let (cut, slow) = (Line::to(port).await, Line::to(port).await);
    let listeners = [port, cut.port, slow.port].map(|port| Listener::new(port, end, &here));
    let [mut steady_finished, mut cut_finished, _] = listeners
        .each_ref()
        .map(|listener| listener.finished.subscribe());
    let [steady, cut_off, slowed] = listeners.map(|listener| tokio::spawn(listener.listen()));

    let over = Cell::new(false);
    let load = async {
        // For as long as he is away there is something to miss.
        while !over.get() {
            build(api, AT_ONCE).await;
        }
        build(api, BEFORE).await;
        api.finished(api.force("force", "end").await).await;
    };
    let faults = async {
        cut_finished
            .wait_for(|count| *count >= BEFORE)
            .await
            .unwrap();
        cut.cut();
        slow.stall();
        let missed = *steady_finished.borrow() + builds;
        tokio::time::sleep(away.min(STALL_MAX)).await;
        slow.mend();
        tokio::time::sleep(away.saturating_sub(STALL_MAX)).await;
        steady_finished
            .wait_for(|count| *count >= missed)
            .await
            .unwrap();
        cut.mend();
        over.set(true);
    };
    tokio::join!(load, faults);

    let (steady, _) = steady.await.unwrap();
    let (cut_off, connections) = cut_off.await.unwrap();
    let (slowed, _) = slowed.await.unwrap();
    assert!(connections >= 2, "he was never away");
    let all = steady
        .iter()
        .filter(|(key, _)| key.starts_with("builds/") && key.ends_with("/new"));
    let all = all.filter(|(key, _)| key.split('/').count() == 3).count();
    assert!(all > builds + BEFORE, "{all} builds");
    assert_each_once("who was there", &steady, &steady, all);
    assert_each_once("who was cut off", &cut_off, &steady, all);
    assert_each_once("who took nothing", &slowed, &steady, all);
}
