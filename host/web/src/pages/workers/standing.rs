//! How a worker stands, in a word and a shape.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use toolpost_core::model::Worker;

use crate::control::WorkerSettings;

/// How a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes builds.
    Ready,
    /// It is connected and takes no new builds.
    Paused,
    /// It is connected, takes no new builds and is told to end when it is idle.
    Finishing,
    /// It was told to end, and did.
    Dismissed,
    /// It was away for longer than it may be.
    Missing,
    /// It is not connected, and builds wait for it.
    CutOff,
    /// It is not connected.
    Away,
    /// It never was.
    Never,
}

impl Standing {
    /// Of a worker on which so many builds run.
    pub(crate) fn of(worker: &Worker, running: usize) -> Self {
        match worker {
            worker if !worker.connected_to.is_empty() => match worker {
                worker if worker.graceful => Self::Finishing,
                worker if worker.paused => Self::Paused,
                _ => Self::Ready,
            },
            worker if worker.dismissed => Self::Dismissed,
            _ if running > 0 => Self::CutOff,
            worker if worker.missing_at.is_some() => Self::Missing,
            worker if worker.connected_at.is_none() => Self::Never,
            _ => Self::Away,
        }
    }

    /// Whether it can be told something.
    pub(crate) fn is_connected(self) -> bool {
        matches!(self, Self::Ready | Self::Paused | Self::Finishing)
    }

    /// The word for it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ready => "connected",
            Self::Paused => "paused",
            Self::Finishing => "finishing",
            Self::Dismissed => "shut down",
            Self::Missing => "missing",
            Self::CutOff => "cut off",
            Self::Away => "not connected",
            Self::Never => "never connected",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Ready => "dot",
            Self::Paused | Self::Finishing | Self::CutOff => "dot held",
            Self::Missing => "dot bad",
            Self::Dismissed | Self::Away | Self::Never => "dot off",
        }
    }
}

impl Display for Standing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<span class=\"nowrap\"><span class=\"{}\"></span>{}</span>",
            self.class(),
            self.label()
        )
    }
}

impl HtmlSafe for Standing {}

/// How much of what a worker may run it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    running: usize,
    most: Option<u32>,
}

impl Load {
    /// So many builds of those that are configured.
    pub(crate) fn new(running: usize, settings: WorkerSettings) -> Self {
        Self {
            running,
            most: settings.builds_max,
        }
    }
}

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { running, most } = *self;
        let Some(most) = most else {
            return write!(f, "<span class=\"nowrap\">{running} of any number</span>");
        };
        let share = (running * 100 / usize::try_from(most.max(1)).unwrap_or(1)).min(100);
        write!(
            f,
            "<span class=\"load\"><svg viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"all\" width=\"100\" height=\"8\"/><rect width=\"{share}\" height=\"8\"/></svg>\
             <span class=\"nowrap\">{running} of {most}</span></span>"
        )
    }
}

impl HtmlSafe for Load {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use toolpost_core::{MasterId, Timestamp, WorkerId};

    use super::*;

    fn worker(change: impl FnOnce(&mut Worker)) -> Worker {
        let mut worker = Worker {
            id: WorkerId(1),
            name: "w".into(),
            info: BTreeMap::new(),
            paused: false,
            pause_reason: None,
            graceful: false,
            dismissed: false,
            connected_at: Some(Timestamp(1)),
            address: None,
            gone_at: None,
            gone_reason: None,
            missing_at: None,
            masters: Vec::new(),
            configured_on: Vec::new(),
            connected_to: vec![MasterId(1)],
        };
        change(&mut worker);
        worker
    }

    #[test]
    fn the_state_of_a_worker_is_what_matters_most_of_it() {
        let away = |change: fn(&mut Worker)| {
            worker(|worker| {
                worker.connected_to.clear();
                change(worker);
            })
        };
        let table = [
            (worker(|_| {}), 0, "connected"),
            (worker(|worker| worker.paused = true), 1, "paused"),
            (
                worker(|worker| (worker.paused, worker.graceful) = (true, true)),
                1,
                "finishing",
            ),
            (away(|_| {}), 0, "not connected"),
            (away(|_| {}), 1, "cut off"),
            (away(|worker| worker.paused = true), 0, "not connected"),
            (
                away(|worker| worker.connected_at = None),
                0,
                "never connected",
            ),
            (
                away(|worker| worker.missing_at = Some(Timestamp(2))),
                0,
                "missing",
            ),
            (
                away(|worker| (worker.graceful, worker.dismissed) = (true, true)),
                0,
                "shut down",
            ),
        ];
        for (worker, running, expected) in table {
            let standing = Standing::of(&worker, running);
            assert_eq!(standing.label(), expected, "{worker:?}");
            assert_eq!(standing.is_connected(), !worker.connected_to.is_empty());
        }
    }
}
