//! Makes plugin threads give way in the middle of whatever they compute.
//!
//! Linux often leaves a core to whoever computes there until its own clock ticks, every 4 ms or more, whatever the priority of
//! those who have something to do for a tenth of that; a thread that yields gives way to them. Plugins are asked to between
//! their instructions, but one instruction may copy all of their memory, and a function of the host may take long as well. Then
//! a signal comes in between, and its handler yields. SIGURG is what Go preempts its goroutines with, for the same reasons:
//! nobody uses it for anything else, it is ignored where there is no handler, and debuggers let it pass.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use system::ThreadId;

/// The threads of a sandbox. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Threads(Arc<Mutex<Vec<Weak<Member>>>>);

struct Member {
    thread: ThreadId,
    computes: AtomicBool,
    /// It has begun or given way since the last nudge, and needs none.
    gave_way: AtomicBool,
}

/// Kept while the thread computes what may take long.
pub(crate) struct Stretch {
    /// It says something about the thread that it is on.
    _here: PhantomData<*const ()>,
}

thread_local! {
    static SELF: OnceCell<Arc<Member>> = const { OnceCell::new() };
}

impl Threads {
    /// Makes the calling thread one of them, until it ends. Best effort: other systems than Linux do without.
    pub(crate) fn join(&self) {
        let Some(thread) = system::this_thread() else {
            return;
        };
        let member = Arc::new(Member {
            thread,
            computes: AtomicBool::new(false),
            gave_way: AtomicBool::new(true),
        });
        self.with(|members| {
            members.retain(|member| member.strong_count() > 0);
            members.push(Arc::downgrade(&member));
        });
        // A thread belongs to one sandbox for its whole life.
        let _ = SELF.with(|known| known.set(member));
    }

    /// Has those yield that compute now and have not done so since the last time.
    pub(crate) fn nudge(&self) {
        self.with(|members| {
            for member in members.iter().filter_map(Weak::upgrade) {
                let gave_way = member.gave_way.swap(false, Ordering::Relaxed);
                if !gave_way && member.computes.load(Ordering::Relaxed) {
                    system::nudge(member.thread);
                }
            }
        });
    }

    /// Processor time of those that have not ended, since they began; zero on other systems than Linux.
    pub(crate) fn computed(&self) -> Duration {
        self.with(|members| {
            let alive = members.iter().filter_map(Weak::upgrade);
            alive.map(|member| system::computed(member.thread)).sum()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Weak<Member>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stretch {
    /// The calling thread computes from now on.
    pub(crate) fn begin() -> Self {
        set_computes(true);
        set_gave_way();
        Self { _here: PhantomData }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        set_computes(false);
    }
}

/// Lets others have the core of the calling thread.
pub(crate) fn give_way() {
    rustix::thread::sched_yield();
    set_gave_way();
}

fn set_gave_way() {
    with_self(|member| member.gave_way.store(true, Ordering::Relaxed));
}

fn set_computes(computes: bool) {
    with_self(|member| member.computes.store(computes, Ordering::Relaxed));
}

fn with_self(act: impl FnOnce(&Member)) {
    // Threads of the caller, in tests of plugins, are nobody's; one that ends has no such variable any more.
    let _ = SELF.try_with(|known| {
        if let Some(member) = known.get() {
            act(member);
        }
    });
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) type ThreadId = ();

    pub(super) fn this_thread() -> Option<ThreadId> {
        None
    }

    pub(super) fn nudge(_thread: ThreadId) {}

    pub(super) fn computed(_thread: ThreadId) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::sync::OnceLock;
    use std::time::Duration;

    use rustix::process::{Pid, getpid};
    use rustix::thread::gettid;

    pub(super) type ThreadId = Pid;

    /// The calling thread, where it can be nudged.
    pub(super) fn this_thread() -> Option<ThreadId> {
        static IS_READY: OnceLock<bool> = OnceLock::new();
        let is_ready = *IS_READY.get_or_init(|| match handle_signals() {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!("plugins give way at their own pace: {error}");
                false
            }
        });
        is_ready.then(gettid)
    }

    /// Processor time of a thread of this process: of one that runs, until now.
    pub(super) fn computed(thread: ThreadId) -> Duration {
        // How Linux numbers the clocks of threads (`MAKE_THREAD_CPUCLOCK` of its sources, and what `pthread_getcpuclockid` gives).
        let clock = (!thread.as_raw_pid() << 3) | 6;
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        #[expect(
            unsafe_code,
            reason = "there is no safe interface to the clocks of other threads"
        )]
        // SAFETY: the system writes to a structure that lives until the call has returned, and keeps no pointer. Of a thread that
        // has ended meanwhile it says that there is no such clock.
        let done = unsafe { libc::clock_gettime(clock, &raw mut now) };
        match done {
            0 => {
                let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
                Duration::new(now.tv_sec.cast_unsigned(), nanos)
            }
            _ => Duration::ZERO,
        }
    }

    pub(super) fn nudge(thread: ThreadId) {
        let (process, thread) = (getpid().as_raw_pid(), thread.as_raw_pid());
        #[expect(
            unsafe_code,
            reason = "there is no safe interface to `tgkill`, which alone sends a signal to one thread"
        )]
        // SAFETY: the call takes numbers alone, and the signal goes to a thread of this process, which has a handler for it. One
        // that has ended meanwhile is not found, which needs no answer.
        unsafe {
            libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGURG);
        }
    }

    fn handle_signals() -> std::io::Result<()> {
        #[expect(
            unsafe_code,
            reason = "there is no safe interface to `sigaction`: what a handler may do is limited"
        )]
        // SAFETY: all zeros are an action without flags, mask or handler. The system reads the structure during the call alone.
        // The handler is a function of the right type, does nothing but a system call, and leaves `errno` as it is, because that
        // call does not fail. It runs on the stack for signals of its thread, if that has one, so that it cannot overflow that
        // of a plugin; and system calls that it interrupts go on.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigaction(libc::SIGURG, &raw const action, std::ptr::null_mut())
        };
        match done {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    extern "C" fn on_signal(_signal: libc::c_int) {
        rustix::thread::sched_yield();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc;

    use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

    use super::*;

    /// A sleep is what a signal ends before its time. Says whether one did.
    fn is_nudged_within(time: Duration) -> bool {
        let time = Timespec {
            tv_sec: time.as_secs().cast_signed(),
            tv_nsec: time.subsec_nanos().into(),
        };
        matches!(nanosleep(&time), NanosleepRelativeResult::Interrupted(_))
    }

    #[test]
    fn who_computes_and_does_not_give_way_is_nudged() {
        let threads = Threads::default();
        let joining = threads.clone();
        let (ended, end) = mpsc::channel();
        let inside = std::thread::spawn(move || {
            joining.join();
            let stretch = Stretch::begin();
            let computing = is_nudged_within(Duration::from_secs(60));
            drop(stretch);
            // What came on the way out of the stretch is over.
            is_nudged_within(Duration::from_millis(1));
            let idle = is_nudged_within(Duration::from_millis(20));
            ended.send((computing, idle)).unwrap();
        });
        let seen = loop {
            threads.nudge();
            if let Ok(seen) = end.recv_timeout(Duration::from_millis(1)) {
                break seen;
            }
        };
        inside.join().unwrap();
        assert_eq!(seen, (true, false));
        threads.nudge();
        threads.with(|members| assert!(members.iter().all(|member| member.strong_count() == 0)));
    }

    #[test]
    fn what_a_thread_computes_is_known_while_it_does() {
        const PATIENCE: Duration = Duration::from_secs(60);
        let threads = Threads::default();
        assert_eq!(threads.computed(), Duration::ZERO);
        let joining = threads.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let inside = std::thread::spawn(move || {
            joining.join();
            while !end.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let began = std::time::Instant::now();
        while threads.computed() < Duration::from_millis(20) {
            assert!(began.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        ended.store(true, Ordering::Relaxed);
        inside.join().unwrap();
        assert_eq!(threads.computed(), Duration::ZERO);
    }

    #[test]
    fn who_gave_way_is_left_alone_once() {
        let threads = Threads::default();
        threads.join();
        let is_fresh = || {
            threads.with(|members| {
                let member = members[0].upgrade().unwrap();
                member.gave_way.load(Ordering::Relaxed)
            })
        };
        let _stretch = Stretch::begin();
        assert!(is_fresh());
        threads.nudge();
        assert!(!is_fresh());
        give_way();
        assert!(is_fresh());
    }
}
