//! The web server over a real store, asked as clients and browsers ask it.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod api;
mod auth;
mod errors;
mod events;
mod kept;
mod logs;
mod metrics;
mod pages;
mod paging;
mod plans;
mod reporters;
mod soundness;
mod specification;
mod ui;
mod websocket;
mod with_master;
mod workers;
