//! What a call takes, and what there is.

/// What a call takes, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Room {
    pub(crate) calls: usize,
    /// Linear memories, of which the engine's pool has so many.
    pub(crate) memories: usize,
    /// Tables, likewise.
    pub(crate) tables: usize,
    /// Linear memory in bytes.
    pub(crate) bytes: usize,
}

impl Room {
    fn of_each(self, other: Self, with: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            calls: with(self.calls, other.calls),
            memories: with(self.memories, other.memories),
            tables: with(self.tables, other.tables),
            bytes: with(self.bytes, other.bytes),
        }
    }

    pub(super) fn and(self, more: Self) -> Self {
        self.of_each(more, usize::saturating_add)
    }

    pub(super) fn without(self, part: Self) -> Self {
        self.of_each(part, usize::saturating_sub)
    }

    pub(super) fn within(self, limit: Self) -> bool {
        self.calls <= limit.calls
            && self.memories <= limit.memories
            && self.tables <= limit.tables
            && self.bytes <= limit.bytes
    }

    /// One part of so many.
    pub(crate) fn part(self, of: usize) -> Self {
        self.of_each(Self::default(), |all, _| all / of)
    }
}
