//! A control group (version 2, of Linux) for each command: limits of memory, processes and processors that hold for all that
//! descends from it together, an end that nobody escapes, and what was used.
//!
//! Where the worker has no part of the tree that it may change, it says so when it is opened, instead of running commands
//! without the limits that somebody counts on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::command::Usage;

/// What each command may have, with all that descends from it. A worker with none of these makes no control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupLimits {
    /// Memory, in bytes, that of its files in memory included. A command that wants more is killed.
    pub memory_bytes_max: Option<u64>,
    /// Processes and threads. More cannot be made.
    pub processes_max: Option<u32>,
    /// Processors, in hundredths of one. A command that wants more waits.
    pub cpu_percent_max: Option<u32>,
}

/// The worker itself has to be beside the groups of its commands, not above them.
const OWN_GROUP: &str = "toolpost-worker";
const COMMAND_GROUP: &str = "toolpost-command-";
/// Time over which processors are shared out, in microseconds.
const CPU_PERIOD_US: u64 = 100_000;

/// The part of the tree in which commands get their groups.
#[derive(Debug)]
pub(crate) struct Groups {
    dir: PathBuf,
    limits: GroupLimits,
    next: AtomicU64,
}

/// The group of one command. It goes with its last member; what a command leaves behind on purpose stays in it.
#[derive(Debug)]
pub(crate) struct Group {
    dir: PathBuf,
    memory_bytes_max: Option<u64>,
}

impl GroupLimits {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Names of the controllers that these limits need.
    fn controllers(&self) -> Vec<&'static str> {
        [
            self.memory_bytes_max.map(|_| "memory"),
            self.processes_max.map(|_| "pids"),
            self.cpu_percent_max.map(|_| "cpu"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Files of a group, and what is written to them. What follows the first of a controller may be missing in old kernels.
    fn files(&self) -> Vec<(&'static str, String, bool)> {
        let mut files = Vec::new();
        if let Some(bytes) = self.memory_bytes_max {
            files.push(("memory.max", bytes.to_string(), true));
            // Otherwise it would go on in swap space, which slows everybody down.
            files.push(("memory.swap.max", "0".into(), false));
            // All of it or nothing: half a command is no use.
            files.push(("memory.oom.group", "1".into(), false));
        }
        if let Some(processes) = self.processes_max {
            files.push(("pids.max", processes.to_string(), true));
        }
        if let Some(percent) = self.cpu_percent_max {
            let quota = u64::from(percent.max(1)) * CPU_PERIOD_US / 100;
            files.push(("cpu.max", format!("{quota} {CPU_PERIOD_US}"), true));
        }
        files
    }
}

impl Groups {
    /// Prepares the worker's part of the tree. Blocks. The error says what to do.
    pub(crate) fn open(limits: GroupLimits) -> Result<Self, String> {
        let own = own_group()?;
        let below = own.file_name().is_some_and(|name| name == OWN_GROUP);
        let dir = match own.parent() {
            Some(parent) if below => parent.to_owned(),
            _ => own,
        };
        Self::open_in(&dir, limits, std::process::id())
    }

    fn open_in(dir: &Path, limits: GroupLimits, own_process: u32) -> Result<Self, String> {
        let at = dir.display();
        let delegate = "let systemd give the worker its part of the tree with `Delegate=yes`";
        let failed = |what: &str, error: &io::Error| {
            format!("control group {at}: {what}: {error}; {delegate}")
        };
        let there = fs::read_to_string(dir.join("cgroup.controllers"))
            .map_err(|error| failed("cannot be read", &error))?;
        for wanted in limits.controllers() {
            if !there.split_whitespace().any(|name| name == wanted) {
                return Err(format!(
                    "control group {at} has no controller `{wanted}` (it has: {}); {delegate}",
                    there.trim()
                ));
            }
        }
        let groups = Self {
            dir: dir.to_owned(),
            limits,
            next: AtomicU64::new(0),
        };
        groups.end_leftovers();
        // Groups with processes in them cannot give controllers on.
        let own = dir.join(OWN_GROUP);
        fs::create_dir_all(&own)
            .and_then(|()| fs::write(own.join("cgroup.procs"), own_process.to_string()))
            .map_err(|error| failed("the worker cannot move into a group of its own", &error))?;
        let wanted = limits.controllers();
        let wanted: Vec<String> = wanted.iter().map(|name| format!("+{name}")).collect();
        if !wanted.is_empty() {
            fs::write(dir.join("cgroup.subtree_control"), wanted.join(" "))
                .map_err(|error| failed("controllers cannot be given on", &error))?;
        }
        Ok(groups)
    }

    /// What a killed worker left in its groups.
    fn end_leftovers(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(COMMAND_GROUP) {
                let left = Group {
                    dir: entry.path(),
                    memory_bytes_max: None,
                };
                left.kill();
            }
        }
    }

    /// Makes the group of a command. Blocks.
    pub(crate) fn make(&self) -> io::Result<Arc<Group>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{COMMAND_GROUP}{}-{number}", std::process::id());
        let dir = self.dir.join(name);
        fs::create_dir(&dir)?;
        let group = Group {
            dir,
            memory_bytes_max: self.limits.memory_bytes_max,
        };
        for (file, value, needed) in self.limits.files() {
            let written = fs::write(group.dir.join(file), value);
            if needed {
                written?;
            }
        }
        Ok(Arc::new(group))
    }
}

impl Group {
    /// Where a process writes `0` to move into it.
    pub(crate) fn entrance(&self) -> io::Result<fs::File> {
        fs::OpenOptions::new()
            .write(true)
            .open(self.dir.join("cgroup.procs"))
    }

    /// Ends everybody in it, whatever they do. Blocks for a moment.
    pub(crate) fn kill(&self) {
        if fs::write(self.dir.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Kernels before 5.14.
        for id in self.members() {
            if let Some(id) = Pid::from_raw(id) {
                // It may have ended.
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }

    /// Processes in it.
    pub(crate) fn members(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// What all of it used, where the system counts that; else as `told` of the first process.
    pub(crate) fn usage(&self, told: Usage) -> Usage {
        let read = |file: &str| fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let cpu = read("cpu.stat");
        let time = |name| Some(Duration::from_micros(number_after(&cpu, name)?));
        let disks = read("io.stat");
        let sum = |name: &str| {
            let words = disks.split_whitespace();
            let values = words.filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok());
            disks.contains(name).then(|| values.sum::<u64>())
        };
        Usage {
            user: time("user_usec").unwrap_or(told.user),
            system: time("system_usec").unwrap_or(told.system),
            memory_peak_bytes: read("memory.peak")
                .trim()
                .parse()
                .unwrap_or(told.memory_peak_bytes),
            read_bytes: sum("rbytes=").unwrap_or(told.read_bytes),
            written_bytes: sum("wbytes=").unwrap_or(told.written_bytes),
        }
    }

    /// The limit of memory, if somebody was killed because of it.
    pub(crate) fn memory_exceeded(&self) -> Option<u64> {
        let events = fs::read_to_string(self.dir.join("memory.events")).ok()?;
        let killed = number_after(&events, "oom_kill")?;
        self.memory_bytes_max.filter(|_| killed > 0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that is not empty stays until the next worker starts.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The number of a line `NAME NUMBER`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(word, _)| *word == name)?.1.trim().parse().ok()
}

/// The control group of this process.
fn own_group() -> Result<PathBuf, String> {
    let read = |file: &str| {
        fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))
    };
    let mounts = read("/proc/self/mountinfo")?;
    let groups = read("/proc/self/cgroup")?;
    own_of(&mounts, &groups)
        .ok_or_else(|| "this machine has no control groups of version 2 (cgroup2)".to_owned())
}

fn own_of(mounts: &str, groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, mount) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let kind = after.split(' ').next()?;
        let mut fields = before.split(' ').skip(3);
        (kind == "cgroup2").then_some((fields.next()?, fields.next()?))
    })?;
    let path = Path::new(path);
    let below = path.strip_prefix(root).or_else(|_| path.strip_prefix("/"));
    Some(Path::new(mount).join(below.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GroupLimits = GroupLimits {
        memory_bytes_max: Some(64 << 20),
        processes_max: Some(100),
        cpu_percent_max: Some(150),
    };

    #[test]
    fn the_own_group_is_found_where_it_is_mounted() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda rw\n\
                      30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let inner = "30 22 0:26 /pod/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let cases = [
            (
                mounts,
                "0::/system.slice/x.service\n",
                Some("/sys/fs/cgroup/system.slice/x.service"),
            ),
            (mounts, "4:memory:/y\n0::/\n", Some("/sys/fs/cgroup")),
            (inner, "0::/pod/a/b\n", Some("/sys/fs/cgroup/b")),
            (mounts, "4:memory:/y\n", None),
            ("22 1 8:1 / / rw - ext4 /dev/sda rw\n", "0::/x\n", None),
        ];
        for (mounts, groups, expected) in cases {
            let found = own_of(mounts, groups);
            assert_eq!(
                found.as_deref(),
                expected.map(Path::new),
                "{mounts}{groups}"
            );
        }
    }

    /// Plain files, in which can be seen what the kernel would have been told.
    #[test]
    fn limits_are_written_before_anybody_is_in_a_group() {
        let tree = tempfile::tempdir().unwrap();
        let dir = tree.path();
        fs::write(
            dir.join("cgroup.controllers"),
            "cpuset cpu io memory pids\n",
        )
        .unwrap();
        let groups = Groups::open_in(dir, LIMITS, 4711).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(
            read(&dir.join("cgroup.subtree_control")),
            "+memory +pids +cpu"
        );
        assert_eq!(read(&dir.join(OWN_GROUP).join("cgroup.procs")), "4711");
        let group = groups.make().unwrap();
        let written = ["memory.max", "memory.swap.max", "pids.max", "cpu.max"];
        let written = written.map(|file| read(&group.dir.join(file)));
        assert_eq!(written, ["67108864", "0", "100", "150000 100000"]);
        fs::write(group.dir.join("cgroup.procs"), "12\n34\n").unwrap();
        assert_eq!(group.members(), [12, 34]);
        let told = Usage {
            written_bytes: 5,
            ..Usage::default()
        };
        assert_eq!(group.usage(told), told);
        for (file, text) in [
            ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\n"),
            ("memory.peak", "4096\n"),
            (
                "io.stat",
                "8:0 rbytes=1 wbytes=2 rios=3\n8:16 rbytes=10 wbytes=20\n",
            ),
            ("memory.events", "low 0\noom 1\noom_kill 1\n"),
        ] {
            fs::write(group.dir.join(file), text).unwrap();
        }
        let usage = Usage {
            user: Duration::from_micros(20),
            system: Duration::from_micros(10),
            memory_peak_bytes: 4096,
            read_bytes: 11,
            written_bytes: 22,
        };
        assert_eq!(group.usage(told), usage);
        assert_eq!(group.memory_exceeded(), Some(64 << 20));
        group.kill();
        assert_eq!(read(&group.dir.join("cgroup.kill")), "1");
    }

    #[test]
    fn what_is_missing_is_said_with_what_helps() {
        let tree = tempfile::tempdir().unwrap();
        let dir = tree.path().to_owned();
        let error = Groups::open_in(&dir, LIMITS, 1).unwrap_err();
        assert!(
            error.contains("cannot be read") && error.contains("Delegate=yes"),
            "{error}"
        );
        fs::write(dir.join("cgroup.controllers"), "cpu pids\n").unwrap();
        let error = Groups::open_in(&dir, LIMITS, 1).unwrap_err();
        assert!(
            error.contains("no controller `memory`") && error.contains("Delegate=yes"),
            "{error}"
        );
    }
}
