//! Buildbot's worker protocol, MessagePack over WebSocket, without sockets: both ends.
//!
//! A stock `buildbot-worker` 4.3.0 talks to [`MasterSession`], a stock master to [`WorkerSession`], and each to the other. The
//! transport is somebody else's: it hands over whole binary messages and the time, and does what it is told.
//!
//! ```text
//! loop {
//!     while let Some(effect) = session.poll() { send it, or tell somebody }
//!     wait for a message, for session.deadline(), or for somebody who wants something
//!     session.handle(now, &message)?  or  session.handle_timeout(now)?  or  session.start(...)
//! }
//! ```
//!
//! An error ends the session; its text says why. [`MasterSession::read_after`] says until when nothing is to be read.
//!
//! Invariants:
//! * deterministic: no clock, no chance, no tasks; the same calls have the same effects;
//! * whatever a peer sends, memory is bounded by [`Limits`], and nothing panics;
//! * everything that is waited for has a deadline;
//! * what belongs to another session is never taken for something of this one.
//!
//! **The handshake**, which is the transport's: the worker opens a WebSocket at `/` with `Authorization: Basic`, name and
//! password; messages are binary; the WebSocket does not compress. Our own two ends pack long messages (`session/packing`) after
//! both have said that they know that.
//!
//! **For whoever builds a worker**: answer [`WorkerEvent::InfoWanted`]; start what [`WorkerEvent::Start`] says and answer
//! its ticket at once; send output with [`WorkerSession::update`] while [`WorkerSession::unanswered`] is small; end with
//! an [`Update::Rc`] and [`WorkerSession::complete`]. Of a transfer, send one piece at a time, each after the answer to the
//! one before. After a lost connection there is a new session: commands of the old one may go on, and a master asks to
//! interrupt those that it knows by the ids that they had; what they still have to say is not said in the new session.

mod error;
mod limits;
mod message;
mod pack;
mod session;

pub use error::ProtocolError;
pub use limits::Limits;
pub use message::{
    Answer, Argv, Command, CommandId, Compression, CopyDir, DownloadFile, EnvValue, FailureReason,
    FileStat, Frame, Known, LogFile, Payload, RemoveDirs, Request, Resume, Shell, Text, ToMaster,
    ToWorker, Update, UploadDirectory, UploadFile, Usage, WorkerInfo, WorkerSettings,
};
pub use session::{
    CommandEvent, CommandNumber, Effect, Former, MasterEvent, MasterSession, Patience, Sent,
    Suspended, Ticket, WorkerEffect, WorkerEvent, WorkerSession,
};
