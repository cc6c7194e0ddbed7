//! What is said, in both directions.
//!
//! Facts from Buildbot's manual ("Master-Worker connection with MessagePack over WebSocket protocol") and from
//! listening to a stock master and a stock worker of version 4.3.0. Where the manual is silent:
//! * the master opens with `print` "attached", `get_worker_info` and `set_worker_settings`, in this order;
//! * a command that is refused in the answer to `start_command` gets no `complete`;
//! * the answer to `start_command` may come after everything else about the command;
//! * updates may follow `rc`, among them the rest of the output; nothing follows `complete`;
//! * what is read from a file must be sent as bytes, and `initial_stdin` must be UTF-8; a stock master answers
//!   `update_read_file` with nothing, so that no file ever arrives from one;
//! * a stock master does not attach a worker without `delete_leftover_dirs` in its information;
//! * answers to `update` hold nothing up, those to `update_upload_*` and `update_read_file` do;
//! * a refused write makes the worker end the command with a failure;
//! * an `interrupt_command` for an id that is not known is answered like any other.

mod command;
mod envelope;
mod info;
mod to_master;
mod to_worker;
mod update;

pub use command::{
    Argv, Command, Compression, CopyDir, DownloadFile, EnvValue, LogFile, RemoveDirs, Shell,
    UploadDirectory, UploadFile,
};
pub use envelope::{Answer, CommandId, Frame, Payload, Request};
pub use info::{WorkerInfo, WorkerSettings};
pub use to_master::ToMaster;
pub use to_worker::{Known, Resume, ToWorker};
pub use update::{FailureReason, FileStat, Text, Update, Usage};
