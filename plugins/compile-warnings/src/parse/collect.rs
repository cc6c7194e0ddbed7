//! Gathers warnings over the lines of a build.

use super::Warning;
use super::formats::{CustomFormat, LINE_BYTES_MAX, Line, read};
use regex::Regex;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use toolpost_sdk::strip_escapes;

/// Warnings that are kept; all are counted.
const KEPT_MAX: usize = 5_000;
/// Different warnings that are told apart; beyond this, repetitions count again.
const DISTINCT_MAX: usize = 100_000;
/// Kinds of warnings that are counted apart; beyond this, they count as without a kind.
const CODES_MAX: usize = 1_000;
/// Lines after its headline that a warning may wait for its place.
const PLACE_LINES_MAX: u32 = 8;
/// Bytes kept of a message.
const MESSAGE_BYTES_MAX: usize = 2 * 1024;
/// Bytes kept of the name of a file.
const FILE_BYTES_MAX: usize = 512;
/// Bytes kept of the name of a kind.
const CODE_BYTES_MAX: usize = 64;
/// Bytes kept of one line of context.
const CONTEXT_LINE_BYTES_MAX: usize = 200;
/// Bytes kept of all context.
const CONTEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Warnings that do not count. All parts that are given have to fit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suppression {
    /// Fits the file.
    pub(crate) file: Option<Regex>,
    /// Fits the message or its code.
    pub(crate) text: Option<Regex>,
    /// Lines of the file.
    pub(crate) lines: Option<RangeInclusive<u32>>,
}

impl Suppression {
    fn fits(&self, warning: &Warning) -> bool {
        let file = self.file.as_ref().is_none_or(|r| r.is_match(&warning.file));
        let text = self.text.as_ref().is_none_or(|r| {
            r.is_match(&warning.message) || warning.code.as_ref().is_some_and(|c| r.is_match(c))
        });
        let line = self
            .lines
            .as_ref()
            .is_none_or(|r| warning.line.is_some_and(|l| r.contains(&l)));
        file && text && line
    }
}

/// What to look for.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Formats that are tried before the known ones.
    pub(crate) custom: Vec<CustomFormat>,
    /// Only the custom formats count.
    pub(crate) custom_only: bool,
    /// Warnings that do not count.
    pub(crate) suppressions: Vec<Suppression>,
    /// So many lines that follow a warning are kept with it.
    pub(crate) context_lines: usize,
}

/// A warning with the lines that followed it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The warning.
    pub(crate) warning: Warning,
    /// What the compiler shows with it: the line of the source, notes.
    pub(crate) context: Vec<String>,
}

/// Takes the lines of a build and keeps its warnings.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    rules: Rules,
    /// A warning whose place or message may be on a following line, and how many lines it has waited.
    open: Option<(Warning, u32)>,
    /// Hashes of the warnings that were counted.
    seen: HashSet<u64>,
    kept: Vec<Kept>,
    /// Whether the next lines are context of the last warning.
    in_context: bool,
    context_bytes: usize,
    by_code: BTreeMap<String, u64>,
    count: u64,
    suppressed: u64,
}

impl Collector {
    /// A collector with these rules.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Takes a line without its end.
    pub(crate) fn line(&mut self, line: &str) {
        if line.len() > LINE_BYTES_MAX {
            return;
        }
        let line = strip_escapes(line);
        let line = line.trim_end();
        if let Some(warning) = self
            .rules
            .custom
            .iter()
            .find_map(|format| format.read(line))
        {
            self.close();
            self.take(warning);
            return;
        }
        match if self.rules.custom_only {
            Line::Other
        } else {
            read(line)
        } {
            Line::Warning(warning) => {
                self.close();
                self.take(warning);
            }
            Line::Headline(warning) => {
                self.close();
                self.in_context = false;
                self.open = Some((warning, 0));
            }
            Line::Place {
                file,
                line: number,
                column,
            } => match self.open.take() {
                Some((mut warning, _)) => {
                    (warning.file, warning.line, warning.column) = (file, Some(number), column);
                    self.take(warning);
                }
                None => self.context(line),
            },
            Line::Other => self.other(line),
        }
    }

    /// A line that says nothing by itself may end or continue an open warning.
    fn other(&mut self, line: &str) {
        let Some((warning, waited)) = &mut self.open else {
            self.context(line);
            return;
        };
        if warning.message.is_empty() && !line.trim().is_empty() {
            // The message that follows a headline of CMake.
            warning.message = line.trim().to_owned();
            self.close();
            return;
        }
        *waited += 1;
        let waits_for_message = warning.message.is_empty() && line.is_empty();
        // A new diagnostic begins, or the place does not come any more.
        let over = line.is_empty() || line.starts_with("error") || *waited > PLACE_LINES_MAX;
        if over && !waits_for_message {
            self.close();
        }
    }

    /// Keeps a line with the warning before it.
    fn context(&mut self, line: &str) {
        if !self.in_context {
            return;
        }
        let Some(last) = self.kept.last_mut() else {
            return;
        };
        let room =
            last.context.len() < self.rules.context_lines && self.context_bytes < CONTEXT_BYTES_MAX;
        // Compilers indent what belongs to a diagnostic, number it, or mark it as a note.
        let source = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let belongs = source.starts_with([' ', '\t']) || line.contains(": note:");
        if !room || !belongs {
            self.in_context = false;
            return;
        }
        let mut kept = line.to_owned();
        truncate(&mut kept, CONTEXT_LINE_BYTES_MAX);
        self.context_bytes += kept.len();
        last.context.push(kept);
    }

    fn close(&mut self) {
        if let Some((warning, _)) = self.open.take() {
            self.take(warning);
        }
    }

    fn take(&mut self, mut warning: Warning) {
        self.in_context = false;
        truncate(&mut warning.message, MESSAGE_BYTES_MAX);
        truncate(&mut warning.file, FILE_BYTES_MAX);
        if let Some(code) = &mut warning.code {
            truncate(code, CODE_BYTES_MAX);
        }
        // A header that is included often warns often: the same place and text is one warning.
        if !self.is_new(&warning) {
            return;
        }
        if self.rules.suppressions.iter().any(|s| s.fits(&warning)) {
            self.suppressed += 1;
            return;
        }
        self.count += 1;
        let code = warning.code.clone().unwrap_or_default();
        let known = self.by_code.len() < CODES_MAX || self.by_code.contains_key(&code);
        *self
            .by_code
            .entry(if known { code } else { String::new() })
            .or_default() += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(Kept {
                warning,
                context: Vec::new(),
            });
            self.in_context = true;
        }
    }

    fn is_new(&mut self, warning: &Warning) -> bool {
        let mut hasher = DefaultHasher::new();
        warning.hash(&mut hasher);
        let hash = hasher.finish();
        if self.seen.len() < DISTINCT_MAX {
            self.seen.insert(hash)
        } else {
            !self.seen.contains(&hash)
        }
    }

    /// The output is over.
    pub(crate) fn finish(&mut self) {
        self.close();
    }

    /// Different warnings, without the suppressed ones.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Different warnings that were left out.
    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// The first warnings, up to a limit.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// How many there are of each code, most first; an empty code stands for those without one.
    pub(crate) fn by_code(&self) -> Vec<(&str, u64)> {
        let mut counts: Vec<(&str, u64)> = self
            .by_code
            .iter()
            .map(|(code, count)| (code.as_str(), *count))
            .collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// Cuts a text to so many bytes, at a character.
fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(collector: Collector, text: &str) -> Collector {
        let mut collector = collector;
        text.lines().for_each(|line| collector.line(line));
        collector.finish();
        collector
    }

    fn shown(collector: &Collector) -> Vec<String> {
        collector
            .kept()
            .iter()
            .map(|kept| kept.warning.to_string())
            .collect()
    }

    const CARGO: &str = "   Compiling spindle v0.1.0
warning: unused variable: `x`
 --> src/lib.rs:3:9
  |
3 |     let x = 1;
  |         ^ help: if this is intentional, prefix it with an underscore: `_x`
  |
  = note: `#[warn(unused_variables)]` on by default

warning: unused manifest key: package.fancy

warning: function `f` is never used
  --> src/lib.rs:10:4
   |

warning: `spindle` (lib) generated 2 warnings
    Finished dev
";

    #[test]
    fn cargo_warnings_have_their_places() {
        let found = collect(Collector::default(), CARGO);
        assert_eq!(
            shown(&found),
            [
                "src/lib.rs:3:9: unused variable: `x`",
                "unused manifest key: package.fancy",
                "src/lib.rs:10:4: function `f` is never used",
            ]
        );
    }

    #[test]
    fn the_same_warning_counts_once() {
        let line = "a.h:3:1: warning: odd [-Wodd]\n";
        let found = collect(
            Collector::default(),
            &(line.repeat(3) + "b.h:3:1: warning: odd [-Wodd]\n"),
        );
        assert_eq!(found.count(), 2);
        assert_eq!(found.by_code(), [("-Wodd", 2)]);
    }

    #[test]
    fn suppressed_warnings_do_not_count() {
        let vendor = Suppression {
            file: Regex::new("^vendor/").ok(),
            ..Suppression::default()
        };
        let odd = Suppression {
            text: Regex::new("-Wodd").ok(),
            lines: Some(1..=10),
            ..Suppression::default()
        };
        let found = collect(
            Collector::new(Rules {
                suppressions: vec![vendor, odd],
                ..Rules::default()
            }),
            "vendor/a.c:1:1: warning: x\nb.c:3:1: warning: odd [-Wodd]\nb.c:30:1: warning: odd [-Wodd]\n",
        );
        assert_eq!(shown(&found), ["b.c:30:1: odd [-Wodd]"]);
        assert_eq!(found.suppressed(), 2);
    }

    #[test]
    fn cmake_says_it_on_the_next_line() {
        let found = collect(
            Collector::default(),
            "CMake Warning at src/CMakeLists.txt:12 (message):\n\n  No blade found\n\n-- Configuring done\n",
        );
        assert_eq!(
            shown(&found),
            ["src/CMakeLists.txt:12: No blade found [CMake]"]
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut collector = Collector::default();
        for n in 0..20_000 {
            collector.line(&format!("a.c:{n}:1: warning: {}", "ä".repeat(5000)));
        }
        collector.line(&"x".repeat(1 << 20));
        collector.finish();
        assert_eq!(collector.count(), 20_000);
        assert_eq!(collector.kept().len(), KEPT_MAX);
        assert!(collector.kept()[0].warning.message.len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn long_names_are_cut_and_many_kinds_are_lumped() {
        let mut collector = Collector::default();
        for n in 0..5_000 {
            let file = "d/".repeat(4_000);
            collector.line(&format!("{file}:{n}:1: warning: odd [-Wkind-{n}]"));
        }
        assert_eq!(collector.count(), 5_000);
        assert!(collector.kept()[0].warning.file.len() <= FILE_BYTES_MAX);
        assert_eq!(collector.by_code()[0], ("", 4_000));
    }

    #[test]
    fn context_is_what_the_compiler_shows_with_the_warning() {
        let rules = Rules {
            context_lines: 3,
            ..Rules::default()
        };
        let text = format!(
            "a.c:1:5: warning: odd\n    1 | int x;\n      |     ^\nmake: done\n  not this\n{CARGO}"
        );
        let found = collect(Collector::new(rules), &text);
        let context = |n: usize| found.kept()[n].context.as_slice();
        assert_eq!(context(0), ["    1 | int x;", "      |     ^"]);
        assert_eq!(context(1)[1], "3 |     let x = 1;");
        assert_eq!(context(1).len(), 3);
    }

    #[test]
    fn custom_formats_can_be_the_only_ones() {
        let custom = vec![CustomFormat::new(r"^W: (?<message>.*)").expect("it is valid")];
        let rules = Rules {
            custom,
            custom_only: true,
            ..Rules::default()
        };
        let found = collect(Collector::new(rules), "W: odd\na.c:1:1: warning: x\n");
        assert_eq!(shown(&found), ["odd"]);
    }
}
