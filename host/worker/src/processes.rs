//! What Linux shows of the processes of this machine.

use std::fs;

/// A line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// It has ended, and only whoever inherited it has not taken notice.
    pub(crate) dead: bool,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// In ticks since the machine was started.
    pub(crate) started: u64,
}

/// The ids of all processes.
pub(crate) fn ids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// One process, if it still exists.
pub(crate) fn stat(id: i32) -> Option<ProcessStat> {
    parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The value of a variable in the environment with which a process was started; `None` also for processes of others.
pub(crate) fn variable(id: i32, name: &str) -> Option<Vec<u8>> {
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.to_vec())
    })
}

/// Whether a process of this group still does something.
pub(crate) fn group_works(group: i32) -> bool {
    ids()
        .filter_map(stat)
        .any(|stat| stat.group == group && !stat.dead)
}

fn parse(line: &str) -> Option<ProcessStat> {
    // The second field is a name in parentheses, which may contain anything.
    let mut fields = line[line.rfind(')')? + 1..].split_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    Some(ProcessStat {
        dead,
        parent,
        group,
        session,
        started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_past_names_with_parentheses() {
        let stat = |dead| ProcessStat {
            dead,
            parent: 1,
            group: 7,
            session: 42,
            started: 99,
        };
        assert_eq!(
            parse("9 (a) b) S 1 7 42 0 -1 2 3 4 5 6 7 8 9 10 11 12 13 14 99 1"),
            Some(stat(false))
        );
        assert_eq!(
            parse("9 (Z) Z 1 7 42 0 -1 2 3 4 5 6 7 8 9 10 11 12 13 14 99 1"),
            Some(stat(true))
        );
        assert_eq!(parse(""), None);
        assert_eq!(parse("9 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_among_them_and_works() {
        let own = i32::try_from(std::process::id()).expect("a number");
        assert!(ids().any(|id| id == own));
        let stat = stat(own).expect("it exists");
        assert!(!stat.dead && group_works(stat.group));
        assert!(!group_works(i32::MAX));
    }
}
