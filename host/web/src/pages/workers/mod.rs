//! The machines: `/workers`, all of them, and `/workers/N`, one with its connections and builds.

mod list;
mod one;
mod standing;

pub(super) use list::page as list;
pub(super) use one::page as one;
