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
/// If the processes cannot be listed, for want of a descriptor, say: then nobody knows whether there are any.
pub fn signal_below(root: i32, signal: Signal) -> io::Result<usize> {
    let found = descendants(root)?;
    signal_all(&found, root, signal);
    Ok(found.len())
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
        let found = descendants(root)?;
        let before = stopped.len();
        stopped.extend(found.iter().map(|p| p.pid));
        if stopped.len() == before {
            break;
        }
        signal_all(&found, root, Signal::SIGSTOP);
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

/// Live children of a process, but those that are known.
///
/// # Errors
/// As above.
pub fn children(parent: i32, is_known: impl Fn(i32) -> bool) -> io::Result<Vec<i32>> {
    let found: Vec<Process> = if has_children_files()? {
        let unknown = children_of(parent)?.into_iter().filter(|pid| !is_known(*pid));
        unknown.filter_map(|pid| read_process(pid).transpose()).collect::<io::Result<_>>()?
    } else {
        search(parent)?.into_iter().filter(|p| p.parent == parent && !is_known(p.pid)).collect()
    };
    Ok(found.into_iter().filter(|p| !p.is_dead).map(|p| p.pid).collect())
}

/// Descendants that are alive, as far as one look at a moving target can tell.
fn descendants(root: i32) -> io::Result<Vec<Process>> {
    let mut found = if has_children_files()? { walk(root)? } else { search(root)? };
    found.retain(|p| !p.is_dead);
    Ok(found)
}

/// A kernel without CONFIG_PROC_CHILDREN has none.
fn has_children_files() -> io::Result<bool> {
    fs::exists("/proc/thread-self/children")
}

/// From parent to child. It costs what the tree is large, and not the machine, so that few can be born
/// meanwhile.
fn walk(root: i32) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for pid in children_of(parent)? {
            open.push(pid);
            found.extend(read_process(pid)?);
        }
    }
    Ok(found)
}

/// Children of all threads of a process; none if it is gone.
fn children_of(pid: i32) -> io::Result<Vec<i32>> {
    let mut children = Vec::new();
    for thread in unless_gone(fs::read_dir(format!("/proc/{pid}/task")))?.into_iter().flatten() {
        let Some(thread) = unless_gone(thread)? else { break };
        let list = unless_gone(fs::read_to_string(thread.path().join("children")))?.unwrap_or_default();
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(children)
}

/// Among all processes of the machine.
fn search(root: i32) -> io::Result<Vec<Process>> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(process) = read_process(pid)? {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            open.push(process.pid);
            found.push(process);
        }
    }
    Ok(found)
}

fn read_process(pid: i32) -> io::Result<Option<Process>> {
    let stat = unless_gone(fs::read_to_string(format!("/proc/{pid}/stat")))?;
    Ok(stat.and_then(|stat| parse_stat(pid, &stat)))
}

/// What a look at a process has found, or nothing where it has ended meanwhile.
fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(e) => Err(e),
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
        for processes in [walk(own), search(own), descendants(own)].map(Result::unwrap) {
            assert!(processes.iter().any(|p| p.pid == id && p.parent == own));
        }
        assert!(children(own, |_| false).unwrap().contains(&id));
        assert!(!children(own, |pid| pid == id).unwrap().contains(&id));
        child.kill().unwrap();
        // Dead but not reaped.
        while descendants(own).unwrap().iter().any(|p| p.pid == id) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
