//! The runner `ssh` with an attempt around it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use petrel_execution::Delivery;
use petrel_execution::runner::{PackFiles, Rendering, RunnerCall, RunnerSpec, SshCall};
use petrel_execution::worker::{Exit, Holding, Remembered};
use petrel_executor::live::Live;
use petrel_executor::runner::{SshOptions, SshRequest, SshRunner};
use petrel_executor::supervise::boot_ms;
use petrel_schemas::Task;
use petrel_secrets::Mask;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::sshd::marked;

/// Nothing here takes that long unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const CANCEL: Remembered = Remembered { cancel: true, grant: false };

/// Its task.
pub fn task() -> Task {
    Task {
        execution_id: "e".to_owned(),
        root_execution_id: "e".to_owned(),
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 20_000,
        ..Task::default()
    }
}

/// An attempt whose lease lasts from now for that long.
pub fn holding(lease_ms: u64) -> Holding {
    Holding::new(&task(), boot_ms() + lease_ms, Remembered::default())
}

/// A runner, and a variable that all has that it starts.
pub struct Asking {
    pub runner: SshRunner,
    pub timeout_ms: u64,
    pub output_bytes_max: usize,
    pub delivery: Delivery,
    pub mark: String,
    pub mask: Arc<Mask>,
    pub live: Live,
}

impl Asking {
    pub fn new() -> Self {
        Self::with(SshOptions::default())
    }

    pub fn with(options: SshOptions) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            runner: SshRunner::new(SshOptions { kill_grace_ms: 1_000, ..options }),
            timeout_ms: 30_000,
            output_bytes_max: 64 << 10,
            delivery: Delivery::AtLeastOnce,
            mark,
            mask: Arc::new(Mask::NOTHING),
            live: Live::default(),
        }
    }

    /// The keys of an action, with the mark.
    pub fn call(&self, mut keys: Value) -> SshCall {
        keys["env"]["MARK"] = self.mark.clone().into();
        call(&keys)
    }

    /// With a lease that lasts.
    pub async fn ask(&self, keys: Value) -> Exit {
        let (_director, held) = watch::channel(holding(60_000));
        self.ask_held(keys, held).await
    }

    pub async fn ask_held(&self, keys: Value, held: watch::Receiver<Holding>) -> Exit {
        self.run(&self.call(keys), None, held).await
    }

    pub async fn run(&self, call: &SshCall, pack: Option<&Path>, held: watch::Receiver<Holding>) -> Exit {
        let request = SshRequest {
            delivery: self.delivery,
            timeout_ms: self.timeout_ms,
            output_bytes_max: self.output_bytes_max,
            pack,
            mask: &self.mask,
            live: &self.live,
        };
        tokio::time::timeout(LIMIT, self.runner.run(call, request, held)).await.expect("the runner hangs")
    }

    /// What still runs of all that it started.
    pub fn left(&self) -> Vec<u32> {
        marked(&format!("MARK={}", self.mark))
    }

    pub async fn until_running(&self, count: usize) {
        eventually(&format!("{count} run"), || self.left().len() >= count).await;
    }
}

pub fn call(keys: &Value) -> SshCall {
    let spec = RunnerSpec::parse("ssh", keys.as_object().unwrap(), &AnyFile).unwrap_or_else(|e| panic!("{e:?}"));
    let rendering = Rendering { parameters: &json!({}), secrets: &json!({}), execution_id: "e-1", attempt: 1 };
    let Ok(RunnerCall::Ssh(call)) = spec.render(rendering) else { panic!("not rendered") };
    *call
}

pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct AnyFile;

impl PackFiles for AnyFile {
    fn executable(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}
