//! An attempt of an action, as a worker has one.

use petrel_execution::runner::{PackFiles, Rendering, RunnerCall, RunnerSpec};
use petrel_execution::worker::{Holding, Remembered};
use petrel_executor::supervise::boot_ms;
use petrel_schemas::Task;
use serde_json::{Value, json};
use tokio::sync::watch;

use anyhow::{Result, anyhow};

/// How long each attempt may take, and its lease.
pub(crate) const TIMEOUT_MS: u64 = 60_000;

/// What an action's file says of its runner.
pub(crate) fn spec(runner: &str, keys: &Value) -> Result<RunnerSpec> {
    let keys = keys.as_object().ok_or_else(|| anyhow!("no mapping: {keys}"))?;
    RunnerSpec::parse(runner, keys, &AnyFile).map_err(|errors| anyhow!("{runner}: {errors:?}"))
}

/// What a worker makes of it for an attempt without parameters.
pub(crate) fn call(spec: &RunnerSpec) -> Result<RunnerCall> {
    let (parameters, secrets) = (json!({}), json!({}));
    let rendering = Rendering { parameters: &parameters, secrets: &secrets, execution_id: "e-1", attempt: 1 };
    spec.render(rendering).map_err(|error| anyhow!("{error:?}"))
}

/// A lease that lasts as long as anything here.
pub(crate) fn lease() -> (watch::Sender<Holding>, watch::Receiver<Holding>) {
    let task = Task {
        execution_id: "e-1".to_owned(),
        root_execution_id: "e-1".to_owned(),
        event_id: None,
        event_at_ms: None,
        rule: None,
        action: "bench.action".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 60_000,
        lease_ms: 0,
        dispatched_at_ms: 0,
        start_by_ms: 0,
        declines: 0,
    };
    watch::channel(Holding::new(&task, boot_ms() + TIMEOUT_MS, Remembered::default()))
}

struct AnyFile;

impl PackFiles for AnyFile {
    fn executable(&self, _: &str) -> Option<bool> {
        Some(true)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}
