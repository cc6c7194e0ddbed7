//! The environment of a command: the worker's own, changed as the step asks.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::command::launch::StartError;
use crate::command::spec::EnvValue;

type Variables = BTreeMap<OsString, OsString>;

/// The one list variable whose value always goes before the worker's own, as Buildbot's users know it.
const PREPENDED: &str = "PYTHONPATH";

/// The worker's environment with these changes.
pub(crate) fn compose(
    worker: &Variables,
    changes: &BTreeMap<String, EnvValue>,
) -> Result<Variables, StartError> {
    let mut variables = worker.clone();
    for (name, value) in changes {
        check_name(name)?;
        let value = match value {
            EnvValue::Unset => {
                variables.remove(OsStr::new(name));
                continue;
            }
            EnvValue::Set(value) => expand(value, worker),
            EnvValue::List(items) => join(name, items, worker),
        };
        if value.as_bytes().contains(&0) {
            return Err(invalid(name, "its value contains a zero byte"));
        }
        variables.insert(name.into(), value);
    }
    Ok(variables)
}

fn check_name(name: &str) -> Result<(), StartError> {
    if name.is_empty() {
        return Err(invalid(name, "its name is empty"));
    }
    if name.contains('=') {
        return Err(invalid(name, "its name contains `=`"));
    }
    if name.contains('\0') {
        return Err(invalid(name, "its name contains a zero byte"));
    }
    Ok(())
}

fn invalid(name: &str, reason: &'static str) -> StartError {
    StartError::InvalidVariable {
        name: name.to_owned(),
        reason,
    }
}

fn join(name: &str, items: &[String], worker: &Variables) -> OsString {
    let mut parts: Vec<OsString> = items.iter().map(|item| expand(item, worker)).collect();
    if name == PREPENDED {
        parts.extend(worker.get(OsStr::new(name)).cloned());
    }
    parts.join(OsStr::new(":"))
}

/// Puts the worker's own values in the place of `${NAME}`; what does not look like that stays.
fn expand(text: &str, worker: &Variables) -> OsString {
    let mut expanded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        expanded.extend_from_slice(before.as_bytes());
        match from[2..].split_once('}') {
            Some((name, after)) if is_name(name) => {
                let value = worker.get(OsStr::new(name));
                expanded.extend_from_slice(value.map_or(b"", |value| value.as_bytes()));
                rest = after;
            }
            _ => {
                expanded.extend_from_slice(b"${");
                rest = &from[2..];
            }
        }
    }
    expanded.extend_from_slice(rest.as_bytes());
    OsString::from_vec(expanded)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(k, v)| (k.into(), v.into())).collect()
    }

    /// The value of `NAME` after one change in a worker with some variables.
    fn composed(name: &str, value: EnvValue) -> Option<String> {
        let worker = variables(&[("PATH", "/bin"), ("PYTHONPATH", "/py"), ("EMPTY", "")]);
        let changes = BTreeMap::from([(name.to_owned(), value)]);
        let result = compose(&worker, &changes).expect("valid");
        let value = result.get(OsStr::new(name))?;
        Some(value.to_str().expect("text").to_owned())
    }

    fn set(value: &str) -> EnvValue {
        EnvValue::Set(value.to_owned())
    }

    fn list(items: &[&str]) -> EnvValue {
        EnvValue::List(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn values_are_set_unset_expanded_and_joined() {
        let cases = [
            ("A", set("b"), Some("b")),
            ("PATH", EnvValue::Unset, None),
            ("PATH", set("/my:${PATH}"), Some("/my:/bin")),
            ("A", set("${PATH}${PATH}x"), Some("/bin/binx")),
            ("A", set("${MISSING}|${EMPTY}|"), Some("||")),
            (
                "A",
                set("$PATH ${} ${a b} ${PATH"),
                Some("$PATH ${} ${a b} ${PATH"),
            ),
            ("A", set("${${PATH}"), Some("${/bin")),
            ("A", list(&["x", "${PATH}"]), Some("x:/bin")),
            ("PYTHONPATH", list(&["/a", "/b"]), Some("/a:/b:/py")),
            ("PYTHONPATH", set("/a"), Some("/a")),
        ];
        for (name, value, expected) in cases {
            let shown = format!("{name} {value:?}");
            assert_eq!(composed(name, value).as_deref(), expected, "{shown}");
        }
    }

    #[test]
    fn changes_do_not_see_each_other() {
        let changes = BTreeMap::from([("A".to_owned(), set("new")), ("B".to_owned(), set("${A}"))]);
        let result = compose(&variables(&[("A", "old")]), &changes).expect("valid");
        assert_eq!(result, variables(&[("A", "new"), ("B", "old")]));
    }

    #[test]
    fn what_the_system_cannot_take_is_refused_by_name() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            let changes = BTreeMap::from([(name.to_owned(), set(value))]);
            let error = compose(&Variables::new(), &changes).expect_err(name);
            assert!(
                matches!(&error, StartError::InvalidVariable { name: n, .. } if n == name),
                "{error}"
            );
        }
    }
}
