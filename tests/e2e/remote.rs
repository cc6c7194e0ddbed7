//! Farms whose workers connect from elsewhere, and a line to the master that can be cut or stand still.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A configuration with remote workers `far` (password `open sesame`), these builders for them, and a force scheduler.
pub(crate) fn config(port: u16, workers: &[&str], builders: &[(&str, &str)]) -> String {
    let quoted = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        names.join(", ")
    };
    let mut text = format!("[workers]\nlisten = \"127.0.0.1:{port}\"\n");
    for worker in workers {
        text.push_str(&format!(
            "\n[[worker]]\nname = {worker:?}\nkind = \"remote\"\npassword = \"open sesame\"\nmax_builds = 4\n"
        ));
    }
    let names: Vec<&str> = builders.iter().map(|(name, _)| *name).collect();
    text.push_str(&format!(
        "\n[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n",
        quoted(&names)
    ));
    for (name, steps) in builders {
        text.push_str(&format!(
            "\n[[builder]]\nname = {name:?}\nworkers = [{}]\ncollapse_requests = false\n\n{steps}\n",
            quoted(workers)
        ));
    }
    text
}

/// A line to a port that can be cut, stand still and be mended.
pub(crate) struct Line {
    pub(crate) port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What comes in goes on.
    Flows,
    /// Connections stay open and nothing goes on.
    Stalled,
    /// Connections break, and new ones are refused.
    Cut,
}

/// What one direction of a connection holds.
const HELD_BYTES: usize = 16 * 1024;

impl Line {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(State::Flows));
        let states = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *states.borrow() != State::Cut {
                    tokio::spawn(join(near, port, states.subscribe()));
                }
            }
        });
        Self { port: own, state }
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub(crate) fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    pub(crate) fn mend(&self) {
        self.state.send_replace(State::Flows);
    }
}

/// Joins a connection with one to the port until both are closed or the line is cut.
async fn join(near: TcpStream, port: u16, states: watch::Receiver<State>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let both = async {
        tokio::join!(
            carry(near_in, far_out, states.clone()),
            carry(far_in, near_out, states.clone())
        )
    };
    let mut cut = states.clone();
    tokio::select! {
        _ = both => {}
        _ = cut.wait_for(|state| *state == State::Cut) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut states: watch::Receiver<State>,
) -> io::Result<()> {
    let mut held = vec![0; HELD_BYTES];
    loop {
        let length = from.read(&mut held).await?;
        let _ = states.wait_for(|state| *state == State::Flows).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&held[..length]).await?;
    }
}
