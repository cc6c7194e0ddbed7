//! Why a session ends.

use std::time::Duration;

/// The peer did what ends its session. The text is for the log of the master and the page of the worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame is longer than allowed.
    #[error(
        "a message of {bytes} bytes is longer than the {limit} that are allowed (frame_bytes_max)"
    )]
    FrameTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame ends in the middle of a value.
    #[error("a message ends in the middle")]
    Truncated,
    /// A frame goes on after its value.
    #[error("a message has {0} bytes after its end")]
    Trailing(usize),
    /// Too much of something in one frame.
    #[error("a message has more {what} than the {limit} that are allowed ({limit_name})")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Its name.
        limit_name: &'static str,
    },
    /// A value is of another type than it has to be.
    #[error("`{field}` of a message is {found} instead of {expected}")]
    WrongType {
        /// Which value.
        field: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A value is missing.
    #[error("a message of the kind `{op}` has no `{field}`")]
    Missing {
        /// Which message.
        op: String,
        /// Which value.
        field: &'static str,
    },
    /// A number that was used before.
    #[error("sequence number {0} was used before")]
    SequenceReused(u64),
    /// An answer to nothing.
    #[error("there is an answer to request {0}, which was never made or is answered already")]
    UnexpectedAnswer(u64),
    /// More requests than this side can answer.
    #[error("more than {0} requests wait for an answer (unanswered_max)")]
    TooManyRequests(usize),
    /// A request was not answered in time.
    #[error("`{op}` was not answered within {} s", wait.as_secs_f64())]
    NoAnswer {
        /// Which request.
        op: &'static str,
        /// How long was waited.
        wait: Duration,
    },
    /// The worker refuses what every worker has to do.
    #[error("`{op}` was refused: {reason}")]
    Refused {
        /// Which request.
        op: &'static str,
        /// What the peer says.
        reason: String,
    },
    /// Nothing came for longer than the peer is ever quiet.
    #[error("nothing was heard for {} s", .0.as_secs_f64())]
    Silent(Duration),
}

impl ProtocolError {
    /// The peer may be cut off: it did nothing wrong.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Silent(_))
    }
}
