//! The first process of a command: waits for its end without a thread, and learns what it used of the machine.
//!
//! Neither the standard library nor `rustix` gives what `wait4` tells, so it is called here, and nowhere else.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::usage::Usage;

/// What `ru_maxrss` counts in.
const MEMORY_UNIT_BYTES: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };
/// What `ru_inblock` and `ru_oublock` count in; not bytes everywhere.
const BLOCK_UNIT_BYTES: u64 = if cfg!(target_os = "linux") { 512 } else { 0 };

/// A child of this process that nobody has waited for. One that is dropped before its end stays a zombie until this process
/// ends.
#[derive(Debug)]
pub(crate) struct Leader {
    child: Child,
    /// Comes when some child of this process has ended.
    news: Signal,
}

impl Leader {
    /// # Errors
    /// The runtime has nothing to wait with; the child was killed.
    pub(crate) fn new(mut child: Child) -> io::Result<Self> {
        match signal(SignalKind::child()) {
            Ok(news) => Ok(Self { child, news }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Ends it: nobody can look after it.
    pub(crate) fn give_up(mut self) {
        end(&mut self.child);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end. Nothing is lost when the future is dropped; not to be called again after the end.
    pub(crate) async fn ended(&mut self) -> io::Result<(ExitStatus, Usage)> {
        loop {
            // News that come after this look are kept for the wait.
            if let Some(ended) = reap(self.child.id())? {
                return Ok(ended);
            }
            if self.news.recv().await.is_none() {
                return Err(io::Error::other("the runtime ends"));
            }
        }
    }
}

fn end(child: &mut Child) {
    // What these say changes nothing.
    let _ = child.kill();
    let _ = child.wait();
}

/// Takes notice of the end of a child; `None` while it runs.
fn reap(id: u32) -> io::Result<Option<(ExitStatus, Usage)>> {
    let id = libc::pid_t::try_from(id).map_err(io::Error::other)?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(
        unsafe_code,
        reason = "there is no safe interface to `wait4`, which alone tells what one child has used"
    )]
    // SAFETY: both pointers are to memory of the right types, which lives until the call has returned. A `rusage` is made of
    // numbers, for which zeros are valid, also where the system fills in none.
    let (reaped, usage) = unsafe {
        let reaped = libc::wait4(id, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (reaped, usage.assume_init())
    };
    match reaped {
        0 => Ok(None),
        reaped if reaped == id => Ok(Some((ExitStatus::from_raw(status), told(&usage)))),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
    }
}

fn told(usage: &libc::rusage) -> Usage {
    let number = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
    Usage {
        user: duration(&usage.ru_utime),
        system: duration(&usage.ru_stime),
        memory_peak_bytes: number(usage.ru_maxrss).saturating_mul(MEMORY_UNIT_BYTES),
        read_bytes: number(usage.ru_inblock).saturating_mul(BLOCK_UNIT_BYTES),
        written_bytes: number(usage.ru_oublock).saturating_mul(BLOCK_UNIT_BYTES),
    }
}

fn duration(time: &libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))
}
