//! What a person writes and what they are told about it.

mod catalog;
mod files;
mod good;
mod hostile;
mod plan;
mod plugin_schedulers;
mod problems_builders;
mod problems_master;
mod problems_parameters;
mod problems_schedulers;
mod problems_text;
mod problems_workers;
mod reporters;
mod robustness;
mod schema;
mod web;
