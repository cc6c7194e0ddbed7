//! Everything that is printed for people, and what a failure looks like.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use toolpost_config::{Paint, Problems};

use crate::cli::Colour;

/// Exit code for a wrong configuration, as clap has it for a wrong command line.
const EXIT_USAGE: u8 = 2;

/// Prints results to standard output and everything else to standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    colour: Colour,
}

/// Colours for words in results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink(bool);

impl Ink {
    pub(crate) fn good(self, text: &str) -> String {
        self.with("1;32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is wrong.
    Configuration(Problems),
    /// What was asked for makes no sense; says what would.
    Usage(String),
    /// It went wrong.
    Other(anyhow::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) | Self::Usage(_) => ExitCode::from(EXIT_USAGE),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        match error.downcast::<Problems>() {
            Ok(problems) => Self::Configuration(problems),
            Err(error) => Self::Other(error),
        }
    }
}

impl Printer {
    pub(crate) fn new(colour: Colour) -> Self {
        Self { colour }
    }

    /// Whether a stream gets colours.
    fn coloured(self, is_terminal: bool) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }

    /// Whether standard error gets colours.
    pub(crate) fn coloured_errors(self) -> bool {
        self.coloured(std::io::stderr().is_terminal())
    }

    /// How plans and problems are to be rendered for standard output.
    pub(crate) fn paint(self) -> Paint {
        paint(self.coloured(std::io::stdout().is_terminal()))
    }

    /// Colours for standard output.
    pub(crate) fn ink(self) -> Ink {
        Ink(self.coloured(std::io::stdout().is_terminal()))
    }

    /// A result, with a line end.
    pub(crate) fn line(self, text: impl fmt::Display) {
        // A closed pipe (`toolpost schema | head`) is the reader's wish, not an error.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// What goes on, for whoever watches.
    pub(crate) fn note(self, text: impl fmt::Display) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Why the command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        let coloured = self.coloured_errors();
        let text = match failure {
            Failure::Configuration(problems) => {
                return self.note(problems.render(paint(coloured)).trim_end());
            }
            Failure::Usage(text) => text.clone(),
            Failure::Other(error) => format!("{error:#}"),
        };
        let (red, reset) = if coloured {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        self.note(format_args!("{red}error:{reset} {text}"));
    }
}

fn paint(coloured: bool) -> Paint {
    if coloured {
        Paint::Colour
    } else {
        Paint::Plain
    }
}
