//! The engine room on a real store, a real worker and real git. A test is a configuration and a few verbs.

mod builds;
mod farm;
mod fleet;
mod foreign;
mod git;
mod kept;
mod life;
mod plugin_schedulers;
mod plugins;
mod poller;
mod postgres;
mod queue;
mod reload;
mod repo;
mod schedulers;
mod triggers;
mod why;
