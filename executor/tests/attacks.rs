//! Actions that attack what watches them by means of the kernel that are not signals, and those that hide from it.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/hostile.rs"]
mod hostile;

use std::ffi::OsString;
use std::path::Path;

use actions::{assert_gone, command, is_alive, marked, options, pid_in, run_under, script, supervisor};
use hostile::attack;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_execution::runner::May;
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::Command;
use petrel_executor::supervise::{Ability, Supervisor};

const SIGNALS: May = May { signal_others: true, gain_privileges: false };

/// A script that knows its guard, its supervisor and its worker as G, S and W.
fn shell(dir: &Path, text: &str, mark: &str) -> Command {
    let watchers = "G=$PPID; S=$(awk '{print $4}' /proc/$G/stat); W=$(awk '{print $4}' /proc/$S/stat)";
    script(dir, "run.sh", &format!("#!/bin/sh\n{watchers}\n{text}"));
    marked(command(&["./run.sh"], dir), mark)
}

fn text(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

/// Does nothing unless it is run as an action.
#[test]
fn hostile_role() {
    hostile::play();
}

#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_ended_with_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let exit = run_under(&supervisor(), &options(), attack("leaderless", dir.path())).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)));
    assert!(!is_alive(pid_in(&dir.path().join("leaderless")).await));
    assert_gone("leaderless");
}

/// What can be done to a process by its number beside a signal, with the tools of util-linux.
const LEVERS: &str = "for p in $G $S $W; do\n\
     prlimit --pid $p --nofile=900:900 2>/dev/null && echo limits\n\
     renice -n 1 -p $p >/dev/null 2>&1 && echo priority\n\
     chrt --other -p 0 $p >/dev/null 2>&1 && echo scheduler\n\
     taskset -p -c 0 $p >/dev/null 2>&1 && echo processors\n\
     ionice -c 2 -n 7 -p $p 2>/dev/null && echo disk\n\
     done\n\
     renice -n 1 -u $(id -u) >/dev/null 2>&1 && echo everybody\n\
     prlimit --pid $G >/dev/null && (ulimit -n 100 && nice -n 1 true && taskset -c 0 true && ionice -c 3 true) && echo own\n";

#[tokio::test]
async fn an_action_cannot_change_limits_and_priorities_of_what_watches_it() {
    let dir = tempfile::tempdir().unwrap();
    let exit = run_under(&supervisor(), &options(), shell(dir.path(), LEVERS, "levers")).await;
    // Where no filter can be set, nothing keeps it from that.
    match Ability::look().filters_calls {
        true => assert_eq!(text(&exit), "own\n"),
        false => assert!(text(&exit).starts_with("limits\npriority\n")),
    }
    assert_gone("levers");
}

#[tokio::test]
async fn a_guard_and_a_supervisor_without_descriptors_go_on_watching() {
    let dir = tempfile::tempdir().unwrap();
    let starve = "prlimit --pid $G --nofile=1:1 && prlimit --pid $S --nofile=1:1 || exit 5\n\
                  trap '' TERM\nwhile :; do sleep 600; done\n";
    let mut command = shell(dir.path(), starve, "starved");
    (command.may, command.timeout_ms) = (SIGNALS, 700);
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!(exit.why, Why::Timeout, "{exit:?}");
    // Its guard has ended it, and nobody from outside.
    assert_eq!(exit.error.as_deref(), Some("ended by signal 9"));
    assert_gone("starved");
}

/// The action would mark that it ran.
fn marks(dir: &Path) -> Command {
    command(&["sh", "-c", "echo > ran"], dir)
}

#[tokio::test]
async fn what_a_stopped_supervisor_never_started_has_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    supervisor.start().unwrap();
    let pid = i32::try_from(supervisor.process().unwrap()).unwrap();
    // Once it has answered, it is past its own beginning. No guard waits behind an action that may reach it.
    let first = Command { may: SIGNALS, ..command(&["true"], dir.path()) };
    assert_eq!(run_under(&supervisor, &options(), first).await.return_code, Some(0));
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let mut late = marks(dir.path());
    late.timeout_ms = 100;
    let exit = run_under(&supervisor, &options(), late).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert!(!dir.path().join("ran").exists());
    // The worker has let the supervisor go on.
    let exit = run_under(&supervisor, &options(), marks(dir.path())).await;
    assert_eq!((exit.return_code, supervisor.process()), (Some(0), u32::try_from(pid).ok()));
    assert!(dir.path().join("ran").exists());
}

#[tokio::test]
async fn what_this_machine_lacks_is_no_end_of_an_action() {
    let dir = tempfile::tempdir().unwrap();
    // A supervisor that has not enough descriptors for a guard.
    let few = ["sh", "-c", "ulimit -n 10; exec \"$0\""].map(OsString::from);
    let supervisor = Supervisor::new(few.into_iter().chain(options().supervisor).collect());
    let exit = run_under(&supervisor, &options(), marks(dir.path())).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    // No supervisor at all.
    let exit = run_under(&Supervisor::new(vec!["/no/such/program".into()]), &options(), marks(dir.path())).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    // One that ends at once.
    let exit = run_under(&Supervisor::new(vec!["false".into()]), &options(), marks(dir.path())).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert!(!dir.path().join("ran").exists());
}

#[tokio::test]
async fn no_process_of_an_action_can_join_the_group_of_its_guard() {
    let dir = tempfile::tempdir().unwrap();
    let exit = run_under(&supervisor(), &options(), attack("regroup", dir.path())).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(Errno::EPERM as i32)));
}

#[tokio::test]
async fn an_action_cannot_freeze_or_kill_what_watches_it_by_control_groups() {
    let dir = tempfile::tempdir().unwrap();
    // It moves itself only, but who may do that may move and freeze the others as well.
    let attack = "for g in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts); do\n\
                  (echo $$ > $g/cgroup.procs) 2>/dev/null && echo moved; done\n\
                  echo x > /dev/null && echo x > written && mv written moved && echo ok\n";
    let exit = run_under(&supervisor(), &options(), shell(dir.path(), attack, "groups")).await;
    match Ability::look().landlock_abi >= 2 {
        true => assert_eq!(text(&exit), "ok\n"),
        false => assert!(text(&exit).ends_with("ok\n")),
    }
}
