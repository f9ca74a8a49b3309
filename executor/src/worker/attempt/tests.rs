use std::sync::Mutex;

use petrel_bus::{Acknowledge, Clock, Output, PublishError, Publisher, Receipt, receipt};
use petrel_execution::Note;
use petrel_execution::worker::{Remembered, Reports};
use tempfile::TempDir;

use super::super::slots::Slots;
use super::super::told::Told;
use super::*;
use crate::runner::{HttpOptions, RunnerOptions, SshOptions};
use crate::secrets::{NoSecret, Opening};

struct NoTime;

impl Clock for NoTime {
    fn now_ms(&self) -> i64 {
        7
    }

    fn sleep(&self, _: Duration) {}
}

/// There are none.
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn open<'s>(&'s self, keys: &'s [String], _: i64) -> Opening<'s> {
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
    _folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let (publisher, folder) = (Arc::new(Waiting::default()), TempDir::new().unwrap());
        let reporter = Reporter {
            publisher: publisher.clone(),
            clock: Arc::new(NoTime),
            results: "petrel.results".into(),
            reports: Reports { worker: "w1".into(), pool: "default".into() },
        };
        let shared = Shared {
            runners: Runners::new(RunnerOptions::default(), HttpOptions::default(), SshOptions::default()),
            reporter,
            attempts: Arc::new(Attempts::new("w1".into())),
            packs: Arc::new(PacksCache::open(folder.path().to_owned()).unwrap()),
            secrets: Arc::new(NoSecrets),
            metrics: Arc::new(ExecutorMetrics::new(&prometheus::Registry::new()).unwrap()),
        };
        Self { shared: Arc::new(shared), publisher, slots: Slots::new(1), _folder: folder }
    }

    /// An attempt that ends at once: its action is not there.
    fn begin(&self, told: Option<&Told>) -> tokio::task::JoinHandle<()> {
        let claimed = Claimed {
            task: task(),
            action: Err(Note::new(code::NO_SUCH_ACTION, "it is not there")),
            claim_began_ms: boot_ms(),
            slot: self.slots.take(),
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
