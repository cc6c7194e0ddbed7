//! The records: reporters, and their deliveries.

use crate::ids::{DeliveryId, JournalId, MasterId, ReporterId};
use crate::{JournalEntry, Timestamp};

/// A reporter, with how far behind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// Row id.
    pub id: ReporterId,
    /// Unique name.
    pub name: String,
    /// The master that runs it now; `None` when no configuration names it.
    pub master_id: Option<MasterId>,
    /// The last entry of the journal that it has looked at.
    pub cursor: JournalId,
    /// Entries of the journal that it has not looked at yet; about, since the ids may have gaps.
    pub entries_ahead: i64,
    /// Deliveries that are still to be made.
    pub pending: i64,
    /// Deliveries that were given up.
    pub dead: i64,
    /// When the oldest of what is to be made happened.
    pub oldest_pending_at: Option<Timestamp>,
}

/// One thing that one reporter is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Row id.
    pub id: DeliveryId,
    /// The reporter.
    pub reporter_id: ReporterId,
    /// The same on each try, and no other delivery's: receivers can drop repeats by it.
    pub key: String,
    /// What is told of.
    pub entry: JournalEntry,
    /// Deliveries of one stream are made in order.
    pub stream: String,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Tries that came to an end.
    pub attempts: u32,
    /// When it is to be tried, while it is pending.
    pub next_at: Timestamp,
    /// What the last try said, good or bad.
    pub text: Option<String>,
    /// When it got its final status.
    pub settled_at: Option<Timestamp>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It is still to be made.
    Pending,
    /// It was made.
    Delivered,
    /// The reporter had nothing to tell.
    Skipped,
    /// It was given up; somebody may send it again.
    Dead,
    /// Somebody decided that it need not be made.
    Discarded,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Delivered,
        Self::Skipped,
        Self::Dead,
        Self::Discarded,
    ];

    /// The word that is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl std::fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
