//! A plugin with one scheduler type, `quiet-hours`: passes changes on only within a calendar of windows.
//!
//! ```toml
//! [[scheduler]]
//! name = "nightly-hardware"
//! use = "quiet-hours"
//! builders = ["hardware-lab"]
//! zone = "Europe/Berlin"
//! open = [
//!     { days = ["mon", "tue", "wed", "thu", "fri"], from = "20:00", to = "06:00" },
//!     { days = ["sat", "sun"], from = "00:00", to = "24:00" },
//! ]
//! closed_on = ["2026-12-24", "2026-12-31"]
//! ```
//!
//! While a window is open, each change is built at once. While none is, changes wait; when the next one opens,
//! there is one build set for each branch of each project, of its newest sources. Whoever cannot wait forces the
//! scheduler: it then passes on what waits.
//!
//! It is open while a clock on a wall in the time zone shows a time within a window; so a window from 01:00 to 02:30
//! opens a second time in the night in which the clock is put back from 03:00 to 02:00, and one from 02:30 to 04:00
//! opens at 03:00 in the night that has no 02:30.
//!
//! * `parameters`: what the configuration can set.
//! * `calendar`: when it is open; pure.
//! * `waiting`: the changes that wait; pure.
//! * `scheduler`: brings them together.

mod calendar;
mod parameters;
mod scheduler;
mod waiting;

toolpost_sdk::plugin! {
    schedulers: [scheduler::QuietHours],
}
