//! A pack's folder, a supervisor, and actions that are run in containers as a worker does.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use petrel_execution::runner::{ContainerCall, PackFiles, Rendering, RunnerCall, RunnerSpec};
use petrel_execution::worker::{Exit, Holding};
use petrel_executor::live::Live;
use petrel_executor::runner::{ContainerAttempt, ContainerOptions, Containers, RunnerOptions, WorkDirectories};
use petrel_executor::supervise::Supervisor;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::actions::{LIMIT, holding, options};

/// Name of the workers whose folders stand beside this one.
pub fn worker(folder: &Path) -> Arc<str> {
    format!("w-{}", folder.parent().unwrap().display()).into()
}

/// What a worker has.
pub struct Bench {
    pub folder: PathBuf,
    pub daemon: ContainerOptions,
    pub work: WorkDirectories,
    pub supervisor: Supervisor,
    pub options: RunnerOptions,
    pub attempt: ContainerAttempt,
}

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

/// What an action is with these keys.
pub fn call(keys: Value, parameters: &Value) -> ContainerCall {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    let spec = RunnerSpec::parse("container", &keys, &NoFiles).unwrap_or_else(|errors| panic!("{errors:?}"));
    let rendering = Rendering { parameters, secrets: &json!({}), execution_id: "e", attempt: 1 };
    match spec.render(rendering).unwrap() {
        RunnerCall::Container(call) => *call,
        other => panic!("no container: {other:?}"),
    }
}

impl Bench {
    /// A worker in that folder with a daemon there, and an attempt of that execution.
    pub fn new(folder: &Path, socket: &Path, execution: &str) -> Self {
        let options = options();
        std::fs::create_dir_all(folder.join("pack/actions")).unwrap();
        Self {
            folder: folder.to_owned(),
            daemon: ContainerOptions { socket: socket.to_owned() },
            work: WorkDirectories::open(folder.join("work")).unwrap(),
            supervisor: Supervisor::new(options.supervisor.clone()),
            options,
            attempt: ContainerAttempt {
                execution_id: execution.to_owned(),
                attempt: 1,
                token: 1,
                worker: worker(folder),
                variables: BTreeMap::from([("PETREL_ATTEMPT".to_owned(), "1".to_owned())]),
                timeout_ms: 60_000,
                output_bytes_max: 64 << 10,
                lead_bytes: 0,
                live: Live::default(),
            },
        }
    }

    /// Runs an action to its end.
    pub async fn run(&self, keys: Value, parameters: Value) -> Exit {
        let (_director, held) = watch::channel(holding(120_000));
        self.held(keys, parameters, held).await
    }

    /// The same for as long as somebody else says.
    pub async fn held(&self, keys: Value, parameters: Value, held: watch::Receiver<Holding>) -> Exit {
        let containers =
            Containers { supervisor: &self.supervisor, options: &self.options, daemon: &self.daemon, work: &self.work };
        let (call, pack) = (call(keys, &parameters), self.folder.join("pack"));
        let run = containers.run(call, &pack, self.attempt.clone(), held, || {});
        tokio::time::timeout(LIMIT * 2, run).await.expect("the container hangs")
    }
}
