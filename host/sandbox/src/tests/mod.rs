//! The crate as its users see it: real components on a real engine, a scripted host behind them.

mod calls;
mod component;
mod contract;
mod fairness;
mod farm;
mod hostile;
mod hostile_http;
mod imports;
mod loading;
mod misdeeds;
mod registry;
mod room;
mod scripted_host;
mod support;
mod wants;
