//! Two ends in memory, with a clock that only moves when it is told to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use toolpost_wire::{
    Argv, Command, CommandEvent, CommandId, CommandNumber, DownloadFile, Effect, Former, Limits,
    MasterEvent, MasterSession, Patience, ProtocolError, Shell, Text, UploadDirectory, UploadFile,
    WorkerEffect, WorkerEvent, WorkerInfo, WorkerSession, WorkerSettings,
};

/// The epoch of the master's end.
pub(crate) const EPOCH: u64 = 7;

pub(crate) struct Pair {
    pub(crate) master: MasterSession,
    pub(crate) worker: WorkerSession,
    pub(crate) now: Instant,
    /// What the master's end told and nobody has looked at.
    pub(crate) at_master: Vec<MasterEvent>,
    /// What the worker's end told and nobody has looked at.
    pub(crate) at_worker: Vec<WorkerEvent>,
    /// Messages are lost from now on.
    pub(crate) cut: bool,
}

pub(crate) fn info() -> WorkerInfo {
    let texts = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    };
    WorkerInfo {
        base_dir: "/srv/worker".into(),
        system: "posix".into(),
        version: "0.1.0".into(),
        cpus: 4,
        environment: texts(&[("PATH", "/bin"), ("LANG", "C")]),
        commands: texts(&[("shell", "3.3")]),
        instance: None,
        offsets: false,
        packs: false,
        texts: texts(&[("admin", "Ada <ada@example.org>\n"), ("host", "cellar\n")]),
    }
}

pub(crate) fn shell(line: &str) -> Command {
    Command::Shell(Box::new(Shell::new(
        Argv::Line(line.into()),
        "/srv/worker/b",
    )))
}

/// A file to the master.
pub(crate) fn upload(block_size: u64, keep_stamp: bool) -> Command {
    Command::UploadFile(UploadFile {
        path: "/srv/worker/b/f".into(),
        max_size: None,
        block_size,
        keep_stamp,
        offset: 0,
    })
}

/// A directory to the master.
pub(crate) fn upload_dir(block_size: u64) -> Command {
    Command::UploadDirectory(UploadDirectory {
        path: "/srv/worker/b/d".into(),
        max_size: None,
        block_size,
        compress: None,
    })
}

/// A file to the worker.
pub(crate) fn download() -> Command {
    Command::DownloadFile(DownloadFile {
        path: "/srv/worker/b/f".into(),
        max_size: None,
        block_size: 64,
        mode: None,
    })
}

pub(crate) fn text(text: &str) -> Text {
    Text {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        at: 1.5,
    }
}

/// As long as it takes, and five seconds to end.
pub(crate) const PATIENT: Patience = Patience {
    within: None,
    grace: Duration::from_secs(5),
};

impl Pair {
    /// Two ends that have not spoken yet.
    pub(crate) fn new(limits: Limits, unwanted: Vec<CommandId>) -> Self {
        let former = Former {
            unwanted,
            ..Former::default()
        };
        Self::with(limits, former)
    }

    /// The same, after earlier sessions.
    pub(crate) fn with(limits: Limits, former: Former) -> Self {
        let now = Instant::now();
        // No two sessions have the same.
        let epoch = EPOCH + u64::from(former.suspended.is_some());
        let limits = Arc::new(limits);
        let settings = WorkerSettings::default();
        Self {
            master: MasterSession::new(now, Arc::clone(&limits), epoch, settings, former),
            worker: WorkerSession::new(now, limits),
            now,
            at_master: Vec::new(),
            at_worker: Vec::new(),
            cut: false,
        }
    }

    /// Two ends that are attached.
    pub(crate) fn attached() -> Self {
        let mut pair = Self::new(Limits::default(), Vec::new());
        pair.attach();
        pair
    }

    pub(crate) fn attach(&mut self) {
        self.flow().unwrap();
        let wanted = self.take_worker(|event| matches!(event, WorkerEvent::InfoWanted(_)));
        let WorkerEvent::InfoWanted(ticket) = wanted else {
            unreachable!()
        };
        self.worker.answer_info(&ticket, &info());
        self.flow().unwrap();
        let attached = self.take_master(|event| matches!(event, MasterEvent::Attached(_)));
        assert_eq!(attached, MasterEvent::Attached(Box::new(info())));
    }

    /// Carries messages until nobody has more to say.
    pub(crate) fn flow(&mut self) -> Result<(), ProtocolError> {
        loop {
            let mut quiet = true;
            while let Some(effect) = self.master.poll() {
                quiet = false;
                match effect {
                    Effect::Send(frame) if !self.cut => self.worker.handle(self.now, &frame)?,
                    Effect::Send(_) => {}
                    Effect::Event(event) => self.at_master.push(event),
                }
            }
            while let Some(effect) = self.worker.poll() {
                quiet = false;
                match effect {
                    WorkerEffect::Send(frame) if !self.cut => {
                        self.master.handle(self.now, &frame)?;
                    }
                    WorkerEffect::Send(_) => {}
                    WorkerEffect::Event(event) => self.at_worker.push(event),
                }
            }
            if quiet {
                return Ok(());
            }
        }
    }

    /// Lets time pass, with everything that is due meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<(), ProtocolError> {
        let end = self.now + time;
        loop {
            self.flow()?;
            let due = [self.master.deadline(), self.worker.deadline()];
            match due.into_iter().flatten().min().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            self.master.handle_timeout(self.now)?;
            self.worker.handle_timeout(self.now)?;
        }
        self.now = end;
        Ok(())
    }

    /// Starts a command and lets the worker begin it.
    pub(crate) fn start(
        &mut self,
        command: Command,
        patience: Patience,
    ) -> (CommandNumber, CommandId) {
        let builder = Some("b".to_owned());
        let number = self.master.start(self.now, builder, command, patience);
        self.flow().unwrap();
        let start = self.take_worker(|event| matches!(event, WorkerEvent::Start { .. }));
        let WorkerEvent::Start { id, ticket, .. } = start else {
            unreachable!()
        };
        self.worker.answer(&ticket, Ok(()));
        self.flow().unwrap();
        let number = number.unwrap();
        assert_eq!(self.told(number), [CommandEvent::Started]);
        (number, id)
    }

    /// What was told about a command since it was last asked for. Updates are answered.
    pub(crate) fn told(&mut self, number: CommandNumber) -> Vec<CommandEvent> {
        let mut told = Vec::new();
        for event in std::mem::take(&mut self.at_master) {
            match event {
                MasterEvent::Command { number: of, event } if of == number => told.push(event),
                other => self.at_master.push(other),
            }
        }
        told
    }

    pub(crate) fn take_master(&mut self, wanted: impl Fn(&MasterEvent) -> bool) -> MasterEvent {
        let at = self.at_master.iter().position(wanted);
        self.at_master.remove(at.expect("told to the master"))
    }

    pub(crate) fn take_worker(&mut self, wanted: impl Fn(&WorkerEvent) -> bool) -> WorkerEvent {
        let at = self.at_worker.iter().position(wanted);
        self.at_worker.remove(at.expect("told to the worker"))
    }
}
