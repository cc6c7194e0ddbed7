//! The patterns of the contract: `*`, `?`, `[abc]`, `{a,b}`, and `**` for any number of directories.

/// A pattern with braces as all patterns without that it stands for.
pub(super) fn alternatives(pattern: &str) -> Result<Vec<String>, String> {
    let Some(open) = pattern.find('{') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let close = closing_brace(&pattern[open..]).ok_or("a brace is not closed")? + open;
    let (before, after) = (&pattern[..open], &pattern[close + 1..]);
    let mut all = Vec::new();
    for choice in choices(&pattern[open + 1..close]) {
        all.extend(alternatives(&format!("{before}{choice}{after}"))?);
    }
    Ok(all)
}

/// Where the brace at the start of `text` is closed.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    text.char_indices().find_map(|(place, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(place)
    })
}

/// Splits at the commas that are not in braces of their own.
fn choices(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0_u32, 0, Vec::new());
    for (place, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    all.push(&text[start..]);
    all
}

/// Whether a pattern without braces matches a whole path.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    matches_parts(&pattern, &path)
}

fn matches_parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            (0..=path.len()).any(|skipped| matches_parts(rest, &path[skipped..]))
        }
        (Some((part, pattern)), Some((name, path))) => {
            let (part, name): (Vec<char>, Vec<char>) =
                (part.chars().collect(), name.chars().collect());
            matches_name(&part, &name) && matches_parts(pattern, path)
        }
        _ => false,
    }
}

fn matches_name(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skipped| matches_name(rest, &name[skipped..])),
        ['[', rest @ ..] => {
            let Some(close) = rest.iter().position(|c| *c == ']') else {
                return false;
            };
            let (set, rest) = (&rest[..close], &rest[close + 1..]);
            name.split_first()
                .is_some_and(|(c, name)| in_set(set, *c) && matches_name(rest, name))
        }
        [one, rest @ ..] => name
            .split_first()
            .is_some_and(|(c, name)| (*one == '?' || one == c) && matches_name(rest, name)),
    }
}

/// A set of characters, with ranges such as `a-z`, and `!` at its start for all others.
fn in_set(set: &[char], c: char) -> bool {
    let (negated, set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut rest = set;
    let mut found = false;
    while let [first, tail @ ..] = rest {
        (found, rest) = match tail {
            ['-', last, tail @ ..] => (found || (*first..=*last).contains(&c), tail),
            _ => (found || *first == c, tail),
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, path: &str, expected: bool| {
            let alternatives = alternatives(pattern).expect("it is valid");
            let found = alternatives.iter().any(|one| matches(one, path));
            assert_eq!(found, expected, "{pattern} on {path}");
        };
        check("a?c.[a-cx]", "abc.x", true);
        check("a?c.[a-c]", "abc.d", false);
        check("[!a]*", "abc", false);
        check("[!a]*", "bc", true);
        check("*", "a/b", false);
        check("**", "a/b", true);
        check("**/b", "b", true);
        check("x/{a,b{c,d}}/y", "x/bd/y", true);
        check("x/{a,b{c,d}}/y", "x/b/y", false);
    }
}
