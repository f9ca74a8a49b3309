//! Processes that descend from one.
//!
//! A guard is a subreaper, and so is the supervisor: whatever an action starts, be it in a session of its own or
//! forked twice, has its guard among its ancestors for as long as both live, and the supervisor for as long as that
//! lives. So "no child is left" means "nothing is left", and the walk over `/proc` only has to find whom to signal.

use std::collections::{BTreeSet, HashMap};
use std::{fs, io};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};

/// Fields of `/proc/<pid>/stat` between the process group and the number of threads.
const THREADS_BEHIND_GROUP: usize = 14;

/// A process, as one look saw it.
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    /// It has ended. A process whose first thread has ended, and no other one, shows the same letter, but runs.
    is_dead: bool,
}

/// Looks until every descendant is stopped, at most: each look finds what was born during the one before.
const STOP_LOOKS_MAX: u32 = 32;

/// Sends a signal to every descendant of a process that leads a session, and to the process groups that they form; how
/// many live descendants it has found.
///
/// The groups matter against a process that forks while the list is being read. They hold nothing but
/// descendants, for a group never crosses sessions.
///
/// # Errors
/// If a process could not be looked at, for want of a descriptor, say: then nobody knows whether there are others. Those
/// that were found have got the signal.
pub fn signal_below(root: i32, signal: Signal) -> io::Result<usize> {
    let look = descendants(root);
    signal_all(&look.found, root, signal);
    look.result()
}

/// Kills every descendant of a process that leads a session; how many it has found alive.
///
/// What is stopped forks no more: so it stops what it finds until it finds nothing new, and kills only then. A process
/// that forks faster than one can look escapes for this time, with what it forked meanwhile.
///
/// # Errors
/// As above.
pub fn kill_below(root: i32) -> io::Result<usize> {
    let mut stopped = BTreeSet::new();
    for _ in 0..STOP_LOOKS_MAX {
        let look = descendants(root);
        let before = stopped.len();
        stopped.extend(look.found.iter().map(|p| p.pid));
        if stopped.len() == before {
            break;
        }
        signal_all(&look.found, root, Signal::SIGSTOP);
    }
    signal_below(root, Signal::SIGKILL)
}

/// The same for a process and everything below it, where that does not share the caller's session.
pub fn kill_with_descendants(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
    // What cannot be listed now is found when it has become an orphan.
    let _ = kill_below(pid);
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

fn signal_all(processes: &[Process], root: i32, signal: Signal) {
    let spared = [getpgrp(), getpgid(Some(Pid::from_raw(root))).unwrap_or(getpgrp())].map(Pid::as_raw);
    let groups: BTreeSet<i32> = processes.iter().map(|p| p.group).filter(|g| *g > 1 && !spared.contains(g)).collect();
    // A process that is gone by now is no error, and there is nobody to tell of another one.
    for group in groups {
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in processes {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// Live children of a process, but those that are known, and whether all could be looked at.
pub fn children(parent: i32, is_known: impl Fn(i32) -> bool) -> (Vec<i32>, bool) {
    let mut look = Look::default();
    if has_children_files() {
        let children = look.children_of(parent);
        children.into_iter().filter(|pid| !is_known(*pid)).for_each(|pid| look.add(pid));
    } else {
        look.search(parent);
        look.found.retain(|p| p.parent == parent && !is_known(p.pid));
    }
    let live = look.found.iter().filter(|p| !p.is_dead).map(|p| p.pid);
    (live.collect(), look.error.is_none())
}

/// Descendants that are alive, as far as one look at a moving target can tell.
fn descendants(root: i32) -> Look {
    let mut look = Look::default();
    if has_children_files() {
        look.walk(root);
    } else {
        look.search(root);
    }
    look.found.retain(|p| !p.is_dead);
    look
}

/// A kernel without CONFIG_PROC_CHILDREN has none.
fn has_children_files() -> bool {
    matches!(fs::exists("/proc/thread-self/children"), Ok(true))
}

/// What one look has found, and the last thing that kept it from more.
#[derive(Default)]
struct Look {
    found: Vec<Process>,
    error: Option<io::Error>,
}

impl Look {
    fn result(self) -> io::Result<usize> {
        self.error.map_or(Ok(self.found.len()), Err)
    }

    /// From parent to child. It costs what the tree is large, and not the machine, so that few can be born
    /// meanwhile.
    fn walk(&mut self, root: i32) {
        let mut open = vec![root];
        while let Some(parent) = open.pop() {
            for pid in self.children_of(parent) {
                open.push(pid);
                self.add(pid);
            }
        }
    }

    /// Among all processes of the machine.
    fn search(&mut self, root: i32) {
        let entries = self.take(fs::read_dir("/proc")).into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            self.add(pid);
        }
        let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in self.found.drain(..) {
            children.entry(process.parent).or_default().push(process);
        }
        let mut open = vec![root];
        while let Some(parent) = open.pop() {
            for process in children.remove(&parent).unwrap_or_default() {
                open.push(process.pid);
                self.found.push(process);
            }
        }
    }

    /// Children of all threads of a process; none if it is gone.
    fn children_of(&mut self, pid: i32) -> Vec<i32> {
        let threads: Vec<_> =
            self.take(fs::read_dir(format!("/proc/{pid}/task"))).into_iter().flatten().flatten().collect();
        let mut children = Vec::new();
        for thread in threads {
            let list = self.take(fs::read_to_string(thread.path().join("children"))).unwrap_or_default();
            children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        children
    }

    fn add(&mut self, pid: i32) {
        let stat = self.take(fs::read_to_string(format!("/proc/{pid}/stat")));
        self.found.extend(stat.and_then(|stat| parse_stat(pid, &stat)));
    }

    /// What was read; nothing where the process has ended meanwhile, and where it could not be read.
    fn take<T>(&mut self, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(read) => return Some(read),
            Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => {}
            Err(e) => self.error = Some(e),
        }
        None
    }
}

/// `pid (name) state parent group …`, where the name may hold anything; the number of threads is the twentieth field
/// (proc(5)).
fn parse_stat(pid: i32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let threads: u32 = fields.nth(THREADS_BEHIND_GROUP)?.parse().ok()?;
    Some(Process { pid, parent, group, is_dead: has_ended && threads <= 1 })
}

#[cfg(test)]
mod tests {
    use nix::unistd::getpid;

    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let stat = |state, threads| format!("7 (a) Z 1 1 (x) {state} 5 6 6 0 -1 1 2 3 4 5 6 7 8 9 20 0 {threads} 0 8");
        let process = parse_stat(7, &stat('S', 1)).unwrap();
        assert_eq!((process.parent, process.group, process.is_dead), (5, 6, false));
        assert!(parse_stat(7, "").is_none());
        let is_dead = |state, threads| parse_stat(7, &stat(state, threads)).unwrap().is_dead;
        assert_eq!([is_dead('Z', 1), is_dead('X', 0), is_dead('Z', 2)], [true, true, false]);
    }

    #[test]
    fn a_child_is_found_either_way() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let own = getpid().as_raw();
        let (mut walked, mut searched) = (Look::default(), Look::default());
        walked.walk(own);
        searched.search(own);
        for look in [walked, searched, descendants(own)] {
            assert!(look.error.is_none() && look.found.iter().any(|p| p.pid == id && p.parent == own));
        }
        assert!(children(own, |_| false).0.contains(&id));
        assert!(!children(own, |pid| pid == id).0.contains(&id));
        child.kill().unwrap();
        // Dead but not reaped.
        while descendants(own).found.iter().any(|p| p.pid == id) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_nothing() {
        let mut look = Look::default();
        assert!(look.take::<()>(Err(io::Error::from_raw_os_error(libc::EMFILE))).is_none());
        assert!(look.result().is_err());
        let mut look = Look::default();
        for gone in [libc::ENOENT, libc::ESRCH] {
            assert!(look.take::<()>(Err(io::Error::from_raw_os_error(gone))).is_none());
        }
        assert_eq!(look.result().unwrap(), 0);
    }
}
