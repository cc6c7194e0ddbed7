//! Reads which Debian archive this system installs from, in both formats of apt's sources.

use std::path::Path;

/// The names under which Debian publishes its releases; a derived distribution has others.
const SUITES: &[&str] = &[
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The address of the Debian archive in the files of `etc_apt` (`/etc/apt`), as it is written
/// there. Security archives don't count: they hold a few packages only.
pub(crate) fn archive_uri(etc_apt: &Path) -> Option<String> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(etc_apt.join("sources.list.d")) {
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => archive_of_lines(&text),
            "sources" => archive_of_stanzas(&text),
            _ => None,
        }
    })
}

/// `deb [signed-by=...] URI SUITE COMPONENT...`
fn archive_of_lines(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let entry = line.split('#').next()?.trim().strip_prefix("deb")?;
        let entry = entry.strip_prefix([' ', '\t'])?.trim_start();
        let entry = match entry.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => entry,
        };
        let mut words = entry.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        (is_archive(suite) && words.any(|component| component == "main")).then(|| uri.to_owned())
    })
}

/// Paragraphs of `Field: value`, continued on lines that start with a blank (deb822).
fn archive_of_stanzas(text: &str) -> Option<String> {
    let without_comments: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::trim_end)
        .collect();
    without_comments
        .split(|line| line.is_empty())
        .find_map(|stanza| {
            let field = |name: &str| words_of_field(stanza, name);
            let enabled = field("Enabled").first().is_none_or(|value| *value != "no");
            let wanted = enabled
                && field("Types").contains(&"deb")
                && field("Components").contains(&"main")
                && field("Suites").iter().any(|suite| is_archive(suite));
            wanted
                .then(|| field("URIs").first().map(|uri| (*uri).to_owned()))
                .flatten()
        })
}

fn words_of_field<'a>(stanza: &[&'a str], name: &str) -> Vec<&'a str> {
    let Some(start) = stanza.iter().position(|line| {
        line.split_once(':')
            .is_some_and(|(field, _)| field.eq_ignore_ascii_case(name))
    }) else {
        return Vec::new();
    };
    let first = stanza[start].split_once(':').map_or("", |(_, value)| value);
    let continued = stanza[start + 1..]
        .iter()
        .take_while(|line| line.starts_with([' ', '\t']));
    std::iter::once(&first)
        .chain(continued)
        .flat_map(|line| line.split_whitespace())
        .collect()
}

fn is_archive(suite: &str) -> bool {
    SUITES.contains(&suite.strip_suffix("-updates").unwrap_or(suite))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, expected: Option<&str>) {
        let etc_apt = tempfile::tempdir().expect("temporary directory");
        let path = etc_apt.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        std::fs::write(path, text).expect("write");
        assert_eq!(archive_uri(etc_apt.path()).as_deref(), expected, "{text}");
    }

    #[test]
    fn stanzas() {
        let check = |text, expected| check("sources.list.d/debian.sources", text, expected);
        check(
            "Types: deb\n# a remark\nURIs: http://mirror.example/debian\n\
             Suites: bookworm bookworm-updates\nComponents: main\n",
            Some("http://mirror.example/debian"),
        );
        check(
            "Types: deb\nURIs: http://mirror.example/security\nSuites: trixie-security\n\
             Components: main\n\nTypes: deb-src deb\nURIs:\n https://two.example/debian/\n\
             Suites:\n trixie\nComponents: main contrib\n",
            Some("https://two.example/debian/"),
        );
        check(
            "Types: deb\nURIs: http://a.example\nSuites: noble\nComponents: main\n",
            None,
        );
        check(
            "Enabled: no\nTypes: deb\nURIs: http://a.example\nSuites: sid\nComponents: main",
            None,
        );
        check(
            "Types: deb-src\nURIs: http://a.example\nSuites: sid\nComponents: main",
            None,
        );
        check("Suites: sid", None);
        check("", None);
    }

    #[test]
    fn lines() {
        let check = |text, expected| check("sources.list", text, expected);
        check(
            "deb http://mirror.example/debian trixie main",
            Some("http://mirror.example/debian"),
        );
        check(
            "# deb http://old.example/debian sid main\ndeb-src http://a.example/debian sid main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://b.example/debian/ stable main non-free # x",
            Some("http://b.example/debian/"),
        );
        check(
            "deb http://a.example/debian-security trixie-security main",
            None,
        );
        check("deb http://a.example/debian trixie contrib", None);
        check("deb [broken http://a.example/debian trixie main", None);
        check("deb", None);
    }
}
