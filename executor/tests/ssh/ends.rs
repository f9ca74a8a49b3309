//! Whatever ends an attempt: nothing runs on at the hosts.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use petrel_execution::Delivery;
use petrel_execution::worker::Why;
use petrel_executor::supervise::boot_ms;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::asking::{Asking, CANCEL, eventually, holding};
use crate::sshd::{Servers, kill, marked};

/// Runs until it is ended; a second process of it is in a session of its own, and is there once it has said so.
const LONG: &str = "echo begun; setsid sleep 300 & sleep 300";

fn long(servers: &Servers, script: &str) -> Value {
    json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["sh", "-c", script] })
}

#[tokio::test]
async fn a_cancel_and_a_time_out_end_it_everywhere() {
    let servers = Servers::start(2);
    for is_canceled in [true, false] {
        let asking = Asking { timeout_ms: if is_canceled { 60_000 } else { 1_500 }, ..Asking::new() };
        let (director, held) = watch::channel(holding(60_000));
        let ending = asking.ask_held(long(&servers, LONG), held);
        let cancel = async {
            asking.until_running(4).await;
            if is_canceled {
                director.send_modify(|h| h.order(CANCEL));
            }
        };
        let (exit, ()) = tokio::join!(ending, cancel);
        // It is over when it is told that it is.
        assert_eq!(asking.left(), [0; 0]);
        assert_eq!(exit.why, if is_canceled { Why::Stopped } else { Why::Timeout });
        let told = exit.result.as_ref().unwrap();
        for name in servers.names() {
            assert_eq!((&told[&name]["begun"], &told[&name]["stdout"]), (&json!(true), &json!("begun\n")), "{told}");
            assert!(told[&name]["error"].as_str().unwrap().ends_with("it had begun, and has ended"), "{told}");
            let line = format!("petrel: {name}: ");
            assert!(String::from_utf8_lossy(&exit.stderr.bytes).contains(&line), "{exit:?}");
        }
    }
}

#[tokio::test]
async fn it_may_end_by_itself_before_it_is_killed() {
    let servers = Servers::start(1);
    let asking = Asking { timeout_ms: 1_000, ..Asking::new() };
    let exit = asking.ask(long(&servers, "trap 'echo bye; exit 5' TERM; while :; do sleep 0.1; done")).await;
    assert_eq!((exit.why, &*exit.stdout.bytes), (Why::Timeout, &b"bye\n"[..]));
    // What does not listen has a second for it.
    let began = Instant::now();
    let exit = asking.ask(long(&servers, "trap 'echo no' TERM; while :; do sleep 0.1; done")).await;
    assert_eq!((exit.why, &*exit.stdout.bytes), (Why::Timeout, &b"no\n"[..]));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(asking.left(), [0; 0]);
}

#[tokio::test]
async fn one_host_may_not_take_longer_than_one_may() {
    let servers = Servers::start(2);
    let asking = Asking::new();
    let slow = format!("[ \"$${{SSH_CONNECTION##* }}\" != {} ] || sleep 300", servers.hosts[0].port);
    let mut keys = long(&servers, &slow);
    keys["ssh"]["host_timeout"] = "1500ms".into();
    keys["fail_at"] = "all".into();
    let exit = asking.ask(keys).await;
    let told = exit.result.as_ref().unwrap();
    assert_eq!(exit.why, Why::Succeeded, "{told}");
    let codes = servers.names().iter().map(|name| told[name]["code"].clone()).collect::<Vec<_>>();
    assert_eq!(codes, [json!("host_timeout"), json!(null)]);
    assert_eq!(asking.left(), [0; 0]);
}

#[tokio::test]
async fn a_lease_that_passes_ends_it_and_one_that_is_renewed_does_not() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let (director, held) = watch::channel(holding(4_000));
    let lease_end = Instant::now() + Duration::from_secs(4);
    let exit = asking.ask_held(long(&servers, LONG), held).await;
    assert_eq!(exit.why, Why::LeaseLost);
    eventually("it has ended", || asking.left().is_empty()).await;
    assert!(Instant::now() < lease_end + Duration::from_millis(500), "the host ended it by itself");
    drop(director);
    // For longer than the first lease.
    let (director, held) = watch::channel(holding(4_000));
    let renew = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            director.send_modify(|h| *h = holding(4_000));
        }
    };
    let (exit, ()) = tokio::join!(asking.ask_held(long(&servers, "sleep 7; echo whole"), held), renew);
    assert_eq!((exit.why, &*exit.stdout.bytes), (Why::Succeeded, &b"whole\n"[..]));
}

#[tokio::test]
async fn what_is_dropped_ends_at_the_hosts() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let (_director, held) = watch::channel(holding(60_000));
    let running = asking.ask_held(long(&servers, LONG), held);
    tokio::select! {
        exit = running => panic!("{exit:?}"),
        () = asking.until_running(2) => {}
    }
    eventually("it has ended", || asking.left().is_empty()).await;
}

/// A host of which nothing is known is told as one where it may have run, and no worker does it twice.
#[tokio::test]
async fn a_connection_that_is_cut_leaves_it_unknown_and_nothing_running() {
    let mut servers = Servers::start(1);
    let asking = Asking { delivery: Delivery::AtMostOnce, ..Asking::new() };
    let (_director, held) = watch::channel(holding(60_000));
    let keys = long(&servers, "sleep 300");
    let running = asking.ask_held(keys, held);
    let mut host = servers.hosts.remove(0);
    let cut = async {
        asking.until_running(1).await;
        let sessions: Vec<u32> = crate::sshd::tree(host.pid()).into_iter().skip(1).take(1).collect();
        sessions.into_iter().for_each(|pid| kill("-KILL", pid));
    };
    let (exit, ()) = tokio::join!(running, cut);
    let told = &exit.result.as_ref().unwrap()[host.name()];
    assert_eq!((&told["code"], &told["begun"]), (&json!("unknown"), &json!(true)), "{told}");
    assert_eq!(exit.why, Why::Failed { code: "ssh_hosts", retriable: false });
    eventually("it has ended", || asking.left().is_empty()).await;
    host.stop();
}

/// Nothing begins, and nothing is written, that is let go too late: the host looks at its own clock.
#[tokio::test]
async fn a_host_does_not_begin_after_the_lease() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    // Less than a second is left of it: no whole one to begin in.
    let (_director, held) = watch::channel(holding(900));
    let exit = asking.ask_held(long(&servers, "echo never"), held).await;
    let told = &exit.result.as_ref().unwrap()[servers.hosts[0].name()];
    assert_eq!((&told["code"], &told["stdout"]), (&json!("lease_lost"), &json!("")), "{told}");
    assert_eq!(asking.left(), [0; 0]);
}

/// A process that runs a command as a worker does, with a lease that it renews for as long as it is not stopped.
struct Worker {
    process: Child,
    mark: String,
}

const WORKER: &str = "PETREL_TEST_SSH_WORKER";
/// The lease of such a worker, in milliseconds.
const LEASE_MS: u64 = 5_000;

impl Worker {
    fn start(servers: &Servers, name: &str) -> Self {
        let mark = format!("{}-{name}", std::process::id());
        let mut keys = long(servers, LONG);
        keys["env"] = json!({ "WORKER_MARK": mark });
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ends::as_a_worker_of_another_test", "--nocapture"])
            .env(WORKER, keys.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, mark }
    }

    fn at_hosts(&self) -> usize {
        marked(&format!("WORKER_MARK={}", self.mark)).len()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does nothing unless another test starts it as a process.
#[tokio::test]
async fn as_a_worker_of_another_test() {
    let Ok(keys) = std::env::var(WORKER) else { return };
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let (asking, call) = (Asking::new(), crate::asking::call(&keys));
    let (director, held) = watch::channel(holding(LEASE_MS));
    let renew = async {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (ended, deadline_ms) = (director.is_closed(), director.borrow().lease_deadline_ms());
            // As one does whose lease has passed: it does not come back.
            if ended || boot_ms() >= deadline_ms {
                std::future::pending::<()>().await;
            }
            director.send_modify(|h| *h = holding(LEASE_MS));
        }
    };
    tokio::select! {
        _ = asking.run(&call, None, held) => {}
        () = renew => {}
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_nothing_running() {
    let servers = Servers::start(2);
    let mut worker = Worker::start(&servers, "killed");
    eventually("it runs", || worker.at_hosts() >= 4).await;
    let killed = Instant::now();
    worker.process.kill().unwrap();
    eventually("it has ended", || worker.at_hosts() == 0).await;
    assert!(killed.elapsed() < Duration::from_millis(LEASE_MS), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_worker_that_is_stopped_has_nothing_running_when_its_lease_passes() {
    let servers = Servers::start(2);
    let worker = Worker::start(&servers, "stopped");
    eventually("it runs", || worker.at_hosts() >= 4).await;
    let stopped = Instant::now();
    kill("-STOP", worker.process.id());
    eventually("it has ended", || worker.at_hosts() == 0).await;
    assert!(stopped.elapsed() < Duration::from_millis(LEASE_MS + 500), "{:?}", stopped.elapsed());
    // What it does when it goes on: nothing.
    kill("-CONT", worker.process.id());
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(worker.at_hosts(), 0, "nothing begins again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
