//! The worker with real processes and files. Nothing here depends on how fast the machine is: tests
//! wait for conditions, and the times that they set are only ever exceeded.

mod ends;
mod files;
mod limits;
mod output;
mod starting;
mod stopping;
mod support;
#[cfg(target_os = "linux")]
mod user;
