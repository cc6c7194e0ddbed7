//! Who gets it. Pure.

use crate::parameters::Parameters;
use std::collections::BTreeSet;
use toolpost_sdk::reporter::BuildReport;

/// What a mail takes.
const RECIPIENTS_MAX: usize = 100;

/// Who gets a mail, nobody twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recipients {
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) bcc: Vec<String>,
    /// The authors, who are among `to`.
    pub(crate) blamed: Vec<String>,
    /// How many authors are left out, because there are too many.
    pub(crate) left_out: usize,
}

impl Recipients {
    /// Who gets a mail about these builds.
    pub(crate) fn of(parameters: &Parameters, builds: &[BuildReport]) -> Self {
        let mut seen = BTreeSet::new();
        let mut once = |addresses: &[String]| -> Vec<String> {
            let new = |text: &&String| seen.insert(bare(text).to_lowercase());
            addresses.iter().filter(new).cloned().collect()
        };
        let mut recipients = Self {
            to: once(&parameters.to),
            cc: once(&parameters.cc),
            bcc: once(&parameters.bcc),
            ..Self::default()
        };
        if parameters.blamed {
            let authors = authors(parameters, builds);
            recipients.blamed = authors.iter().cloned().collect();
            recipients.to.extend(once(&recipients.blamed));
            let others = recipients.cc.len() + recipients.bcc.len();
            let room = RECIPIENTS_MAX.saturating_sub(others);
            recipients.left_out = recipients.to.len().saturating_sub(room);
            recipients.to.truncate(room);
        }
        recipients
    }

    /// Whether there is anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.is_empty() && self.cc.is_empty() && self.bcc.is_empty()
    }
}

/// The addresses of those who made the changes.
fn authors(parameters: &Parameters, builds: &[BuildReport]) -> BTreeSet<String> {
    let wanted = |address: &String| {
        let domain = address.rsplit('@').next().unwrap_or_default();
        parameters.blamed_domains.is_empty()
            || parameters
                .blamed_domains
                .iter()
                .any(|other| other.eq_ignore_ascii_case(domain))
    };
    builds
        .iter()
        .flat_map(|build| &build.changes)
        .filter_map(|change| address(&change.author, parameters.domain.as_deref()))
        .filter(wanted)
        .collect()
}

/// The address of an author; `None` for one that has none.
fn address(author: &str, domain: Option<&str>) -> Option<String> {
    let bare = bare(author);
    let is_word = |text: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\"()[]\\".contains(c);
        !text.is_empty() && !text.contains(odd)
    };
    match bare.split_once('@') {
        Some((name, host)) if is_word(name) && is_word(host) && !host.contains('@') => {
            Some(bare.to_owned())
        }
        None if is_word(bare) => domain.map(|domain| format!("{bare}@{domain}")),
        _ => None,
    }
}

/// The address in `Name <address>`.
fn bare(text: &str) -> &str {
    let inner = text
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(inner, _)| inner);
    inner.unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolpost_sdk::Change;

    fn build(authors: &[&str]) -> BuildReport {
        let change = |author: &&str| Change {
            author: (*author).to_owned(),
            ..Change::default()
        };
        BuildReport {
            changes: authors.iter().map(change).collect(),
            ..BuildReport::default()
        }
    }

    fn parameters() -> Parameters {
        Parameters {
            blamed: true,
            ..Parameters::default()
        }
    }

    #[test]
    fn authors_are_found_in_every_form() {
        let check = |author, domain, expected: Option<&str>| {
            assert_eq!(address(author, domain).as_deref(), expected, "{author:?}");
        };
        check("Ann Lee <ann@example.org>", None, Some("ann@example.org"));
        check("ann@example.org", None, Some("ann@example.org"));
        check("ann", None, None);
        check("ann", Some("example.org"), Some("ann@example.org"));
        check("Ann Lee", Some("example.org"), None);
        check("Ann <ann>", Some("example.org"), Some("ann@example.org"));
        check("Ann <>", Some("example.org"), None);
        check("a@b@c", None, None);
        check("a@", None, None);
        check("ann@example.org\r\nBcc: all@example.org", None, None);
        check("ann@example.org, bob@example.org", None, None);
    }

    #[test]
    fn nobody_gets_it_twice() {
        let parameters = Parameters {
            to: vec!["Sheriff <sheriff@example.org>".to_owned()],
            cc: vec![
                "ANN@example.org".to_owned(),
                "sheriff@example.org".to_owned(),
            ],
            ..parameters()
        };
        let builds = [
            build(&["Ann <ann@example.org>", "bob@example.org"]),
            build(&["Bob <bob@example.org>"]),
        ];
        let recipients = Recipients::of(&parameters, &builds);
        assert_eq!(
            recipients.to,
            ["Sheriff <sheriff@example.org>", "bob@example.org"]
        );
        assert_eq!(recipients.cc, ["ANN@example.org"]);
        assert_eq!(recipients.blamed, ["ann@example.org", "bob@example.org"]);
    }

    #[test]
    fn authors_can_be_limited_or_left_alone() {
        let builds = [build(&["ann@example.org", "eve@example.com"])];
        let limited = Parameters {
            blamed_domains: vec!["Example.org".to_owned()],
            ..parameters()
        };
        assert_eq!(Recipients::of(&limited, &builds).to, ["ann@example.org"]);
        assert!(Recipients::of(&Parameters::default(), &builds).is_empty());
    }

    #[test]
    fn those_who_always_get_it_come_before_too_many_authors() {
        let many: Vec<String> = (0..150).map(|n| format!("a{n}@example.org")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let parameters = Parameters {
            to: vec!["sheriff@example.org".to_owned()],
            cc: vec!["boss@example.org".to_owned()],
            ..parameters()
        };
        let recipients = Recipients::of(&parameters, &[build(&many)]);
        assert_eq!((recipients.to.len(), recipients.left_out), (99, 52));
        assert_eq!(recipients.to[0], "sheriff@example.org");
    }
}
