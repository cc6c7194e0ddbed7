//! What a poller remembers from one poll to the next, and which commits are new because of that. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Heads of branches by name.
pub(crate) type Heads = BTreeMap<String, String>;

/// What was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// The repository that it was seen in. Another repository begins anew.
    pub(crate) repository: String,
    pub(crate) heads: Heads,
}

/// Why commits of a branch are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// The branch was not there before.
    NewBranch,
    /// Its head is another than before.
    Moved,
}

impl Cursor {
    /// Key under which it is stored.
    pub(crate) const KEY: &'static str = "heads";

    /// From what was stored; `None` when that says nothing about this repository.
    pub(crate) fn read(stored: Option<&Value>, repository: &str) -> Option<Self> {
        let stored = stored?;
        if stored["repository"].as_str() != Some(repository) {
            return None;
        }
        let heads = stored["heads"].as_object()?.iter();
        let heads = heads.map(|(branch, head)| Some((branch.clone(), head.as_str()?.to_owned())));
        Some(Self {
            repository: repository.into(),
            heads: heads.collect::<Option<_>>()?,
        })
    }

    /// As it is stored.
    pub(crate) fn write(&self) -> Value {
        json!({ "repository": self.repository, "heads": self.heads })
    }

    /// The branches that are not as they were.
    pub(crate) fn news(&self, heads: &Heads) -> BTreeMap<String, News> {
        let news = heads.iter().filter_map(|(branch, head)| {
            let news = match self.heads.get(branch) {
                None => News::NewBranch,
                Some(before) if before != head => News::Moved,
                Some(_) => return None,
            };
            Some((branch.clone(), news))
        });
        news.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(pairs: &[(&str, &str)]) -> Heads {
        let pairs = pairs.iter();
        pairs
            .map(|(branch, head)| ((*branch).into(), (*head).into()))
            .collect()
    }

    #[test]
    fn a_cursor_survives_its_storage_and_is_for_one_repository() {
        let cursor = Cursor {
            repository: "/r".into(),
            heads: heads(&[("main", "1"), ("dev", "2")]),
        };
        let stored = cursor.write();
        assert_eq!(Cursor::read(Some(&stored), "/r"), Some(cursor));
        assert_eq!(Cursor::read(Some(&stored), "/other"), None);
        assert_eq!(Cursor::read(Some(&json!({"repository": "/r"})), "/r"), None);
        assert_eq!(Cursor::read(None, "/r"), None);
    }

    #[test]
    fn only_other_heads_are_news() {
        let cursor = Cursor {
            repository: "/r".into(),
            heads: heads(&[("main", "1"), ("dev", "2"), ("gone", "3")]),
        };
        let news = cursor.news(&heads(&[("main", "1"), ("dev", "4"), ("new", "1")]));
        let expected = [("dev".into(), News::Moved), ("new".into(), News::NewBranch)];
        assert_eq!(news, expected.into());
    }
}
