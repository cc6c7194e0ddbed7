//! What a peer may send.

use std::time::Duration;

/// The limits of one connection. They hold whatever the peer says; what breaks one ends its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame.
    pub frame_bytes_max: usize,
    /// The longest contents of a packed frame.
    pub unpacked_bytes_max: usize,
    /// Values in one frame, those that nobody looks at included.
    pub frame_values_max: u32,
    /// How deep maps and lists may be nested.
    pub frame_depth_max: u8,
    /// A name: of an operation, a command, a command's id.
    pub name_bytes_max: usize,
    /// A text that people read: a reason, an error. A longer one is cut, not refused.
    pub reason_bytes_max: usize,
    /// Everything that a worker tells about itself.
    pub info_bytes_max: usize,
    /// Requests of the peer that wait for this side's answer.
    pub unanswered_max: usize,
    /// Requests of one transfer that wait for this side's answer.
    pub transfer_ahead_max: u32,
    /// Commands of one session at one time, those included that were given up and may still run.
    pub commands_max: u32,
    /// Frames in a row that are taken at once.
    pub burst_frames_max: u32,
    /// Frames a second after that; a peer that sends more is read more slowly.
    pub frames_per_s_max: u32,
    /// From the first message until the worker can be used.
    pub attach_wait_max: Duration,
    /// How long an answer may take.
    pub answer_wait_max: Duration,
    /// How long a session may be quiet before it is asked whether it is still there.
    pub quiet_max: Duration,
    /// How long the answer to [`crate::MasterSession::probe`] may take: somebody else waits for it.
    pub probe_wait_max: Duration,
    /// How long a command may take to end beyond the time that it was given for that.
    pub end_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 16 * 1024 * 1024,
            // Our own worker says no more at one time.
            unpacked_bytes_max: 4 * 1024 * 1024,
            // A value may take a hundred bytes in memory, and one on the line.
            frame_values_max: 500_000,
            frame_depth_max: 12,
            name_bytes_max: 128,
            reason_bytes_max: 8 * 1024,
            info_bytes_max: 256 * 1024,
            unanswered_max: 4_096,
            // Stock workers wait for each answer.
            transfer_ahead_max: 2,
            commands_max: 256,
            burst_frames_max: 4_000,
            frames_per_s_max: 2_000,
            attach_wait_max: Duration::from_secs(60),
            answer_wait_max: Duration::from_secs(120),
            quiet_max: Duration::from_secs(60),
            probe_wait_max: Duration::from_secs(10),
            end_wait_max: Duration::from_secs(30),
        }
    }
}
