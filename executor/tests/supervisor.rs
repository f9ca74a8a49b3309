//! The supervisor and the command runner with real processes.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

#[path = "support/actions.rs"]
mod actions;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actions::{
    CANCEL, LIMIT, await_death, command, holding, is_alive, options, pid_in, run_to_end, run_under, script, supervisor,
};
use petrel_execution::code;
use petrel_execution::worker::Why;
use petrel_executor::runner::{RunnerOptions, run};
use petrel_executor::supervise::boot_ms;
use tokio::sync::watch;

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "show.sh", "#!/bin/sh\nprintf '[%s]' \"$@\"\nprintf err >&2\nexit 3\n");
    let nasty = ["; rm -rf /", "$(reboot)", "a\nb", "", "-oProxyCommand=x", "ü\u{1F600}"];
    let argv: Vec<&str> = ["./show.sh"].into_iter().chain(nasty).collect();
    let outcome = run_to_end(&options(), command(&argv, dir.path())).await;
    let expected: String = nasty.iter().map(|a| format!("[{a}]")).collect();
    assert_eq!(String::from_utf8(outcome.stdout.bytes).unwrap(), expected);
    assert_eq!((outcome.why, outcome.return_code), (Why::Exited, Some(3)));
    assert_eq!((outcome.stderr.bytes.as_slice(), outcome.stdout.truncated), (&b"err"[..], false));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("plain"), "text").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["./missing"], "No such file"),
        (&["no-such-program-anywhere"], "No such file"),
        (&["./plain"], "Permission denied"),
        (&["echo", "a\0b"], "NUL"),
        (&[], "empty"),
    ];
    for (argv, expected) in cases {
        let outcome = run_to_end(&options(), command(argv, dir.path())).await;
        assert_eq!(outcome.why, Why::NotStarted(code::NOT_STARTED), "{argv:?}");
        let error = outcome.error.unwrap();
        assert!(error.contains(expected), "{argv:?}: {error}");
    }
}

/// No worker can start it: given back, it would go round for ever.
#[tokio::test]
async fn what_no_process_can_be_given_is_refused_by_the_limits_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = async |bytes: usize, count: usize| {
        let text = "x".repeat(bytes);
        let argv: Vec<&str> = ["true"].into_iter().chain(std::iter::repeat_n(&*text, count)).collect();
        let outcome = run_to_end(&options(), command(&argv, dir.path())).await;
        assert_eq!(outcome.why, Why::NotStarted(code::NOT_STARTED), "{:?}", outcome.error);
        outcome.error.unwrap()
    };
    assert!(refused(200_000, 1).await.contains("MAX_ARG_STRLEN"));
    // More than a guard reads, too.
    assert!(refused(120_000, 80).await.contains("ARG_MAX"));
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.environment.insert("FROM_OPTIONS".into(), "1".into());
    let mut env = command(&["env"], dir.path());
    env.environment.insert("PETREL_EXECUTION_ID".into(), "x y".into());
    let outcome = run_to_end(&options, env).await;
    let text = String::from_utf8(outcome.stdout.bytes).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
    names.retain(|name| !["HOME", "LANG"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["FROM_OPTIONS", "PATH", "PETREL_EXECUTION_ID"]);
    assert!(text.contains("PETREL_EXECUTION_ID=x y\n"));
}

#[tokio::test]
async fn nothing_of_the_worker_stays_open_in_the_command() {
    let dir = tempfile::tempdir().unwrap();
    // Unlike what Rust opens, a duplicate is inherited.
    let leak = nix::unistd::dup(std::fs::File::open("/dev/null").unwrap()).unwrap();
    let outcome = run_to_end(&options(), command(&["sh", "-c", "echo /proc/$$/fd/*"], dir.path())).await;
    drop(leak);
    let text = String::from_utf8(outcome.stdout.bytes).unwrap();
    let open: Vec<&str> = text.split_whitespace().filter_map(|path| path.rsplit('/').next()).collect();
    // The pattern is read through a descriptor of the shell's own.
    assert!(open.starts_with(&["0", "1", "2"]) && open.len() <= 4, "{text}");
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_counted_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let flood = "head -c 100000000 /dev/zero; head -c 100000000 /dev/zero >&2; exit 0";
    let outcome = run_to_end(&options(), command(&["sh", "-c", flood], dir.path())).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Exited, Some(0)));
    for stream in [outcome.stdout, outcome.stderr] {
        let end = stream.end.unwrap();
        assert_eq!((stream.truncated, stream.bytes.len(), end.bytes.len()), (true, 32 << 10, 32 << 10));
        assert_eq!((end.omitted_bytes, end.lead.len()), (100_000_000 - (64 << 10), 0));
    }
}

/// More than any memory here, and the worker goes on.
#[tokio::test]
async fn ten_gigabytes_of_output_are_counted_and_cut() {
    const BYTES: u64 = 10_000_000_000;
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), supervisor());
    let flood = format!("printf begin; head -c {BYTES} /dev/zero; printf end");
    let mut command = command(&["sh", "-c", &flood], dir.path());
    command.timeout_ms = 600_000;
    let (_director, directives) = watch::channel(holding(600_000));
    let outcome = run(&supervisor, &options(), command, directives, || {}).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Exited, Some(0)), "{:?}", outcome.error);
    let end = outcome.stdout.end.unwrap();
    assert_eq!((outcome.stdout.bytes.len(), end.bytes.len(), outcome.stdout.truncated), (32 << 10, 32 << 10, true));
    assert_eq!(end.omitted_bytes, BYTES + 8 - (64 << 10));
    assert!(outcome.stdout.bytes.starts_with(b"begin\0") && end.bytes.ends_with(b"\0end"));
    let alive = run_under(&supervisor, &options(), actions::command(&["true"], dir.path())).await;
    assert_eq!(alive.return_code, Some(0));
}

/// The guard's own memory while a command writes without end.
#[tokio::test]
async fn a_flood_does_not_grow_the_guard() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let flood = format!("head -c 200000000 /dev/zero; echo $PPID > {}; exec cat /dev/zero", pid_file.display());
    let (director, directives) = watch::channel(holding(60_000));
    let (options, command) = (options(), command(&["sh", "-c", &flood], dir.path()));
    let running = tokio::spawn(async move { run(&supervisor(), &options, command, directives, || {}).await });
    // By then it has read all of that, but what a pipe holds.
    let guard = pid_in(&pid_file).await;
    let status = std::fs::read_to_string(format!("/proc/{guard}/status")).unwrap();
    let peak_kb: u64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak_kb < 32 << 10, "the guard took {peak_kb} kB");
    director.send_modify(|h| h.order(CANCEL));
    let outcome = running.await.unwrap();
    assert_eq!((outcome.why, outcome.stdout.kept_bytes()), (Why::Stopped, 64 << 10));
}

/// Starts daemons that get away from the process group, ignore SIGTERM, and keep the output open.
const DAEMONS: &str = r#"#!/bin/sh
setsid sh -c 'trap "" TERM; echo $$ > stubborn; while :; do sleep 1; done' &
(setsid sh -c 'echo $$ > twice; exec sleep 600' & ) &
while [ ! -s stubborn ] || [ ! -s twice ]; do sleep 0.01; done
"#;

#[tokio::test]
async fn daemons_end_with_the_command() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "daemons.sh", &format!("{DAEMONS}exit 7\n"));
    let outcome = run_to_end(&options(), command(&["./daemons.sh"], dir.path())).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Exited, Some(7)));
    for name in ["stubborn", "twice"] {
        let pid = pid_in(&dir.path().join(name)).await;
        assert!(!is_alive(pid), "{name} outlived the command");
    }
}

#[tokio::test]
async fn a_time_out_ends_the_whole_tree() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "daemons.sh", &format!("{DAEMONS}trap '' TERM\nwhile :; do sleep 1; done\n"));
    let mut command = command(&["./daemons.sh"], dir.path());
    command.timeout_ms = 500;
    let outcome = run_to_end(&options(), command).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Timeout, None));
    for name in ["stubborn", "twice"] {
        assert!(!is_alive(pid_in(&dir.path().join(name)).await), "{name} outlived the command");
    }
}

/// Each process starts the next one in a session of its own and is gone: no list of processes is ever true.
#[tokio::test]
async fn a_process_that_keeps_hopping_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "hop.sh", "#!/bin/sh\ntrap '' TERM\necho $$ > hop\nsetsid ./hop.sh &\n");
    let mut command = command(&["sh", "-c", "./hop.sh; exec sleep 600"], dir.path());
    command.timeout_ms = 300;
    let outcome = run_to_end(&options(), command).await;
    assert_eq!(outcome.why, Why::Timeout);
    let last = std::fs::read_to_string(dir.path().join("hop")).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(std::fs::read_to_string(dir.path().join("hop")).unwrap(), last, "it hops on");
}

#[tokio::test]
async fn sigterm_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "polite.sh", "#!/bin/sh\ntrap 'echo bye; exit 9' TERM\necho up\nwhile :; do sleep 0.05; done\n");
    let mut command = command(&["./polite.sh"], dir.path());
    command.timeout_ms = 500;
    let outcome = run_to_end(&RunnerOptions { kill_grace_ms: 20_000, ..options() }, command).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Timeout, Some(9)));
    assert_eq!(outcome.stdout.bytes, b"up\nbye\n");
}

#[tokio::test]
async fn a_cancel_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (director, directives) = watch::channel(holding(60_000));
    let cancel = move || director.send_modify(|h| h.order(CANCEL));
    let outcome = run(&supervisor(), &options(), command(&["sleep", "600"], dir.path()), directives, cancel).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Stopped, None));
    assert_eq!(outcome.error.as_deref(), Some("ended by signal 15"));
}

#[tokio::test]
async fn a_lease_that_passes_kills_at_once_and_an_extension_prevents_it() {
    let dir = tempfile::tempdir().unwrap();
    // SIGTERM is ignored and the grace is long: only the lease can end it in time.
    let stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    let options = RunnerOptions { kill_grace_ms: 60_000, ..options() };
    let (_director, directives) = watch::channel(holding(300));
    let outcome =
        tokio::time::timeout(LIMIT, run(&supervisor(), &options, command(&stubborn, dir.path()), directives, || {}))
            .await
            .unwrap();
    assert_eq!(outcome.why, Why::LeaseLost);

    let (director, directives) = watch::channel(holding(2_000));
    let extend = move || {
        director.send_modify(|h| h.acknowledged(boot_ms() + 60_000));
        std::mem::forget(director);
    };
    let outcome = run(&supervisor(), &options, command(&["sleep", "3"], dir.path()), directives, extend).await;
    assert_eq!((outcome.why, outcome.return_code), (Why::Exited, Some(0)));
}

#[tokio::test]
async fn a_killed_guard_takes_the_command_along_and_the_worker_knows_nothing() {
    use nix::sys::signal::{Signal, kill};
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "hang.sh", &format!("{DAEMONS}echo $PPID > guard\n{HANGS}"));
    let (_director, directives) = watch::channel(holding(60_000));
    let (options, command) = (options(), command(&["./hang.sh"], dir.path()));
    let running = tokio::spawn(async move { run(&supervisor(), &options, command, directives, || {}).await });
    pid_in(&dir.path().join("main")).await;
    let guard = pid_in(&dir.path().join("guard")).await;
    kill(nix::unistd::Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    let outcome = tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
    assert_eq!((outcome.why, outcome.return_code), (Why::Unknown, None));
    assert!(outcome.error.unwrap().contains("without a report"));
    for name in ["main", "stubborn", "twice"] {
        assert!(!is_alive(pid_in(&dir.path().join(name)).await), "{name} outlived the attempt");
    }
}

/// A process that runs a command as a worker does, in a role of its own: this very test, executed again.
fn worker_process(dir: &Path, lease_ms: u64) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["worker_role", "--exact", "--nocapture"])
        .env("SUPERVISOR_TEST_DIR", dir)
        .env("SUPERVISOR_TEST_LEASE_MS", lease_ms.to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless a test below starts it.
#[tokio::test]
async fn worker_role() {
    let Ok(dir) = std::env::var("SUPERVISOR_TEST_DIR") else { return };
    let dir = PathBuf::from(dir);
    let lease_ms: u64 = std::env::var("SUPERVISOR_TEST_LEASE_MS").unwrap().parse().unwrap();
    let (_director, directives) = watch::channel(holding(lease_ms));
    let mut command = command(&["./daemons.sh"], &dir);
    // As on a kernel that cannot forbid it.
    command.may.signal_others = true;
    let exit = run(&supervisor(), &options(), command, directives, || {}).await;
    std::fs::write(dir.join("told"), format!("{:?}", exit.why)).unwrap();
}

const HANGS: &str = "echo $$ > main\nexec sleep 600\n";

#[tokio::test]
async fn a_killed_worker_takes_its_commands_along() {
    // The second action has stopped its guard, the third one the supervisor as well.
    for attack in ["", "kill -STOP $PPID\n", "kill -STOP $(awk '{print $4}' /proc/$PPID/stat) $PPID\n"] {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "daemons.sh", &format!("{DAEMONS}{attack}{HANGS}"));
        let mut worker = worker_process(dir.path(), 60_000);
        let main = pid_in(&dir.path().join("main")).await;
        worker.kill().unwrap();
        worker.wait().unwrap();
        for pid in [main, pid_in(&dir.path().join("stubborn")).await, pid_in(&dir.path().join("twice")).await] {
            await_death(pid).await;
        }
    }
}

#[tokio::test]
async fn the_lease_of_a_stopped_guard_holds_while_its_worker_is_stopped() {
    use nix::sys::signal::{Signal, kill};
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "daemons.sh", &format!("{DAEMONS}echo $PPID > guard\n{HANGS}"));
    let mut worker = worker_process(dir.path(), 3_000);
    let main = pid_in(&dir.path().join("main")).await;
    let guard = pid_in(&dir.path().join("guard")).await;
    for pid in [worker.id() as i32, guard] {
        kill(nix::unistd::Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    }
    for pid in [main, pid_in(&dir.path().join("stubborn")).await, pid_in(&dir.path().join("twice")).await] {
        await_death(pid).await;
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[tokio::test]
async fn a_stopped_worker_loses_its_commands_when_the_lease_passes() {
    use nix::sys::signal::{Signal, kill};
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "daemons.sh", &format!("{DAEMONS}{HANGS}"));
    let began = boot_ms();
    let mut worker = worker_process(dir.path(), 3_000);
    let main = pid_in(&dir.path().join("main")).await;
    kill(nix::unistd::Pid::from_raw(worker.id() as i32), Signal::SIGSTOP).unwrap();
    assert!(is_alive(main));
    for pid in [main, pid_in(&dir.path().join("stubborn")).await, pid_in(&dir.path().join("twice")).await] {
        await_death(pid).await;
    }
    let lasted_ms = boot_ms() - began;
    assert!(lasted_ms >= 3_000, "it died before its lease passed");
    // The worker's start is in it; what is far longer was not watched.
    assert!(lasted_ms < 6_000, "it died long after its lease passed: {lasted_ms} ms");
    kill(nix::unistd::Pid::from_raw(worker.id() as i32), Signal::SIGCONT).unwrap();
    worker.wait().unwrap();
    // What goes on behind that knows that it has lost.
    assert_eq!(std::fs::read_to_string(dir.path().join("told")).unwrap(), "LeaseLost");
}

/// Two milliseconds on an idle machine of 2026 with two cores, built for debugging; the bound leaves room for
/// one that is busy, and still tells a start that waits for something.
#[tokio::test]
async fn a_start_is_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let (mut times, supervisor) = (Vec::new(), supervisor());
    for _ in 0..30 {
        let began = Instant::now();
        let outcome = run_under(&supervisor, &options(), command(&["true"], dir.path())).await;
        times.push(began.elapsed());
        assert_eq!(outcome.return_code, Some(0));
    }
    times.sort_unstable();
    assert!(times[15] < Duration::from_millis(200), "{times:?}");
}
