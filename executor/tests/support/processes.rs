//! A pack's folder, a supervisor and work directories, and actions that are run with them as a worker does.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]
// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use petrel_execution::runner::{PackFiles, ParameterPlace, Rendering, RunnerCall, RunnerSpec};
use petrel_execution::worker::Exit;
use petrel_executor::live::Live;
use petrel_executor::runner::{Process, ProcessAttempt, Processes, RunnerOptions, WorkDirectories};
use petrel_executor::supervise::Supervisor;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::actions::{LIMIT, holding, options};

/// What a worker has.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub work: WorkDirectories,
    /// Lease of its attempts, in milliseconds.
    pub lease_ms: u64,
    supervisor: Supervisor,
    options: RunnerOptions,
}

/// The pack as it stands in the folder, and the parameters of its action.
struct Files(PathBuf, Vec<ParameterPlace>);

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(self.0.join(path)).ok()?;
        Some(found.permissions().mode() & 0o111 != 0)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn interpreter(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.0.join(path)).ok()?;
        Some(text.strip_prefix("#!")?.lines().next()?.to_owned())
    }

    fn parameters(&self) -> &[ParameterPlace] {
        &self.1
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::of(options())
    }

    /// The same with another program as supervisor.
    pub fn under(program: std::ffi::OsString) -> Self {
        Self::of(RunnerOptions { supervisor: vec![program], ..options() })
    }

    /// The same with other settings.
    pub fn of(options: RunnerOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("pack/actions")).unwrap();
        let work = WorkDirectories::open(dir.path().join("work")).unwrap();
        Self { dir, work, supervisor: Supervisor::new(options.supervisor.clone()), options, lease_ms: 60_000 }
    }

    /// Folder of the pack's programs.
    pub fn actions(&self) -> PathBuf {
        self.dir.path().join("pack/actions")
    }

    /// Puts a file there.
    pub fn file(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.actions().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is known of each attempt.
    pub fn attempt() -> ProcessAttempt {
        let variables = BTreeMap::from([("PETREL_ATTEMPT".to_owned(), "1".to_owned())]);
        ProcessAttempt {
            variables,
            timeout_ms: 30_000,
            output_bytes_max: 64 << 10,
            lead_bytes: 0,
            live: Live::default(),
        }
    }

    /// Runs an action with these parameters to its end.
    pub async fn run(&self, runner: &str, keys: Value, parameters: Value) -> Exit {
        self.run_attempt(runner, keys, parameters, Self::attempt()).await
    }

    /// The same with `first` at the first position.
    pub async fn run_with(&self, runner: &str, keys: Value, parameters: Value) -> Exit {
        let place = |name: &str, position| ParameterPlace { name: name.to_owned(), position };
        let places = vec![place("x", None), place("first", Some(0)), place("flag", None)];
        self.run_placed(runner, keys, parameters, Self::attempt(), places).await
    }

    pub async fn run_attempt(&self, runner: &str, keys: Value, parameters: Value, attempt: ProcessAttempt) -> Exit {
        self.run_placed(runner, keys, parameters, attempt, Vec::new()).await
    }

    async fn run_placed(
        &self,
        runner: &str,
        keys: Value,
        parameters: Value,
        attempt: ProcessAttempt,
        places: Vec<ParameterPlace>,
    ) -> Exit {
        let Value::Object(keys) = keys else { panic!("keys are a mapping") };
        let pack = self.dir.path().join("pack");
        let spec = RunnerSpec::parse(runner, &keys, &Files(pack.clone(), places));
        let spec = spec.unwrap_or_else(|errors| panic!("{errors:?}"));
        let rendering = Rendering { parameters: &parameters, secrets: &json!({}), execution_id: "e", attempt: 1 };
        let process = match spec.render(rendering).unwrap() {
            RunnerCall::Command(call) => Process::command(call, &pack),
            RunnerCall::Script(call) => Process::script(call, &pack),
            RunnerCall::Shell(call) => Process::shell(call, &pack, "demo.act"),
            other => panic!("no process: {other:?}"),
        };
        let (_director, held) = watch::channel(holding(self.lease_ms));
        let processes = Processes { supervisor: &self.supervisor, options: &self.options, work: &self.work };
        let run = processes.run(process, attempt, held, || {});
        tokio::time::timeout(LIMIT, run).await.expect("the process hangs")
    }
}

/// What was written, as text.
pub fn stdout(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

/// Waits until it holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
