//! Everything that a reporter can do.

use crate::Error;
use crate::services::{Services, ServicesRef, service_methods};
#[cfg(not(target_family = "wasm"))]
use std::rc::Rc;

/// How many lines [`ReporterContext::read_log_end`] asks for at a time.
const LINES_PER_BLOCK: u64 = 1_000;

/// What a host does for reporters beside its [`Services`].
pub trait ReporterHost: Services {
    /// Up to `count` lines of a log from line `first`, joined by newlines.
    fn read_log(&self, log: u64, first: u64, count: u32) -> Result<String, Error>;
}

/// As with [`ServicesRef`], known to the compiler in WebAssembly.
#[cfg(not(target_family = "wasm"))]
type ReporterHostRef = Rc<dyn ReporterHost>;
#[cfg(target_family = "wasm")]
type ReporterHostRef = ServicesRef;

/// What surrounds a reporter: logs of the builds, and what the host does for it.
#[derive(Clone)]
pub struct ReporterContext {
    host: ReporterHostRef,
    services: ServicesRef,
}

impl ReporterContext {
    /// A context on this host.
    #[cfg(not(target_family = "wasm"))]
    pub fn new<H: ReporterHost + 'static>(host: &Rc<H>) -> Self {
        Self {
            host: Rc::<H>::clone(host),
            services: Rc::<H>::clone(host),
        }
    }

    /// The context on the host of the component.
    #[cfg(target_family = "wasm")]
    pub(crate) fn inside(host: &ServicesRef) -> Self {
        Self {
            host: ServicesRef::clone(host),
            services: ServicesRef::clone(host),
        }
    }

    /// Up to `count` lines of a [log](crate::reporter::LogReport) from line `first`, counted from 0, joined by
    /// newlines, with secrets masked. Fewer when they are long: at most 1 MiB at a time. Empty past the end.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when there is no such log in the builds that are reported.
    pub fn read_log(&self, log: u64, first: u64, count: u32) -> Result<String, Error> {
        self.host.read_log(log, first, count)
    }

    /// The last lines of a log of `lines` lines, at most `bytes_max` of them; a line that does not fit as a whole
    /// is left out.
    ///
    /// # Errors
    ///
    /// As [`read_log`](Self::read_log).
    pub fn read_log_end(&self, log: u64, lines: u64, bytes_max: usize) -> Result<String, Error> {
        // Backwards in blocks, so that a long log is not read as a whole.
        let mut end = lines;
        let mut kept = String::new();
        while end > 0 {
            let first = end.saturating_sub(LINES_PER_BLOCK);
            let block = self.read_block(log, first, end, bytes_max - kept.len())?;
            kept.insert_str(0, &block.text);
            if block.is_cut {
                break;
            }
            end = first;
        }
        Ok(kept)
    }

    /// The lines from `first` to before `end`, each with its newline, and of these the last that fit.
    fn read_block(&self, log: u64, first: u64, end: u64, room: usize) -> Result<Block, Error> {
        let mut block = Block::default();
        let mut next = first;
        while next < end {
            let count = u32::try_from(end - next).unwrap_or(u32::MAX);
            let part = self.read_log(log, next, count)?;
            if part.is_empty() && count > 1 {
                // The log is shorter than was said.
                break;
            }
            // The host may give fewer lines at a time than asked for.
            next += part.split('\n').count() as u64;
            block.text.push_str(&part);
            block.text.push('\n');
            block.keep_last(room);
        }
        Ok(block)
    }

    service_methods!();
}

/// Some lines of a log.
#[derive(Default)]
struct Block {
    text: String,
    /// Whether lines before these did not fit.
    is_cut: bool,
}

impl Block {
    /// Keeps the last lines that fit.
    fn keep_last(&mut self, room: usize) {
        let surplus = self.text.len().saturating_sub(room);
        if surplus > 0 {
            // A line starts behind a newline; the one right before what fits counts, too.
            let newline = self.text.as_bytes()[surplus - 1..]
                .iter()
                .position(|byte| *byte == b'\n');
            let start = newline.map_or(self.text.len(), |at| surplus + at);
            self.text.drain(..start);
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mock::MockReporterHost;

    #[test]
    fn the_end_of_a_log_is_whole_lines() {
        let text: String = (0..5_000).map(|n| format!("line {n:04}\n")).collect();
        let ctx = MockReporterHost::new().log_text(7, &text).context();
        let end = |bytes_max| {
            ctx.read_log_end(7, 5_000, bytes_max)
                .expect("the log is there")
        };
        assert_eq!(end(text.len()), text);
        assert_eq!(end(text.len() - 1), text[10..]);
        assert_eq!(end(25), "line 4998\nline 4999\n");
        assert_eq!(end(20), "line 4998\nline 4999\n");
        assert_eq!(end(19), "line 4999\n");
        assert_eq!(end(9), "");
        assert_eq!(end(0), "");
        assert_eq!(end(20_000), text[30_000..], "over the border of a block");
        assert!(ctx.read_log_end(8, 1, 10).is_err(), "there is no such log");
    }

    #[test]
    fn empty_and_huge_lines_are_lines_too() {
        let huge = "x".repeat(700_000);
        let text = format!("\n{huge}\n\n{huge}\n\n");
        let ctx = MockReporterHost::new().log_text(1, &text).context();
        assert_eq!(
            ctx.read_log_end(1, 5, 4_000_000).as_deref(),
            Ok(text.as_str())
        );
        let end = ctx.read_log_end(1, 5, 1_000_000).expect("the log is there");
        assert_eq!(end, text[700_002..]);
    }
}
