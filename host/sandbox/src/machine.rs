//! How much memory this process may have: that of the machine, or less in a container.

use std::fs;
use std::path::{Path, PathBuf};

/// Where systems mount the hierarchies of control groups, and what the file of the limit is called there: version 2, version 1,
/// and version 2 beside version 1.
const HIERARCHIES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup/unified", "memory.max"),
];

/// Memory in bytes that this process may have; `None` when nobody tells.
pub(crate) fn memory_bytes() -> Option<u64> {
    memory_as_told(&|path| fs::read_to_string(path).ok())
}

/// With the files of the system as `read` knows them.
fn memory_as_told(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|group| limits(group, read));
    let installed = read(Path::new("/proc/meminfo")).and_then(|text| installed(&text));
    installed.into_iter().chain(limits).min()
}

fn installed(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The limits of a group, of which this is a line of `/proc/self/cgroup` (`ID:CONTROLLERS:PATH`), and of all groups that it is in.
fn limits(group: &str, read: &dyn Fn(&Path) -> Option<String>) -> Vec<u64> {
    let mut parts = group.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let is_first = controllers.split(',').any(|name| name == "memory");
    let is_second = controllers.is_empty();
    let hierarchies = HIERARCHIES.iter().filter(|(_, file)| match *file {
        "memory.max" => is_second,
        _ => is_first,
    });
    let mut found = Vec::new();
    for (mount, file) in hierarchies {
        // A container sees its own group at the root, whatever its path is outside.
        let inside = Path::new(path.trim_start_matches('/'));
        for group in inside.ancestors() {
            let limit = read(&PathBuf::from(mount).join(group).join(file));
            // `max` is no limit, nor is the huge number that version 1 has for it, which is more than is installed.
            found.extend(limit.and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_counts() {
        const GIB: u64 = 1 << 30;
        let meminfo = "MemTotal:        8388608 kB\nMemFree: 1 kB\n";
        for (case, groups, files, expected) in [
            ("no groups", "", vec![], Some(8 * GIB)),
            (
                "version 2, limited above",
                "0::/system.slice/toolpost.service\n",
                vec![
                    (
                        "/sys/fs/cgroup/system.slice/toolpost.service/memory.max",
                        "max\n",
                    ),
                    ("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n"),
                ],
                Some(2 * GIB),
            ),
            (
                "version 2 in a container",
                "0::/\n",
                vec![("/sys/fs/cgroup/memory.max", "1073741824\n")],
                Some(GIB),
            ),
            (
                "version 1",
                "4:cpu,memory:/docker/abc\n1:name=systemd:/\n0::/\n",
                vec![
                    (
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                    (
                        "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                        "1073741824\n",
                    ),
                ],
                Some(GIB),
            ),
            (
                "version 1 in a container that does not see its path",
                "4:memory:/docker/abc\n",
                vec![(
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                    "1073741824\n",
                )],
                Some(GIB),
            ),
            (
                "more than there is",
                "0::/a\n",
                vec![("/sys/fs/cgroup/a/memory.max", "99999999999999\n")],
                Some(8 * GIB),
            ),
        ] {
            let told = memory_as_told(&|path| match path.to_str()? {
                "/proc/self/cgroup" => Some(groups.to_owned()),
                "/proc/meminfo" => Some(meminfo.to_owned()),
                path => {
                    let file = files.iter().find(|(known, _)| *known == path)?;
                    Some(file.1.to_owned())
                }
            });
            assert_eq!(told, expected, "{case}");
        }
        assert_eq!(memory_as_told(&|_| None), None);
    }
}
