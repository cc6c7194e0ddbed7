//! An HTTP client that costs little: it shares the machine with what it measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What a run of requests took.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
    took: Duration,
}

impl Latencies {
    /// Requests per second.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency in milliseconds that this share (0 to 1) of the requests stayed under.
    #[must_use]
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let index = ((self.sorted.len() as f64 * share) as usize).min(last);
        self.sorted
            .get(index)
            .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
    }
}

/// One kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    authority: String,
}

impl Connection {
    /// Connects to `http://authority`.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) async fn open(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority)
            .await
            .context("connect to the master")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            authority: authority.to_owned(),
        })
    }

    /// GETs a path and drops the body; gives its bytes.
    ///
    /// # Errors
    /// When the answer is not a success.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<u64> {
        let request = Request::get(path)
            .header("host", &self.authority)
            .body(Empty::new())?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        ensure!(
            answer.status().is_success(),
            "GET {path}: {}",
            answer.status()
        );
        let mut body = answer.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(bytes)
    }
}

/// GETs a path again and again over `connections` connections for `span`.
///
/// # Errors
/// When an answer is not a success.
pub(crate) async fn hammer(
    authority: &str,
    path: &str,
    connections: usize,
    span: Duration,
) -> anyhow::Result<Latencies> {
    let path = path.to_owned();
    hammer_each(authority, move |_| path.clone(), connections, span).await
}

/// The same with a path for each request, which are counted over all connections.
///
/// # Errors
/// When an answer is not a success.
pub(crate) async fn hammer_each(
    authority: &str,
    path: impl Fn(usize) -> String + Clone + Send + 'static,
    connections: usize,
    span: Duration,
) -> anyhow::Result<Latencies> {
    let asked = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let mut connection = Connection::open(authority).await?;
        let (path, count) = (path.clone(), Arc::clone(&asked));
        tasks.spawn(async move {
            let mut taken = Vec::new();
            while start.elapsed() < span {
                let path = path(count.fetch_add(1, Ordering::Relaxed));
                let asked = Instant::now();
                connection.get(&path).await?;
                taken.push(asked.elapsed());
            }
            anyhow::Ok(taken)
        });
    }
    let mut sorted = Vec::new();
    while let Some(taken) = tasks.join_next().await {
        sorted.extend(taken??);
    }
    sorted.sort_unstable();
    Ok(Latencies {
        sorted,
        took: start.elapsed(),
    })
}

/// GETs a path at every tick for `span`, over one connection. A visit that is late because the one before took too long counts
/// from its tick; where the clock was late, ticks begin anew. Who visits has a thread of their own, so that they do not wait for
/// what else this process plays.
///
/// # Errors
/// When an answer is not a success.
pub(crate) async fn visits(
    authority: &str,
    path: &str,
    tick: Duration,
    span: Duration,
) -> anyhow::Result<Latencies> {
    let (authority, path) = (authority.to_owned(), path.to_owned());
    let visiting = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(visit_all(&authority, &path, tick, span))
    };
    tokio::task::spawn_blocking(visiting).await?
}

async fn visit_all(
    authority: &str,
    path: &str,
    tick: Duration,
    span: Duration,
) -> anyhow::Result<Latencies> {
    let mut connection = Connection::open(authority).await?;
    let start = Instant::now();
    let mut sorted = Vec::new();
    let mut due = start;
    while due < start + span {
        let mut began = due;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            #[expect(
                clippy::disallowed_methods,
                reason = "a runtime's clock has a grain of a millisecond, and this thread has nothing else to do"
            )]
            std::thread::sleep(early);
            // That our own clock is late says nothing about the master, nor about the visits after this one.
            began = Instant::now();
            due = began;
        }
        connection.get(path).await?;
        sorted.push(began.elapsed());
        due += tick;
    }
    sorted.sort_unstable();
    Ok(Latencies {
        sorted,
        took: start.elapsed(),
    })
}
