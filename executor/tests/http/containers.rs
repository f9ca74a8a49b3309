//! Executions whose actions run in containers, from their owner to a real daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::docker::Docker;
use crate::rig::{Rig, eventually, execution};

const TOKEN: &str = "Zq7kV+9xR2/mBwT";

/// Owners and workers with a daemon, at a path that may be made later.
fn rig(lease_ms: i64) -> (Arc<Docker>, Rig, PathBuf) {
    let docker = Docker::get();
    let mut rig = Rig::with_secrets(lease_ms, vec![("demo.token", TOKEN), ("demo.key", "4pLd-WsN8-yHc3-jGf6")]);
    let socket = rig.dir.path().join("daemon");
    rig.container.socket = socket.clone();
    (docker, rig, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_in_containers_show_no_secret_and_wait_for_their_daemon() {
    let (docker, rig, socket) = rig(30_000);
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    // Whole, in base64 at all alignments, and in two writes.
    let line = "echo $TOKEN and $KEY of $PETREL_ACTION in attempt $PETREL_ATTEMPT; \
                for b in '' a ab; do printf '%s%s' \"$b\" \"$TOKEN\" | busybox base64; done; \
                printf 'split: %s' \"${TOKEN%9xR*}\"; sleep 1; echo \"9xR${TOKEN#*9xR}\" end";
    rig.request_with("masked", "demo.container", &json!({ "line": line, "token": "${secret.demo.token}" }));
    // Without its daemon it is given back, again and again.
    eventually("it is given back", || rig.statuses("masked").len() >= 5).await;
    std::os::unix::fs::symlink(&docker.socket, &socket).unwrap();
    rig.until("masked", "succeeded").await;
    let output = rig.output("masked").into_iter().map(|row| format!("{row:?}")).collect::<String>();
    assert!(output.contains("of demo.container in attempt"), "{output}");
    assert!(output.contains("split: ******** end"), "{output}");
    let log = rig.log();
    for secret in ["Zq7kV", "4pLd-W", "WnE3a1Yr", "pxN2tWKz", "cTdrVis5", "9xR2"] {
        assert!(!log.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} stands in the log");
    }
    worker.shutdown().await;
    assert_eq!(docker.containers_of(&execution("masked")), 0);
}

/// The worker is cut off from the log: its container must be gone before another one may begin.
#[tokio::test(flavor = "multi_thread")]
async fn containers_never_overlap_when_a_lease_is_lost() {
    let (docker, rig, socket) = rig(4_000);
    std::os::unix::fs::symlink(&docker.socket, &socket).unwrap();
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let line = "trap '' TERM; test $PETREL_ATTEMPT = 1 || exit 0; sleep 600; sleep 600";
    rig.request_with("cut", "demo.container", &json!({ "line": line, "token": "${secret.demo.token}" }));
    eventually("the first container runs", || docker.running(&execution("cut")).len() == 1).await;
    rig.line.is_cut.store(true, Ordering::Relaxed);
    eventually("it is gone", || docker.containers_of(&execution("cut")) == 0).await;
    assert_eq!(rig.statuses("cut"), ["scheduled", "running"], "it was gone before its owner gave it up");
    rig.line.is_cut.store(false, Ordering::Relaxed);
    rig.until("cut", "succeeded").await;
    assert_eq!(rig.statuses("cut"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    worker.shutdown().await;
    assert_eq!(docker.containers_of(&execution("cut")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_container_is_asked_to_end_and_ends() {
    let (docker, rig, socket) = rig(30_000);
    std::os::unix::fs::symlink(&docker.socket, &socket).unwrap();
    let (_owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let line = "sleep 600; sleep 600";
    rig.request_with("stop", "demo.container", &json!({ "line": line, "token": "${secret.demo.token}" }));
    eventually("the container runs", || docker.running(&execution("stop")).len() == 1).await;
    rig.cancel("stop");
    rig.until("stop", "canceled").await;
    assert_eq!(docker.containers_of(&execution("stop")), 0, "it is gone before that is told");
    worker.shutdown().await;
}
