use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use petrel_bus::{Acknowledge, Clock, Output, PublishError, Publisher, Receipt, receipt};
use petrel_execution::runner::RunnerSpec;
use petrel_execution::worker::{Remembered, Reports};
use petrel_execution::{CompleteParameters, Delivery, Note, ParameterError};
use petrel_schemas::Topics;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::example::{EmptyPack, action};
use super::super::slots::Slots;
use super::super::told::Told;
use super::*;
use crate::live::LiveOptions;
use crate::objects::{ObjectOptions, Place};
use crate::runner::{
    ContainerOptions, HttpOptions, KafkaRunner, Parts, PythonOptions, RunnerOptions, SshOptions, WorkDirectories,
};
use crate::secrets::{NoSecret, Opening};

struct NoTime;

impl Clock for NoTime {
    fn now_ms(&self) -> i64 {
        7
    }

    fn sleep(&self, _: Duration) {}
}

/// There are none; it counts how often somebody looks for one.
#[derive(Default)]
pub(in super::super) struct NoSecrets(AtomicUsize);

impl SecretSource for NoSecrets {
    fn open<'s>(&'s self, keys: &'s [String], _: i64) -> Opening<'s> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(NoSecret::Missing(keys.concat())) })
    }
}

/// Keeps what it is given until the test answers.
#[derive(Default)]
struct Waiting(Mutex<Vec<Acknowledge>>);

impl Publisher for Waiting {
    fn publish(&self, _: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        self.0.lock().unwrap().push(acknowledge);
        receipt
    }
}

impl Waiting {
    async fn next(&self) -> Acknowledge {
        until(|| self.0.lock().unwrap().pop()).await
    }
}

/// The time is the runtime's own, which passes while nobody has anything to do.
async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = found() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Rig {
    shared: Arc<Shared>,
    publisher: Arc<Waiting>,
    slots: Slots,
    secrets: Arc<NoSecrets>,
    folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let (publisher, folder) = (Arc::new(Waiting::default()), TempDir::new().unwrap());
        let secrets = Arc::new(NoSecrets::default());
        let reporter = Reporter {
            publisher: publisher.clone(),
            clock: Arc::new(NoTime),
            results: "petrel.results".into(),
            reports: Reports { worker: "w1".into(), pool: "default".into() },
        };
        let kafka = KafkaRunner::new(publisher.clone(), Topics::new("petrel.", 4, 4));
        let work = WorkDirectories::open(folder.path().join("work")).unwrap();
        let shared = Shared {
            runners: Runners::new(Parts {
                worker: "w1".into(),
                container: ContainerOptions { socket: "/nonexistent/socket".into() },
                command: RunnerOptions::default(),
                http: HttpOptions::default(),
                python: PythonOptions::new(folder.path().join("python")),
                ssh: SshOptions::default(),
                work,
                kafka,
            }),
            live: LiveOutput {
                options: LiveOptions::default(),
                publisher: reporter.publisher.clone(),
                clock: reporter.clock.clone(),
                topic: "output".into(),
            },
            reporter,
            attempts: Arc::new(Attempts::new("w1".into())),
            packs: Arc::new(PacksCache::open(folder.path().join("packs")).unwrap()),
            secrets: secrets.clone(),
            objects: no_objects(folder.path()),
            metrics: Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap()),
        };
        Self { shared: Arc::new(shared), publisher, slots: Slots::new(1), secrets, folder }
    }

    /// An attempt that ends at once: its action is not there.
    fn begin(&self, told: Option<&Told>) -> tokio::task::JoinHandle<()> {
        let claimed = Claimed {
            task: task(),
            action: Err(Note::new(code::NO_SUCH_ACTION, "it is not there")),
            claim_began_ms: boot_ms(),
            slot: self.slots.take(Default::default()),
            said: Remembered::default(),
            owner: told.map(|told| told.owner(3)),
        };
        tokio::spawn(run(self.shared.clone(), claimed))
    }

    /// Slots that are taken, as the stages count them and as people see them.
    fn busy(&self) -> (usize, i64) {
        (self.slots.busy(), self.shared.metrics.slots_busy.get())
    }
}

/// A store of objects that nobody uses.
fn no_objects(folder: &Path) -> Arc<Objects> {
    let place = Place::Files(folder.join("objects"));
    let options = ObjectOptions { place, object_bytes_max: 1 << 20, retention_ms: 1_000 };
    Arc::new(Objects::new(options, Arc::new(NoTime)).unwrap())
}

pub(in super::super) fn task() -> Task {
    Task {
        execution_id: "e".to_owned(),
        root_execution_id: "e".to_owned(),
        event_id: Some("event".to_owned()),
        event_at_ms: None,
        rule: None,
        action: "demo.x".to_owned(),
        revision: "v".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 1_000,
        lease_ms: 30_000,
        dispatched_at_ms: 0,
        start_by_ms: 1_000,
        declines: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_holds_its_slot_until_the_log_has_it() {
    let rig = Rig::new();
    let attempt = rig.begin(None);
    let away = Err(PublishError::Unavailable("away".to_owned()));
    for answer in [away.clone(), away, Ok(Vec::new())] {
        let acknowledge = rig.publisher.next().await;
        assert_eq!(rig.busy(), (1, 1), "nobody knows that it has ended");
        acknowledge.send(answer).unwrap();
    }
    attempt.await.unwrap();
    assert_eq!(rig.busy(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_holds_its_slot_until_the_owner_beside_has_committed_it() {
    let (rig, told) = (Rig::new(), Told::new(1_000_000));
    let attempt = rig.begin(Some(&told));
    let letter = until(|| told.waiting().pop()).await;
    assert_eq!(rig.busy(), (1, 1), "nothing is committed");
    letter.committed();
    attempt.await.unwrap();
    assert_eq!((rig.busy(), rig.publisher.0.lock().unwrap().len()), ((0, 0), 0));

    // One that does not take it: then the log is told, and until it is, the slot is taken.
    let attempt = rig.begin(Some(&told));
    until(|| told.waiting().pop()).await.refuse();
    let acknowledge = rig.publisher.next().await;
    assert_eq!(rig.busy(), (1, 1), "nobody knows that it has ended");
    acknowledge.send(Ok(Vec::new())).unwrap();
    attempt.await.unwrap();
    assert_eq!(rig.busy(), (0, 0));
}

/// An action that runs a command with a secret in its environment, or with none.
fn command(delivery: Delivery, token: Value) -> ResolvedAction {
    let Value::Object(keys) = json!({ "command": ["true"], "env": { "TOKEN": token } }) else { unreachable!() };
    let runner = RunnerSpec::parse("command", &keys, &EmptyPack).unwrap();
    action(runner, delivery, Arc::new(NoParameters))
}

#[derive(Debug)]
struct NoParameters;

impl CompleteParameters for NoParameters {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        Ok(given.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_opened_for_what_is_not_granted() {
    let rig = Rig::new();
    let task = Task { delivery: "at_most_once".to_owned(), ..task() };
    let held = rig.shared.attempts.hold(&task, boot_ms());
    let action = command(Delivery::AtMostOnce, json!("${secret.demo.token}"));
    let started = OnceLock::new();
    let end = carry_out(&rig.shared, &task, &action, &held, &started);
    tokio::pin!(end);
    assert!(tokio::time::timeout(Duration::from_secs(10), &mut end).await.is_err(), "it waits for its grant");
    assert_eq!(rig.secrets.0.load(Ordering::Relaxed), 0);
    held.send_modify(|h| h.order(Remembered { cancel: false, grant: true }));
    let Verdict::Ended(outcome) = end.await else { panic!("it is given back") };
    assert_eq!(outcome.note.code.as_deref(), Some(code::SECRET_MISSING));
    assert_eq!(rig.secrets.0.load(Ordering::Relaxed), 1);
}

/// The disk of another worker, or this one in a moment, may take it.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_laid_out_here_is_given_back_after_a_moment() {
    let rig = Rig::new();
    std::fs::remove_dir(rig.folder.path().join("packs")).unwrap();
    std::fs::write(rig.folder.path().join("packs"), "").unwrap();
    let held = rig.shared.attempts.hold(&task(), boot_ms());
    let action = command(Delivery::AtLeastOnce, json!("plain"));
    let (began, started) = (tokio::time::Instant::now(), OnceLock::new());
    let end = carry_out(&rig.shared, &task(), &action, &held, &started).await;
    assert!(matches!(end, Verdict::HandedOver { begun: false, .. }), "{end:?}");
    assert!(began.elapsed() >= runner::NOT_BEGUN_PAUSE);
    // A cancel ends the wait.
    let task = Task { token: 2, ..task() };
    let held = rig.shared.attempts.hold(&task, boot_ms());
    let cancel = async {
        tokio::time::sleep(runner::NOT_BEGUN_PAUSE / 2).await;
        held.send_modify(|h| h.order(Remembered { cancel: true, grant: false }));
    };
    let (end, ()) = tokio::join!(carry_out(&rig.shared, &task, &action, &held, &started), cancel);
    assert!(matches!(&end, Verdict::Ended(outcome) if outcome.status == Status::Canceled), "{end:?}");
}
