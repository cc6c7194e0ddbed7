//! `/logs/N/tail`: the last lines of a log, and what is added to it, until it is complete or whoever reads goes away.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use toolpost_bus::{Wake, Woken};
use toolpost_core::model::{Log, LogType};
use toolpost_core::{BuilderId, Event, LogId};
use toolpost_store::Store;

use crate::auth::Pass;
use crate::error::ApiError;
use crate::state::Web;

/// Lines of the past that are given when nobody says how many.
pub(crate) const TAIL_LINES: i64 = 10;

/// Lines that are read at a time.
const LINES_PER_READ: u32 = 2_000;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What comes in quick succession is read together.
const GATHER: Duration = Duration::from_millis(50);

/// Who follows a log, for as long as they may see it.
pub(super) struct Reader {
    pass: Pass,
    /// Whose the log is.
    builder: Option<BuilderId>,
}

impl Reader {
    pub(super) fn new(pass: Pass, builder: Option<BuilderId>) -> Self {
        Self { pass, builder }
    }

    /// An error when they may not see it any more.
    async fn check(&self) -> Result<(), ApiError> {
        let sight = self.pass.sight().await?;
        let is_seen = self.builder.is_some_and(|builder| sight.sees(builder));
        match is_seen || sight.is_all() {
            true => Ok(()),
            false => Err(ApiError::not_found("log")),
        }
    }
}

/// A log that is followed. Holds no more than the lines of one read.
struct Tail {
    store: Store,
    reader: Reader,
    log: LogId,
    has_letters: bool,
    /// The next line, and the one after the last as far as is known.
    next: i64,
    end: i64,
    complete: bool,
    wake: Wake,
    /// One of those who follow logs.
    _place: OwnedSemaphorePermit,
}

/// Follows a log.
pub(super) fn answer(
    web: &Web,
    reader: Reader,
    log: Option<Log>,
    wake: Wake,
    raw_query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let lines = lines_of(raw_query)?;
    let log = log.ok_or_else(|| ApiError::not_found("log"))?;
    let place = web.tails.clone().try_acquire_owned().map_err(|_| {
        ApiError::Full("as many logs are followed as this server allows; try again, or read `raw`")
    })?;
    let tail = Tail {
        store: web.store.clone(),
        reader,
        log: log.id,
        has_letters: log.log_type == LogType::Stdio,
        next: log.num_lines.saturating_sub(lines).max(0),
        end: log.num_lines,
        complete: log.complete,
        wake,
        _place: place,
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Some proxies would keep it until it ends.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    let body = Body::from_stream(stream::try_unfold(tail, Tail::step));
    Ok((headers, body).into_response())
}

/// Wakes when something happens to a log. To be made before the log is read, so that nothing is missed in between.
pub(super) fn wake(web: &Web, log: LogId) -> Wake {
    let is_of_log = move |event: &Event| match event {
        Event::LogAppended(id, _) | Event::LogFinished(id, _) => *id == log,
        _ => false,
    };
    Wake::new(web.bus.subscribe(), LOOK_INTERVAL, is_of_log).gathering(GATHER)
}

fn lines_of(raw_query: Option<&str>) -> Result<i64, ApiError> {
    let mut lines = TAIL_LINES;
    for (name, value) in form_urlencoded::parse(raw_query.unwrap_or_default().as_bytes()) {
        if name != "lines" {
            return Err(ApiError::query(format!(
                "unrecognized query parameter '{name}'"
            )));
        }
        let wanted: u32 = value
            .trim()
            .parse()
            .map_err(|_| ApiError::query("invalid lines"))?;
        lines = wanted.into();
    }
    Ok(lines)
}

impl Tail {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, ApiError> {
        loop {
            if self.next < self.end {
                let wanted = u32::try_from(self.end - self.next).unwrap_or(u32::MAX);
                let wanted = wanted.min(LINES_PER_READ);
                let read = self.store.log_lines(self.log, self.next, wanted).await?;
                if read.count > 0 {
                    self.next += read.count;
                    let piece = if self.has_letters {
                        without_letters(&read.content)
                    } else {
                        read.content
                    };
                    return Ok(Some((piece, self)));
                }
            }
            if self.complete && self.next >= self.end {
                return Ok(None);
            }
            if self.wake.next(None).await == Woken::Closed {
                return Ok(None);
            }
            self.reader.check().await?;
            let Some(log) = self.store.find::<Log>(self.log.0).await? else {
                return Ok(None);
            };
            (self.end, self.complete) = (log.num_lines, log.complete);
        }
    }
}

/// Lines without the letters of their streams.
fn without_letters(lines: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        plain.extend_from_slice(line.get(1..).unwrap_or_default());
    }
    plain.into()
}
