//! A host for tests of reporters.

use super::services::{MockServices, mock_services};
use crate::reporter::ReporterHost;
use crate::{Delivery, Error, ReportOutcome, Reporter, ReporterContext, ReporterType};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const READ_BYTES_MAX: usize = 1024 * 1024;

/// A host whose HTTP answers, logs and secrets a test has written down, and that shows what was sent.
///
/// ```
/// use toolpost_sdk::mock::{MockReporterHost, MockResponse};
///
/// let host = MockReporterHost::new().http(MockResponse::new(201)).log_text(7, "one\ntwo\n");
/// let ctx = host.context();
/// assert_eq!(ctx.read_log(7, 1, 10)?, "two");
/// ctx.http().post("https://example.org").body("hello").send()?.error_for_status()?;
/// assert_eq!(host.requests()[0].body, b"hello");
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct MockReporterHost {
    services: Rc<MockServices>,
    logs: Rc<RefCell<BTreeMap<u64, Vec<String>>>>,
}

mock_services!(MockReporterHost, services);

impl MockReporterHost {
    /// A host with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a log of a build its content. (`log` is what reporters write with.)
    #[must_use]
    pub fn log_text(self, id: u64, text: &str) -> Self {
        let lines = text.lines().map(str::to_owned).collect();
        self.logs.borrow_mut().insert(id, lines);
        self
    }

    /// Lets a reporter with these parameters tell something, as the real host does.
    ///
    /// # Errors
    ///
    /// Those of the reporter, and [`Error::Config`] for parameters that do not fit.
    pub fn report<R: Reporter>(
        &self,
        parameters: Value,
        delivery: &Delivery,
    ) -> Result<ReportOutcome, Error> {
        ReporterType::of::<R>().report_with(parameters, delivery, &self.context())
    }

    /// A context on this host, for tests of less than a reporter.
    #[must_use]
    pub fn context(&self) -> ReporterContext {
        ReporterContext::new(&Rc::new(self.clone()))
    }
}

impl ReporterHost for MockReporterHost {
    fn read_log(&self, log: u64, first: u64, count: u32) -> Result<String, Error> {
        let logs = self.logs.borrow();
        let lines = logs
            .get(&log)
            .ok_or_else(|| Error::permanent(format!("there is no log {log} in these builds")))?;
        let mut text = String::new();
        let wanted = lines
            .iter()
            .skip(usize::try_from(first).unwrap_or(usize::MAX))
            .take(usize::try_from(count).unwrap_or(usize::MAX));
        for (number, line) in wanted.enumerate() {
            if number > 0 {
                if text.len() + line.len() >= READ_BYTES_MAX {
                    break;
                }
                text.push('\n');
            }
            text.push_str(line);
        }
        Ok(text)
    }
}
