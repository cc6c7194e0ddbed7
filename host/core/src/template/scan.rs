//! Finds the filters and tests that a template uses. The engine looks them up when it renders; a
//! configuration is checked before there is anything to render.

/// What is applied to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied<'a> {
    /// `| name`
    Filter(&'a str),
    /// `is name`
    Test(&'a str),
}

/// Everything that a template applies, each with the byte where its name begins. The text has to be a
/// template (or, with `expression`, an expression) of correct grammar.
pub(super) fn applied(text: &str, expression: bool) -> Vec<(Applied<'_>, usize)> {
    let mut found = Vec::new();
    if expression {
        scan_code(text, 0, &mut found);
        return found;
    }
    let mut rest = 0;
    while let Some((start, end)) = next_code(text, rest) {
        rest = scan_code(&text[..end], start, &mut found);
        if is_raw(&text[start..]) {
            rest = text[rest..]
                .find("endraw")
                .map_or(text.len(), |at| rest + at);
        }
    }
    found
}

/// The next `{{` or `{%` behind comments: where its code begins, and where the text ends.
fn next_code(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let open = at + text[at..].find('{')?;
        match text.as_bytes().get(open + 1) {
            Some(b'{' | b'%') => return Some((open + 2, text.len())),
            Some(b'#') => at = open + 2 + text[open + 2..].find("#}")?,
            _ => at = open + 1,
        }
    }
}

fn is_raw(code: &str) -> bool {
    code.trim_start_matches(['-', '+', ' ', '\t', '\n'])
        .strip_prefix("raw")
        .is_some_and(|rest| !rest.starts_with(is_name_char))
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Scans code up to its closing braces; gives where it ended.
fn scan_code<'a>(text: &'a str, start: usize, found: &mut Vec<(Applied<'a>, usize)>) -> usize {
    let mut at = start;
    // A dictionary may end in two braces that do not end the code.
    let mut braces = 0_usize;
    // What came last: a pipe, or `is` with perhaps a `not` behind it.
    let (mut after_pipe, mut after_is) = (false, false);
    while let Some(c) = text[at..].chars().next() {
        let here = at;
        at += c.len_utf8();
        match c {
            '"' | '\'' => at = end_of_string(text, at, c),
            '%' | '}' if start > 0 && braces == 0 && text[at..].starts_with('}') => return at + 1,
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            c if is_name_char(c) => {
                let length = text[here..]
                    .find(|c| !is_name_char(c))
                    .unwrap_or(text.len() - here);
                at = here + length;
                let name = &text[here..at];
                if after_pipe {
                    found.push((Applied::Filter(name), here));
                } else if after_is && name != "not" {
                    found.push((Applied::Test(name), here));
                }
                after_is = name == "is" || (after_is && name == "not");
                after_pipe = false;
                continue;
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        after_pipe = c == '|';
        after_is = false;
    }
    at
}

fn end_of_string(text: &str, from: usize, quote: char) -> usize {
    let mut escaped = false;
    for (offset, c) in text[from..].char_indices() {
        if c == quote && !escaped {
            return from + offset + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::Applied::{Filter, Test};
    use super::*;

    #[track_caller]
    fn check(text: &str, expression: bool, expected: &[Applied<'_>]) {
        let found = applied(text, expression);
        let names: Vec<_> = found.iter().map(|(applied, _)| *applied).collect();
        assert_eq!(names, expected, "{text}");
        for (applied, at) in found {
            let (Filter(name) | Test(name)) = applied;
            assert!(text[at..].starts_with(name), "{text}: {name} at {at}");
        }
    }

    #[test]
    fn filters_and_tests_are_found_in_code_only() {
        check("a | b {{ x }} | c", false, &[]);
        check(
            "{{ x | upper|lower() }}",
            false,
            &[Filter("upper"), Filter("lower")],
        );
        check(
            "é {% if x is defined and y is not none %}",
            false,
            &[Test("defined"), Test("none")],
        );
        check(
            r#"{{ "a | b \" | c" | d ~ 'is x' }}"#,
            false,
            &[Filter("d")],
        );
        check("{# {{ x | c }} #}{{ y | d }}", false, &[Filter("d")]);
        check(
            "{% raw %}{{ x | c }}{% endraw %}{{ y | d }}",
            false,
            &[Filter("d")],
        );
        check("{{ {'k': this} }} {{ y.is | e }}", false, &[Filter("e")]);
        check(
            "{{ {'k': {'l': x | a}} | b }} | c",
            false,
            &[Filter("a"), Filter("b")],
        );
        check("x | a == y is b", true, &[Filter("a"), Test("b")]);
        check("", true, &[]);
        check("{ {", false, &[]);
    }
}
