//! Owners and workers together, with real processes: every execution runs and ends as it should.

mod secrets;
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::json;
use support::rig::{Rig, eventually, execution, lines};

/// Requests at once, more than a worker has slots for.
const BURST: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_runs_once() {
    let rig = Rig::new(30_000);
    let log = rig.dir.path().join("log");
    let ids: BTreeSet<String> = (0..40).map(|n| format!("e{n}")).collect();
    for id in ids.iter().chain(ids.iter().take(5)) {
        let line = format!("echo $PETREL_EXECUTION_ID $PETREL_ACTION >> {}; echo out", log.display());
        rig.request(id, "demo.ok", &line);
    }
    let owner = rig.owner();
    let worker = rig.worker(4, 10_000);
    for id in &ids {
        rig.until(id, "succeeded").await;
        let history = rig.history(id);
        assert_eq!(rig.statuses(id), ["scheduled", "running", "succeeded"]);
        assert_eq!((history[2].return_code, history[2].worker.as_deref()), (Some(0), Some("i1")));
        assert_eq!(rig.output(id)[0].content, "out\n");
    }
    let ran: BTreeSet<String> = lines(&log).into_iter().collect();
    // How often a full worker declined one before is a matter of time.
    assert_eq!(ran, ids.iter().map(|id| format!("{} demo.ok", execution(id))).collect());
    assert_eq!(lines(&log).len(), ids.len());
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_and_its_output_are_told() {
    let rig = Rig::new(30_000);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request("bad", "demo.ok", "head -c 5000 /dev/zero | tr '\\0' x; printf '\\377' >&2; exit 3");
    rig.until("bad", "failed").await;
    let end = rig.history("bad").pop().unwrap();
    assert_eq!((end.return_code, end.code.as_deref()), (Some(3), Some("exit_code")));
    let output = rig.output("bad");
    assert_eq!((&*output[0].stream, output[0].content.len(), output[0].truncated), ("stdout", 512, true));
    assert_eq!((output[0].tail.len(), output[0].omitted_bytes), (512, 5_000 - 1_024));
    assert_eq!((&*output[1].stream, &*output[1].content, output[1].truncated), ("stderr", "\u{FFFD}", false));
    worker.shutdown().await;
}

/// In every runner that hands parameters to processes.
#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_a_parameter_fails_an_execution_before_anything_is_started() {
    let rig = Rig::with_secrets(30_000, vec![("demo.token", "Zq7kV+9xR2/mBwT"), ("demo.key", "4pLd-WsN8-yHc3-jGf6")]);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let ran = rig.dir.path().join("ran");
    let line = format!("touch {}; \0", ran.display());
    let argument = "argument 2 of the command holds a NUL character";
    let of_container = "command[2] holds a NUL character";
    for (action, why) in [("demo.ok", argument), ("demo.secret", argument), ("demo.container", of_container)] {
        rig.request_with(action, action, &json!({ "line": line, "token": "${secret.demo.token}" }));
        rig.until(action, "failed").await;
        let end = rig.history(action).pop().unwrap();
        assert_eq!(end.code.as_deref(), Some("render_failed"), "{action} {end:?}");
        let error = end.error.unwrap_or_default();
        assert!(error.ends_with(why), "{action} {error}");
    }
    assert!(!ran.exists());
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_worker_still_hears_of_cancels() {
    let rig = Rig::new(30_000);
    let (_owner, worker) = (rig.owner(), rig.worker(1, 10_000));
    let log = rig.dir.path().join("log");
    rig.request("long", "demo.ok", &format!("echo long >> {}; exec sleep 600", log.display()));
    eventually("long runs", || lines(&log) == ["long"]).await;
    for n in 0..8 {
        rig.request(&format!("w{n}"), "demo.ok", &format!("echo w{n} >> {}", log.display()));
    }
    for n in 0..8 {
        rig.until(&format!("w{n}"), "scheduled").await;
    }
    for n in 0..4 {
        rig.cancel(&format!("w{n}"));
        // Its worker answers for it, full as it is.
        rig.until(&format!("w{n}"), "canceled").await;
        assert!(rig.statuses(&format!("w{n}")).contains(&"canceling".to_owned()));
    }
    rig.cancel("long");
    rig.until("long", "canceled").await;
    assert_eq!(rig.statuses("long"), ["scheduled", "running", "canceling", "canceled"]);
    assert_eq!(rig.history("long").pop().unwrap().error.as_deref(), Some("canceled by eve"));
    for n in 4..8 {
        rig.until(&format!("w{n}"), "succeeded").await;
    }
    let ran: BTreeSet<String> = lines(&log).into_iter().collect();
    assert_eq!(ran, ["long", "w4", "w5", "w6", "w7"].map(str::to_owned).into());
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_leaves_its_work_to_the_next() {
    let rig = Rig::new(30_000);
    let _owner = rig.owner();
    let worker = rig.worker(2, 50);
    let log = rig.dir.path().join("log");
    let line = format!(
        "echo $PETREL_ATTEMPT >> {}; echo part; [ $PETREL_ATTEMPT = 1 ] && exec sleep 600; exit 0",
        log.display()
    );
    rig.request("again", "demo.ok", &line);
    rig.request("never", "demo.once", &line);
    eventually("both run", || lines(&log).len() == 2).await;
    worker.shutdown().await;
    rig.until("never", "abandoned").await;
    rig.until("again", "scheduled").await;
    let next = rig.worker(2, 10_000);
    rig.until("again", "succeeded").await;
    assert_eq!(rig.statuses("again"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    assert_eq!(rig.statuses("never"), ["scheduled", "running", "abandoned"]);
    let codes = |id: &str| rig.history(id).into_iter().filter_map(|row| row.code).collect::<Vec<_>>();
    assert_eq!((codes("again"), codes("never")), (vec!["handed_over".to_owned()], vec!["handed_over".to_owned()]));
    // A human who decides about it sees what it had written.
    assert_eq!(rig.output("never")[0].content, "part\n");
    assert_eq!(lines(&log), ["1", "1", "2"]);
    next.shutdown().await;
}

/// The worker is cut off from the log: its command must be dead before another one may begin.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_never_overlap_when_a_lease_is_lost() {
    let rig = Rig::new(1_500);
    let _owner = rig.owner();
    let log = rig.dir.path().join("log");
    let pid = rig.dir.path().join("pid");
    // The first attempt ignores SIGTERM. The second looks whether the first one lives.
    let line = format!(
        "if [ $PETREL_ATTEMPT = 1 ]; then trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done; fi; \
         kill -0 $(cat {pid}) 2>/dev/null && echo overlap >> {log}; echo $PETREL_ATTEMPT >> {log}",
        pid = pid.display(),
        log = log.display(),
    );
    let worker = rig.worker(2, 10_000);
    rig.request("cut", "demo.ok", &line);
    eventually("the first attempt runs", || lines(&pid).len() == 1).await;
    // Heartbeats keep it for longer than a lease.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(rig.statuses("cut"), ["scheduled", "running"]);
    rig.line.is_cut.store(true, Ordering::Relaxed);
    eventually("the second attempt ran", || !lines(&log).is_empty()).await;
    rig.line.is_cut.store(false, Ordering::Relaxed);
    rig.until("cut", "succeeded").await;
    assert_eq!(lines(&log), ["2"]);
    assert_eq!(rig.statuses("cut"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_while_dispatch_is_paused() {
    let rig = Rig::new(30_000);
    rig.pause(true);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request("held", "demo.ok", "true");
    rig.until("held", "delayed").await;
    rig.pause(false);
    rig.until("held", "succeeded").await;
    assert_eq!(rig.statuses("held"), ["delayed", "scheduled", "running", "succeeded"]);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noop_succeeds_without_a_process() {
    let rig = Rig::new(30_000);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request("nothing", "demo.noop", "rm -rf /");
    rig.until("nothing", "succeeded").await;
    let end = rig.history("nothing").pop().unwrap();
    assert_eq!(end.result.as_deref(), Some("{\"parameters\":{\"line\":\"rm -rf /\"}}"));
    assert!(rig.output("nothing").is_empty() && !rig.dir.path().join("packs/abc").exists());
    worker.shutdown().await;
}

/// Without its owner's grant an action that runs at most once does not start, and a shutdown gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_grant_is_handed_over_and_runs_elsewhere() {
    let rig = Rig::new(30_000);
    let log = rig.dir.path().join("log");
    let owner = rig.owner();
    rig.request("once", "demo.once", &format!("echo $PETREL_ATTEMPT >> {}", log.display()));
    rig.until("once", "scheduled").await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
    let worker = rig.worker_called("i1", 2, 10_000);
    eventually("it is claimed", || worker.busy() == 1).await;
    worker.shutdown().await;
    assert!(lines(&log).is_empty());
    let (_owner, next) = (rig.owner(), rig.worker_called("i2", 2, 10_000));
    rig.until("once", "succeeded").await;
    assert_eq!(rig.statuses("once"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    assert_eq!(lines(&log), ["2"]);
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_beside_the_owner_has_room_for_needs_no_task() {
    let rig = Rig::new(30_000);
    let worker = rig.worker(4, 10_000);
    let owner = rig.owner_beside(Some(&worker));
    let log = rig.dir.path().join("log");
    let line = |id: &str| format!("echo {id} >> {}", log.display());
    // The first may come before the worker has begun to follow orders.
    rig.request("first", "demo.ok", &line("first"));
    rig.until("first", "succeeded").await;
    let before = rig.tasks();
    // One after the other, so that there is room for each.
    for (id, action) in [("one", "demo.ok"), ("once", "demo.once")] {
        rig.request(id, action, &line(id));
        rig.until(id, "succeeded").await;
        assert_eq!(rig.statuses(id), ["scheduled", "running", "succeeded"]);
        assert_eq!(rig.history(id)[1].worker.as_deref(), Some("i1"));
    }
    let wanted = ["first", "one", "once"].map(str::to_owned).to_vec();
    assert_eq!((rig.tasks(), lines(&log)), (before, wanted));
    // More than there is room for: the others go over the log. On a machine that stands still for a while the worker seems
    // to be away, and all of them do.
    let (mut over_the_log, mut requested) = (0, 0);
    while !(1..BURST).contains(&over_the_log) {
        assert!(requested < 5 * BURST, "{over_the_log} of the last {BURST} went over the log");
        let before = rig.tasks();
        let ids: Vec<String> = (requested..requested + BURST).map(|n| format!("e{n}")).collect();
        ids.iter().for_each(|id| rig.request(id, "demo.ok", &line(id)));
        for id in &ids {
            rig.until(id, "succeeded").await;
        }
        (over_the_log, requested) = (rig.tasks() - before, requested + BURST);
    }
    assert_eq!(lines(&log).into_iter().collect::<BTreeSet<_>>().len(), requested + 3);
    assert_eq!(lines(&log).len(), requested + 3);
    // Once it stops, nothing more is started beside the owner.
    worker.shutdown().await;
    rig.request("late", "demo.ok", &line("late"));
    rig.until("late", "scheduled").await;
    let next = rig.worker(2, 10_000);
    rig.until("late", "succeeded").await;
    next.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gated_runs_one_at_a_time_and_every_permit_comes_back() {
    let rig = Rig::new(30_000);
    let log = rig.dir.path().join("log");
    let (owner, worker) = (rig.owner(), rig.worker(8, 10_000));
    let mut gates = rig.gates();
    let ids: Vec<String> = (0..6).map(|n| format!("g{n}")).collect();
    let line = format!("echo begin >> {0}; sleep 0.3; echo end >> {0}", log.display());
    ids.iter().for_each(|id| rig.request(id, "demo.gated", &line));
    eventually("all have come", || rig.gate_rows().len() >= ids.len()).await;
    // It waits behind all of them.
    rig.request("last", "demo.gated", &line);
    let waits = ("waits".to_owned(), execution("last"));
    eventually("the last one waits", || rig.gate_rows().contains(&waits)).await;
    rig.cancel("last");
    rig.until("last", "canceled").await;
    // Another member takes the gates over, in the middle of it.
    gates.stop();
    tokio::task::spawn_blocking(|| gates.join()).await.unwrap();
    gates = rig.gates();
    for id in &ids {
        rig.until(id, "succeeded").await;
    }
    let lines = lines(&log);
    assert!(lines.chunks(2).all(|pair| pair == ["begin", "end"]), "two ran at once: {lines:?}");
    let left = || {
        let mut out = BTreeSet::new();
        for (decided, execution) in rig.gate_rows() {
            match decided.as_str() {
                "granted" => assert!(out.insert(execution), "a permit is given once"),
                "returned" => assert!(out.remove(&execution), "what was not out came back"),
                _ => {}
            }
        }
        out.is_empty()
    };
    eventually("every permit is back", left).await;
    gates.stop();
    tokio::task::spawn_blocking(|| gates.join()).await.unwrap();
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}
