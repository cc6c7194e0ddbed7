//! A plugin with one scheduler type, `bisect`: after a build with several new changes has failed, it builds
//! between until the first bad change is known, and tells it.
//!
//! ```toml
//! [[scheduler]]
//! name = "culprit"
//! use = "bisect"
//! builders = ["linux", "windows"]
//! ```
//!
//! It listens to the builds of its builders, whoever asked for them, and remembers the changes of each branch. When
//! a build fails whose last good one was several changes before, it builds the change in the middle, and so on: 100
//! changes take 7 builds. Builds that end neither good nor bad (a lost worker, a person who stopped it) say nothing, and their
//! neighbours are tried instead.
//!
//! What it has found, it tells beside its name, and with a last build of the first bad change: that build is made for this
//! change alone, so that reporters blame its author and nobody else, and has these properties:
//!
//! | property | |
//! |---|---|
//! | `bisect_first_bad_revision` | the revision of the first bad change |
//! | `bisect_first_bad_change` | its number |
//! | `bisect_suspects` | the revisions that it may be, when builds in between could not tell |
//! | `bisect_build` | the number of the build whose failure was looked into |
//!
//! Should that last build work, the failure comes and goes, and the scheduler says so. Builds on the way there have
//! `bisect_build` and `bisect_suspects`, and are made for no change, so that nobody is blamed for them.
//!
//! * `parameters`: what the configuration can set.
//! * `search`: which change to try next; pure.
//! * `history`: the changes and builds of a branch; pure.
//! * `hunt`: a search among the changes of a branch; pure.
//! * `scheduler`: brings them together.

mod history;
mod hunt;
mod parameters;
mod scheduler;
mod search;

toolpost_sdk::plugin! {
    schedulers: [scheduler::Bisect],
}
