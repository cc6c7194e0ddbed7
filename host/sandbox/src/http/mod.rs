//! Outgoing HTTP of plugins: to granted hosts only, within limits, with secrets filled in on the way out and hidden on
//! the way back.
//!
//! A request is collected, checked, filled in, sent over a connection of its own and its response collected, all where the
//! host lives and not on the plugins' threads. The address that was checked is the one that is connected to, so that a name
//! cannot mean something else a moment later. Redirects are not followed: the plugin's next request is checked like any other.

mod connect;
mod exchange;
mod fill;
mod options;
mod rules;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

use std::fmt::Display;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::call::{CallState, Caller, Home, HostCalls, Paying};
use crate::host::LogLevel;

pub(crate) use connect::Client;
pub use options::{HttpLimits, HttpOptions, Resolve, SystemResolver};
pub use trust::{Trust, read_authorities};

use exchange::Exchange;

/// What the calls of host functions are counted as.
const WHAT: &str = "wasi:http.handle";

/// The HTTP of one call.
pub(crate) struct CallHttp {
    context: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    client: Arc<Client>,
    home: Option<Home>,
    paying: Paying,
    host_calls: HostCalls,
    /// Places for exchanges whose response is not dropped yet.
    places: Arc<Semaphore>,
    sent: u32,
}

type Sending = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io)>> + Send>;
type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl CallHttp {
    pub(crate) fn new(
        client: Arc<Client>,
        home: Option<Home>,
        paying: Paying,
        host_calls: HostCalls,
    ) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(client.limits.header_bytes_max);
        let places = Arc::new(Semaphore::new(client.limits.responses_held_max));
        Self {
            context,
            hooks: Hooks {
                client,
                home,
                paying,
                host_calls,
                places,
                sent: 0,
            },
        }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http.hooks,
            table: &mut self.table,
            ctx: &mut self.http.context,
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        self.host_calls.count(WHAT);
        self.sent += 1;
        let limit = self.client.limits.requests_max;
        let Some(home) = &self.home else {
            return refused("only steps and reporters can send HTTP requests".into());
        };
        if self.sent > limit {
            return refused(format!("one call sends at most {limit} HTTP requests"));
        }
        let exchange = Exchange {
            client: Arc::clone(&self.client),
            services: home.services(),
            wanted: home.wanted.clone(),
            paying: self.paying.clone(),
            places: Arc::clone(&self.places),
            options: options.unwrap_or_default(),
        };
        let caller = home.caller.clone();
        let task = AbortOnDropHandle::new(home.runtime.spawn(exchange.run(request)));
        Box::new(async move {
            let ended = task.await.map_err(|error| internal(error.to_string()))?;
            match ended {
                Ok(response) => Ok((response, Box::new(std::future::ready(Ok(()))) as Io)),
                Err(error) => {
                    caller.log(LogLevel::Warn, &format_args!("HTTP request: {error}"));
                    Err(error)
                }
            }
        })
    }
}

impl Caller {
    fn log(&self, level: LogLevel, line: &dyn Display) {
        match self {
            Self::Step(host) => host.log(level, line),
            Self::Reporter(host) => host.log(level, line),
        }
    }
}

fn internal(text: String) -> Error {
    Error::InternalError(Some(text))
}

/// What begins the text of an error that only the operator can do something about, or the author of the plugin: the errors of WASI
/// have no kind of their own for that.
const CONFIG: &str = "config: ";

/// An error that only the operator can do something about.
fn config(text: impl AsRef<str>) -> Error {
    internal(format!("{CONFIG}{}", text.as_ref()))
}

fn refused(text: String) -> Sending {
    Box::new(std::future::ready(Err(internal(text))))
}
