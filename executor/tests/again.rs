//! A guard that has one action after another: an action finds nothing of the one before it, and nothing that could have
//! been changed is used again.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

#[path = "support/actions.rs"]
mod actions;

use std::path::Path;
use std::time::{Duration, Instant};

use actions::{
    CANCEL, LIMIT, alive_with, assert_gone, command, holding, marked, options, run_under, script, supervisor,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_execution::runner::{Limits, May};
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::{Command, run};
use petrel_executor::supervise::{Ability, Supervisor, User};
use tokio::sync::watch;

/// What a process can tell of what it was given: all of it but numbers of processes. Descriptors are looked at without a pipe,
/// which would be one more for a moment.
const LOOK: &str = "env | sort; pwd; umask; ulimit -a; cat /proc/$$/limits /proc/$$/cgroup /proc/$$/oom_score_adj\n\
    grep -E '^(Sig[BIP]|ShdPnd|Cap|NoNewPrivs|Seccomp|THP|CoreDumping|Uid|Gid|Groups|Cpus_allowed:)' /proc/self/status\n\
    cut -d' ' -f18,19,41 /proc/$$/stat; cat /proc/$$/timerslack_ns; cat /proc/$$/personality\n\
    for fd in /proc/$$/fd/*; do printf '%s ' \"${fd##*/}\"; readlink \"$fd\"; done\n\
    for fd in 0 1 2; do grep flags /proc/$$/fdinfo/$fd; done\n";
/// What an action can change of its own, and with the rights of root of its guard.
const LITTER: &str = "(echo 2000000 > /proc/$PPID/timerslack_ns) 2>/dev/null; export LEFT=secret; umask 077; exec 5>left; cd /; ulimit -n 50; ulimit -c 7; ulimit -t 1000; trap '' TERM HUP USR1\n\
    exec 7</dev/zero; renice -n 5 -p $$ >/dev/null; taskset -p 1 $$ >/dev/null 2>&1; cat; echo secret >&2\n";

fn can_scope() -> bool {
    let ability = Ability::look();
    ability.landlock_abi >= 6 && ability.filters_calls
}

fn shell(dir: &Path, name: &str, text: &str) -> Command {
    script(dir, name, &format!("#!/bin/sh\n{text}"));
    command(&[&format!("./{name}")], dir)
}

fn text(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

/// What it told, without the numbers of pipes.
fn look(exit: &Exit) -> String {
    let told = text(exit);
    told.lines().map(|line| line.split_once(":[").map_or(line, |(kind, _)| kind).to_owned() + "\n").collect()
}

/// The guard of an action that begins now.
async fn guard_of_next(supervisor: &Supervisor) -> String {
    let exit = run_under(supervisor, &options(), command(&["sh", "-c", "echo $PPID"], Path::new("/"))).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)), "{exit:?}");
    text(&exit)
}

#[tokio::test]
async fn an_action_finds_nothing_of_the_one_before_it() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    let looks = || shell(dir.path(), "look.sh", LOOK);
    let fresh = look(&run_under(&actions::supervisor(), &options(), looks()).await);
    assert!(fresh.contains("Seccomp") && fresh.contains("1 pipe\n"), "{fresh}");
    let guard = guard_of_next(&supervisor).await;
    let mut litter = marked(shell(dir.path(), "litter.sh", LITTER), "litter");
    litter.stdin = b"secret\n".repeat(1_000);
    litter.limits = Limits { file_bytes_max: Some(1 << 20), processes_max: Some(4_000), ..Limits::default() };
    litter.environment.insert("SECRET".to_owned(), "secret".to_owned());
    let exit = run_under(&supervisor, &options(), litter).await;
    assert_eq!((exit.return_code, text(&exit).len()), (Some(0), 7_000), "{exit:?}");
    assert_eq!(look(&run_under(&supervisor, &options(), looks()).await), fresh);
    // It was the same guard.
    assert_eq!(guard_of_next(&supervisor).await == guard, can_scope());
    assert_gone("litter");
}

#[tokio::test]
async fn nothing_is_used_again_of_what_may_be_changed_or_is_not_all_gone() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    let plain = |text: &str| command(&["sh", "-c", text], dir.path());
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = plain("echo $PPID");
        change(&mut command);
        command
    };
    let daemon = "setsid sleep 600 >/dev/null 2>&1 </dev/null &";
    for (what, command) in [
        ("may signal others", with(&|c| c.may.signal_others = true)),
        ("may gain privileges", with(&|c| c.may = May { gain_privileges: true, ..May::default() })),
        ("has left the network", with(&|c| c.confinement.no_network = true)),
        ("has left a daemon", marked(plain(daemon), "again-daemon")),
        ("has taken too long", {
            let mut slow = plain("sleep 600");
            slow.timeout_ms = 50;
            slow
        }),
        ("was not there", command(&["/no/such/program"], dir.path())),
        (
            "is another user's",
            with(&|c| c.user = nix::unistd::geteuid().is_root().then_some(User { uid: 12_345, gid: 12_345 })),
        ),
    ] {
        if command.user.is_none() && what == "is another user's" {
            continue;
        }
        let before = guard_of_next(&supervisor).await;
        // Some have a guard of their own, and the one that waits goes on waiting.
        let own = text(&run_under(&supervisor, &options(), command).await);
        let last = if own.is_empty() { before } else { own };
        assert_ne!(guard_of_next(&supervisor).await, last, "{what}");
    }
    assert_gone("again-daemon");
}

#[tokio::test]
async fn a_canceled_action_is_the_last_of_its_guard() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    let before = guard_of_next(&supervisor).await;
    let (director, directives) = watch::channel(holding(60_000));
    let cancel = || director.send_modify(|held| held.order(CANCEL));
    let sleep = marked(command(&["sleep", "600"], dir.path()), "again-canceled");
    let exit = run(&supervisor, &options(), sleep, directives, cancel).await;
    assert_eq!(exit.why, Why::Stopped);
    assert_ne!(guard_of_next(&supervisor).await, before);
    assert_gone("again-canceled");
}

#[tokio::test]
async fn a_lease_that_is_shorter_than_the_one_before_is_kept() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    guard_of_next(&supervisor).await;
    let (_director, directives) = watch::channel(holding(1_500));
    let sleep = marked(command(&["sleep", "600"], dir.path()), "again-lease");
    let exit = run(&supervisor, &options(), sleep, directives, || {}).await;
    assert_eq!(exit.why, Why::LeaseLost);
    assert_gone("again-lease");
}

#[tokio::test]
async fn a_guard_that_is_killed_while_it_waits_is_followed_by_another() {
    let supervisor = supervisor();
    for _ in 0..20 {
        let guard: i32 = guard_of_next(&supervisor).await.trim().parse().unwrap();
        // Where it does not wait, it may be gone.
        let _ = kill(Pid::from_raw(guard), Signal::SIGKILL);
        guard_of_next(&supervisor).await;
    }
}

/// Whoever stops a guard that waits, and its supervisor, holds the next action up, and not for longer than it may take.
#[tokio::test]
async fn a_used_guard_that_hangs_before_the_start_takes_no_more_than_the_time_of_the_attempt() {
    if !can_scope() {
        return;
    }
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    let guard: i32 = guard_of_next(&supervisor).await.trim().parse().unwrap();
    let hung = [i32::try_from(supervisor.process().unwrap()).unwrap(), guard];
    hung.iter().for_each(|pid| kill(Pid::from_raw(*pid), Signal::SIGSTOP).unwrap());
    let mut late = command(&["sh", "-c", "echo > ran"], dir.path());
    // The worker lets the supervisor go on after two seconds of silence, and the guard with it.
    late.timeout_ms = 100;
    let mut options = options();
    options.kill_grace_ms = 0;
    let exit = run_under(&supervisor, &options, late).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert!(!dir.path().join("ran").exists());
    // The worker has let the supervisor go on.
    assert_ne!(guard_of_next(&supervisor).await.trim(), guard.to_string());
}

#[tokio::test]
async fn guards_that_wait_end_with_their_supervisor_and_with_their_worker() {
    let supervisor = supervisor();
    let sleep = || async {
        let sleep = marked(command(&["sh", "-c", "sleep 0.2; echo $PPID"], Path::new("/")), "wait");
        run_under(&supervisor, &options(), sleep).await
    };
    let guards = || async {
        let (one, two, three) = tokio::join!(sleep(), sleep(), sleep());
        [one, two, three].map(|exit| text(&exit).trim().parse::<i32>().unwrap())
    };
    let first = guards().await;
    // What the kernel ends first is the action, and not who waits for another one.
    let score = |process: &str| std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
    if can_scope() {
        assert!(first.iter().all(|guard| score(&guard.to_string()) == score("self")));
    }
    kill(Pid::from_raw(i32::try_from(supervisor.process().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    for guard in first {
        actions::await_death(guard).await;
    }
    let (second, began) = (guards().await, Instant::now());
    drop(supervisor);
    for guard in second {
        actions::await_death(guard).await;
    }
    // By themselves, and long before they would have been ended.
    assert!(began.elapsed() < Duration::from_secs(4).min(LIMIT));
    assert!(alive_with("wait").is_empty());
}
