//! Processes that descend from one.
//!
//! A guard is a subreaper, and so is the supervisor: whatever an action starts, be it in a session of its own or
//! forked twice, has its guard among its ancestors for as long as both live, and the supervisor for as long as that
//! lives. So "no child is left" means "nothing is left", and the walk over `/proc` only has to find whom to signal.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};

/// Fields of `/proc/<pid>/stat` between the process group and the number of threads.
const THREADS_BEHIND_GROUP: usize = 14;

/// A process, as one look saw it.
pub struct Process {
    /// Its number.
    pub pid: i32,
    parent: i32,
    group: i32,
    /// It has ended. A process whose first thread has ended, and no other one, shows the same letter, but runs.
    is_dead: bool,
}

/// Sends a signal to every descendant of a process that leads a session, and to the process groups that they form; how
/// many live descendants it has found.
///
/// The groups matter against a process that forks while the list is being read. They hold nothing but
/// descendants, for a group never crosses sessions.
pub fn signal_below(root: i32, signal: Signal) -> usize {
    signal_all(&descendants(root), root, signal)
}

/// The same for a process and everything below it, where that does not share the caller's session.
pub fn signal_with_descendants(process: Process, signal: Signal) {
    let mut processes = descendants(process.pid);
    processes.push(process);
    signal_all(&processes, 0, signal);
}

fn signal_all(processes: &[Process], root: i32, signal: Signal) -> usize {
    let spared = [getpgrp(), getpgid(Some(Pid::from_raw(root))).unwrap_or(getpgrp())].map(Pid::as_raw);
    let groups: BTreeSet<i32> = processes.iter().map(|p| p.group).filter(|g| *g > 1 && !spared.contains(g)).collect();
    // A process that is gone by now is no error, and there is nobody to tell of another one.
    for group in groups {
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in processes {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
    processes.len()
}

/// Live children of a process.
pub fn children(parent: i32) -> Vec<Process> {
    let mut found = match has_children_files() {
        true => children_of(parent).into_iter().filter_map(read_process).collect(),
        false => search(parent).into_iter().filter(|p| p.parent == parent).collect::<Vec<_>>(),
    };
    found.retain(|p| !p.is_dead);
    found
}

/// Descendants that are alive, as far as one look at a moving target can tell.
fn descendants(root: i32) -> Vec<Process> {
    let mut found = if has_children_files() { walk(root) } else { search(root) };
    found.retain(|p| !p.is_dead);
    found
}

/// A kernel without CONFIG_PROC_CHILDREN has none.
fn has_children_files() -> bool {
    matches!(fs::exists("/proc/thread-self/children"), Ok(true))
}

/// From parent to child. It costs what the tree is large, and not the machine, so that few can be born
/// meanwhile.
fn walk(root: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let children: Vec<Process> = children_of(parent).into_iter().filter_map(read_process).collect();
        open.extend(children.iter().map(|p| p.pid));
        found.extend(children);
    }
    found
}

/// Children of all threads of a process; none if it is gone.
fn children_of(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Among all processes of the machine.
fn search(root: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for process in pids.filter_map(read_process) {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            open.push(process.pid);
            found.push(process);
        }
    }
    found
}

fn read_process(pid: i32) -> Option<Process> {
    parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
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
        for processes in [walk(own), search(own), descendants(own)] {
            assert!(processes.iter().any(|p| p.pid == id && p.parent == own));
        }
        child.kill().unwrap();
        // Dead but not reaped.
        while descendants(own).iter().any(|p| p.pid == id) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
