//! Workers as the master sees them.

mod link;
mod local;
mod pool;
mod remote;

pub use link::{LinkArchive, LinkCommand, LinkControl, LinkError, LinkFiles, WorkerLink};
pub use local::LocalWorkerLink;
pub(crate) use pool::{ConnectedWorker, WorkerError, WorkerPool, Workers};
pub(crate) use remote::is_worker;
pub use remote::{ListenError, WorkerPort};
