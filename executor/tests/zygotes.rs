//! The runner `python` with code that is kept imported: each call is a fork, and no call reaches another one or what
//! watches over it.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

#[path = "support/actions.rs"]
mod actions;
#[path = "support/python.rs"]
mod python;

use std::time::{Duration, Instant};

use actions::{CANCEL, LIMIT, alive_with, assert_gone, await_death, holding, parent_of, pid_in};
use petrel_execution::code;
use petrel_execution::worker::Why;
use petrel_executor::supervise::{LANDLOCK_SCOPES, landlock_abi};
use python::{Bench, failure, returned};
use serde_json::{Value, json};
use tokio::sync::watch;

const CODE: &str = r#"
import ctypes, os, sys, threading, time

count = 0

def is_fork(): return b"zygote" in open("/proc/self/cmdline", "rb").read().split(b"\0")

def counts():
    global count
    count += 1
    seen = [count, os.getcwd() == "/", os.environ.get("SECOND"), hasattr(sys, "left")]
    os.chdir("/")
    os.environ["SECOND"] = "left"
    sys.left = True
    return seen

def given(**parameters): return [parameters, os.environ.get("GIVEN"), sys.stdin.read(), os.getpid() == os.getsid(0)]
def crashes(): ctypes.string_at(0)
def leaves(): sys.exit(3)
def goes(): os._exit(4)
def raises(): raise ValueError("no")
def leaks():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "returned"

def parent(pid): return int(open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[1])

def over():
    pids = [os.getppid()]
    while len(pids) < 4: pids.append(parent(pids[-1]))
    return pids

def attacks(sibling):
    got = []
    for pid in over() + [sibling]:
        for what in (
            lambda: os.kill(pid, 0),
            lambda: open("/proc/%d/mem" % pid, "rb").read(1),
            lambda: os.readlink("/proc/%d/fd/0" % pid),
            lambda: os.sched_setaffinity(pid, {0}),
        ):
            try:
                what()
                got.append(pid)
            except (PermissionError, ProcessLookupError):
                pass
    return got

def descriptors():
    kinds = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            kinds += [os.readlink("/proc/self/fd/" + fd).split(":")[0]] if int(fd) < 64 else []
        except FileNotFoundError:
            pass  # that of the list itself
    return kinds

def daemon(folder):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open(folder + "/daemon", "w").write(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not os.path.exists(folder + "/daemon"): time.sleep(0.01)
    return "left"

def waits(folder, name):
    open(folder + "/" + name, "w").write(str(os.getpid()))
    if name == "stubborn":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while not os.path.exists(folder + "/go"): time.sleep(0.01)
    return name
"#;

/// The action, marked by a variable that its zygote has.
fn keys(function: &str, mark: &str) -> Value {
    json!({ "function": function, "env": { "MARK": mark, "GIVEN": "${parameters.given}" } })
}

async fn call(bench: &Bench, function: &str, mark: &str, parameters: Value) -> petrel_execution::worker::Exit {
    let mut all = parameters;
    all["given"] = "it".into();
    let mut call = bench.call(keys(function, mark), all);
    if function != "given" {
        call.parameters.as_object_mut().unwrap().remove("given");
    }
    let (_director, held) = watch::channel(holding(60_000));
    bench.run_call(call, held, || {}).await
}

/// Calls until a call is a fork. Where the kernel cannot keep forks from each other, there are none.
async fn warm(bench: &Bench, mark: &str) -> bool {
    let end = Instant::now() + LIMIT;
    while returned(&call(bench, "is_fork", mark, json!({})).await) != json!(true) {
        if landlock_abi() < LANDLOCK_SCOPES {
            return false;
        }
        assert!(Instant::now() < end, "no call is ever a fork");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test]
async fn what_a_call_leaves_or_does_to_itself_touches_no_other() {
    let bench = Bench::warm(CODE, |_| {});
    assert!(warm(&bench, "zy-touch").await || landlock_abi() < LANDLOCK_SCOPES);
    let fresh = json!([1, false, null, false]);
    for _ in 0..3 {
        assert_eq!(returned(&call(&bench, "counts", "zy-touch", json!({})).await), fresh);
    }
    let exit = call(&bench, "given", "zy-touch", json!({ "x": "$(a)\0'" })).await;
    assert_eq!(returned(&exit), json!([{ "x": "$(a)\0'", "given": "it" }, "it", "", true]));
    let exit = call(&bench, "crashes", "zy-touch", json!({})).await;
    assert_eq!(failure(&exit), (code::SIGNAL, "ended by signal 11".to_owned()));
    let exit = call(&bench, "leaves", "zy-touch", json!({})).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(3)));
    let exit = call(&bench, "goes", "zy-touch", json!({})).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(4)));
    let exit = call(&bench, "raises", "zy-touch", json!({})).await;
    assert_eq!(failure(&exit), (code::EXCEPTION, "ValueError: no".to_owned()));
    assert_eq!(returned(&call(&bench, "leaks", "zy-touch", json!({})).await), json!("returned"));
    assert_eq!(returned(&call(&bench, "counts", "zy-touch", json!({})).await), fresh);
    // The zygote is the same all along: nobody had to be called without it.
    assert_eq!(returned(&call(&bench, "is_fork", "zy-touch", json!({})).await), json!(true));
}

#[tokio::test]
async fn a_fork_reaches_neither_another_one_nor_what_watches_over_it() {
    let bench = Bench::warm(CODE, |_| {});
    if !warm(&bench, "zy-attack").await {
        return;
    }
    let folder = bench.dir.path().to_str().unwrap();
    let waiting = call(&bench, "waits", "zy-attack", json!({ "folder": folder, "name": "sibling" }));
    let attacking = async {
        let sibling = pid_in(&bench.dir.path().join("sibling")).await;
        let exit = call(&bench, "attacks", "zy-attack", json!({ "sibling": sibling })).await;
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
        exit
    };
    let (waited, attacked) = tokio::join!(waiting, attacking);
    assert_eq!((returned(&waited), returned(&attacked)), (json!("sibling"), json!([])));
    // Nothing but the standard streams: not the way to the zygote, and no result of another call.
    let exit = call(&bench, "descriptors", "zy-attack", json!({})).await;
    let descriptors = returned(&exit);
    let sockets = descriptors.as_array().unwrap().iter().filter(|kind| *kind == "socket").count();
    let pipes = descriptors.as_array().unwrap().iter().filter(|kind| *kind == "pipe").count();
    assert_eq!((sockets, pipes), (0, 2), "{descriptors}");
}

#[tokio::test]
async fn a_fork_is_ended_with_all_that_it_has_and_no_other_one_with_it() {
    let mut bench = Bench::warm(CODE, |_| {});
    if !warm(&bench, "zy-ends").await {
        return;
    }
    let folder = bench.dir.path().to_str().unwrap().to_owned();
    let waits = |name: &str| json!({ "folder": folder, "name": name });
    bench.attempt.timeout_ms = 30_000;
    let stays = call(&bench, "waits", "zy-ends", waits("stays"));
    let others = async {
        let stays = pid_in(&bench.dir.path().join("stays")).await;
        let exit = call(&bench, "daemon", "zy-ends", json!({ "folder": folder })).await;
        assert_eq!(returned(&exit), json!("left"));
        let daemon = pid_in(&bench.dir.path().join("daemon")).await;
        assert!(!actions::is_alive(daemon), "a daemon outlives its call");
        let (director, held) = watch::channel(holding(60_000));
        let parameters = waits("stubborn");
        let mut stubborn = bench.call(keys("waits", "zy-ends"), json!({ "given": "it" }));
        stubborn.parameters = parameters;
        let run = bench.run_call(stubborn, held, || {});
        let cancel = async {
            let pid = pid_in(&bench.dir.path().join("stubborn")).await;
            director.send_modify(|held| held.order(CANCEL));
            pid
        };
        let (exit, pid) = tokio::join!(run, cancel);
        assert_eq!(exit.why, Why::Stopped, "{exit:?}");
        assert!(!actions::is_alive(pid));
        // Nobody extends its lease: its worker is stopped.
        let (_director, held) = watch::channel(holding(1_500));
        let mut leased = bench.call(keys("waits", "zy-ends"), json!({ "given": "it" }));
        leased.parameters = waits("leased");
        let exit = bench.run_call(leased, held, || {}).await;
        assert_eq!(exit.why, Why::LeaseLost, "{exit:?}");
        assert!(!actions::is_alive(pid_in(&bench.dir.path().join("leased")).await));
        assert!(actions::is_alive(stays));
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
    };
    let (exit, ()) = tokio::join!(stays, others);
    assert_eq!(returned(&exit), json!("stays"));
    std::fs::remove_file(bench.dir.path().join("go")).unwrap();
    bench.attempt.timeout_ms = 500;
    let exit = call(&bench, "waits", "zy-ends", waits("late")).await;
    assert_eq!(exit.why, Why::Timeout, "{exit:?}");
    assert!(!actions::is_alive(pid_in(&bench.dir.path().join("late")).await));
    bench.attempt.timeout_ms = 30_000;
    assert_eq!(returned(&call(&bench, "is_fork", "zy-ends", json!({})).await), json!(true));
}

#[tokio::test]
async fn many_calls_at_once_are_forks_of_one_zygote() {
    let bench = Bench::warm(CODE, |_| {});
    if !warm(&bench, "zy-many").await {
        return;
    }
    let folder = bench.dir.path().to_str().unwrap();
    let waits = |name: &'static str| call(&bench, "waits", "zy-many", json!({ "folder": folder, "name": name }));
    let go = async {
        let mut zygotes = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let pid = pid_in(&bench.dir.path().join(name)).await;
            zygotes.push(parent_of(parent_of(pid)));
        }
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
        zygotes
    };
    let (a, b, c, d, zygotes) = tokio::join!(waits("a"), waits("b"), waits("c"), waits("d"), go);
    assert_eq!([a, b, c, d].each_ref().map(returned), ["a", "b", "c", "d"].map(|name| json!(name)));
    assert!(zygotes.iter().all(|zygote| *zygote == zygotes[0]), "{zygotes:?}");
}

#[tokio::test]
async fn a_zygote_ends_when_it_is_idle_or_its_worker_is_gone() {
    let bench = Bench::warm(CODE, |options| options.idle_ms = 1_000);
    if !warm(&bench, "zy-idle").await {
        return;
    }
    let end = Instant::now() + LIMIT;
    while !alive_with("zy-idle").is_empty() {
        assert!(Instant::now() < end, "{:?}", alive_with("zy-idle"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // And the next call is made without it.
    assert_eq!(returned(&call(&bench, "is_fork", "zy-idle", json!({})).await), json!(false));

    let bench = Bench::warm(CODE, |_| {});
    warm(&bench, "zy-gone").await;
    let folder = bench.dir.path().to_str().unwrap();
    let mut running = Box::pin(call(&bench, "waits", "zy-gone", json!({ "folder": folder, "name": "runs" })));
    let path = bench.dir.path().join("runs");
    let pid = tokio::select! {
        exit = &mut running => panic!("it ended: {exit:?}"),
        pid = pid_in(&path) => pid,
    };
    let supervisor = bench.supervisor.process().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    drop(running);
    await_death(pid).await;
    drop(bench);
    await_death(supervisor).await;
    assert_gone("zy-gone");
}

#[tokio::test]
async fn the_zygote_goes_that_was_not_called_for_longest() {
    // One that was called a moment ago is not ended for another one's sake.
    let bench = Bench::warm(CODE, |options| {
        options.zygotes_max = 1;
        options.idle_ms = 30_000;
    });
    if !warm(&bench, "zy-first").await {
        return;
    }
    assert!(warm(&bench, "zy-second").await);
    let end = Instant::now() + LIMIT;
    while !alive_with("zy-first").is_empty() {
        assert!(Instant::now() < end, "{:?}", alive_with("zy-first"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!alive_with("zy-second").is_empty());
}

#[tokio::test]
async fn a_killed_zygote_or_keeper_is_noticed_and_the_next_call_runs() {
    let bench = Bench::warm(CODE, |_| {});
    if !warm(&bench, "zy-kill").await {
        return;
    }
    let folder = bench.dir.path().to_str().unwrap();
    let kill = |pid: i32| {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    let running = call(&bench, "waits", "zy-kill", json!({ "folder": folder, "name": "kept" }));
    let (exit, pid) = tokio::join!(running, async {
        let pid = pid_in(&bench.dir.path().join("kept")).await;
        kill(parent_of(pid));
        pid
    });
    assert_eq!(exit.why, Why::Unknown, "{exit:?}");
    assert!(!actions::is_alive(pid));
    // An attempt goes on without its zygote.
    assert!(warm(&bench, "zy-kill").await);
    let running = call(&bench, "waits", "zy-kill", json!({ "folder": folder, "name": "orphan" }));
    let (exit, ()) = tokio::join!(running, async {
        let pid = pid_in(&bench.dir.path().join("orphan")).await;
        kill(parent_of(parent_of(pid)));
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
    });
    assert_eq!(returned(&exit), json!("orphan"));
    assert!(warm(&bench, "zy-kill").await);
}

/// A process that calls a fork as a worker does: this very program, executed again.
fn worker_process(folder: &std::path::Path, mark: &str, lease_ms: u64) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["worker_role", "--exact", "--nocapture"])
        .env("ZYGOTE_TEST_FOLDER", folder)
        .env("ZYGOTE_TEST_MARK", mark)
        .env("ZYGOTE_TEST_LEASE_MS", lease_ms.to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless a test below starts it.
#[tokio::test]
async fn worker_role() {
    let Ok(folder) = std::env::var("ZYGOTE_TEST_FOLDER") else { return };
    let value = |name: &str| std::env::var(name).unwrap();
    let (bench, mark) = (Bench::warm(CODE, |_| {}), value("ZYGOTE_TEST_MARK"));
    warm(&bench, &mark).await;
    let mut stubborn = bench.call(keys("waits", &mark), json!({ "given": "it" }));
    stubborn.parameters = json!({ "folder": folder, "name": "stubborn" });
    let (_director, held) = watch::channel(holding(value("ZYGOTE_TEST_LEASE_MS").parse().unwrap()));
    let exit = bench.run_call(stubborn, held, || {}).await;
    std::fs::write(format!("{folder}/told"), format!("{:?}", exit.why)).unwrap();
}

#[tokio::test]
async fn a_killed_worker_takes_its_forks_and_zygotes_along() {
    if landlock_abi() < LANDLOCK_SCOPES {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker_process(folder.path(), "zy-worker-killed", 60_000);
    let fork = pid_in(&folder.path().join("stubborn")).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    await_death(fork).await;
    let end = Instant::now() + LIMIT;
    while !alive_with("zy-worker-killed").is_empty() {
        assert!(Instant::now() < end, "{:?}", alive_with("zy-worker-killed"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!folder.path().join("told").exists());
}

#[tokio::test]
async fn a_stopped_worker_loses_its_fork_when_the_lease_passes() {
    use nix::sys::signal::{Signal, kill};
    if landlock_abi() < LANDLOCK_SCOPES {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker_process(folder.path(), "zy-worker-stopped", 3_000);
    let fork = pid_in(&folder.path().join("stubborn")).await;
    let began = Instant::now();
    let pid = nix::unistd::Pid::from_raw(worker.id() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    assert!(actions::is_alive(fork));
    await_death(fork).await;
    let lasted = began.elapsed();
    assert!(lasted < Duration::from_secs(6), "it died long after its lease passed: {lasted:?}");
    kill(pid, Signal::SIGCONT).unwrap();
    worker.wait().unwrap();
    // What goes on behind that knows that it has lost.
    assert_eq!(std::fs::read_to_string(folder.path().join("told")).unwrap(), "LeaseLost");
    assert_gone("zy-worker-stopped");
}

const IMPORTED: &str = r#"
import os, tempfile

# As libraries do that bring threads of their own.
real_fork, real_waitpid = os.fork, os.waitpid
os.fork = os.waitpid = None

FOLDER = tempfile.TemporaryDirectory()
with open(os.path.dirname(__file__) + "/imported", "a") as file:
    file.write("x")

def is_fork(): return b"zygote" in open("/proc/self/cmdline", "rb").read().split(b"\0")
def there(): return os.path.exists(FOLDER.name)
def waits(folder, name):
    open(folder + "/" + name, "w").write(str(os.getpid()))
    import time
    while not os.path.exists(folder + "/go"): time.sleep(0.01)
"#;

#[tokio::test]
async fn what_is_called_once_is_imported_once_and_a_fork_ends_nothing_of_its_zygote() {
    let bench = Bench::warm(IMPORTED, |_| {});
    let imported = || std::fs::read_to_string(bench.pack().join("actions/imported")).unwrap();
    call(&bench, "is_fork", "zy-once", json!({})).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(imported(), "x");
    if !warm(&bench, "zy-once").await {
        return;
    }
    // Of what the file has registered for its end, nothing is done by a call.
    for _ in 0..3 {
        assert_eq!(returned(&call(&bench, "there", "zy-once", json!({})).await), json!(true));
    }
    assert_eq!(returned(&call(&bench, "is_fork", "zy-once", json!({})).await), json!(true));
}

#[tokio::test]
async fn a_zygote_that_does_not_fork_is_waited_for_once() {
    let bench = Bench::warm(CODE, |_| {});
    if !warm(&bench, "zy-stop").await {
        return;
    }
    let folder = bench.dir.path().to_str().unwrap();
    let waits = call(&bench, "waits", "zy-stop", json!({ "folder": folder, "name": "runs" }));
    let stops = async {
        let zygote = parent_of(parent_of(pid_in(&bench.dir.path().join("runs")).await));
        let pid = nix::unistd::Pid::from_raw(zygote);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
        zygote
    };
    let (exit, zygote) = tokio::join!(waits, stops);
    assert_eq!(returned(&exit), json!("runs"));
    // One call has waited for it, and is made without it; so are the next, at once.
    assert_eq!(returned(&call(&bench, "is_fork", "zy-stop", json!({})).await), json!(false));
    let began = Instant::now();
    assert_eq!(returned(&call(&bench, "is_fork", "zy-stop", json!({})).await), json!(false));
    assert!(began.elapsed() < Duration::from_millis(4_500), "{:?}", began.elapsed());
    await_death(zygote).await;
}
