//! Keeps released versions of the plugin contract as they are.
//!
//! Every folder of `wit/` is one version. `wit/frozen.json` has the digests of the files of those that are released; a
//! plugin that was built against one must run for ever, so nothing in it may change, not even a comment that
//! somebody relied on. What is not in there yet may change.
//!
//! Whoever changes a version could change its digests as well. So the history of that file is looked through: what any commit
//! before this one froze has to be frozen still, as it was. That relies on the history: where there is none (a source archive, a
//! shallow clone), only the file itself counts, and what is checked says so.

use crate::paths;
use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const FROZEN_FILE: &str = "frozen.json";

/// SHA-256 by the name of the file.
type Files = BTreeMap<String, String>;

/// `cargo xtask contract`: fails when a released version was changed.
pub(crate) fn check() -> anyhow::Result<()> {
    check_in(&paths::root().join("wit"))
}

/// `cargo xtask contract --freeze NAME`: from now on this version stays as it is.
pub(crate) fn freeze(version: &str) -> anyhow::Result<()> {
    freeze_in(&paths::root().join("wit"), version)
}

fn check_in(wit: &Path) -> anyhow::Result<()> {
    let all = frozen(wit)?;
    for (commit, before) in frozen_before(wit)? {
        for (version, files) in before {
            if all.get(&version) != Some(&files) {
                let short = commit.get(..12).unwrap_or(&commit);
                bail!(
                    "wit/{FROZEN_FILE} does not say of wit/{version} what it said in commit {short}, which froze it: \
                     put its digests back, and the change into a new minor version's folder"
                );
            }
        }
    }
    for (version, frozen) in all {
        let now = files(&wit.join(&version))?;
        let names: Vec<&String> = frozen
            .iter()
            .filter(|(name, digest)| now.get(*name) != Some(digest))
            .map(|(name, _)| name)
            .chain(now.keys().filter(|name| !frozen.contains_key(*name)))
            .collect();
        if let Some(name) = names.first() {
            bail!(
                "wit/{version}/{name} is not as it was released ({} files differ): plugins out there were built for it. \
                 Take the change back, and put it into a new minor version's folder, with an adapter in host/sandbox",
                names.len()
            );
        }
    }
    Ok(())
}

fn freeze_in(wit: &Path, version: &str) -> anyhow::Result<()> {
    let mut all = frozen(wit)?;
    if all.contains_key(version) {
        bail!("wit/{version} is frozen already");
    }
    all.insert(version.to_owned(), files(&wit.join(version))?);
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(wit.join(FROZEN_FILE), text).context("write wit/frozen.json")
}

fn frozen(wit: &Path) -> anyhow::Result<BTreeMap<String, Files>> {
    let text = fs::read_to_string(wit.join(FROZEN_FILE)).context("read wit/frozen.json")?;
    serde_json::from_str(&text).context("wit/frozen.json is damaged")
}

/// What each commit that has touched the file said, the newest first. The last one is of the commit that is checked, or of what it
/// goes back to.
fn frozen_before(wit: &Path) -> anyhow::Result<Vec<(String, BTreeMap<String, Files>)>> {
    let Some(commits) = git(wit, &["log", "--format=%H", "--", FROZEN_FILE]) else {
        eprintln!(
            "no git history here: versions of the contract are held against wit/{FROZEN_FILE} alone"
        );
        return Ok(Vec::new());
    };
    if git(wit, &["rev-parse", "--is-shallow-repository"]).is_some_and(|said| said.trim() == "true")
    {
        eprintln!(
            "the git history is cut off: versions of the contract are held against what is left of it"
        );
    }
    let mut all = Vec::new();
    for commit in commits.lines() {
        // A commit that removed it says nothing.
        let Some(text) = git(wit, &["show", &format!("{commit}:./{FROZEN_FILE}")]) else {
            continue;
        };
        let said = serde_json::from_str(&text)
            .with_context(|| format!("wit/{FROZEN_FILE} of commit {commit} is damaged"))?;
        all.push((commit.to_owned(), said));
    }
    Ok(all)
}

/// What git says about this folder; `None` when it cannot say anything.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    let said = git.arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = said.status.success().then_some(said.stdout)?;
    String::from_utf8(text).ok()
}

fn files(folder: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let digest = Sha256::digest(&bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        files.insert(name.into_owned(), hex);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of contracts, of which `one` is frozen.
    fn contracts() -> tempfile::TempDir {
        let wit = tempfile::tempdir().expect("a directory");
        for (version, file) in [("one", "a.wit"), ("one", "b.wit"), ("two", "a.wit")] {
            fs::create_dir_all(wit.path().join(version)).expect("a directory");
            fs::write(wit.path().join(version).join(file), "interface a {}").expect("a file");
        }
        fs::write(wit.path().join(FROZEN_FILE), "{}").expect("a file");
        freeze_in(wit.path(), "one").expect("it can be frozen");
        wit
    }

    fn after(change: impl Fn(&Path)) -> Result<(), String> {
        let wit = contracts();
        change(wit.path());
        check_in(wit.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_released_stays_and_what_is_not_may_change() {
        assert_eq!(after(|_| ()), Ok(()));
        let changed = |file: &'static str| {
            after(move |wit| fs::write(wit.join(file), "interface b {}").expect("a file"))
        };
        assert_eq!(changed("two/a.wit"), Ok(()));
        for (file, named) in [
            ("one/b.wit", "wit/one/b.wit"),
            ("one/c.wit", "wit/one/c.wit"),
        ] {
            let error = changed(file).expect_err("it is frozen");
            assert!(error.starts_with(named), "{error}");
        }
        let error = after(|wit| fs::remove_file(wit.join("one/a.wit")).expect("it is there"));
        assert!(error.is_err_and(|error| error.starts_with("wit/one/a.wit")));
    }

    /// Commits all that there is.
    fn commit(wit: &Path) {
        let who = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgsign=false",
        ];
        for command in [
            &["init", "--quiet"][..],
            &["add", "."],
            &["commit", "--quiet", "-m", "c"],
        ] {
            let done = git(wit, &[&who[..], command].concat());
            assert!(done.is_some(), "git {command:?}");
        }
    }

    #[test]
    fn what_a_commit_has_frozen_cannot_be_frozen_otherwise() {
        let wit = contracts();
        let check = || check_in(wit.path()).map_err(|error| error.to_string());
        commit(wit.path());
        freeze_in(wit.path(), "two").expect("it can be frozen");
        assert_eq!(check(), Ok(()), "more may be frozen");
        commit(wit.path());
        fs::write(wit.path().join("one/a.wit"), "interface b {}").expect("a file");
        for forged in [r#"{"two": {}}"#, "{}"] {
            fs::write(wit.path().join(FROZEN_FILE), forged).expect("a file");
            let error = check().expect_err("it was frozen otherwise");
            assert!(error.contains("does not say of wit/"), "{error}");
        }
        let mut all = BTreeMap::from([(
            "two".to_owned(),
            files(&wit.path().join("two")).expect("files"),
        )]);
        all.insert(
            "one".to_owned(),
            files(&wit.path().join("one")).expect("files"),
        );
        let forged = serde_json::to_string(&all).expect("JSON");
        fs::write(wit.path().join(FROZEN_FILE), forged).expect("a file");
        commit(wit.path());
        let error = check().expect_err("also once it is committed");
        assert!(
            error.contains("of wit/one what it said in commit"),
            "{error}"
        );
    }

    #[test]
    fn nothing_is_frozen_twice() {
        let error = freeze_in(contracts().path(), "one").expect_err("it is frozen");
        assert_eq!(error.to_string(), "wit/one is frozen already");
    }

    #[test]
    fn the_contracts_of_this_project_are_as_released() {
        check().expect("they are");
    }
}
