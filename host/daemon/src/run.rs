//! From the start to the end of the program: a connection, and another one when it is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use toolpost_core::backoff::Backoff;
use toolpost_wire::Limits;
use toolpost_worker::{LocalWorker, LocalWorkerOptions, OpenError, User, UserError};

use crate::connect::{ConnectError, connect};
use crate::info;
use crate::jobs::{Depot, Jobs};
use crate::orders::Orders;
use crate::room::Room;
use crate::session::{End, Outcome, Post, Session};
use crate::settings::Settings;

/// The first wait between two tries to connect; each further one is longer.
const DELAY_MIN: Duration = Duration::from_millis(500);
/// Where people have to do something first, each wait is at least this long.
const PEOPLE_DELAY_MIN: Duration = Duration::from_secs(30);

/// Why the worker does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its base directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Builds cannot run as the user that is named.
    #[error(transparent)]
    User(#[from] UserError),
}

/// Runs a worker until it is ordered to stop or its master tells it to end. Needs a runtime with several threads.
///
/// # Errors
/// The base directory or the user cannot be used. A master that cannot be reached is no error: it is tried again.
pub async fn run(settings: Settings, orders: Orders) -> Result<(), RunError> {
    let mut options = LocalWorkerOptions::new(&settings.base_dir);
    if let Some(most) = settings.commands_max {
        options.limits.commands_max = most;
    }
    options.command_limits = settings.command_limits;
    if let Some(user) = &settings.user {
        options.user = Some(User::named(user)?);
    }
    let worker = LocalWorker::open(options).await?;
    let depot = Depot::new(worker.base_dir().to_owned(), settings.spool_bytes_max);
    let (jobs, asks) = Jobs::new(worker.clone(), depot);
    let limits = Limits {
        quiet_max: settings.keepalive,
        ..Limits::default()
    };
    let mut post = Post {
        jobs,
        asks,
        info: info::collect(&settings, &worker),
        room: Room::new(worker.base_dir().to_owned(), settings.free_disk_bytes_min),
        limits: Arc::new(limits),
        orders: orders.clone(),
    };
    let (name, master) = (&settings.name, &settings.master);
    tracing::info!(
        "worker `{name}` in {} connects to {master}",
        worker.base_dir().display()
    );
    orders.ready.cancel();
    let mut backoff = Backoff::new(DELAY_MIN, settings.max_delay.max(DELAY_MIN));
    // Until when commands of a lost connection are kept.
    let mut keep_until: Option<Instant> = None;
    loop {
        let wait = match attempt(&settings, &mut post, &mut keep_until).await {
            Ok(Outcome {
                end: End::Stopped | End::Shutdown,
                ..
            }) => break,
            Ok(Outcome {
                end: End::Lost(reason),
                attached,
                keep,
                plain,
            }) => {
                keep_until = match keep {
                    Some(keep) => Some(Instant::now() + keep),
                    None => keep_until.filter(|_| !plain),
                };
                if attached {
                    backoff = Backoff::new(DELAY_MIN, settings.max_delay.max(DELAY_MIN));
                }
                let wait = backoff.next_wait(rand::random());
                tracing::warn!("the connection is lost: {reason}; the next try is in {wait:.1?}");
                wait
            }
            Err(error) => {
                let mut wait = backoff.next_wait(rand::random());
                if error.needs_people() {
                    wait = wait.max(PEOPLE_DELAY_MIN.min(settings.max_delay));
                    tracing::error!("{error}; the next try is in {wait:.1?}");
                } else {
                    tracing::warn!("{error}; the next try is in {wait:.1?}");
                }
                wait
            }
        };
        if keep_until.is_some() {
            post.jobs.go_on_alone();
        } else {
            // Nobody would hear what they have to say.
            post.jobs.abandon().await;
        }
        // Otherwise a build may wait for this worker to come back.
        let idle = keep_until.is_none() && post.jobs.is_empty();
        let waiting = keeping(&post.jobs, &mut keep_until, tokio::time::sleep(wait));
        tokio::select! {
            () = waiting => {}
            () = orders.stop.cancelled() => break,
            () = orders.leave.cancelled(), if idle => break,
        }
    }
    tracing::info!("worker `{name}` stops");
    worker.shutdown(settings.stop_grace).await;
    Ok(())
}

/// One connection, from the first packet to its end.
async fn attempt(
    settings: &Settings,
    post: &mut Post,
    keep_until: &mut Option<Instant>,
) -> Result<Outcome, ConnectError> {
    let stop = post.orders.stop.clone();
    let connecting = keeping(&post.jobs, keep_until, connect(settings, &post.limits));
    let socket = tokio::select! {
        connected = connecting => connected?,
        () = stop.cancelled() => {
            return Ok(Outcome {
                end: End::Stopped,
                attached: false,
                keep: None,
                plain: false,
            });
        }
    };
    tracing::info!("connected to {}", settings.master);
    Ok(Session::new(socket, post).run().await)
}

/// Waits for something; commands that are kept for a next connection end when their time is over.
async fn keeping<T>(
    jobs: &Jobs,
    keep_until: &mut Option<Instant>,
    awaited: impl Future<Output = T>,
) -> T {
    tokio::pin!(awaited);
    if let Some(until) = *keep_until {
        tokio::select! {
            done = &mut awaited => return done,
            () = tokio::time::sleep_until(until) => {}
        }
        *keep_until = None;
        if !jobs.is_empty() {
            tracing::warn!("the connection was not there again in time");
            jobs.abandon().await;
        }
    }
    awaited.await
}
