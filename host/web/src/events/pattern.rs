//! Which events somebody listens to: keys like `builds/12/new`, with `*` for any one segment.

/// Patterns of one client, at most.
pub(crate) const PATTERNS_PER_CLIENT_MAX: usize = 100;

/// Longest pattern, bytes.
const PATTERN_BYTES_MAX: usize = 512;

/// A pattern of an event key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    /// Parses segments separated by slashes; `None` when there are none, or it is too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let segments: Vec<_> = text
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        (!segments.is_empty()).then_some(Self(segments))
    }

    /// The segments exactly as Buildbot's WebSocket takes them, empty ones too; `None` when it is too long.
    pub(crate) fn exact(text: &str) -> Option<Self> {
        let segments = || text.split('/').map(ToOwned::to_owned).collect();
        (text.len() <= PATTERN_BYTES_MAX).then(|| Self(segments()))
    }

    /// Whether a key is meant: each segment is equal or `*`, and none is left over.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let mut segments = key.split('/');
        let fits = self.0.iter().all(|wanted| {
            segments
                .next()
                .is_some_and(|segment| wanted == "*" || wanted == segment)
        });
        fits && segments.next().is_none()
    }

    /// The first segment, which is `*` or the kind of thing that is listened to, and how many there are.
    pub(crate) fn shape(&self) -> (&str, usize) {
        (self.0.first().map_or("", String::as_str), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_segment_by_segment() {
        let table = [
            ("*/*/*", "builds/12/new", true),
            ("*/*/*", "builders/1/builds/3/new", false),
            ("builds/*/new", "builds/12/new", true),
            ("builds/*/new", "builds/12/finished", false),
            ("builds/12/*", "builds/12/finished", true),
            ("builds/1/*", "builds/12/finished", false),
            ("builders/*/builds/*/*", "builders/1/builds/3/new", true),
            ("builds/12", "builds/12/new", false),
            ("/builds/12/new/", "builds/12/new", true),
        ];
        for (pattern, key, expected) in table {
            let parsed = Pattern::parse(pattern).expect("a pattern");
            assert_eq!(parsed.matches(key), expected, "{pattern} {key}");
        }
        let exact = |text: &str| Pattern::exact(text).expect("a pattern");
        assert!(exact("builds/*/new").matches("builds/12/new"));
        assert!(!exact("/builds/12/new").matches("builds/12/new"));
        assert!(!exact("").matches("builds/12/new"));
        assert_eq!(Pattern::exact(&"x".repeat(600)), None);
        assert_eq!(Pattern::parse("//"), None);
        assert_eq!(Pattern::parse(&"x/".repeat(300)), None);
    }
}
