//! The workers as a whole: orders to them, and those that are missing.

mod absence;
mod bell;
mod keeper;
mod locks;
mod orders;

pub(crate) use bell::FleetBell;
pub(crate) use keeper::FleetKeeper;
