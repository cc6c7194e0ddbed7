//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::render::{self, Paint};
use crate::sources::{Sources, Span};

/// More problems than this are counted, not listed: whoever broke that much starts at the top anyway.
pub const PROBLEMS_MAX: usize = 200;

/// A part of one line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// How many characters it covers on that line, at least 1.
    pub width: u32,
    /// The whole line.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Where; `None` for what has no place in a file, such as a file that cannot be read.
    pub place: Option<Place>,
    /// Other places that belong to it, each with what is there.
    pub related: Vec<(Place, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem that has no place in a file.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            related: Vec::new(),
            help: None,
        }
    }

    /// Says what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One line: `file:line:column: message`, for logs.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration; never empty when it is returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Problems {
    /// In the order of files and lines, at most [`PROBLEMS_MAX`].
    pub list: Vec<Problem>,
    /// How many more there are.
    pub left_out: usize,
}

impl Problems {
    /// For people: each problem with its source line, as compilers show them.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        render::problems(self, paint)
    }
}

/// The same as [`Problems::render`] without colour.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
            left_out: 0,
        }
    }
}

/// Collects problems while a configuration is read. Checking goes on after each, so that a person sees
/// all of them at once.
pub(crate) struct Report<'s> {
    sources: &'s Sources,
    found: Vec<(Span, Problem)>,
    left_out: usize,
}

impl<'s> Report<'s> {
    pub(crate) fn new(sources: &'s Sources) -> Self {
        Self {
            sources,
            found: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn sources(&self) -> &'s Sources {
        self.sources
    }

    /// Notes a problem; what is known further about it is added to what this returns.
    pub(crate) fn at(&mut self, span: Span, message: impl Into<String>) -> Note<'_, 's> {
        let problem = Problem::nowhere(message);
        Note {
            report: self,
            span,
            problem,
            is_hidden: false,
        }
    }

    /// As [`Self::at`], for a place where a secret may be written: it is not shown.
    pub(crate) fn at_hidden(&mut self, span: Span, message: impl Into<String>) -> Note<'_, 's> {
        let mut note = self.at(span, message);
        note.is_hidden = true;
        note
    }

    fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were noted so far, for telling whether a part was good.
    pub(crate) fn count(&self) -> usize {
        self.found.len() + self.left_out
    }

    /// All of them by file and line.
    pub(crate) fn into_problems(mut self) -> Problems {
        self.found.sort_by_key(|(span, _)| *span);
        Problems {
            list: self.found.into_iter().map(|(_, problem)| problem).collect(),
            left_out: self.left_out,
        }
    }
}

/// A problem on its way into the [`Report`]; it arrives when this is dropped.
pub(crate) struct Note<'r, 's> {
    report: &'r mut Report<'s>,
    span: Span,
    problem: Problem,
    is_hidden: bool,
}

/// What is shown where nothing is to be seen.
const HIDDEN: &str = "***";

impl Place {
    /// The same place without what is written from there on.
    fn hidden(self) -> Self {
        let before = self.text.chars().take(self.column as usize - 1);
        Self {
            text: before.chain(HIDDEN.chars()).collect(),
            width: HIDDEN.len() as u32,
            ..self
        }
    }
}

impl Note<'_, '_> {
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.problem.help = Some(help.into());
        self
    }

    /// Help that takes some work to find; not looked for when nobody would see it.
    pub(crate) fn help_with(&mut self, help: impl FnOnce() -> Option<String>) -> &mut Self {
        if !self.report.is_full() {
            self.problem.help = help();
        }
        self
    }

    pub(crate) fn related(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        let place = self.report.sources.place(span);
        self.problem.related.push((place, label.into()));
        self
    }
}

impl Drop for Note<'_, '_> {
    fn drop(&mut self) {
        if self.report.is_full() {
            self.report.left_out += 1;
            return;
        }
        let mut problem = std::mem::replace(&mut self.problem, Problem::nowhere(""));
        let place = self.report.sources.place(self.span);
        problem.place = Some(match self.is_hidden {
            true => place.hidden(),
            false => place,
        });
        self.report.found.push((self.span, problem));
    }
}
