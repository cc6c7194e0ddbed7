//! What a command used of its machine.

use std::time::Duration;

/// What a command used, with those of its descendants whose end was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time of processors in programs.
    pub user: Duration,
    /// Time of processors in the system, on their behalf.
    pub system: Duration,
    /// The most memory that one of its processes had at a time; where it ran in a control group of its own, all of them
    /// together.
    pub memory_peak_bytes: u64,
    /// Read from disks: not what was in memory already. 0 where the system does not tell.
    pub read_bytes: u64,
    /// Written, and bound for disks. 0 where the system does not tell.
    pub written_bytes: u64,
}
