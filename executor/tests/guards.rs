//! Actions that try to get away: what the kernel forbids, and what is noticed where it does not. A command that may
//! signal others stands for one on a kernel that cannot forbid it, so that both sides are tried on any machine.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

#[path = "support/actions.rs"]
mod actions;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actions::{
    CANCEL, LIMIT, alive_with, assert_gone, await_death, command, holding, is_alive, marked, options, parent_of,
    pid_in, run_under, script, supervisor,
};
use petrel_execution::runner::May;
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::{Command, run};
use petrel_executor::supervise::Ability;
use tokio::sync::watch;

const SIGNALS: May = May { signal_others: true, gain_privileges: false };
/// A daemon that nothing but a kill ends, in a session and a process group of its own, with nothing open.
const DAEMON: &str = "( setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; while :; do sleep 1; done' \
     </dev/null >/dev/null 2>&1 & )\nwhile [ ! -s daemon ]; do sleep 0.01; done\n";

/// Whether the kernel of this machine can keep actions from signalling. Where it cannot, the tests show what it does.
fn can_scope() -> bool {
    Ability::look().landlock_abi >= 6
}

fn shell(dir: &Path, text: &str, mark: &str) -> Command {
    script(dir, "run.sh", &format!("#!/bin/sh\n{text}"));
    marked(command(&["./run.sh"], dir), mark)
}

fn text(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

#[tokio::test]
async fn an_action_cannot_stop_or_kill_its_guard_or_its_supervisor_or_its_worker() {
    let dir = tempfile::tempdir().unwrap();
    let attack = "S=$(awk '{print $4}' /proc/$PPID/stat); W=$(awk '{print $4}' /proc/$S/stat)\n\
                  for p in $PPID $S $W; do for s in STOP KILL; do kill -$s $p && echo reached $p; done; done\n\
                  echo tried; exec sleep 600\n";
    let mut command = shell(dir.path(), attack, "cannot-signal");
    command.timeout_ms = 1_000;
    if !can_scope() {
        return;
    }
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!((exit.why, text(&exit).as_str()), (Why::Timeout, "tried\n"));
    // Its guard has ended it, and nobody from outside.
    assert_eq!(exit.error.as_deref(), Some("ended by signal 15"));
    assert_gone("cannot-signal");
}

#[tokio::test]
async fn an_action_cannot_signal_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Arc::new(supervisor());
    let victim = marked(command(&["sh", "-c", "echo $$ > victim; exec sleep 600"], dir.path()), "victim");
    let (director, directives) = watch::channel(holding(60_000));
    let runs = supervisor.clone();
    let running = tokio::spawn(async move { run(&runs, &options(), victim, directives, || {}).await });
    let pid = pid_in(&dir.path().join("victim")).await;
    let attack = shell(dir.path(), &format!("kill -9 {pid} || exit 7\n"), "attacker");
    let exit = run_under(&supervisor, &options(), attack).await;
    assert_eq!((exit.return_code, is_alive(pid)), if can_scope() { (Some(7), true) } else { (Some(0), false) });
    director.send_modify(|h| h.order(CANCEL));
    running.await.unwrap();
    assert_gone("victim");
}

#[tokio::test]
async fn a_guard_that_is_stopped_goes_on_and_ends_its_action() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), &format!("{DAEMON}kill -STOP $PPID; exec sleep 600\n"), "stopped-guard");
    (command.may, command.timeout_ms) = (SIGNALS, 500);
    let exit = run_under(&supervisor(), &options(), command).await;
    // By the guard itself, and nobody from outside.
    assert_eq!((exit.why, exit.error.as_deref()), (Why::Timeout, Some("ended by signal 15")));
    assert_gone("stopped-guard");
}

#[tokio::test]
async fn a_guard_that_is_stopped_again_is_ended_from_outside_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let attack = format!("{DAEMON}while :; do kill -STOP $PPID; sleep 0.05; done\n");
    let mut command = shell(dir.path(), &attack, "stopped-again");
    command.may = SIGNALS;
    let supervisor = supervisor();
    // Long before its time or its lease is up.
    assert_eq!(run_under(&supervisor, &options(), command).await.why, Why::Unknown);
    assert_gone("stopped-again");
    // The others of the worker go on.
    let ok = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
    assert_eq!(ok.return_code, Some(0));
}

#[tokio::test]
async fn a_guard_that_is_stopped_ends_its_action_when_the_lease_passes() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), &format!("{DAEMON}kill -STOP $PPID; exec sleep 600\n"), "stopped-lease");
    command.may = SIGNALS;
    let (_director, directives) = watch::channel(holding(1_000));
    let exit = run(&supervisor(), &options(), command, directives, || {}).await;
    assert_eq!(exit.why, Why::LeaseLost);
    assert_gone("stopped-lease");
}

#[tokio::test]
async fn what_an_action_leaves_that_kills_its_guard_is_dead_before_its_end_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), &format!("{DAEMON}kill -9 $PPID; exec sleep 600\n"), "killed-guard");
    command.may = SIGNALS;
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!((exit.why, exit.return_code), (Why::Unknown, None));
    assert_gone("killed-guard");
}

#[tokio::test]
async fn a_supervisor_that_is_killed_is_followed_by_another_and_what_it_ran_ends() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let attack = format!("{DAEMON}kill -9 $(awk '{{print $4}}' /proc/$PPID/stat); exec sleep 600\n");
    let mut command = shell(dir.path(), &attack, "killed-supervisor");
    command.may = SIGNALS;
    supervisor.start().unwrap();
    let first = supervisor.process();
    let exit = run_under(&supervisor, &options(), command).await;
    assert_eq!(exit.why, Why::Unknown);
    assert_gone("killed-supervisor");
    let ok = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
    assert_eq!(ok.return_code, Some(0));
    assert_ne!(supervisor.process(), first);
}

#[tokio::test]
async fn what_an_action_leaves_that_stops_its_guard_and_kills_its_supervisor_is_dead_before_its_end_is_told() {
    // Once, or for as long as it lives.
    for (mark, stop) in [("stop-and-kill", "exec sleep 600"), ("stop-for-ever", "while :; do kill -STOP $PPID; done")] {
        let dir = tempfile::tempdir().unwrap();
        let attack =
            format!("{DAEMON}S=$(awk '{{print $4}}' /proc/$PPID/stat)\nkill -STOP $PPID; kill -9 $S\n{stop}\n");
        let mut command = shell(dir.path(), &attack, mark);
        command.may = SIGNALS;
        let supervisor = supervisor();
        assert_eq!(run_under(&supervisor, &options(), command).await.why, Why::Unknown);
        assert_gone(mark);
        let ok = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
        assert_eq!(ok.return_code, Some(0));
    }
}

#[tokio::test]
async fn a_supervisor_that_is_stopped_is_killed_with_all_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let attack = format!("{DAEMON}kill -STOP $(awk '{{print $4}}' /proc/$PPID/stat) $PPID; exec sleep 600\n");
    let mut command = shell(dir.path(), &attack, "stopped-supervisor");
    (command.may, command.timeout_ms) = (SIGNALS, 500);
    let exit = run_under(&supervisor, &options(), command).await;
    assert_eq!(exit.why, Why::Timeout);
    assert_gone("stopped-supervisor");
    let ok = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
    assert_eq!(ok.return_code, Some(0));
}

#[tokio::test]
async fn a_supervisor_that_is_stopped_again_and_again_is_killed_with_all_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let attack = format!(
        "{DAEMON}S=$(awk '{{print $4}}' /proc/$PPID/stat)\nwhile :; do kill -STOP $S $PPID 2>/dev/null; done\n"
    );
    let mut command = shell(dir.path(), &attack, "hindered-supervisor");
    (command.may, command.timeout_ms) = (SIGNALS, 500);
    let exit = run_under(&supervisor, &options(), command).await;
    // It may have had the time to end a guard that was stopped so often.
    assert!(matches!(exit.why, Why::Timeout | Why::Unknown), "{exit:?}");
    assert_gone("hindered-supervisor");
    let ok = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
    assert_eq!(ok.return_code, Some(0));
}

/// Looks into the processes over it, and prints what it may see. The environment of this very test, which is the worker
/// here, is left out: `petrel` takes its secrets out of its own, for who has CAP_PERFMON, as root, reads it in any case.
const PEEK: &str = "S=$(awk '{print $4}' /proc/$PPID/stat); W=$(awk '{print $4}' /proc/$S/stat)\n\
     for p in $PPID $S; do [ $(cat /proc/$p/environ 2>/dev/null | wc -c) = 0 ] || echo environ; done\n\
     for p in $PPID $S $W; do\n\
     (: < /proc/$p/mem) 2>/dev/null && echo memory\n\
     readlink /proc/$p/fd/0 >/dev/null 2>&1 && echo descriptors\n\
     for fd in 0 1 2 3 4 5 6 7 8; do (printf '{\"why\":\"exited\",\"return_code\":0,\"streams\":[]}\\n' > /proc/$p/fd/$fd) 2>/dev/null && echo forged; done\n\
     done\nexit 9\n";

#[tokio::test]
async fn an_action_reads_nothing_of_the_processes_over_it_and_forges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let exit = run_under(&supervisor(), &options(), shell(dir.path(), PEEK, "peek")).await;
    if Ability::look().landlock_abi < 2 && Ability::look().is_root {
        // Nothing can keep it from that.
        return;
    }
    assert_eq!((exit.why, exit.return_code, text(&exit).as_str()), (Why::Exited, Some(9), ""));
    // The same text sees all of that where nothing keeps it from it.
    let free = ["-c", "sh ./run.sh; exit $?"];
    let seen = std::process::Command::new("sh").args(free).current_dir(dir.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&seen.stdout).contains("environ\nenviron\nmemory\ndescriptors\n"), "{seen:?}");
}

/// Each round doubles them, every one in a session of its own; the depth bounds what a failure of this test costs.
#[tokio::test]
async fn processes_that_double_are_all_ended() {
    let dir = tempfile::tempdir().unwrap();
    let bomb = "trap '' TERM\n[ ${1:-0} -ge 8 ] && exec sleep 600\n\
                for i in 1 2; do setsid ./run.sh $((${1:-0} + 1)) & done\nwait\n";
    let mut command = shell(dir.path(), bomb, "bomb");
    command.timeout_ms = 400;
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!(exit.why, Why::Timeout);
    assert_gone("bomb");
}

#[tokio::test]
async fn zombies_and_closed_and_duplicated_descriptors_hold_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let zombies = "sh -c 'exit 3' & sh -c 'kill -9 $$' & exec sleep 600\n";
    let mut command = shell(dir.path(), zombies, "zombies");
    command.timeout_ms = 300;
    assert_eq!(run_under(&supervisor, &options(), command).await.why, Why::Timeout);
    let closed =
        "exec 5>&1 6>&2; exec >&- 2>&- <&-; sleep 0.1; printf '\\377x' >&5; exec 5>&- 6>&-; sleep 0.1; exit 4\n";
    let exit = run_under(&supervisor, &options(), shell(dir.path(), closed, "closed")).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(4)));
    // What is not UTF-8 comes as it is.
    assert_eq!(exit.stdout.bytes, b"\xffx");
    assert_gone("zombies");
    assert_gone("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_under_one_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Arc::new(supervisor());
    supervisor.start().unwrap();
    let process = supervisor.process();
    script(dir.path(), "run.sh", "#!/bin/sh\nsleep 600 &\nwhile [ ! -e go ]; do sleep 0.2; done\necho $1\n");
    let runs = (0..200).map(|n| {
        let (supervisor, dir) = (supervisor.clone(), dir.path().to_owned());
        let command = marked(command(&["./run.sh", &n.to_string()], &dir), "two-hundred");
        tokio::spawn(async move { (n, run_under(&supervisor, &options(), command).await) })
    });
    let runs: Vec<_> = runs.collect();
    let end = Instant::now() + LIMIT;
    while alive_with("two-hundred").len() < 400 {
        assert!(Instant::now() < end, "they never ran all at once");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(dir.path().join("go"), "").unwrap();
    for running in runs {
        let (n, exit) = running.await.unwrap();
        assert_eq!((exit.why, exit.return_code, text(&exit)), (Why::Exited, Some(0), format!("{n}\n")));
    }
    assert_gone("two-hundred");
    assert_eq!(supervisor.process(), process);
}

#[tokio::test]
async fn the_end_of_a_worker_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Arc::new(supervisor());
    let command = shell(dir.path(), &format!("{DAEMON}echo $$ > main; exec sleep 600\n"), "end-of-worker");
    let (_director, directives) = watch::channel(holding(60_000));
    let runs = supervisor.clone();
    let running = tokio::spawn(async move { run(&runs, &options(), command, directives, || {}).await });
    let pids = [pid_in(&dir.path().join("main")).await, pid_in(&dir.path().join("daemon")).await];
    assert!(pids.into_iter().all(is_alive));
    let process = i32::try_from(supervisor.process().unwrap()).unwrap();
    // Nobody waits for the attempt any more, and then for nothing at all.
    running.abort();
    let _ = running.await;
    drop(supervisor);
    await_death(process).await;
    // The supervisor goes last.
    assert_gone("end-of-worker");
}

#[tokio::test]
async fn an_action_finds_what_posix_promises() {
    let dir = tempfile::tempdir().unwrap();
    let look = "while IFS= read -r line; do echo \"$line\"; done < /proc/$$/status; umask; \
                cat /proc/$$/oom_score_adj; echo pgid $(ps -o pgid= -p $$ 2>/dev/null || echo $$) $$\n";
    let exit = run_under(&supervisor(), &options(), shell(dir.path(), look, "posix")).await;
    let told = text(&exit);
    for line in
        ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "NoNewPrivs:\t1", "THP_enabled:\t1", "0022", "500"]
    {
        assert!(told.lines().any(|found| found == line), "{line:?} is not in {told}");
    }
    let mut command = shell(dir.path(), "grep NoNewPrivs /proc/$$/status\n", "privileges");
    command.may = May { gain_privileges: true, signal_others: false };
    assert_eq!(text(&run_under(&supervisor(), &options(), command).await), "NoNewPrivs:\t0\n");
}

#[tokio::test]
async fn a_supervisor_is_given_no_environment_and_cannot_be_dumped() {
    let supervisor = supervisor();
    supervisor.start().unwrap();
    let pid = i32::try_from(supervisor.process().unwrap()).unwrap();
    assert_eq!(parent_of(pid), i32::try_from(std::process::id()).unwrap());
    let end = Instant::now() + LIMIT;
    // What is not dumpable belongs to root; as root, only its emptiness can be seen.
    while std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default().is_empty());
}
