//! Paths as a master says them: absolute, beneath the base directory that it was told.

use toolpost_worker::FileError;

/// The path from the base directory on. Whether it stays there is for whoever opens it.
pub(crate) fn beneath(base_dir: &str, path: &str) -> Result<String, FileError> {
    if !path.starts_with('/') {
        return Ok(path.to_owned());
    }
    match path.strip_prefix(base_dir.trim_end_matches('/')) {
        Some("") => Ok(String::new()),
        Some(rest) if rest.starts_with('/') => Ok(rest.trim_start_matches('/').to_owned()),
        _ => Err(FileError::Outside {
            path: path.to_owned(),
        }),
    }
}

/// A pattern of Python's `glob` from the base directory on, in the form that this worker's engine has: there braces and
/// backslashes mean something.
pub(crate) fn pattern_beneath(base_dir: &str, pattern: &str) -> Result<String, FileError> {
    let rest = beneath(&escaped(base_dir), pattern).or_else(|_| beneath(base_dir, pattern))?;
    let mut translated = String::with_capacity(rest.len());
    for c in rest.chars() {
        match c {
            '{' | '}' => translated.extend(['[', c, ']']),
            '\\' => translated.push_str("\\\\"),
            c => translated.push(c),
        }
    }
    Ok(translated)
}

/// A path as a pattern that matches nothing else.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '*' | '?' | '[' => escaped.extend(['[', c, ']']),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_from_the_base_directory_on() {
        let cases = [
            ("/srv/w", Some("")),
            ("/srv/w/", Some("")),
            ("/srv/w//a/b", Some("a/b")),
            ("a/b", Some("a/b")),
            // Refused by whoever opens it.
            ("/srv/w/../x", Some("../x")),
            ("/srv/w2/a", None),
            ("/etc/passwd", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(beneath("/srv/w", path).ok().as_deref(), expected, "{path}");
        }
        assert_eq!(beneath("/", "/a").ok().as_deref(), Some("a"));
    }

    #[test]
    fn patterns_keep_their_meaning() {
        let cases = [
            ("/srv/w[1]/*.rs", "*.rs"),
            ("/srv/w[[]1]/a[[]b]/?", "a[[]b]/?"),
            ("/srv/w[1]/{a}\\b", "[{]a[}]\\\\b"),
        ];
        for (pattern, expected) in cases {
            let translated = pattern_beneath("/srv/w[1]", pattern).unwrap();
            assert_eq!(translated, expected, "{pattern}");
        }
    }
}
