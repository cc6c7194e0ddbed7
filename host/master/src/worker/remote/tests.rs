//! Sessions over a pipe in memory, with a worker that says what it should not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use toolpost_wire::{
    Command, CommandId, FileStat, Limits, Update, WorkerEffect, WorkerEvent, WorkerInfo,
    WorkerSession,
};
use toolpost_worker::FileError;

use super::link::RemoteWorkerLink;
use super::oddities::Oddities;
use super::parked::Left;
use super::session::{Pipe, Session, Socket, socket_config};
use crate::engine::Engine;
use crate::worker::link::{LinkFiles, WorkerLink as _};

/// What a worker does with a command.
type Act = fn(&mut WorkerSession, &CommandId, &Command);

/// The files of a build on a worker that does this.
async fn files(act: Act) -> Arc<dyn LinkFiles> {
    watched(act).await.0
}

/// The same, and what was told of the worker.
async fn watched(act: Act) -> (Arc<dyn LinkFiles>, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let odd = Oddities::new({
        let told = Arc::clone(&told);
        move |what| told.lock().expect("nobody panicked").push(what.to_owned())
    });
    let (near, far) = tokio::io::duplex(64 * 1024);
    let limits = Arc::new(Limits::default());
    let pipe: Box<dyn Pipe> = Box::new(near);
    let config = Some(socket_config(&limits));
    let socket: Socket = WebSocketStream::from_raw_socket(pipe, Role::Server, config).await;
    let (mut session, handle) =
        Session::new(odd, socket, limits, 7, Left::default(), Duration::ZERO);
    let (attached, files) = oneshot::channel();
    tokio::spawn(async move {
        let info = session.attach().await.expect("a good worker");
        let link = RemoteWorkerLink::new(handle, *info, None);
        let _ = attached.send(link.files("unit"));
        let end = session.run().await;
        session.close(&end, Some(&link.connection)).await;
    });
    tokio::spawn(worker(far, act));
    (files.await.expect("it is attached"), told)
}

async fn worker(pipe: DuplexStream, act: Act) {
    let mut socket = WebSocketStream::from_raw_socket(pipe, Role::Client, None).await;
    let mut worker = WorkerSession::new(Instant::now(), Arc::default());
    while let Some(Ok(Message::Binary(frame))) = socket.next().await {
        worker
            .handle(Instant::now(), &frame)
            .expect("a good master");
        while let Some(effect) = worker.poll() {
            match effect {
                WorkerEffect::Send(frame) => {
                    // The master may be gone.
                    let _ = socket.send(Message::Binary(frame)).await;
                }
                WorkerEffect::Event(WorkerEvent::InfoWanted(ticket)) => {
                    let info = WorkerInfo {
                        base_dir: "/srv".into(),
                        system: "posix".into(),
                        ..WorkerInfo::default()
                    };
                    worker.answer_info(&ticket, &info);
                }
                WorkerEffect::Event(WorkerEvent::Start {
                    id,
                    command,
                    ticket,
                    ..
                }) => {
                    worker.answer(&ticket, Ok(()));
                    act(&mut worker, &id, &command);
                }
                WorkerEffect::Event(WorkerEvent::Interrupt { id, .. }) => end(&mut worker, &id, []),
                WorkerEffect::Event(_) => {}
            }
        }
    }
}

fn end(worker: &mut WorkerSession, id: &CommandId, said: impl IntoIterator<Item = Update>) {
    let now = Instant::now();
    let mut updates: Vec<Update> = said.into_iter().collect();
    updates.push(Update::Rc(0));
    worker.update(now, id, updates);
    worker.complete(now, id, None);
}

fn stat(size: i64, modified: i64) -> Update {
    Update::Stat(FileStat {
        mode: 0o100_644,
        size,
        modified,
        ..FileStat::default()
    })
}

#[tokio::test]
async fn a_file_that_is_longer_than_announced_is_read_as_far_as_announced() {
    let (files, told) = watched(|worker, id, command| match command {
        Command::UploadFile(_) => {
            let data = Bytes::from(vec![b'x'; 1_000]);
            worker.upload_file(Instant::now(), id, data);
        }
        _ => end(worker, id, [stat(10, 0)]),
    })
    .await;
    let piece = files.read("f".into(), 0, 5_000).await.expect("a piece");
    assert_eq!((piece.bytes.len(), piece.file_size), (10, 10));
    assert_eq!(
        *told.lock().expect("nobody panicked"),
        ["sends more of file \"f\" than the 10 bytes that it said it has: the rest is left out"]
    );
}

#[tokio::test]
async fn a_piece_that_is_longer_than_asked_for_ends_the_session() {
    let files = files(|worker, id, command| match command {
        Command::UploadFile(upload) => {
            let bytes = usize::try_from(upload.block_size).expect("a size") + 1;
            worker.upload_file(Instant::now(), id, vec![0; bytes].into());
        }
        _ => end(worker, id, [stat(1 << 40, 0)]),
    });
    let read = files.await.read("f".into(), 0, 5_000).await;
    assert!(matches!(read, Err(FileError::Stopped)), "{read:?}");
}

#[tokio::test]
async fn paths_that_lead_out_of_the_build_are_not_believed() {
    let (files, told) = watched(|worker, id, command| {
        let paths = match command {
            Command::Glob { .. } => [
                "/srv/unit/a",
                "/srv/unit/../b",
                "/etc/passwd",
                "/srv/unitx/c",
            ],
            _ => ["a", "../b", "..", "/etc"],
        };
        let paths = paths.map(str::to_owned).to_vec();
        end(worker, id, [Update::Files(paths)]);
    })
    .await;
    assert_eq!(files.glob("*".into()).await.expect("paths"), ["a"]);
    let listed = files.list(String::new()).await;
    assert!(
        matches!(listed, Err(FileError::Outside { .. })),
        "{listed:?}"
    );
    for path in ["../x", "a/../../x", "/etc/passwd"] {
        let found = files.stat(path.into()).await;
        assert!(matches!(found, Err(FileError::Outside { .. })), "{found:?}");
    }
    let out = |first: &str| {
        format!("names 3 files outside of the directory of a build, such as {first:?}")
    };
    let told = told.lock().expect("nobody panicked");
    assert_eq!(*told, ["/srv/unit/../b", ".."].map(out));
}

#[test]
fn what_waits_for_a_worker_is_small() {
    fn future_of<F>(_: impl Fn(Arc<Engine>, String, Box<dyn Pipe>, &'static str) -> F) -> usize {
        size_of::<F>()
    }
    let (task, session) = (future_of(Engine::receive), size_of::<Session>());
    assert!(
        task <= 4_096 && session <= 2_048,
        "{task} and {session} bytes"
    );
}

#[tokio::test]
async fn a_clock_may_say_anything() {
    let modified = async |act: Act| {
        let found = files(act).await.stat("f".into()).await;
        found.expect("an answer").expect("a file").modified
    };
    let late = modified(|worker, id, _| end(worker, id, [stat(1, i64::MAX)])).await;
    assert!(late >= UNIX_EPOCH);
    let early = modified(|worker, id, _| end(worker, id, [stat(1, i64::MIN)])).await;
    assert_eq!(early, SystemTime::UNIX_EPOCH);
}
