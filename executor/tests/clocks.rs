//! Actions that bend the time of what watches them. With CAP_SYS_NICE, as root has it, a process may set the timer slack of
//! any other over `/proc`: from then on that one's sleeps, and its waits with a time-out, may be late by as much.

#[path = "support/actions.rs"]
mod actions;

use std::path::{Path, PathBuf};

use actions::{assert_gone, await_death, command, holding, marked, options, pid_in, run_under, script, supervisor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::{Command, run};
use petrel_executor::supervise::{Ability, boot_ms};
use tokio::sync::watch;

/// Slackens its guard and its supervisor, says so, and then hangs with nothing that would wake them.
const SLACKEN: &str = "#!/bin/sh\nG=$PPID; S=$(awk '{print $4}' /proc/$G/stat)\n\
    for p in $G $S; do echo 10000000000 > /proc/$p/timerslack_ns || exit 3; done\n\
    cat /proc/$G/timerslack_ns; trap '' TERM; echo $$ > main; exec sleep 600\n";
const SLACK: &str = "10000000000\n";

fn slackens(dir: &Path, mark: &str) -> Command {
    script(dir, "slacken.sh", SLACKEN);
    marked(command(&["./slacken.sh"], dir), mark)
}

fn text(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

#[tokio::test]
async fn an_action_that_slackens_its_guard_is_ended_in_time_by_it() {
    if !Ability::look().is_root {
        return;
    }
    let supervisor = supervisor();
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut command = slackens(dir.path(), "slack-time-out");
        command.timeout_ms = 500;
        let began_ms = boot_ms();
        let exit = run_under(&supervisor, &options(), command).await;
        let lasted_ms = boot_ms() - began_ms;
        assert_eq!((exit.why, text(&exit).as_str()), (Why::Timeout, SLACK), "{exit:?}");
        // Its guard has ended it, and nobody from outside; the grace of its time-out is in it.
        assert_eq!(exit.error.as_deref(), Some("ended by signal 9"));
        assert!((800..1_800).contains(&lasted_ms), "{lasted_ms} ms");
    }
    assert_gone("slack-time-out");
}

#[tokio::test]
async fn an_action_that_slackens_its_guard_loses_its_lease_in_time() {
    if !Ability::look().is_root {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let command = slackens(dir.path(), "slack-lease");
    let began_ms = boot_ms();
    let (_director, directives) = watch::channel(holding(1_000));
    let exit = run(&supervisor(), &options(), command, directives, || {}).await;
    let lasted_ms = boot_ms() - began_ms;
    assert_eq!((exit.why, text(&exit).as_str()), (Why::LeaseLost, SLACK), "{exit:?}");
    assert_eq!(exit.error.as_deref(), Some("ended by signal 9"));
    assert!((1_000..2_000).contains(&lasted_ms), "{lasted_ms} ms");
    assert_gone("slack-lease");
}

const DIRECTORY: &str = "CLOCKS_TEST_DIR";
/// Lease of what the worker below runs, in milliseconds.
const LEASE_MS: u64 = 2_000;

/// Does nothing unless the test below starts it: a worker with one action.
#[tokio::test]
async fn slackened_worker_role() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let mut command = slackens(&dir, "slack-supervisor");
    // As on a kernel that cannot forbid it.
    command.may.signal_others = true;
    let (_director, directives) = watch::channel(holding(LEASE_MS));
    run(&supervisor(), &options(), command, directives, || {}).await;
}

/// The guard is stopped, so that it sees nothing of the end of the lease unless its supervisor sees to it.
#[tokio::test]
async fn a_supervisor_that_was_slackened_ends_what_has_lost_its_lease_in_time() {
    if !Ability::look().is_root {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut worker = std::process::Command::new(program)
        .args(["slackened_worker_role", "--exact", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let main = pid_in(&dir.path().join("main")).await;
    let (guard, slackened_ms) = (actions::parent_of(main), boot_ms());
    for pid in [i32::try_from(worker.id()).unwrap(), guard] {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    }
    await_death(main).await;
    // From a moment before its last chance to be extended.
    let lasted_ms = boot_ms() - slackened_ms;
    assert!(lasted_ms < LEASE_MS + 1_000, "{lasted_ms} ms");
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_gone("slack-supervisor");
}
