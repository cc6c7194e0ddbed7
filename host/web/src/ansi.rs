//! Turns lines of program output into HTML: colours and weights of SGR escapes become classes, every other
//! escape is dropped, everything else is escaped.
//!
//! Invariant: the output contains no `<` but those of its own `<span class="...">` and `</span>`, which are balanced,
//! and no text of the input inside a tag. It never uses a `style` attribute: colours are classes of
//! [`palette_css`], true colours are brought to the nearest of its 256, so that the pages need no inline style.

use std::fmt::Write as _;

/// A longer line is cut for display; the raw log has all of it.
pub(crate) const LINE_SHOWN_BYTES_MAX: usize = 16 * 1024;

/// The look of the text that follows, as SGR escapes have set it so far. It outlives a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Style {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    inverse: bool,
    strike: bool,
}

impl Style {
    /// Writes the classes for this look, separated by spaces.
    fn write_classes(&self, out: &mut String) {
        let (foreground, background) = if self.inverse {
            (self.background, self.foreground)
        } else {
            (self.foreground, self.background)
        };
        let mut put = |class: std::fmt::Arguments<'_>| {
            if !out.ends_with('"') {
                out.push(' ');
            }
            // Writing to a string cannot fail.
            let _ = out.write_fmt(class);
        };
        match foreground {
            Some(n) => put(format_args!("f{n}")),
            None if self.inverse => put(format_args!("fi")),
            None => {}
        }
        match background {
            Some(n) => put(format_args!("k{n}")),
            None if self.inverse => put(format_args!("ki")),
            None => {}
        }
        for (set, class) in [
            (self.bold, "ab"),
            (self.dim, "ad"),
            (self.italic, "ai"),
            (self.underline, "au"),
            (self.strike, "as"),
        ] {
            if set {
                put(format_args!("{class}"));
            }
        }
    }

    /// Applies the parameters of one SGR escape (ECMA-48 section 8.3.117; 38 and 48 as in ITU T.416 and xterm).
    fn apply(&mut self, parameters: &str) {
        let mut codes = parameters
            .split([';', ':'])
            .map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 | 21 => self.underline = true,
                7 => self.inverse = true,
                9 => self.strike = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                27 => self.inverse = false,
                29 => self.strike = false,
                30..=37 => self.foreground = Some((code - 30) as u8),
                38 => self.foreground = extended_colour(&mut codes).or(self.foreground),
                39 => self.foreground = None,
                40..=47 => self.background = Some((code - 40) as u8),
                48 => self.background = extended_colour(&mut codes).or(self.background),
                49 => self.background = None,
                90..=97 => self.foreground = Some((code - 90 + 8) as u8),
                100..=107 => self.background = Some((code - 100 + 8) as u8),
                _ => {}
            }
        }
    }
}

/// Reads what follows 38 or 48: `5;n` or `2;r;g;b`.
fn extended_colour(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    match codes.next()? {
        5 => u8::try_from(codes.next()?).ok(),
        2 => {
            let mut channel = || codes.next().and_then(|value| u8::try_from(value).ok());
            Some(nearest(channel()?, channel()?, channel()?))
        }
        _ => None,
    }
}

/// Levels of a channel in the colour cube of xterm.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The entry of the cube or of the grey ramp that is nearest to a true colour.
fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let level = |value: u8| {
        (0..6u8)
            .min_by_key(|&i| CUBE[usize::from(i)].abs_diff(value))
            .unwrap_or(0)
    };
    let (r, g, b) = (level(red), level(green), level(blue));
    let distance = |(r, g, b): (u8, u8, u8)| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(r, red) + square(g, green) + square(b, blue)
    };
    let cube = 16 + 36 * r + 6 * g + b;
    let mean = (u16::from(red) + u16::from(green) + u16::from(blue)) / 3;
    // The grey ramp: 24 entries, 8, 18 ... 238.
    let step = ((mean.saturating_sub(3)) / 10).min(23) as u8;
    let grey = 232 + step;
    if distance(rgb(grey)) < distance(rgb(cube)) {
        grey
    } else {
        cube
    }
}

/// Red, green and blue of an entry from 16 up.
fn rgb(entry: u8) -> (u8, u8, u8) {
    if entry >= 232 {
        let grey = 8 + 10 * (entry - 232);
        return (grey, grey, grey);
    }
    let index = entry.saturating_sub(16);
    let level = |i: u8| CUBE[usize::from(i % 6)];
    (level(index / 36), level(index / 6), level(index))
}

/// The sixteen named colours, tuned so that each can be read on the dark ground of the log.
const NAMED: [&str; 16] = [
    "#7d8590", "#ff7b72", "#57c46a", "#e3a63b", "#79b0ff", "#d0a0ff", "#4fc7d6", "#d0d7de",
    "#9aa4b0", "#ffa198", "#7ee08d", "#f2cc60", "#a5caff", "#e2c5ff", "#82e0ea", "#ffffff",
];

/// The rules for the classes that [`Line::html`] writes.
#[must_use]
pub(crate) fn palette_css() -> String {
    let mut css = String::with_capacity(16 * 1024);
    for entry in 0..=255u8 {
        let colour = match NAMED.get(usize::from(entry)) {
            Some(named) => (*named).to_owned(),
            None => {
                let (r, g, b) = rgb(entry);
                format!("#{r:02x}{g:02x}{b:02x}")
            }
        };
        let _ = write!(
            css,
            ".log .f{entry}{{color:{colour}}}.log .k{entry}{{background:{colour}}}"
        );
    }
    css
}

/// Writes one line (without its line end) as HTML and leaves in `style` how the next one begins.
pub(crate) fn write_line(style: &mut Style, line: &str, out: &mut String) {
    let start = out.len();
    let mut shown = line.strip_suffix('\r').unwrap_or(line);
    let cut = shown.len().saturating_sub(LINE_SHOWN_BYTES_MAX);
    if cut > 0 {
        shown = &shown[..shown.floor_char_boundary(LINE_SHOWN_BYTES_MAX)];
    }
    let mut writer = Writer {
        out,
        style,
        open: false,
    };
    let mut rest = shown;
    while let Some(c) = rest.chars().next() {
        match c {
            '\u{1b}' => rest = writer.escape(&rest[1..]),
            '\u{9b}' => rest = writer.control_sequence(&rest[2..]),
            '\r' => {
                // A progress display starts the line again: only what it ended with is shown.
                rest = &rest[1..];
                if !rest.is_empty() {
                    writer.open = false;
                    writer.out.truncate(start);
                }
            }
            _ => {
                let end = rest.find(['\u{1b}', '\u{9b}', '\r']).unwrap_or(rest.len());
                writer.text(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    writer.close();
    if cut > 0 {
        let _ = write!(
            out,
            "<span class=\"ad\"> … {} more bytes in the raw log</span>",
            line.len() - shown.len()
        );
    }
}

/// The output of one line and whether a span is open in it.
struct Writer<'a> {
    out: &'a mut String,
    style: &'a mut Style,
    open: bool,
}

impl Writer<'_> {
    /// Writes text in the current look.
    fn text(&mut self, text: &str) {
        if !self.open && *self.style != Style::default() {
            self.out.push_str("<span class=\"");
            self.style.write_classes(self.out);
            self.out.push_str("\">");
            self.open = true;
        }
        escape_into(text, self.out);
    }

    fn close(&mut self) {
        if self.open {
            self.out.push_str("</span>");
            self.open = false;
        }
    }

    /// Handles what follows ESC; returns what is left after the escape.
    fn escape<'t>(&mut self, rest: &'t str) -> &'t str {
        let Some(kind) = rest.chars().next() else {
            return rest;
        };
        let after = &rest[kind.len_utf8()..];
        match kind {
            '[' => self.control_sequence(after),
            // A string (title, hyperlink, sixel ...): up to BEL or ST, or all of the line.
            ']' | 'P' | 'X' | '^' | '_' => {
                let end = after.find(['\u{07}', '\u{1b}', '\u{9c}']);
                match end.map(|end| &after[end..]) {
                    None => "",
                    Some(tail) => tail
                        .strip_prefix('\u{07}')
                        .or_else(|| tail.strip_prefix("\u{1b}\\"))
                        .or_else(|| tail.strip_prefix('\u{9c}'))
                        .unwrap_or(tail),
                }
            }
            // Intermediate bytes, then a final one.
            ' '..='/' => {
                let tail = after.trim_start_matches(|c| (' '..='/').contains(&c));
                tail.strip_prefix(|c: char| c.is_ascii_graphic())
                    .unwrap_or(tail)
            }
            '0'..='~' => after,
            // Not an escape: ESC alone goes.
            _ => rest,
        }
    }

    /// Handles what follows CSI: parameters, intermediates, a final byte.
    fn control_sequence<'t>(&mut self, rest: &'t str) -> &'t str {
        let parameters_end = rest
            .find(|c| !('0'..='?').contains(&c))
            .unwrap_or(rest.len());
        let (parameters, tail) = rest.split_at(parameters_end);
        let final_at = tail
            .find(|c| !(' '..='/').contains(&c))
            .unwrap_or(tail.len());
        let (intermediates, tail) = tail.split_at(final_at);
        match tail.chars().next() {
            Some('m') if intermediates.is_empty() => {
                let before = *self.style;
                if !parameters.starts_with(['<', '=', '>', '?']) {
                    self.style.apply(parameters);
                }
                if before != *self.style {
                    self.close();
                }
                &tail[1..]
            }
            Some('@'..='~') => &tail[1..],
            // Broken off: what was read is dropped, what follows is text again.
            _ => tail,
        }
    }
}

/// Escapes text for HTML; control characters become their visible pictures.
fn escape_into(text: &str, out: &mut String) {
    out.reserve(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push('\t'),
            '\u{7f}' => out.push('\u{2421}'),
            '\0'..='\u{1f}' => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(line: &str) -> String {
        let mut out = String::new();
        write_line(&mut Style::default(), line, &mut out);
        out
    }

    #[test]
    fn lines_become_html() {
        let table = [
            ("plain", "plain"),
            ("a < b & c > \"d\"", "a &lt; b &amp; c &gt; &quot;d&quot;"),
            (
                "\x1b[31mred\x1b[0m rest",
                "<span class=\"f1\">red</span> rest",
            ),
            (
                "\x1b[1;31mbold red\x1b[22m red",
                "<span class=\"f1 ab\">bold red</span><span class=\"f1\"> red</span>",
            ),
            ("\x1b[mnothing", "nothing"),
            ("\x1b[91;104mx", "<span class=\"f9 k12\">x</span>"),
            ("\x1b[38;5;208mx\x1b[39my", "<span class=\"f208\">x</span>y"),
            ("\x1b[38:5:208mx", "<span class=\"f208\">x</span>"),
            ("\x1b[38;2;255;0;0mx", "<span class=\"f196\">x</span>"),
            ("\x1b[48;2;128;128;128mx", "<span class=\"k244\">x</span>"),
            ("\x1b[38;5;999mx", "x"),
            ("\x1b[7mx\x1b[27my", "<span class=\"fi ki\">x</span>y"),
            ("\x1b[7;32mx", "<span class=\"fi k2\">x</span>"),
            ("\x1b[3;4;9mx", "<span class=\"ai au as\">x</span>"),
            ("a\x1b[Kb\x1b[2Jc\x1b[10;20Hd", "abcd"),
            ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
            ("\x1b[>4;1mkeys", "keys"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://x/<script>\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]0;never ends <b>", ""),
            ("\x1bPsixel\x1b\\after", "after"),
            ("\x1b(Bcharset", "charset"),
            ("\x1b7saved\x1b8", "saved"),
            ("\u{9b}32mgreen", "<span class=\"f2\">green</span>"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("\x1b[31", ""),
            ("\x1b[31é", "é"),
            ("\x1bé", "é"),
            ("10%\r50%\r100%", "100%"),
            ("\x1b[32m10%\r\x1b[31m20%", "<span class=\"f1\">20%</span>"),
            ("dos\r", "dos"),
            ("tab\there", "tab\there"),
            ("bell\x07 null\0", "bell␇ null␀"),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(html(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_look_outlives_its_line() {
        let mut style = Style::default();
        let mut out = String::new();
        for line in ["\x1b[33myellow", "still", "end\x1b[0m", "plain"] {
            write_line(&mut style, line, &mut out);
            out.push('|');
        }
        assert_eq!(
            out,
            "<span class=\"f3\">yellow</span>|<span class=\"f3\">still</span>|<span class=\"f3\">end</span>|plain|"
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let line = "é".repeat(LINE_SHOWN_BYTES_MAX);
        let shown = html(&line);
        assert!(shown.starts_with("éé"));
        assert!(
            shown.ends_with("… 16384 more bytes in the raw log</span>"),
            "{}",
            &shown[shown.len() - 80..]
        );
    }

    #[test]
    fn every_class_has_a_rule() {
        let css = palette_css();
        for entry in 0..=255 {
            assert!(css.contains(&format!(".f{entry}{{color:#")), "{entry}");
            assert!(css.contains(&format!(".k{entry}{{background:#")), "{entry}");
        }
    }

    /// Takes the spans of the writer out of its output, strictly; fails on any other tag.
    fn without_spans(html: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut open = false;
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(tail) = rest.strip_prefix("</span>") {
                if !open {
                    return Err("closed twice".into());
                }
                open = false;
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("<span class=\"") {
                let (classes, tail) = tail.split_once("\">").ok_or("unfinished tag")?;
                if open
                    || !classes
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ' ')
                {
                    return Err(format!("bad span {classes:?}"));
                }
                open = true;
                rest = tail;
            } else {
                return Err(format!("a tag that is not ours: {rest}"));
            }
        }
        if open {
            return Err("left open".into());
        }
        text.push_str(rest);
        Ok(text)
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_the_escaping(line in "(\\PC|\x1b|\\[|[0-9;:m<>&\"'\r\u{9b}\x07\\\\]){0,60}") {
            let text = without_spans(&html(&line)).map_err(TestCaseError::fail)?;
            prop_assert!(!text.contains(['<', '>', '"', '\x1b']));
            let ampersands_are_entities = text
                .split('&')
                .skip(1)
                .all(|tail| ["lt;", "gt;", "amp;", "quot;"].iter().any(|entity| tail.starts_with(entity)));
            prop_assert!(ampersands_are_entities);
        }

        #[test]
        fn text_without_escapes_is_kept(line in "[^\\x00-\\x08\\x0a-\\x1f\\x7f\u{80}-\u{9f}]{0,60}") {
            let back = html(&line)
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&amp;", "&");
            prop_assert_eq!(back, line);
        }
    }
}
