//! Helps to read what programs print.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\u{1b}';

/// Takes away terminal escape sequences (ECMA-48): colours, hyperlinks, cursor movements. Tools print
/// them when they believe that a person watches.
///
/// ```
/// use toolpost_sdk::strip_escapes;
///
/// assert_eq!(strip_escapes("\u{1b}[1;33mwarning\u{1b}[0m: unused"), "warning: unused");
/// ```
#[must_use]
pub fn strip_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ESCAPE {
            skip_sequence(&mut chars);
        } else {
            kept.push(c);
        }
    }
    Cow::Owned(kept)
}

/// Goes behind the sequence whose escape character was read.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        // Control sequence: parameters, then a final character.
        Some('[') => {
            while chars
                .next_if(|c| ('\u{20}'..='\u{3f}').contains(c))
                .is_some()
            {}
            chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        // Strings (titles, hyperlinks): until the bell or the string terminator.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == ESCAPE && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        // Selection of a character set: one more character.
        Some('(' | ')' | '*' | '+') => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_every_kind_are_taken_away() {
        let check = |text, expected| assert_eq!(strip_escapes(text), expected, "{text:?}");
        check("plain [not a sequence]", "plain [not a sequence]");
        check("\u{1b}[1;31mred\u{1b}[0m ok\u{1b}(B\u{1b}[m.", "red ok.");
        check(
            "\u{1b}]8;;https://example.org\u{1b}\\link\u{1b}]8;;\u{7} end",
            "link end",
        );
        check("cut \u{1b}", "cut ");
        check("cut \u{1b}[1;3", "cut ");
        check("cut \u{1b}]0;title", "cut ");
        check("\u{1b}[31ä", "ä");
    }
}
