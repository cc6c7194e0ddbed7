//! Log records on standard error: for people on a terminal, as JSON for collectors.
//!
//! A thread of its own writes them: whoever reads them slowly, or not at all, keeps no build and no request waiting. Records that
//! nobody takes are dropped and counted.

use std::time::Duration;

use toolpost_sandbox::lower_thread_priority;
use tracing::warn;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::output::Printer;

/// Levels when `TOOLPOST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info,cranelift_codegen=warn,wasmtime=warn,sqlx=warn,hyper=warn";

/// Records that wait to be written.
const RECORDS_WAITING_MAX: usize = 50_000;
/// How much nicer than the web server the thread is that writes them: who floods the log keeps nobody waiting.
const WRITER_NICE: i32 = 5;
/// How often dropped records are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Starts log records for the rest of the process. What waits is written when the answer is dropped.
///
/// # Errors
/// When `TOOLPOST_LOG` is not a filter.
pub(crate) fn start(json: bool, printer: Printer) -> anyhow::Result<WorkerGuard> {
    let filter = match std::env::var("TOOLPOST_LOG") {
        Ok(filter) => EnvFilter::try_new(&filter)
            .map_err(|e| anyhow::anyhow!("TOOLPOST_LOG=`{filter}` is not a filter: {e}"))?,
        Err(_) => EnvFilter::new(DEFAULT_FILTER),
    };
    // A thread has the priority of the one that starts it.
    let begin = || {
        lower_thread_priority(WRITER_NICE);
        NonBlockingBuilder::default()
            .buffered_lines_limit(RECORDS_WAITING_MAX)
            .thread_name("log-writer")
            .finish(std::io::stderr())
    };
    let begun = std::thread::scope(|scope| scope.spawn(begin).join());
    let (writer, guard) = begun.map_err(|_| anyhow::anyhow!("cannot start writing log records"))?;
    let dropped = writer.error_counter();
    let records = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(printer.coloured_errors())
        .with_target(false);
    if json {
        records.json().init();
    } else {
        records.init();
    }
    std::thread::Builder::new()
        .name("log-drops".into())
        .spawn(move || tell_dropped(&dropped))?;
    Ok(guard)
}

/// Tells how many records were dropped, each time that there are more.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which no runtime waits for"
)]
fn tell_dropped(dropped: &ErrorCounter) {
    let mut told = 0;
    loop {
        std::thread::sleep(COUNT_INTERVAL);
        let all = dropped.dropped_lines();
        if all > told {
            let more = all - told;
            warn!("{more} log records were dropped, because standard error takes them too slowly");
            told = all;
        }
    }
}
