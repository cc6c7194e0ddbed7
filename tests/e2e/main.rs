//! End-to-end tests: the real program in a folder of its own, driven as its users drive it.
//!
//! All of them are one binary, because linking the WebAssembly engine takes long. They need what
//! `cargo xtask test` sets up and fail, saying so, where it is missing.

#![expect(
    clippy::unwrap_used,
    reason = "what is unwrapped in a test is what it asserts"
)]

mod far;
mod remote;
mod support;

mod authors;
mod browser;
mod browser_fleet;
mod builds;
mod cli;
mod configuration;
mod conformance;
mod connections;
mod crash;
mod cuts;
mod description;
mod events;
mod guide;
mod hostile;
mod kills;
mod languages;
mod large_files;
mod machine;
mod mail;
mod matrix;
mod patches;
mod plugins;
mod replay;
mod reporters;
mod scripts;
mod secrets;
mod steps;
mod stock_master;
mod stock_ui;
mod storm;
mod tokens;
mod transfers;
mod workers;
