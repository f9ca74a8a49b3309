//! Containers of a real Docker daemon when what should end them is killed or stopped.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/containers.rs"]
mod containers;
#[path = "support/docker.rs"]
mod docker;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_execution::worker::Why;
use petrel_executor::supervise::boot_ms;
use serde_json::{Value, json};
use tokio::sync::watch;

use actions::{alive_with, assert_gone, holding, parent_of};
use containers::Bench;
use docker::{Docker, IMAGE};

const FOLDER: &str = "CONTAINER_TEST_FOLDER";
const SOCKET: &str = "CONTAINER_TEST_SOCKET";
const EXECUTION: &str = "CONTAINER_TEST_EXECUTION";
const LEASE_MS: &str = "CONTAINER_TEST_LEASE_MS";

fn hangs(mark: &str) -> Value {
    json!({"image": IMAGE, "pull": "never", "command": ["sh", "-c", "trap '' TERM; sleep 600 & sleep 600; sleep 600"],
           "env": {"MARK": mark}})
}

/// A process that runs a container as a worker does: this very program, executed again.
fn worker_process(dir: &Path, docker: &Docker, execution: &str, lease_ms: u64) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["worker_role", "--exact", "--nocapture"])
        .env(FOLDER, dir)
        .env(SOCKET, &docker.socket)
        .env(EXECUTION, execution)
        .env(LEASE_MS, lease_ms.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless a test below starts it.
#[tokio::test]
async fn worker_role() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let value = |name: &str| std::env::var(name).unwrap();
    let dir = PathBuf::from(dir);
    let bench = Bench::new(&dir, Path::new(&value(SOCKET)), &value(EXECUTION));
    let (_director, held) = watch::channel(holding(value(LEASE_MS).parse().unwrap()));
    let exit = bench.held(hangs(&value(EXECUTION)), json!({}), held).await;
    std::fs::write(dir.join("told"), format!("{:?}", exit.why)).unwrap();
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(actions::LIMIT, waits).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

async fn runs(execution: &str) {
    eventually("the container runs", || alive_with(execution).len() >= 2).await;
}

async fn is_gone(docker: &Docker, execution: &str) {
    eventually("the container is gone", || alive_with(execution).is_empty()).await;
    eventually("the container is removed", || docker.containers_of(execution) == 0).await;
}

/// The holder of the only container of a worker, by the argument that makes it one.
fn holder_under(worker: i32) -> i32 {
    let pids =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_below = |mut pid: i32| {
        while pid > 1 {
            if pid == worker {
                return true;
            }
            pid = parent_of(pid);
        }
        false
    };
    let mut holders = pids.filter(|pid: &i32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.ends_with(b"\0container\0") && is_below(*pid)
    });
    holders.next().expect("there is a holder")
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test]
async fn a_killed_worker_takes_its_container_along() {
    let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
    let mut worker = worker_process(dir.path(), &docker, "k-worker", 60_000);
    runs("k-worker").await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    is_gone(&docker, "k-worker").await;
}

#[tokio::test]
async fn a_stopped_worker_loses_its_container_before_its_lease_passes() {
    let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
    let began_ms = boot_ms();
    let mut worker = worker_process(dir.path(), &docker, "k-stopped", 8_000);
    runs("k-stopped").await;
    signal(worker.id() as i32, Signal::SIGSTOP);
    is_gone(&docker, "k-stopped").await;
    let lasted_ms = boot_ms() - began_ms;
    assert!(lasted_ms >= 7_000, "it was ended before its lease passed: {lasted_ms} ms");
    // The worker's start is in it; what is far longer was not watched.
    assert!(lasted_ms < 11_000, "it was ended long after its lease passed: {lasted_ms} ms");
    signal(worker.id() as i32, Signal::SIGCONT);
    worker.wait().unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("told")).unwrap(), "LeaseLost");
}

#[tokio::test]
async fn a_killed_holder_or_guard_or_supervisor_takes_its_container_along() {
    for (execution, generation) in [("k-holder", 0), ("k-guard", 1), ("k-supervisor", 2)] {
        let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
        let mut worker = worker_process(dir.path(), &docker, execution, 60_000);
        runs(execution).await;
        let mut pid = holder_under(worker.id() as i32);
        for _ in 0..generation {
            pid = parent_of(pid);
        }
        signal(pid, Signal::SIGKILL);
        worker.wait().unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("told")).unwrap(), "Unknown", "{execution}");
        // Before the worker reported.
        assert_gone(execution);
        assert_eq!(docker.containers_of(execution), 0, "{execution}");
    }
}

/// Kills a worker with everything that watches for it, so that nobody ends its container.
async fn abandoned(docker: &Docker, dir: &Path, execution: &str) {
    let mut worker = worker_process(dir, docker, execution, 60_000);
    runs(execution).await;
    let holder = holder_under(worker.id() as i32);
    let guard = parent_of(holder);
    let all = [parent_of(guard), guard, holder, worker.id() as i32];
    for pid in all {
        signal(pid, Signal::SIGSTOP);
    }
    for pid in all {
        signal(pid, Signal::SIGKILL);
    }
    worker.wait().unwrap();
    assert_eq!(docker.running(execution).len(), 1);
}

#[tokio::test]
async fn the_next_attempt_ends_what_nobody_could() {
    let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
    abandoned(&docker, &dir.path().join("first"), "k-next").await;
    let mut next = Bench::new(&dir.path().join("second"), &docker.socket, "k-next");
    (next.attempt.attempt, next.attempt.token) = (2, 2);
    let mut keys = hangs("k-next-second");
    keys["command"] = json!(["true"]);
    let exit = next.run(keys.clone(), json!({})).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)), "{exit:?}");
    assert_gone("k-next");
    assert_eq!(docker.containers_of("k-next"), 0);
    // Beside a later one, nothing is begun.
    abandoned(&docker, &dir.path().join("third"), "k-later").await;
    let mut late = Bench::new(&dir.path().join("fourth"), &docker.socket, "k-later");
    late.attempt.token = 0;
    let exit = late.run(keys, json!({})).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert_eq!(docker.running("k-later").len(), 1);
    docker.ask(&["rm", "--force", &docker.running("k-later")[0]]);
}

#[tokio::test]
async fn a_worker_that_starts_ends_what_its_earlier_life_left_and_nothing_else() {
    let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
    abandoned(&docker, &dir.path().join("dead"), "k-dead").await;
    let alive = dir.path().join("alive");
    let mut lives = worker_process(&alive, &docker, "k-lives", 60_000);
    runs("k-lives").await;
    let bench = Bench::new(&dir.path().join("new"), &docker.socket, "k-new");
    bench.daemon.end_left(&bench.attempt.worker);
    is_gone(&docker, "k-dead").await;
    assert_eq!(docker.running("k-lives").len(), 1);
    lives.kill().unwrap();
    lives.wait().unwrap();
    is_gone(&docker, "k-lives").await;
}
