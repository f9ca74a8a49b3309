//! A control group for an action that asks for one: limits for all that it starts together, and an end for all of it in
//! one step.
//!
//! ```text
//! <delegated>/petrel-actions/<process of a guard>
//! ```
//!
//! By cgroup v2 alone. What is in the group of a guard that is gone is killed by the next one that looks there.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::kill;
use nix::unistd::{AccessFlags, Pid, access};
use petrel_execution::runner::{Guarantee, Limits};

use super::clock::boot_ms;
use super::timer::Timer;
use super::wait::wait;

/// The folder of all groups of actions.
const ACTIONS: &str = "petrel-actions";
/// Microseconds of a period in which processors are shared out.
const PERIOD_US: u64 = 100_000;
/// How long a group that is to be removed may have somebody in it, in milliseconds: what was killed takes a moment to end.
const EMPTY_MS_MAX: u64 = 200;
/// Names of controllers, and what each of them gives.
const CONTROLLERS: [(&str, Guarantee); 3] =
    [("memory", Guarantee::TreeMemory), ("pids", Guarantee::TreeProcesses), ("cpu", Guarantee::TreeCpus)];

/// A group in which this process may make others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated(PathBuf);

/// The group of one action. Dropping it kills what is in it, and removes it once nothing is.
pub struct Group {
    path: PathBuf,
    kill: File,
    controllers: Vec<Guarantee>,
}

impl Delegated {
    /// The group in which this process was put beside others that it may make, or else its own one; nothing where it may
    /// make none.
    pub fn find() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (at, kind) = (fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(at))
        })?;
        Self::beside(&mount.join(own)).or_else(|| Self::within(mount.join(own)))
    }

    /// A manager has put this process into a group below the one that it gave away, so that nothing is in that itself:
    /// only then can limits be set in it.
    fn beside(own: &Path) -> Option<Self> {
        let above = own.parent()?;
        let is_empty = fs::read_to_string(above.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty());
        (is_empty && is_given_away(above)).then(|| Self::within(above.to_owned())).flatten()
    }

    /// The root group is nobody's to share out: it has no `cgroup.kill`.
    pub fn within(path: PathBuf) -> Option<Self> {
        let may_write = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
        let is_free = path.join("cgroup.kill").exists() && may_write(&path) && may_write(&path.join("cgroup.procs"));
        is_free.then_some(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What groups in it give: an end in one step, and limits by those controllers that are there.
    pub fn guarantees(&self) -> Vec<Guarantee> {
        let there = fs::read_to_string(self.0.join("cgroup.controllers")).unwrap_or_default();
        let enabled = fs::read_to_string(self.0.join("cgroup.subtree_control")).unwrap_or_default();
        let is_empty = fs::read_to_string(self.0.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty());
        let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|one| one == name);
        let given = CONTROLLERS.into_iter().filter(|(name, _)| has(&enabled, name) || (is_empty && has(&there, name)));
        std::iter::once(Guarantee::Kill).chain(given.map(|(_, guarantee)| guarantee)).collect()
    }

    /// Makes the group of an action.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self, guard: i32) -> io::Result<Group> {
        let actions = self.0.join(ACTIONS);
        enable(&self.0);
        make_folder(&actions)?;
        enable(&actions);
        self.sweep();
        let path = actions.join(guard.to_string());
        make_folder(&path)?;
        let there = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
        let given = CONTROLLERS.into_iter().filter(|(name, _)| there.split_ascii_whitespace().any(|one| one == *name));
        let controllers = given.map(|(_, guarantee)| guarantee).collect();
        let kill = File::options().write(true).open(path.join("cgroup.kill"))?;
        Ok(Group { path, kill, controllers })
    }

    /// Kills what is in groups whose guards are gone, and removes these.
    pub fn sweep(&self) {
        for entry in fs::read_dir(self.0.join(ACTIONS)).into_iter().flatten().flatten() {
            let guard = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if guard.is_some_and(|guard| kill(Pid::from_raw(guard), None) == Err(Errno::ESRCH)) {
                let _ = fs::write(entry.path().join("cgroup.kill"), "1");
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Group {
    /// Sets those of the limits that are of the whole tree; which of them it cannot set.
    pub fn limit(&self, limits: &Limits) -> Vec<Guarantee> {
        let cpu = |milli: u64| format!("{} {PERIOD_US}", (milli * PERIOD_US / 1_000).max(1_000));
        let wanted = [
            (Guarantee::TreeMemory, "memory.max", limits.tree_memory_bytes_max.map(|bytes| bytes.to_string())),
            (Guarantee::TreeProcesses, "pids.max", limits.tree_processes_max.map(|most| most.to_string())),
            (Guarantee::TreeCpus, "cpu.max", limits.tree_cpu_milli_max.map(cpu)),
        ];
        let mut missing = Vec::new();
        for (guarantee, file, value) in wanted {
            let Some(value) = value else { continue };
            if !self.controllers.contains(&guarantee) || fs::write(self.path.join(file), value).is_err() {
                missing.push(guarantee);
            } else if guarantee == Guarantee::TreeMemory {
                // Without swap there are no such files. What is over the limit ends as a whole.
                let _ = fs::write(self.path.join("memory.swap.max"), "0");
                let _ = fs::write(self.path.join("memory.oom.group"), "1");
            }
        }
        missing
    }

    /// What a process writes `0` to that is to be in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn door(&self) -> io::Result<File> {
        File::options().write(true).open(self.path.join("cgroup.procs"))
    }

    /// Kills all that is in it at once.
    pub fn kill(&self) {
        let _ = (&self.kill).write_all(b"1");
    }

    /// Whether the kernel has killed in it for want of memory within its limit.
    pub fn was_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count != "0")
    }

    /// Until nothing is in it, or for so long.
    fn await_empty(&self) -> io::Result<()> {
        let mut events = File::open(self.path.join("cgroup.events"))?;
        let timer = Timer::new()?;
        let end_ms = boot_ms().saturating_add(EMPTY_MS_MAX);
        let mut text = String::new();
        loop {
            text.clear();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            if !text.lines().any(|line| line == "populated 1") || boot_ms() >= end_ms {
                return Ok(());
            }
            // The kernel says so when that changes.
            wait(&mut vec![PollFd::new(events.as_fd(), PollFlags::POLLPRI)], &timer, Some(end_ms));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // What cannot be looked at, or does not end, is left to who sweeps next.
        let _ = self.await_empty();
        let _ = fs::remove_dir(&self.path);
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Lets the groups in that one have limits, as far as it may; one by one, for one that is not there refuses all.
fn enable(path: &Path) {
    let enabled = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
    for (name, _) in CONTROLLERS {
        if !enabled.split_ascii_whitespace().any(|one| one == name) {
            let _ = fs::write(path.join("cgroup.subtree_control"), format!("+{name}"));
        }
    }
}

/// Whether systemd says that it has given this group away, by the attribute that it sets then.
#[allow(unsafe_code)] // libc alone reads attributes.
fn is_given_away(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| {
        let mut value = [0_u8; 4];
        // SAFETY: both texts end in NUL, and the kernel writes at most as many bytes as there are.
        let read = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        read == 1 && value[0] == b'1'
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    /// A group of the tests' own, where this user may make one.
    struct Base(Delegated);

    impl Base {
        fn make(name: &str) -> Option<Self> {
            let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
            let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
            let path = Path::new(mount).join(format!("petrel-test-{name}-{}", std::process::id()));
            fs::create_dir(&path).ok()?;
            Delegated::within(path).map(Self)
        }
    }

    impl Drop for Base {
        fn drop(&mut self) {
            let _ = fs::remove_dir(self.0.0.join(ACTIONS));
            let _ = fs::remove_dir(&self.0.0);
        }
    }

    /// A shell in that group, which starts a process that leaves its session, and tells that one's number.
    fn daemon_in(group: &Group, dir: &Path) -> (std::process::Child, i32) {
        let door = group.door().unwrap();
        let text = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon.new; mv daemon.new daemon; exec sleep 600' & wait";
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).current_dir(dir);
        // SAFETY: it makes a system call.
        #[allow(unsafe_code)]
        unsafe {
            shell.pre_exec(move || (&door).write_all(b"0"));
        }
        let child = shell.spawn().unwrap();
        while !dir.join("daemon").exists() {
            std::thread::yield_now();
        }
        (child, fs::read_to_string(dir.join("daemon")).unwrap().trim().parse().unwrap())
    }

    fn await_end(pid: i32) {
        let is_alive = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
        };
        while is_alive() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn all_of_a_group_is_killed_at_once_and_it_is_removed() {
        let Some(base) = Base::make("kill") else { return };
        let (dir, group) = (tempfile::tempdir().unwrap(), base.0.make(i32::MAX).unwrap());
        let (mut shell, daemon) = daemon_in(&group, dir.path());
        let path = group.path.clone();
        drop(group);
        assert!(!path.exists());
        assert!(!shell.wait().unwrap().success());
        await_end(daemon);
    }

    #[test]
    fn what_is_left_in_the_group_of_a_guard_that_is_gone_is_killed_by_the_next() {
        let Some(base) = Base::make("sweep") else { return };
        let (dir, own) = (tempfile::tempdir().unwrap(), base.0.make(Pid::this().as_raw()).unwrap());
        // No process has that number.
        let gone = base.0.make(i32::MAX - 1).unwrap();
        let (mut shell, daemon) = daemon_in(&gone, dir.path());
        std::mem::forget(gone);
        base.0.sweep();
        assert!(!shell.wait().unwrap().success());
        await_end(daemon);
        base.0.sweep();
        let names: Vec<_> =
            fs::read_dir(base.0.0.join(ACTIONS)).unwrap().flatten().filter(|e| e.path().is_dir()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        drop(own);
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them_where_there_are_controllers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("group");
        fs::create_dir(&path).unwrap();
        let kill = File::create(path.join("cgroup.kill")).unwrap();
        let controllers = vec![Guarantee::TreeMemory, Guarantee::TreeCpus];
        let group = Group { path: path.clone(), kill, controllers };
        let limits = Limits {
            tree_memory_bytes_max: Some(64 << 20),
            tree_processes_max: Some(20),
            tree_cpu_milli_max: Some(1_500),
            ..Limits::default()
        };
        assert_eq!(group.limit(&limits), [Guarantee::TreeProcesses]);
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let written = ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max"].map(read);
        assert_eq!(written, ["67108864", "0", "1", "150000 100000", ""]);
        assert!(!group.was_out_of_memory());
        fs::write(path.join("memory.events"), "low 0\noom 1\noom_kill 0\n").unwrap();
        assert!(!group.was_out_of_memory());
        fs::write(path.join("memory.events"), "oom 1\noom_kill 2\noom_group_kill 1\n").unwrap();
        assert!(group.was_out_of_memory());
    }
}
