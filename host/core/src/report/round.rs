//! Which deliveries of one reporter are tried now: in order within a stream, beside each other otherwise.

use std::collections::BTreeMap;

use super::Delivery;
use crate::Timestamp;
use crate::ids::DeliveryId;

/// What one look at the queue of a reporter gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// Tries to begin now, in this order.
    pub start: Vec<DeliveryId>,
    /// When the next one is due, if nothing else happens before; none when a try that ends comes first.
    pub wake_at: Option<Timestamp>,
}

/// Decides. `heads` are the next deliveries of each stream, those that are due first in front; `running` the tries
/// that have not ended, with their streams. A stream with a running try is left alone, also when the delivery that
/// is tried is no longer its head, because somebody has discarded it.
#[must_use]
pub fn plan_round(
    heads: &[Delivery],
    running: &BTreeMap<DeliveryId, String>,
    running_max: usize,
    now: Timestamp,
) -> Round {
    let room = running_max.saturating_sub(running.len());
    let busy = |stream: &String| running.values().any(|other| other == stream);
    let idle = || heads.iter().filter(|head| !busy(&head.stream));
    Round {
        start: idle()
            .take_while(|head| head.next_at <= now)
            .take(room)
            .map(|head| head.id)
            .collect(),
        wake_at: idle()
            .map(|head| head.next_at)
            .find(|next_at| *next_at > now),
    }
}
