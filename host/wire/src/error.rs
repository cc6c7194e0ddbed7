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
    /// A packed frame that is none.
    #[error("a message is packed, and cannot be unpacked")]
    BadPacking,
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
    /// What a command of this kind never says.
    #[error("`{op}` is about a command that is no such transfer")]
    NotOfCommand {
        /// Which request.
        op: String,
    },
    /// The next piece of a file before there was an answer to the one before.
    #[error("`{op}` comes before the answer to what the transfer said before")]
    TransferAhead {
        /// Which request.
        op: String,
    },
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

/// The longest word of a peer in an error, in characters.
const WORD_CHARS_MAX: usize = 200;

/// What a peer says, as a part of one line of a log or a page.
pub(crate) fn line(text: &str) -> String {
    let mut chars = text.trim().chars();
    let shown = chars.by_ref().take(WORD_CHARS_MAX);
    let mut line: String = shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

impl ProtocolError {
    /// The peer may be cut off: it did nothing wrong.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Silent(_))
    }
}
