//! `toolpost run`: the master, until it is told to stop.

use std::time::Duration;

use toolpost_sandbox::{lower_thread_priority, shorten_thread_turns};
use tracing::{info, warn};

use super::Done;
use super::signals::{Signals, runtime};
use crate::app::{App, Runtimes};
use crate::cli::RunArgs;
use crate::output::Printer;
use crate::{service, telemetry};

/// How long a second signal leaves running builds.
const IMPATIENT_DRAIN: Duration = Duration::from_secs(2);

/// How much nicer the engine's threads are than the web server's: who is not nice comes first as soon as it has something to
/// do, and not when a turn is over.
const ENGINE_NICE: i32 = 3;

/// The same for the connections of workers: a crowd of them that comes at once does not come before who waits for a page.
const WORKERS_NICE: i32 = 1;

/// How long the engine's threads, and what they start, compute at a time while others wait. Less than the system lets plugins
/// compute, so that a thread of the engine need not wait for the end of a plugin's turn.
const ENGINE_TURN: Duration = Duration::from_micros(700);

/// The same for those that answer people and workers, and for the database: less again, so that they need not wait for the engine.
const SHORT_TURN: Duration = Duration::from_micros(200);

/// `toolpost run`
pub(crate) fn run(args: &RunArgs, printer: Printer) -> Done {
    // Dropped last, so that the last records are written, too.
    let _records = telemetry::start(args.log_json, printer)?;
    // Pages and API have threads of their own, so that no crawler can keep a worker's message waiting, and come first, so that
    // nobody waits for a page until a crowd of builds has begun. So have the connections of workers: one whose message is not
    // answered in time takes the master for lost.
    shorten_thread_turns(SHORT_TURN);
    let web = runtime("web", || ())?;
    let workers = runtime("workers", || {
        lower_thread_priority(WORKERS_NICE);
        shorten_thread_turns(SHORT_TURN);
    })?;
    let engine = runtime("engine", || {
        lower_thread_priority(ENGINE_NICE);
        shorten_thread_turns(ENGINE_TURN);
    })?;
    let runtimes = Runtimes {
        web: web.handle().clone(),
        workers: workers.handle().clone(),
    };
    engine.block_on(async {
        let mut signals = Signals::listen()?;
        let app = App::open(args, runtimes).await?;
        let name = tokio::select! {
            begun = app.begin() => {
                if let Err(failure) = begun {
                    app.stop(Duration::ZERO).await;
                    return Err(failure);
                }
                printer.line(format_args!("listening on http://{}/", app.address()));
                if let Some(address) = app.worker_address() {
                    printer.line(format_args!("workers connect to {address}"));
                }
                service::tell(service::READY);
                signals.next().await
            }
            name = signals.next() => name,
        };
        info!("stopping after {name}");
        service::tell(service::STOPPING);
        let drain = app.drain_timeout();
        tokio::select! {
            () = app.stop(drain) => {}
            name = signals.next() => {
                warn!("{name} again: running builds have {IMPATIENT_DRAIN:?} to end");
                app.stop(IMPATIENT_DRAIN).await;
            }
        }
        info!("stopped");
        Ok(())
    })
}
