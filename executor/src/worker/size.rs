//! What a worker has, unless somebody says how much: the machine's memory and processors, or what its control group
//! leaves it of them.

use std::fs;
use std::path::{Path, PathBuf};

use petrel_execution::Needs;

/// The memory and the processors of this machine, as far as this process may use them.
pub fn machine() -> Needs {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let bound = group_of(&own, &mounts).and_then(|(mount, group)| group_bytes(&mount, &group));
    // Where neither is known, memory is nothing to reckon with.
    let memory_bytes = total.into_iter().chain(bound).min().unwrap_or(u64::MAX);
    Needs { memory_bytes, cpu_milli: cpus.saturating_mul(1_000) }
}

/// What the machine has, in bytes.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Where control groups of version 2 are mounted, and the own one.
fn group_of(own: &str, mounts: &str) -> Option<(PathBuf, PathBuf)> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    })?;
    let group = mount.join(own);
    Some((mount, group))
}

/// The tightest limit of the group and of those above it, in bytes.
fn group_bytes(mount: &Path, group: &Path) -> Option<u64> {
    let above = group.ancestors().take_while(|path| path.starts_with(mount));
    // `max` is no limit; the root has no such file.
    above.filter_map(|path| fs::read_to_string(path.join("memory.max")).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_of_the_groups_counts() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("a/b/c");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("memory.max"), "max\n").unwrap();
        fs::write(dir.path().join("a/b/memory.max"), "4096\n").unwrap();
        fs::write(dir.path().join("a/memory.max"), "8192\n").unwrap();
        assert_eq!(group_bytes(dir.path(), &group), Some(4_096));
        assert_eq!(group_bytes(dir.path(), dir.path()), None);
    }

    #[test]
    fn files_of_the_system_are_read() {
        let mounts = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let found = group_of("12:cpu:/x\n0::/system.slice/petrel\n", mounts);
        assert_eq!(found, Some(("/sys/fs/cgroup".into(), "/sys/fs/cgroup/system.slice/petrel".into())));
        assert_eq!(group_of("1:cpu:/x\n", mounts), None);
        assert_eq!(total_bytes("MemFree: 1 kB\nMemTotal:       16303428 kB\n"), Some(16_303_428 << 10));
        let machine = machine();
        assert!(machine.memory_bytes > 1 << 20 && machine.memory_bytes < u64::MAX && machine.cpu_milli >= 1_000);
    }
}
