//! The web server over a real store, asked as clients and browsers ask it.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod api;
mod auth;
mod caching;
mod description;
mod errors;
mod events;
mod kept;
mod logs;
mod metrics;
mod pages;
mod paging;
mod patches;
mod plans;
mod reporters;
mod search;
mod soundness;
mod specification;
mod tail;
mod ui;
mod unread;
mod websocket;
mod why;
mod with_master;
mod workers;
