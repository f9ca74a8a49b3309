//! All processes that descend from this one.
//!
//! The supervisor is a subreaper: whatever a command starts, be it in a session of its own or forked
//! twice, has the supervisor among its ancestors for as long as it lives. So "no child is left" means
//! "nothing is left", and the walk over `/proc` only has to find whom to signal.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    zombie: bool,
}

/// Sends a signal to every descendant and to the process groups that they form.
///
/// The groups matter against a process that forks while the list is being read. They hold nothing but
/// descendants, for the supervisor leads a session of its own and a group never crosses sessions.
pub fn signal_descendants(signal: Signal) {
    let processes = descendants();
    let own_group = getpgrp().as_raw();
    let groups: BTreeSet<i32> = processes.iter().map(|p| p.group).filter(|g| *g > 1 && *g != own_group).collect();
    // A process that is gone by now is no error, and there is nobody to tell of another one.
    for group in groups {
        let _ = killpg(Pid::from_raw(group), signal);
    }
    for process in processes {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// Descendants that are alive, as far as one look at a moving target can tell.
fn descendants() -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all_processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![getpid().as_raw()];
    while let Some(parent) = open.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            open.push(process.pid);
            found.push(process);
        }
    }
    found.retain(|p| !p.zombie);
    found
}

fn all_processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        parse_stat(pid, &stat)
    })
}

/// `pid (name) state parent group …`, where the name may hold anything (proc(5)).
fn parse_stat(pid: i32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, group, zombie })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let process = parse_stat(7, "7 (a) Z 1 1 (x) S 5 6 6 0 -1").unwrap();
        assert_eq!((process.parent, process.group, process.zombie), (5, 6, false));
        assert!(parse_stat(7, "").is_none());
    }

    #[test]
    fn a_child_is_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        assert!(descendants().iter().any(|p| p.pid == id));
        child.kill().unwrap();
        // Dead but not reaped.
        while descendants().iter().any(|p| p.pid == id) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
