//! What becomes of requests and mail when the worker that sends them is killed, or stopped for longer than its lease.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_executor::supervise::boot_ms;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::asking::{Asking, LIMIT, holding};
use crate::email::{Sending, message};
use crate::mail::{MailServer, Odd};
use crate::server::{Reply, Server};

const JOB: &str = "PETREL_TEST_HTTP_WORKER";
const FOLDER: &str = "PETREL_TEST_HTTP_FOLDER";
/// The lease of such a worker, in milliseconds.
const LEASE_MS: u64 = 2_000;

/// A process that sends as a worker does whose lease nobody renews: this very program, executed again.
struct Worker {
    process: Child,
    folder: tempfile::TempDir,
}

impl Worker {
    fn start(job: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "workers::worker_role", "--nocapture"])
            .env(JOB, job.to_string())
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }

    /// Stops it until its lease has passed, and then as long as the condition does not hold, lets it go on to its end, and
    /// says how its attempt ended.
    async fn is_stopped_until(&mut self, what: &str, holds: impl FnMut() -> bool) -> String {
        self.signal(Signal::SIGSTOP);
        let ends_ms: u64 = std::fs::read_to_string(self.file("lease_ends_ms")).unwrap().parse().unwrap();
        eventually("the lease is over", || boot_ms() > ends_ms).await;
        eventually(what, holds).await;
        self.signal(Signal::SIGCONT);
        self.process.wait().unwrap();
        std::fs::read_to_string(self.file("told")).unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does nothing unless a test below starts it.
#[tokio::test]
async fn worker_role() {
    let (Ok(job), Ok(folder)) = (std::env::var(JOB), std::env::var(FOLDER)) else { return };
    let (job, folder): (Value, PathBuf) = (serde_json::from_str(&job).unwrap(), folder.into());
    let director = lease(&folder);
    let held = director.subscribe();
    let exit = match job.get("server") {
        Some(server) => Sending::new().send_held(server.clone(), message(), held).await,
        None => Asking::new().ask_held(job, None, held).await,
    };
    std::fs::write(folder.join("told"), format!("{:?}", exit.why)).unwrap();
}

/// An attempt whose lease ends at an instant that the folder tells.
fn lease(folder: &Path) -> watch::Sender<petrel_execution::worker::Holding> {
    let held = holding(LEASE_MS);
    std::fs::write(folder.join("lease_ends_ms"), held.lease_deadline_ms().to_string()).unwrap();
    watch::channel(held).0
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_killed_worker_leaves_no_request_open() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let mut worker = Worker::start(json!({ "url": server.url("/"), "retry": { "times": 5 } }));
    eventually("the request is there", || server.seen().len() == 1).await;
    worker.process.kill().unwrap();
    worker.process.wait().unwrap();
    eventually("the connection is closed", || server.is_idle()).await;
    assert_eq!(server.seen().len(), 1);
}

/// It would be sent again a second later, by a worker that is stopped by then; when it goes on, it is too late.
#[tokio::test]
async fn a_stopped_worker_sends_nothing_once_its_lease_has_passed() {
    let server = Server::start(|_, _| Reply::Answer(503, vec![("Retry-After", "1".to_owned())], Vec::new())).await;
    let mut worker = Worker::start(json!({ "url": server.url("/"), "retry": { "times": 5 } }));
    eventually("the request is there", || server.seen().len() == 1).await;
    assert_eq!(worker.is_stopped_until("at once", || true).await, "LeaseLost");
    assert_eq!(server.seen().len(), 1);
    eventually("the connection is closed", || server.is_idle()).await;
}

#[tokio::test]
async fn a_killed_worker_sends_no_mail() {
    let server = MailServer::start(None, false, Odd::HangAtHello).await;
    let mut worker =
        Worker::start(json!({ "server": { "host": "127.0.0.1", "port": server.port, "security": "none" } }));
    eventually("it says hello", || !server.heard().is_empty()).await;
    worker.process.kill().unwrap();
    worker.process.wait().unwrap();
    assert_eq!((server.heard().len(), server.taken().len()), (1, 0));
}

/// The server's answer waits for the worker when it goes on: it is not followed by a message.
#[tokio::test]
async fn a_stopped_worker_sends_no_mail_once_its_lease_has_passed() {
    let server = MailServer::start(None, false, Odd::HelloIsLate).await;
    let mut worker =
        Worker::start(json!({ "server": { "host": "127.0.0.1", "port": server.port, "security": "none" } }));
    eventually("it says hello", || !server.heard().is_empty()).await;
    let told = worker.is_stopped_until("the server has answered", || server.has_answered()).await;
    assert_eq!(told, "LeaseLost");
    assert_eq!((server.heard().len(), server.taken().len()), (1, 0), "{:?}", server.heard());
}
