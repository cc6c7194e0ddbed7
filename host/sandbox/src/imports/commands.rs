//! `commands`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wasmtime::component::Resource;

use crate::StepHost;
use crate::bindings::toolpost::plugin::commands::{self, Capture};
use crate::call::{CallState, Effort, Home, Stop};
use crate::host::{
    CommandControl, CommandExit, CommandLine, CommandSpec, OutputChunk, StartedCommand,
};
use crate::imports::logs::is_log_name;
use crate::imports::{Answer, answer, convert, refuse, within};

/// Bytes that one `read` returns.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// A plugin's handle of a command. Dropping it interrupts the command.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct CommandHandle {
    tap: Tap,
    end: End,
    control: Arc<dyn CommandControl>,
}

enum End {
    Waiting(JoinHandle<CommandExit>),
    Known(CommandExit),
}

impl Drop for CommandHandle {
    fn drop(&mut self) {
        let ended = match &self.end {
            End::Known(_) => true,
            End::Waiting(task) => task.is_finished(),
        };
        if !ended {
            self.control.interrupt();
        }
    }
}

/// The part of a command's output that the plugin can read.
struct Tap {
    home: Home,
    receiver: Option<mpsc::Receiver<OutputChunk>>,
    /// Read already, but larger than one answer.
    rest: Option<OutputChunk>,
    /// Bytes that may still be handed out.
    left: u64,
    truncated: Arc<AtomicBool>,
    /// Empties the receiver once nothing more may be handed out.
    drain: Option<JoinHandle<()>>,
}

impl Tap {
    async fn next(&mut self) -> Option<OutputChunk> {
        while self.rest.is_none() {
            let Some(mut chunk) = self.receiver.as_mut()?.recv().await else {
                self.receiver = None;
                return None;
            };
            let allowed = usize::try_from(self.left).unwrap_or(usize::MAX);
            if chunk.data.len() > allowed {
                chunk.data.truncate(allowed);
                self.truncated.store(true, Ordering::Relaxed);
            }
            self.left -= chunk.data.len() as u64;
            if self.left == 0 {
                self.drain();
            }
            if !chunk.data.is_empty() {
                self.rest = Some(chunk);
            }
        }
        let rest = self.rest.as_mut()?;
        let length = rest.data.len().min(CHUNK_BYTES_MAX);
        let data = rest.data.split_to(length);
        let source = rest.source;
        self.rest.take_if(|rest| rest.data.is_empty());
        Some(OutputChunk { source, data })
    }

    /// Lets the command go on although nothing more is handed out.
    fn drain(&mut self) {
        let Some(mut receiver) = self.receiver.take() else {
            return;
        };
        let truncated = self.truncated.clone();
        let mut left = self.left;
        self.drain = Some(self.home.runtime.spawn(async move {
            while let Some(chunk) = receiver.recv().await {
                let length = chunk.data.len() as u64;
                if length > left {
                    truncated.store(true, Ordering::Relaxed);
                }
                left = left.saturating_sub(length);
            }
        }));
    }

    /// Drops what was not read and waits until the host has sent everything.
    async fn skip_to_end(&mut self) {
        self.rest = None;
        self.drain();
        if let Some(drain) = self.drain.take() {
            // A drain that crashed has dropped its receiver: the command goes on just as well.
            let _ = drain.await;
        }
    }
}

impl CommandHandle {
    fn new(started: StartedCommand, home: Home, capture: &Capture, running: Running) -> Self {
        let left = match *capture {
            Capture::Nothing => 0,
            Capture::First(bytes) => bytes,
            Capture::Everything => u64::MAX,
        };
        let exit = started.exit;
        let end = home.runtime.spawn(async move {
            let exit = exit.await;
            drop(running);
            exit
        });
        let mut tap = Tap {
            home,
            receiver: started.output,
            rest: None,
            left,
            truncated: Arc::default(),
            drain: None,
        };
        if left == 0 {
            tap.drain();
        }
        Self {
            tap,
            end: End::Waiting(end),
            control: started.control,
        }
    }

    async fn wait(&mut self) -> Result<commands::Exit, Stop> {
        self.tap.skip_to_end().await;
        if let End::Waiting(task) = &mut self.end {
            let exit = task.await.map_err(|error| Stop::Host(error.to_string()))?;
            self.end = End::Known(exit);
        }
        let truncated = self.tap.truncated.load(Ordering::Relaxed);
        match &self.end {
            End::Known(exit) => Ok(convert::exit(exit, truncated)),
            End::Waiting(_) => Err(Stop::Host("the end of a command got lost".into())),
        }
    }
}

/// A command whose plugin may have been stopped while it was being started: interrupts it then.
struct Unclaimed(Option<StartedCommand>);

impl Unclaimed {
    fn new(started: StartedCommand) -> Self {
        Self(Some(started))
    }

    fn claim(mut self) -> Option<StartedCommand> {
        self.0.take()
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(started) = &self.0 {
            started.control.interrupt();
        }
    }
}

/// Counts a command as running until it is dropped.
struct Running(Arc<std::sync::atomic::AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl CallState {
    fn count_command(&mut self) -> Result<Running, Stop> {
        self.counts.commands += 1;
        let (count, limit) = (self.counts.commands, self.limits.commands_max);
        within("commands started in one step", count.into(), limit.into())?;
        let running = self.commands.running.fetch_add(1, Ordering::Relaxed) + 1;
        let counted = Running(self.commands.running.clone());
        let limit = self.limits.commands_running_max;
        within("commands running at one time", running.into(), limit.into())?;
        Ok(counted)
    }
}

/// What is wrong with a command before the worker sees it.
fn objection(spec: &CommandSpec) -> Option<&'static str> {
    let text_is_bad = |text: &str| text.contains('\0');
    let bad_command = match &spec.command {
        CommandLine::Argv(argv) if argv.first().is_none_or(String::is_empty) => {
            return Some("a command needs at least the name of a program");
        }
        CommandLine::Argv(argv) => argv.iter().any(|text| text_is_bad(text)),
        CommandLine::Shell(line) => text_is_bad(line),
    };
    if bad_command {
        return Some("a command must not have NUL characters in it");
    }
    let bad_variable = spec.env.iter().any(|(name, value)| {
        name.is_empty()
            || name.contains('=')
            || text_is_bad(name)
            || value.as_deref().is_some_and(text_is_bad)
    });
    if bad_variable {
        return Some(
            "a variable of the environment must have a name without `=`, and no NUL characters",
        );
    }
    match &spec.log {
        Some(name) if !is_log_name(name) => {
            Some("the name of a log must be printable text of at most 64 bytes")
        }
        _ => None,
    }
}

impl commands::Host for CallState {}

impl commands::HostRunningCommand for CallState {
    async fn start(&mut self, spec: commands::CommandSpec) -> Answer<Resource<CommandHandle>> {
        self.step("commands.running-command.start")?;
        let home = self.home("commands.running-command.start")?.clone();
        let capture = spec.capture;
        let spec = CommandSpec::from(spec);
        if let Some(objection) = objection(&spec) {
            return refuse(objection);
        }
        if let Some(name) = &spec.log {
            self.count_log(name)?;
        }
        let running = self.count_command()?;
        let start =
            async move |host: Arc<dyn StepHost>| host.start_command(spec).await.map(Unclaimed::new);
        let started = self
            .ask_for(Effort::Process, "commands.running-command.start", start)
            .await?;
        match answer(started)? {
            Ok(unclaimed) => {
                let Some(started) = unclaimed.claim() else {
                    return Err(Stop::Host("a started command got lost".into()).into());
                };
                self.commands.add(&started.control);
                let handle = CommandHandle::new(started, home, &capture, running);
                Ok(Ok(self.table.push(handle)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn read(
        &mut self,
        this: Resource<CommandHandle>,
    ) -> wasmtime::Result<Option<commands::OutputChunk>> {
        self.host_calls.count("commands.running-command.read");
        let chunk = self.table.get_mut(&this)?.tap.next().await;
        Ok(chunk.map(Into::into))
    }

    async fn wait(&mut self, this: Resource<CommandHandle>) -> wasmtime::Result<commands::Exit> {
        self.host_calls.count("commands.running-command.wait");
        Ok(self.table.get_mut(&this)?.wait().await?)
    }

    async fn interrupt(&mut self, this: Resource<CommandHandle>) -> wasmtime::Result<()> {
        self.host_calls.count("commands.running-command.interrupt");
        self.table.get(&this)?.control.interrupt();
        Ok(())
    }

    async fn drop(&mut self, this: Resource<CommandHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
