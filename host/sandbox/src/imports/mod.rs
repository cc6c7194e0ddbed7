//! The host functions of the contract: each checks the limits, translates, and asks the step's host.

mod artifacts;
mod commands;
pub(crate) mod convert;
mod data;
mod facts;
mod files;
mod logs;
mod services;
mod status;
mod test_results;
mod triggers;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::AllKinds;
use crate::call::{CallState, Stop};
use crate::host::HostError;

#[expect(unreachable_pub, reason = "the generated bindings re-export them")]
pub use self::{
    commands::CommandHandle, logs::LogHandle, test_results::TestSetHandle, triggers::TriggerHandle,
};

use crate::bindings::toolpost::plugin::types;

/// Everything that a plugin may import: the contract, WASI with nothing in it, and outgoing HTTP to granted hosts.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    AllKinds::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// What a plugin gets from a call that can fail: an answer, an error that it can act on, or it is
/// stopped.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

fn answer<T>(result: Result<T, HostError>) -> Answer<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(HostError::Retryable(text)) => Ok(Err(types::Error::Retryable(text))),
        Err(HostError::Permanent(text)) => Ok(Err(types::Error::Permanent(text))),
        Err(HostError::Config(text)) => Ok(Err(types::Error::Config(text))),
        Err(HostError::Internal(text)) => Err(Stop::Host(text).into()),
    }
}

/// For calls that have no error in the contract: whatever goes wrong is the host's trouble.
fn certain<T>(result: Result<T, HostError>) -> Result<T, Stop> {
    result.map_err(|error| Stop::Host(error.to_string()))
}

fn refuse<T>(text: impl Into<String>) -> Answer<T> {
    Ok(Err(types::Error::Permanent(text.into())))
}

/// Stops a plugin that goes past a limit.
fn within(what: &'static str, count: u64, limit: u64) -> Result<(), Stop> {
    if count > limit {
        return Err(Stop::Limit { what, limit });
    }
    Ok(())
}
