//! Files on a line that breaks in the middle of them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use toolpost_harness::Api;

use crate::far::{Far, Kind, results};
use crate::remote::{config, free_port};
use crate::support::{farm, shell};

/// A line to a port that counts what goes over it, and breaks each time that so many bytes have gone.
struct Meter {
    port: u16,
    up: Arc<Way>,
    down: Arc<Way>,
}

/// One direction.
#[derive(Default)]
struct Way(Mutex<(u64, VecDeque<u64>)>);

impl Way {
    fn breaking_at(places: &[u64]) -> Arc<Self> {
        Arc::new(Self(Mutex::new((0, places.iter().copied().collect()))))
    }

    /// Whether the line breaks now.
    fn count(&self, bytes: usize) -> bool {
        let (sum, places) = &mut *self.0.lock().unwrap();
        *sum += bytes as u64;
        places.pop_front_if(|place| *place <= *sum).is_some()
    }

    /// What has gone, and how many breaks are still to come.
    fn seen(&self) -> (u64, usize) {
        let (sum, places) = &*self.0.lock().unwrap();
        (*sum, places.len())
    }

    /// Ends when either end is closed, or the line breaks.
    async fn carry(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 || self.count(count) {
                return Ok(());
            }
            to.write_all(&buffer[..count]).await?;
        }
    }
}

impl Meter {
    async fn to(port: u16, up: &[u64], down: &[u64]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (up, down) = (Way::breaking_at(up), Way::breaking_at(down));
        let ways = (Arc::clone(&up), Arc::clone(&down));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let (up, down) = (Arc::clone(&ways.0), Arc::clone(&ways.1));
                tokio::spawn(async move {
                    let (near_out, near_in) = near.into_split();
                    let (far_out, far_in) = far.into_split();
                    // What one direction ends is closed for both.
                    tokio::select! {
                        _ = up.carry(near_out, far_in) => {}
                        _ = down.carry(far_out, near_in) => {}
                    }
                });
            }
        });
        Self {
            port: own,
            up,
            down,
        }
    }
}

async fn digest(api: &Api, build: &serde_json::Value, name: &str) -> String {
    let path = format!("builds/{}/artifacts", build["buildid"]);
    let list = api.get(&path).await;
    let found = list["artifacts"].as_array().unwrap().iter();
    let found = found.filter(|artifact| artifact["name"] == name);
    let digests: Vec<_> = found.map(|artifact| &artifact["sha256"]).collect();
    assert_eq!(digests.len(), 1, "{list}");
    digests[0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn files_go_on_where_they_were_when_the_line_breaks() {
    /// Of bytes that do not become fewer when they are packed.
    const FILE_BYTES: u64 = 10_888_896;
    /// Pieces, and what else is said.
    const SLACK_BYTES: u64 = 1 << 20;
    let steps = format!(
        "{make}\n[[builder.step]]\nuse = \"file-upload\"\nsource = \"data\"\n\n\
         [[builder.step]]\nuse = \"file-download\"\nartifact = \"data\"\ndestination = \"back\"\n\n{compare}",
        make = shell("head -c 10888896 /dev/urandom > data; sha256sum data") + "name = \"make\"\n",
        compare = shell("cmp data back && echo same") + "name = \"compare\"\n",
    );
    let port = free_port();
    let farm = farm(&config(port, &["far"], &[("unit", &steps)]))
        .start()
        .await;
    let mib = 1 << 20;
    let up = [2 * mib, 5 * mib + 12_345, 9 * mib];
    let down = [3 * mib, 7 * mib + 54_321];
    let meter = Meter::to(port, &up, &down).await;
    let far = Far::start(Kind::Own, meter.port);
    let api = farm.api();
    let request = api.force("force", "unit").await;
    let build = api.finished(request).await;
    let said = format!("{}\n{}", far.log(), farm.output());
    assert_eq!(results(&farm, request).await, [Some(0)], "{said}");
    let made = api.log(&build, "make", "stdio").await;
    assert!(made.contains(&digest(api, &build, "data").await), "{made}");
    let compared = api.log(&build, "compare", "stdio").await;
    assert!(compared.contains("same"), "{compared}");
    // It broke each time, and only what was under way went again.
    for (way, breaks) in [(&meter.up, up.len()), (&meter.down, down.len())] {
        let (bytes, left) = way.seen();
        assert_eq!(left, 0, "{bytes}\n{said}");
        let most = FILE_BYTES + SLACK_BYTES * (breaks as u64 + 1);
        assert!((FILE_BYTES..most).contains(&bytes), "{bytes}\n{said}");
    }
}
