//! Owners and workers in one process over a log in a directory.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use petrel_bus::{
    Bus, Clock, DriverOptions, GlobalsSource, Output, OwnedRecord, PublishError, Publisher, Receipt, SessionOptions,
    StageHandle, TopicSpec, Versioned, receipt, spawn_stage,
};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_execution::gate::{Excess, GateId, InForce, Kind, Limit, Policies, Terms};
use petrel_execution::runner::{PackFiles, RunnerSpec};
use petrel_execution::{ActionPlan, CompleteParameters, Delivery, NameGates, ParameterError};
use petrel_executor::gate::{GateStage, GateView};
use petrel_executor::metrics::ExecutorMetrics;
use petrel_executor::objects::{ObjectOptions, Objects, Place};
use petrel_executor::owner::{OwnerHandle, OwnerOptions, OwnerService};
use petrel_executor::runner::{AddressGuard, ContainerOptions};
use petrel_executor::worker::{WorkerHandle, WorkerOptions, WorkerService};
use petrel_executor::{ExecutorView, Resolution, ResolvedAction};
use petrel_schemas::{
    ActionRequest, AuditRecord, CancelRequest, Class, Cleanup, ExecutionChanged, ExecutionId, OutputCaptured, Topics,
    encode,
};
use serde_json::{Value, json};

use super::sources::{EmptyPack, Known};

/// Nothing here takes that long unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// Partitions of the keyed topics, and of the tasks.
const PARTITIONS: u32 = 4;

/// Every action is a shell line, given as its parameters; `once` in its name makes it `at_most_once`.
pub struct View {
    paused: AtomicBool,
    version: AtomicU64,
}

/// The globals of a process.
pub struct Globals(pub Arc<View>);

impl GlobalsSource<View> for Globals {
    fn current(&self) -> Versioned<View> {
        Versioned { version: self.0.version.load(Ordering::Relaxed), value: self.0.clone() }
    }
}

impl ExecutorView for View {
    fn in_force(&self) -> InForce {
        InForce { revision: "now".into(), since_ms: 0 }
    }

    fn dispatch_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    fn resolve(&self, _: &str, action: &str) -> Resolution {
        let delivery = if action.contains("once") { Delivery::AtMostOnce } else { Delivery::AtLeastOnce };
        let (runner, keys) = match action {
            "demo.noop" => ("noop", json!({})),
            "demo.http" => ("http", json!({ "request": { "url": "${parameters.line}" } })),
            "demo.key" => {
                let request = json!({
                    "url": "${parameters.line}",
                    "query": { "key": "${secret.demo.key}" },
                    "headers": { "X-Key": "${secret.demo.key}" },
                    "auth": { "bearer": "${parameters.token}" },
                    "redirects": 1,
                });
                ("http", json!({ "request": request }))
            }
            "demo.grant" | "demo.encoded" => {
                let secret = if action == "demo.grant" { "${secret.demo.key}" } else { "${parameters.token}" };
                let auth = json!({
                    "token_url": "${parameters.line}/token",
                    "client_id": "petrel",
                    "client_secret": secret,
                });
                ("http", json!({ "request": { "url": "${parameters.line}/state", "auth": { "oauth2": auth } } }))
            }
            "demo.echo" => ("echo", json!({ "message": ["${parameters.token}", "with ${secret.demo.key}"] })),
            "demo.fail" => ("fail", json!({ "message": "${parameters.line} ${parameters.token}" })),
            "demo.account" => {
                let env = json!({ "USER": "${parameters.account.user}", "KEYS": "${parameters.account.keys}" });
                ("command", json!({ "command": ["sh", "-c", "${parameters.line}"], "env": env }))
            }
            "demo.python" => ("python", json!({ "file": "tells.py", "env": { "KEY": "${secret.demo.key}" } })),
            "demo.secret" => {
                let env = json!({ "TOKEN": "${parameters.token}", "KEY": "Bearer ${secret.demo.key}" });
                ("command", json!({ "command": ["sh", "-c", "${parameters.line}"], "env": env }))
            }
            "demo.container" => {
                let env = json!({ "TOKEN": "${parameters.token}", "KEY": "${secret.demo.key}" });
                let command = ["sh", "-c", "${parameters.line}"];
                ("container", json!({ "image": "petrel-test:1", "pull": "never", "command": command, "env": env }))
            }
            _ => ("command", json!({ "command": ["sh", "-c", "${parameters.line}"] })),
        };
        let Value::Object(keys) = keys else { unreachable!() };
        let plan = ActionPlan {
            pool: "default".to_owned(),
            class: Class::Normal,
            needs: Default::default(),
            requires: Default::default(),
            delivery,
            timeout_ms: 60_000,
            output_bytes_max: 1024,
            retry: None,
            policies: (action == "demo.gated").then(|| -> Arc<dyn NameGates> { Arc::new(OneAtATime) }),
            runner: Arc::new(RunnerSpec::parse(runner, &keys, &NoFiles).unwrap()),
            parameters: Arc::new(AsGiven { secrets: ["token", "account"].map(str::to_owned).to_vec() }),
        };
        Resolution::Ready(ResolvedAction { plan: Arc::new(plan), pack: Arc::new(EmptyPack) })
    }
}

/// The policy of what is gated.
const GATED: &str = "demo.one_at_a_time";

#[derive(Debug)]
struct OneAtATime;

impl NameGates for OneAtATime {
    fn gates(&self, _: &ExecutionId, _: Option<&str>, _: &Value) -> Result<Vec<GateId>, String> {
        Ok(vec![GateId::total(GATED, Kind::Concurrency)])
    }
}

impl Policies for View {
    fn terms(&self, gate: &GateId) -> Option<Terms> {
        let terms = Terms { limit: Limit::Concurrency { permits_max: 1 }, excess: Excess::Wait };
        (*gate == GateId::total(GATED, Kind::Concurrency)).then_some(terms)
    }

    fn knows(&self, _: &InForce) -> bool {
        true
    }
}

impl GateView for View {
    fn policies_of(&self) -> Arc<str> {
        "always".into()
    }

    fn why_unknown(&self) -> Option<&str> {
        None
    }
}

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, path: &str) -> Option<bool> {
        (path == "actions/tells.py").then_some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

/// Parameters without a schema, of which some may hold secrets.
#[derive(Debug)]
struct AsGiven {
    secrets: Vec<String>,
}

impl CompleteParameters for AsGiven {
    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        Ok(given.clone())
    }

    /// An account is an object, a token a text.
    fn secret_value(&self, name: &str, text: &str) -> Result<Value, ParameterError> {
        Ok(if name == "account" { serde_json::from_str(text).unwrap() } else { text.into() })
    }
}

/// Real time, from an instant that is nobody's.
struct RealTime(Instant);

impl Clock for RealTime {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.elapsed().as_millis() as i64
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// What a worker publishes with.
pub struct Line {
    log: Arc<dyn Publisher>,
    /// While set, it is told that the log is away.
    pub is_cut: AtomicBool,
}

impl Publisher for Line {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        if !self.is_cut.load(Ordering::Relaxed) {
            return self.log.publish(outputs);
        }
        let (acknowledge, receipt) = receipt();
        acknowledge.send(Err(PublishError::Unavailable("cut off".to_owned()))).unwrap();
        receipt
    }
}

pub struct Rig {
    bus: LocalBus,
    /// Between the workers and the log.
    pub line: Arc<Line>,
    pub view: Arc<View>,
    pub dir: tempfile::TempDir,
    pub secrets: Arc<Known>,
    /// Nobody listens there, unless a test says so.
    pub container: ContainerOptions,
    topics: Topics,
    metrics: Arc<ExecutorMetrics>,
    clock: Arc<RealTime>,
    lease_ms: i64,
}

impl Rig {
    pub fn new(lease_ms: i64) -> Self {
        Self::with_secrets(lease_ms, Vec::new())
    }

    /// Its workers can open these secrets.
    pub fn with_secrets(lease_ms: i64, secrets: Vec<(&'static str, &'static str)>) -> Self {
        let topics = Topics::new("petrel.", PARTITIONS, PARTITIONS);
        let specs = topics.all(&["default"]).into_iter().map(|topic| TopicSpec {
            name: topic.name,
            partitions: topic.partitions,
            compacted: topic.cleanup == Cleanup::Compact,
            retention_ms: None,
            delete_retention_ms: None,
        });
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(RealTime(Instant::now())));
        let bus = LocalBus::open(LocalOptions::new(dir.path().join("bus")), clock.clone()).unwrap();
        bus.ensure_topics(&specs.collect::<Vec<_>>()).unwrap();
        let secrets = Known { values: secrets, unread: AtomicU64::new(0), hangs: AtomicBool::new(false) };
        let line = Line { log: bus.publisher("rig").unwrap(), is_cut: AtomicBool::new(false) };
        Self {
            bus,
            line: Arc::new(line),
            view: Arc::new(View { paused: AtomicBool::new(false), version: AtomicU64::new(0) }),
            container: ContainerOptions { socket: dir.path().join("nobody") },
            dir,
            secrets: Arc::new(secrets),
            topics,
            metrics: Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap()),
            clock,
            lease_ms,
        }
    }

    pub fn owner(&self) -> OwnerHandle {
        self.owner_beside(None)
    }

    /// An owner in the process of a worker.
    pub fn owner_beside(&self, worker: Option<&WorkerHandle>) -> OwnerHandle {
        let mut options = OwnerOptions::new(self.topics.clone(), PARTITIONS);
        options.limits.lease_ms = self.lease_ms;
        let service = OwnerService {
            options,
            driver: DriverOptions::default(),
            instance: "i1".into(),
            threads: 1,
            bus: Arc::new(self.bus.clone()),
            globals: Arc::new(Globals(self.view.clone())),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            neighbour: worker.map(|worker| worker.neighbour().clone()),
        };
        service.run()
    }

    /// The gates of all partitions.
    pub fn gates(&self) -> StageHandle {
        let stage = GateStage::new(self.topics.clone());
        let session = SessionOptions { group: "petrel.gate".into(), member: "i1-gate".into(), transactional: true };
        let (bus, globals) = (Arc::new(self.bus.clone()), Arc::new(Globals(self.view.clone())));
        spawn_stage(bus, stage, session, DriverOptions::default(), globals, self.clock.clone())
    }

    /// What gates have decided about executions, in order: what, and the execution's id.
    pub fn gate_rows(&self) -> Vec<(String, String)> {
        let rows = self.audit().filter_map(|record| match record {
            AuditRecord::GateDecided(row) => Some((row.decided, row.execution_id.unwrap_or_default())),
            _ => None,
        });
        rows.collect()
    }

    pub fn worker(&self, slots: usize, shutdown_grace_ms: u64) -> WorkerHandle {
        self.worker_called("i1", slots, shutdown_grace_ms)
    }

    pub fn worker_called(&self, instance: &str, slots: usize, shutdown_grace_ms: u64) -> WorkerHandle {
        let mut options = WorkerOptions::new(self.topics.clone(), instance.into(), self.dir.path().join("packs"));
        options.decline_ms = 300;
        options.slots = slots;
        options.shutdown_grace_ms = shutdown_grace_ms;
        options.runner.supervisor = vec![env!("CARGO_BIN_EXE_petrel-supervise").into()];
        options.runner.kill_grace_ms = 300;
        options.container = self.container.clone();
        let denied = AddressGuard::DENY_DEFAULT.map(str::to_owned);
        options.http.guard = AddressGuard::new(&denied, &["127.0.0.1".to_owned()]).unwrap();
        let place = Place::Files(options.packs_directory.with_file_name("objects"));
        let objects = ObjectOptions { place, object_bytes_max: 16 << 20, retention_ms: 3_600_000 };
        let objects = Arc::new(Objects::new(objects, self.clock.clone()).unwrap());
        let service = WorkerService {
            options,
            driver: DriverOptions::default(),
            bus: Arc::new(self.bus.clone()),
            publisher: self.line.clone(),
            globals: Arc::new(Globals(self.view.clone())),
            secrets: self.secrets.clone(),
            objects,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        service.run().unwrap()
    }

    pub fn pause(&self, paused: bool) {
        self.view.paused.store(paused, Ordering::Relaxed);
        self.view.version.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks for a shell line to be run.
    pub fn request(&self, id: &str, action: &str, line: &str) {
        self.request_with(id, action, &json!({ "line": line }));
    }

    /// The same, with these parameters.
    pub fn request_with(&self, id: &str, action: &str, parameters: &Value) {
        let request = ActionRequest {
            execution_id: execution(id),
            root_execution_id: execution(id),
            event_id: None,
            event_at_ms: None,
            trigger: None,
            rule: None,
            action_index: 0,
            redrive: 0,
            action: action.to_owned(),
            parameters: parameters.to_string(),
            revision: "r1".to_owned(),
            kv_version: 0,
            requested_at_ms: 0,
            requested_by: "test".to_owned(),
            cause_depth: 0,
            class: None,
        };
        self.ask(id, encode(&request));
    }

    fn ask(&self, id: &str, request: Vec<u8>) {
        let output = Output::keyed(&self.topics.requests(), execution(id).as_bytes(), request);
        tokio::task::block_in_place(|| self.line.log.publish(vec![output]).wait()).unwrap();
    }

    pub fn cancel(&self, id: &str) {
        let cancel = CancelRequest {
            execution_id: execution(id),
            root_execution_id: execution(id),
            requested_by: "eve".to_owned(),
            requested_at_ms: 0,
        };
        self.ask(id, encode(&cancel));
    }

    /// How many tasks were written.
    pub fn tasks(&self) -> usize {
        let ends = self.bus.end_offsets(&self.topics.tasks("default", Class::Normal)).unwrap();
        usize::try_from(ends.iter().sum::<i64>()).unwrap()
    }

    /// Everything that stands in the log, in one piece.
    pub fn log(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for topic in self.topics.all(&["default"]) {
            let mut tail = self.bus.tail(&topic.name).unwrap();
            while !tail.caught_up() {
                let mut take = |_, record: petrel_bus::Record<'_>| {
                    bytes.extend_from_slice(record.key.unwrap_or_default());
                    bytes.extend_from_slice(record.value.unwrap_or_default());
                };
                tail.next(Duration::ZERO, &mut take).unwrap();
            }
        }
        bytes
    }

    fn audit(&self) -> impl Iterator<Item = AuditRecord> {
        let (mut tail, mut records) = (self.bus.tail(&self.topics.audit()).unwrap(), Vec::<OwnedRecord>::new());
        while !tail.caught_up() {
            tail.next(Duration::ZERO, &mut |_, record| records.push(record.to_owned())).unwrap();
        }
        records.into_iter().map(|record| AuditRecord::decode(record.value.as_deref().unwrap()).unwrap())
    }

    /// Rows of an execution, in order.
    pub fn history(&self, id: &str) -> Vec<ExecutionChanged> {
        let rows = self.audit().filter_map(|record| match record {
            AuditRecord::ExecutionChanged(row) if row.execution_id == execution(id) => Some(row),
            _ => None,
        });
        rows.collect()
    }

    /// Statuses of an execution, in order.
    pub fn statuses(&self, id: &str) -> Vec<String> {
        self.history(id).into_iter().map(|row| row.status).collect()
    }

    pub fn output(&self, id: &str) -> Vec<OutputCaptured> {
        let rows = self.audit().filter_map(|record| match record {
            AuditRecord::OutputCaptured(row) if row.execution_id == execution(id) => Some(row),
            _ => None,
        });
        rows.collect()
    }

    /// Waits until the last status of an execution is this one.
    pub async fn until(&self, id: &str, status: &str) {
        let what = format!("{id} {status}");
        eventually(&what, || self.statuses(id).last().is_some_and(|s| s == status)).await;
    }
}

/// Id of an execution that the tests call so.
pub fn execution(name: &str) -> String {
    ExecutionId::of_manual(name).into()
}

/// Waits until it holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lines of a file; none while it is missing.
pub fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
