//! Actions that start processes for as long as they may: they are held to the limit that they have, and end with all that
//! they started, whichever runner it was. That a container is held to its own limit is tried with a daemon.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/python.rs"]
mod python;

use std::os::unix::fs::PermissionsExt;

use actions::{alive_with, assert_gone};
use petrel_execution::worker::Why;
use petrel_executor::supervise::{Ability, LANDLOCK_SCOPES, landlock_abi};
use processes::{Bench, stdout};
use serde_json::{Value, json};

/// Each round doubles them, and the last ones are in sessions of their own; the depth bounds what a failure of this test
/// costs.
const DOUBLES: &str = "trap '' TERM; bomb() {\n[ $1 -ge 7 ] && exec setsid sleep 600\n\
    for i in 1 2; do bomb $(($1 + 1)) & done; wait\n}; bomb 0";
/// Starts one after the other, and says how many it has.
const STARTS: &str = "n=0; while [ $n -lt 500 ]; do sleep 600 & n=$((n + 1)); echo $n; done; echo all";

/// That text as an action of each runner that has processes and texts.
fn of_each_runner(bench: &Bench, text: &str) -> [(&'static str, Value); 3] {
    bench.file("bomb.sh", &format!("#!/bin/sh\n{text}\n"), 0o755);
    [
        ("command", json!({ "command": ["sh", "-c", text] })),
        ("shell", json!({ "script": text })),
        ("script", json!({ "file": "bomb.sh" })),
    ]
}

#[tokio::test]
async fn processes_that_double_end_with_their_attempt_in_every_runner() {
    let bench = Bench::new();
    for (runner, mut keys) in of_each_runner(&bench, DOUBLES) {
        let mark = format!("bomb-{runner}");
        keys["env"] = json!({ "MARK": mark });
        let mut attempt = Bench::attempt();
        attempt.timeout_ms = 500;
        let exit = bench.run_attempt(runner, keys, json!({}), attempt).await;
        assert_eq!(exit.why, Why::Timeout, "{runner} {exit:?}");
        assert_gone(&mark);
    }
    // The worker goes on.
    let exit = bench.run("command", json!({ "command": ["echo", "alive"] }), json!({})).await;
    assert_eq!(stdout(&exit), "alive\n");
}

/// Root is bound by no limit of a user's processes, but it may make another user of its actions.
#[tokio::test]
async fn no_more_processes_are_started_than_an_action_may_have() {
    if !Ability::look().is_root {
        return;
    }
    let bench = Bench::new();
    std::fs::set_permissions(bench.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    for (runner, mut keys) in of_each_runner(&bench, STARTS) {
        let mark = format!("limited-{runner}");
        keys["env"] = json!({ "MARK": mark });
        (keys["user"], keys["limits"]) = ("nobody".into(), json!({ "processes_max": 60 }));
        let exit = bench.run(runner, keys, json!({})).await;
        assert_eq!(exit.why, Why::Exited, "{runner} {exit:?}");
        assert_ne!(exit.return_code, Some(0), "{runner} {exit:?}");
        let started: u32 = stdout(&exit).lines().last().unwrap().parse().unwrap();
        assert!((1..60).contains(&started), "{runner} started {started}");
        assert!(String::from_utf8_lossy(&exit.stderr.bytes).contains("ork"), "{runner} {exit:?}");
        assert_gone(&mark);
    }
}

const CODE: &str = r#"
import os, signal, time

def is_fork(): return b"zygote" in open("/proc/self/cmdline", "rb").read().split(b"\0")

def doubles():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(6):
        if os.fork() == 0:
            os.setsid()
    time.sleep(600)
"#;

async fn python_bomb(mut bench: python::Bench, mark: &str) {
    let keys = |function: &str| json!({ "function": function, "env": { "MARK": mark } });
    // What is there behind it was there before: a zygote, where it is kept imported.
    let before = alive_with(mark);
    bench.attempt.timeout_ms = 1_500;
    let exit = bench.run(keys("doubles"), json!({})).await;
    assert_eq!(exit.why, Why::Timeout, "{exit:?}");
    assert_eq!(alive_with(mark), before, "{mark}");
    bench.attempt.timeout_ms = 30_000;
    let exit = bench.run(keys("is_fork"), json!({})).await;
    assert_eq!(python::returned(&exit), json!(!before.is_empty()));
}

#[tokio::test]
async fn python_code_that_doubles_ends_with_its_attempt() {
    python_bomb(python::Bench::new(CODE), "bomb-cold").await;
}

#[tokio::test]
async fn a_fork_of_a_zygote_that_doubles_ends_with_its_attempt_and_the_zygote_stays() {
    let (bench, mark) = (python::Bench::warm(CODE, |_| {}), "bomb-warm");
    if landlock_abi() < LANDLOCK_SCOPES {
        return;
    }
    let is_kept = async {
        loop {
            let exit = bench.run(json!({ "function": "is_fork", "env": { "MARK": mark } }), json!({})).await;
            if python::returned(&exit) == json!(true) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(180), is_kept).await.expect("its file is kept imported");
    python_bomb(bench, mark).await;
}
