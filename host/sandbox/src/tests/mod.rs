//! The crate as its users see it: real components on a real engine, a scripted host behind them.

mod calls;
mod component;
mod fairness;
mod hostile;
mod imports;
mod loading;
mod registry;
mod scripted_host;
mod support;
