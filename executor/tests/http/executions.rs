//! Executions whose actions are requests, from their owner to a server.

use petrel_execution::runner::SleepCall;
use petrel_execution::worker::Why;
use petrel_executor::runner::sleep;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

use crate::asking::{CANCEL, holding};
use crate::rig::{Rig, eventually};
use crate::server::{Reply, Server, json};

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_executions_are_told_in_their_history() {
    let server = Server::start(|seen, _| json(if seen.target == "/bad" { 500 } else { 200 }, "{\"ok\": true}")).await;
    let rig = Rig::new(30_000);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request("good", "demo.http", &server.url("/good"));
    rig.request("bad", "demo.http", &server.url("/bad"));
    rig.request("metadata", "demo.http", "http://169.254.169.254/latest/meta-data/");
    rig.until("good", "succeeded").await;
    let end = rig.history("good").pop().unwrap();
    let told: serde_json::Value = serde_json::from_str(end.result.as_deref().unwrap()).unwrap();
    assert_eq!((&told["status_code"], &told["body"]), (&json!(200), &json!({"ok": true})));
    rig.until("bad", "failed").await;
    let end = rig.history("bad").pop().unwrap();
    assert_eq!((end.code.as_deref(), end.result.is_some(), end.return_code), (Some("http_status"), true, None));
    rig.until("metadata", "failed").await;
    assert_eq!(rig.history("metadata").pop().unwrap().code.as_deref(), Some("address_refused"));
    // No pack is laid out for a request that needs no file.
    assert!(!rig.dir.path().join("packs/abc").exists());
    worker.shutdown().await;
}

/// The worker is cut off from the log: its request must be over before another one may begin.
#[tokio::test(flavor = "multi_thread")]
async fn requests_never_overlap_when_a_lease_is_lost() {
    let server = Server::start(|_, before| if before == 0 { Reply::Hang } else { json(200, "1") }).await;
    let rig = Rig::new(1_500);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request("cut", "demo.http", &server.url("/"));
    eventually("the first request is there", || server.seen().len() == 1).await;
    rig.line.is_cut.store(true, Ordering::Relaxed);
    eventually("it is over", || server.is_idle()).await;
    assert_eq!(server.seen().len(), 1, "it was over before the next one came");
    rig.line.is_cut.store(false, Ordering::Relaxed);
    rig.until("cut", "succeeded").await;
    assert_eq!(rig.statuses("cut"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    assert_eq!(server.seen().len(), 2);
    let keys: Vec<String> = server.seen().iter().map(|seen| seen.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys[0], keys[1], "both attempts are the same execution");
    worker.shutdown().await;
}

#[tokio::test]
async fn sleep_lasts_as_long_as_it_is_told_or_may() {
    let run = |duration_ms, timeout_ms, lease_ms| {
        let (director, held) = watch::channel(holding(lease_ms));
        let began = Instant::now();
        async move {
            let exit = sleep(SleepCall { duration_ms }, timeout_ms, held).await;
            drop(director);
            (exit.why, began.elapsed().as_millis() as u64)
        }
    };
    for (duration_ms, timeout_ms, lease_ms, why) in [
        (200, 60_000, 60_000, Why::Succeeded),
        (60_000, 200, 60_000, Why::Timeout),
        (60_000, 60_000, 200, Why::LeaseLost),
    ] {
        let (ended, took_ms) = run(duration_ms, timeout_ms, lease_ms).await;
        assert_eq!(ended, why);
        assert!((190..10_000).contains(&took_ms), "{took_ms} ms");
    }
    let (director, held) = watch::channel(holding(60_000));
    let sleeping = tokio::spawn(sleep(SleepCall { duration_ms: 60_000 }, 60_000, held));
    director.send_modify(|h| h.order(CANCEL));
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), sleeping).await.unwrap().unwrap().why, Why::Stopped);
}
