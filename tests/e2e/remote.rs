//! Farms whose workers connect from elsewhere, and a line to the master that can be cut.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::net::TcpStream;
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

/// A line to a port that can be cut and mended. Connections over it break when it is cut; new ones are refused until it is
/// mended.
pub(crate) struct Line {
    pub(crate) port: u16,
    up: Arc<watch::Sender<bool>>,
}

impl Line {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let up = Arc::new(watch::Sender::new(true));
        let state = Arc::clone(&up);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut up = state.subscribe();
                if !*up.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut near = near;
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Self { port: own, up }
    }

    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}
