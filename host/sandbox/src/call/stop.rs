//! Why the host stops a plugin, and what became of a call, told from the engine's error.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::{CallLimits, SandboxError, Stack};

/// A reason for which a host function or a check stops the plugin. Travels through the engine as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("processor time is used up")]
    Cpu { used: Duration },
    #[error("wall-clock limit")]
    Wall,
    #[error("memory limit")]
    Memory { asked: usize },
    #[error("no room for more memory")]
    NoMemory { missing: usize },
    #[error("limit: {what}")]
    Limit { what: &'static str, limit: u64 },
    #[error("cancelled")]
    Cancelled,
    #[error("shutdown")]
    Shutdown,
    #[error("not available: {0}")]
    NotAllowed(&'static str),
    #[error("host: {0}")]
    Host(String),
}

/// Text of the engine's error for more data than the fuel of a host call allows; its type is private.
const HOSTCALL_FUEL_TEXT: &str = "fuel allocated for hostcalls has been exhausted";

/// What is known about a call when it fails.
pub(crate) struct Scene<'a> {
    pub(crate) limits: &'a CallLimits,
    pub(crate) stack_bytes_max: usize,
    pub(crate) growth_wait_max: Duration,
    /// What the plugin last printed to standard error.
    pub(crate) last_words: Option<String>,
    /// Whether the component was instantiated.
    pub(crate) started: bool,
}

impl Scene<'_> {
    /// The engine's error in terms of this crate.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> SandboxError {
        let stack = stack_of(error);
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return self.stopped(stop.clone(), stack);
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return self.trapped(*trap, stack);
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            let reason = format!("it ended itself with exit code {}", exit.0);
            return SandboxError::Trap { reason, stack };
        }
        let table_full = matches!(
            error.downcast_ref::<ResourceTableError>(),
            Some(ResourceTableError::Full)
        );
        if table_full {
            let (what, limit) = ("handles of host resources", self.limits.handles_max as u64);
            return SandboxError::Limit { what, limit, stack };
        }
        let text = format!("{:#}", error.root_cause());
        if text.contains(HOSTCALL_FUEL_TEXT) {
            let limit = self.limits.payload_bytes_max as u64;
            let what = "bytes in one call of a host function";
            return SandboxError::Limit { what, limit, stack };
        }
        if self.started {
            SandboxError::Trap {
                reason: text,
                stack,
            }
        } else {
            SandboxError::Start(format!("{error:#}"))
        }
    }

    /// A reason of the host in terms of this crate.
    pub(crate) fn stopped(&self, stop: Stop, stack: Stack) -> SandboxError {
        match stop {
            Stop::Cpu { used } => SandboxError::CpuBudget {
                used,
                limit: self.limits.cpu,
                stack,
            },
            Stop::Wall => SandboxError::WallDeadline {
                limit: self.limits.wall,
                stack,
            },
            Stop::Memory { asked } => SandboxError::Memory {
                asked: asked as u64,
                limit: self.limits.memory_bytes_max as u64,
                stack,
            },
            Stop::NoMemory { missing } => SandboxError::NoRoom {
                asked: missing as u64,
                waited: self.growth_wait_max,
            },
            Stop::Limit { what, limit } => SandboxError::Limit { what, limit, stack },
            Stop::Cancelled => SandboxError::Cancelled,
            Stop::Shutdown => SandboxError::Shutdown,
            Stop::NotAllowed(what) => SandboxError::NotAllowed(what.into()),
            Stop::Host(reason) => SandboxError::Host(reason),
        }
    }

    fn trapped(&self, trap: Trap, stack: Stack) -> SandboxError {
        let limit = self.stack_bytes_max as u64;
        let reason = match trap {
            Trap::StackOverflow => return SandboxError::StackOverflow { limit, stack },
            // What a panic or an abort compiles to; the words are what the guest's runtime printed.
            Trap::UnreachableCodeReached => match &self.last_words {
                Some(words) => words.clone(),
                None => "it reached code that it considers unreachable (an abort, or a panic without a message)".into(),
            },
            trap => {
                let text = trap.to_string();
                text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
            }
        };
        SandboxError::Trap { reason, stack }
    }
}

/// The frames that the engine saw, without addresses.
fn stack_of(error: &wasmtime::Error) -> Stack {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Stack::default();
    };
    let mut frames: Vec<String> = Vec::new();
    // Only the text has demangled names. Its first line is a headline; a frame is `0: 0x1f - module!name`, followed by
    // `at file:line` where the component has debug information.
    for line in trace.to_string().lines().skip(1).map(str::trim) {
        match (line.strip_prefix("at "), frames.last_mut()) {
            (Some(place), Some(frame)) => {
                frame.push_str(" at ");
                frame.push_str(place);
            }
            _ => frames.push(
                line.split_once(" - ")
                    .map_or(line, |(_, name)| name)
                    .to_owned(),
            ),
        }
    }
    Stack(frames)
}
