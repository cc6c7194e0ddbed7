//! Servers that hostile plugins are sent to: one that leads elsewhere, one that never ends, and one that nobody may reach.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Between two bytes of the server that never ends.
const DRIP: Duration = Duration::from_millis(200);

/// The servers, on loopback, until the end of the process.
#[derive(Debug, Clone)]
pub struct Lures {
    redirect: SocketAddr,
    drip: SocketAddr,
    treasure: SocketAddr,
    reached: Arc<AtomicUsize>,
}

impl Lures {
    /// Opens all of them.
    ///
    /// # Errors
    /// When loopback has no port left.
    pub fn open() -> std::io::Result<Self> {
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reached);
        let treasure = serve(move |mut stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        })?;
        let redirect = serve(move |mut stream| {
            let head = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: http://";
            stream.write_all(format!("{head}{treasure}/\r\n\r\n").as_bytes())
        })?;
        let drip = serve(|mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
            loop {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this thread has nothing else to do"
                )]
                std::thread::sleep(DRIP);
                stream.write_all(b".")?;
            }
        })?;
        Ok(Self {
            redirect,
            drip,
            treasure,
            reached,
        })
    }

    /// What leads to where nobody may go.
    #[must_use]
    pub fn redirect(&self) -> SocketAddr {
        self.redirect
    }

    /// What sends a byte now and then, for days.
    #[must_use]
    pub fn drip(&self) -> SocketAddr {
        self.drip
    }

    /// Where nobody may go.
    #[must_use]
    pub fn treasure(&self) -> SocketAddr {
        self.treasure
    }

    /// How often somebody did.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

/// Answers each connection on a thread of its own, once the head of a request is there.
fn serve(
    answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + Clone + 'static,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                // Whoever hangs up early gets no answer.
                let _ = stream.read(&mut head).and_then(|_| answer(stream));
            });
        }
    });
    Ok(address)
}
