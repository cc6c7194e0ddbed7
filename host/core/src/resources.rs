//! What the commands of a step used of their worker.

/// The sum over commands. Sums stand still at the largest number that can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Commands that ended and said what they used.
    pub commands: i64,
    /// Time of processors in programs, in milliseconds.
    pub user_ms: i64,
    /// Time of processors in the system on their behalf, in milliseconds.
    pub system_ms: i64,
    /// The most memory that one of the commands had at a time.
    pub memory_peak_bytes: i64,
    /// Read from disks.
    pub read_bytes: i64,
    /// Written, and bound for disks.
    pub written_bytes: i64,
}

impl Resources {
    /// With those of another command, or of several.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            commands: self.commands.saturating_add(other.commands),
            user_ms: self.user_ms.saturating_add(other.user_ms),
            system_ms: self.system_ms.saturating_add(other.system_ms),
            memory_peak_bytes: self.memory_peak_bytes.max(other.memory_peak_bytes),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
        }
    }
}
