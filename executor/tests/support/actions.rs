//! Actions with real processes: how tests start them, and what they look for afterwards.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]
// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use petrel_execution::runner::{Limits, May};
use petrel_execution::worker::{Exit, Holding, Remembered};
use petrel_executor::runner::{Command, RunnerOptions, run};
use petrel_executor::supervise::{Confinement, Supervisor, boot_ms};
use petrel_schemas::Task;
use tokio::sync::watch;

/// Nothing here takes that long unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(180);

/// A supervisor that is this crate's own program.
pub fn supervisor() -> Supervisor {
    Supervisor::new(options().supervisor)
}

pub fn options() -> RunnerOptions {
    RunnerOptions {
        supervisor: vec![env!("CARGO_BIN_EXE_petrel-supervise").into()],
        kill_grace_ms: 300,
        ..RunnerOptions::default()
    }
}

pub fn command(argv: &[&str], directory: &Path) -> Command {
    Command {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        directory: directory.to_owned(),
        environment: BTreeMap::new(),
        stdin: Vec::new(),
        user: None,
        timeout_ms: 20_000,
        may: May::default(),
        limits: Limits::default(),
        confinement: Confinement::default(),
    }
}

/// What the owner's lease lasts longer than the worker's is a tenth of it, in milliseconds.
const OWNERS_LEASE_MS: i64 = 3_000;

/// An attempt whose lease lasts from now for that long.
pub fn holding(lease_ms: u64) -> Holding {
    let task = Task {
        execution_id: "e".to_owned(),
        root_execution_id: "e".to_owned(),
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 20_000,
        lease_ms: OWNERS_LEASE_MS,
        ..Task::default()
    };
    let mut holding = Holding::new(&task, 0, Remembered::default());
    holding.acknowledged((boot_ms() + lease_ms).saturating_sub(holding.lease_deadline_ms()));
    holding
}

pub const CANCEL: Remembered = Remembered { cancel: true, grant: false };

/// Runs to the end with a lease that lasts.
pub async fn run_to_end(options: &RunnerOptions, command: Command) -> Exit {
    run_under(&supervisor(), options, command).await
}

/// The same under a supervisor that others use, too.
pub async fn run_under(supervisor: &Supervisor, options: &RunnerOptions, command: Command) -> Exit {
    let (_director, directives) = watch::channel(holding(60_000));
    tokio::time::timeout(LIMIT, run(supervisor, options, command, directives, || {})).await.expect("the command hangs")
}

/// Marks everything that a command starts, as long as it does not hide it.
pub fn marked(mut command: Command, mark: &str) -> Command {
    command.environment.insert("MARK".to_owned(), mark.to_owned());
    command
}

/// Live processes that carry the mark.
pub fn alive_with(mark: &str) -> Vec<i32> {
    let wanted = format!("MARK={mark}");
    let pids =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        // By each thread, for the first one may have ended before the others.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut environments = threads.filter_map(|thread| std::fs::read(thread.path().join("environ")).ok());
        environments.any(|e| e.split(|b| *b == 0).any(|variable| variable == wanted.as_bytes())) && is_alive(*pid)
    })
    .collect()
}

/// Nothing that carries the mark lives.
pub fn assert_gone(mark: &str) {
    let left = alive_with(mark);
    assert!(left.is_empty(), "of {mark}, these live: {left:?}");
}

/// The parent of a process.
pub fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Waits for the file to be there, and reads the process id in it.
pub async fn pid_in(path: &Path) -> i32 {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(pid) = std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse().ok()) {
            return pid;
        }
        assert!(Instant::now() < end, "{} never came", path.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether any of its threads lives.
pub fn is_alive(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let states = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().next().map(str::to_owned)
    });
    states.into_iter().any(|state| state != "Z" && state != "X")
}

pub async fn await_death(pid: i32) {
    let end = Instant::now() + LIMIT;
    while is_alive(pid) {
        assert!(Instant::now() < end, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
