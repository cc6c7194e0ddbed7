//! Contents of logs: a range of lines as JSON, or the whole as text. Both in pieces of bounded size, however long the log.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use toolpost_core::LogId;
use toolpost_core::model::{Build, Builder, Log, LogType, Step, Worker};
use toolpost_store::{LogLines, Store};

use super::json::{self, Object};
use super::list::Answer;
use super::query::Spec;
use super::schema::Resource;
use crate::artifacts::disposition;
use crate::caching;
use crate::error::ApiError;

/// Lines that are read at a time.
const LINES_PER_READ: u32 = 10_000;

/// Lines of a log as one chunk; `offset` is the first line, `limit` their number.
pub(crate) async fn contents(
    store: &Store,
    log: Option<Log>,
    raw_query: Option<&str>,
) -> Result<Answer, ApiError> {
    let spec = Spec::parse(Resource::LogChunk, raw_query, false)?;
    let log = log.ok_or_else(|| ApiError::not_found("log"))?;
    let first = i64::from(spec.query.offset);
    let end = match spec.query.limit {
        Some(limit) => first + i64::from(limit),
        None => log.num_lines.max(1),
    };
    if end <= first {
        return Err(ApiError::not_found(format!("line {first} in this log")));
    }
    let lines = read(store, log.id, first, end).await?;
    let next = first + lines.count;
    if lines.count == 0 || next >= end {
        return Ok(Answer::Whole(chunk(&spec, &log, first, &lines)));
    }
    let more = read(store, log.id, next, end).await?;
    if more.count == 0 {
        return Ok(Answer::Whole(chunk(&spec, &log, first, &lines)));
    }
    Ok(Answer::Stream(stream_chunk(
        store.clone(),
        &spec,
        &log,
        first,
        end,
        [lines, more],
    )))
}

async fn read(store: &Store, log: LogId, first: i64, end: i64) -> Result<LogLines, ApiError> {
    let wanted = u32::try_from(end - first)
        .unwrap_or(u32::MAX)
        .min(LINES_PER_READ);
    Ok(store.log_lines(log, first, wanted).await?)
}

/// A chunk that fits in one read.
fn chunk(spec: &Spec, log: &Log, first: i64, lines: &LogLines) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.content.len() + 128);
    out.extend_from_slice(b"{\"logchunks\":[");
    let mut object = Object::open(&mut out, spec.fields.as_deref());
    object.text("content", &String::from_utf8_lossy(&lines.content));
    object.int("firstline", first);
    object.int("logid", log.id.0);
    object.close();
    out.extend_from_slice(b"],\"meta\":{}}");
    out
}

/// A chunk that is read and sent piece by piece.
fn stream_chunk(
    store: Store,
    spec: &Spec,
    log: &Log,
    first: i64,
    end: i64,
    start: [LogLines; 2],
) -> Body {
    let selected = |name| {
        spec.fields
            .as_ref()
            .is_none_or(|fields| fields.contains(&name))
    };
    let with_content = selected("content");
    let mut tail = Vec::new();
    if with_content {
        tail.push(b'"');
    }
    for (name, value) in [("firstline", first), ("logid", log.id.0)] {
        if selected(name) {
            if with_content || name == "logid" && selected("firstline") {
                tail.push(b',');
            }
            tail.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
        }
    }
    tail.extend_from_slice(b"}],\"meta\":{}}");
    let mut head = b"{\"logchunks\":[{".to_vec();
    if !with_content {
        head.append(&mut tail);
        return Body::from(head);
    }
    head.extend_from_slice(b"\"content\":\"");
    let log = log.id;
    let next = first + start[0].count + start[1].count;
    let rest = stream::try_unfold(next, move |next| {
        let store = store.clone();
        async move {
            if next >= end {
                return Ok(None);
            }
            let lines = read(&store, log, next, end).await?;
            if lines.count == 0 {
                return Ok(None);
            }
            let next = next + lines.count;
            Ok::<_, ApiError>(Some((lines, next)))
        }
    });
    let pieces = stream::iter(start.map(Ok)).chain(rest);
    let pieces = pieces.map(|lines| lines.map(|lines| escaped(&lines.content)));
    let ends = |bytes: Vec<u8>| stream::iter([Ok(Bytes::from(bytes))]);
    Body::from_stream(ends(head).chain(pieces).chain(ends(tail)))
}

/// The inside of a JSON string.
fn escaped(content: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(content.len() + content.len() / 16 + 2);
    json::text(&mut out, &String::from_utf8_lossy(content));
    let inside = 1..out.len() - 1;
    Bytes::from(out).slice(inside)
}

/// What stands above and around a log, for its name and heading.
struct Surroundings {
    builder: Option<Builder>,
    build: Option<Build>,
    step: Option<Step>,
    worker: Option<Worker>,
}

impl Surroundings {
    async fn of(store: &Store, log: &Log) -> Result<Self, ApiError> {
        let step = store.find::<Step>(log.step_id).await?;
        let build = match &step {
            Some(step) => store.find::<Build>(step.build_id).await?,
            None => None,
        };
        let (builder, worker) = match &build {
            Some(build) => (
                store.find::<Builder>(build.builder_id).await?,
                match build.worker_id {
                    Some(worker) => store.find::<Worker>(worker).await?,
                    None => None,
                },
            ),
            None => (None, None),
        };
        Ok(Self {
            builder,
            build,
            step,
            worker,
        })
    }

    /// The lines in front of a stdio log.
    fn heading(&self) -> String {
        let mut heading = String::new();
        if let Some(builder) = &self.builder {
            heading += &format!("Builder: {}\n", builder.name);
        }
        if let Some(build) = &self.build {
            heading += &format!("Build number: {}\n", build.number);
        }
        if let Some(worker) = &self.worker {
            heading += &format!("Worker name: {}\n", worker.name);
        }
        heading
    }

    /// A file name that says what is in the file.
    fn file_name(&self, log: &Log) -> String {
        let mut parts = Vec::new();
        parts.extend(self.builder.as_ref().map(|builder| builder.name.clone()));
        parts.extend(
            self.build
                .as_ref()
                .map(|build| format!("build_{}", build.number)),
        );
        parts.extend(self.step.as_ref().map(|step| format!("step_{}", step.name)));
        parts.push(format!("log_{}", log.slug));
        parts.join("_")
    }
}

/// The whole log as text: to look at (`inline`), or to keep.
pub(crate) async fn raw(
    store: &Store,
    log: Option<Log>,
    inline: bool,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let log = log.ok_or_else(|| ApiError::not_found("log"))?;
    // A log that is complete stays as it is; what stands above it does so as well.
    let tag = format!("\"{}-{}\"", log.id, log.num_lines);
    let tag = HeaderValue::try_from(tag).ok().filter(|_| log.complete);
    if let Some(tag) = &tag
        && caching::is_known(request, tag)
    {
        return Ok(caching::unchanged(tag));
    }
    let around = Surroundings::of(store, &log).await?;
    let heading = match log.log_type {
        LogType::Stdio => around.heading(),
        LogType::Text | LogType::Html => String::new(),
    };
    let path = format!("log {}", log.id);
    let lines = store.raw_stream(log.id).await?.map(move |piece| {
        piece.inspect_err(|error| tracing::error!("sending {path} broke off: {error}"))
    });
    let heading = stream::iter((!heading.is_empty()).then(|| Ok(Bytes::from(heading))));
    let mut response = Response::new(Body::from_stream(heading.chain(lines)));
    if let Some(tag) = tag {
        caching::revalidated(response.headers_mut(), tag);
    }
    let mut set = |name: HeaderName, value: &'static str| {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    };
    if log.log_type == LogType::Html {
        set(header::CONTENT_TYPE, "text/html; charset=utf-8");
        // What a build wrote must not act in the name of whoever looks at it. The page of the log shows it in a frame.
        set(
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
        );
        set(header::X_FRAME_OPTIONS, "SAMEORIGIN");
    } else {
        set(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    }
    if !inline && let Ok(value) = disposition(false, &around.file_name(&log)) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
