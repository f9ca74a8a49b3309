//! The world over a local log, as packs come and go.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;

use petrel_bus::{
    Bus, BusError, Clock, Output, Publisher, Session, SessionOptions, SoleWriteError, SoleWriter, TopicSpec, Troubles,
};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_catalog::{PackFile, StoredPack, archive};
use petrel_schemas::{CatalogBlob, CatalogHead, CatalogRevision, Cleanup, KvEntry, TriggerBinding, encode};
use tempfile::TempDir;

use super::*;
use crate::clock::SystemClock;
use crate::stop::Stop;

mod follows;
mod newer;

/// A local log, and a process that follows it.
pub(crate) struct Rig {
    _dir: TempDir,
    pub(crate) log: Arc<Flawed>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) topics: Topics,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) world: Arc<World>,
    pub(crate) follows: Follows,
    pub(crate) stop: Stop,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// A log one topic of which cannot be read, or whose sole writers do not tell what became of a write.
pub(crate) struct Flawed {
    bus: LocalBus,
    unreadable: (Arc<str>, Arc<AtomicBool>),
    /// What is wrong with the next writers, the first one first.
    pub(crate) doubts: Mutex<VecDeque<Doubt>>,
}

/// A tail of a topic that cannot be read at times.
struct Refused(Box<dyn Tail>, Arc<AtomicBool>);

impl Tail for Refused {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(BusError::Configuration("no right".into())),
            false => self.0.next(wait, each),
        }
    }

    fn caught_up(&self) -> bool {
        self.0.caught_up()
    }

    fn mark(&mut self) -> Result<(), BusError> {
        self.0.mark()
    }

    fn passed_mark(&self) -> bool {
        self.0.passed_mark()
    }
}

/// What a sole writer does whose answer is lost or that somebody else pushed aside, or that it cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    Written,
    NotWritten,
    Superseded,
    NotOpened,
}

struct Doubtful(Box<dyn SoleWriter>, Doubt);

impl SoleWriter for Doubtful {
    fn write(self: Box<Self>, outputs: Vec<Output>) -> Result<(), SoleWriteError> {
        match self.1 {
            Doubt::Superseded => return Err(SoleWriteError::Superseded),
            Doubt::Written => self.0.write(outputs)?,
            Doubt::NotWritten | Doubt::NotOpened => {}
        }
        Err(SoleWriteError::OutcomeUnknown("no answer".into()))
    }
}

impl Bus for Flawed {
    fn cluster_id(&self) -> Result<String, BusError> {
        self.bus.cluster_id()
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.bus.ensure_topics(topics)
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        self.bus.partitions(topic)
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.bus.end_offsets(topic)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.bus.beginning_offsets(topic)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.bus.offsets_at(topic, time_ms)
    }

    fn publisher(&self, name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        self.bus.publisher(name)
    }

    fn sole_writer(&self, name: &str) -> Result<Box<dyn SoleWriter>, BusError> {
        let writer = self.bus.sole_writer(name)?;
        match self.doubts.lock().unwrap().pop_front() {
            Some(Doubt::NotOpened) => Err(BusError::Unavailable("away".into())),
            Some(doubt) => Ok(Box::new(Doubtful(writer, doubt))),
            None => Ok(writer),
        }
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        if *topic == *self.unreadable.0 && self.unreadable.1.load(Ordering::Relaxed) {
            return Err(BusError::Unavailable("not readable".into()));
        }
        let tail = self.bus.tail(topic)?;
        match *topic == *self.unreadable.0 {
            true => Ok(Box::new(Refused(tail, self.unreadable.1.clone()))),
            false => Ok(tail),
        }
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        self.bus.session(options)
    }
}

pub(crate) fn rig(needs: Needs, readable: bool) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let topics = Topics::new("petrel.", 4, 4);
    let log = LocalBus::open(LocalOptions::new(dir.path()), clock.clone()).unwrap();
    let spec = |topic: petrel_schemas::OwnTopic| TopicSpec {
        name: topic.name,
        partitions: topic.partitions,
        compacted: topic.cleanup == Cleanup::Compact,
        retention_ms: None,
        delete_retention_ms: None,
    };
    log.ensure_topics(&topics.all(&["default"]).into_iter().map(spec).collect::<Vec<_>>()).unwrap();
    let unreadable = (topics.catalog(), Arc::new(AtomicBool::new(!readable)));
    let log = Arc::new(Flawed { bus: log, unreadable, doubts: Mutex::default() });
    let bus: Arc<dyn Bus> = log.clone();
    let publisher = bus.publisher("test").unwrap();
    let (world, stop) = (World::new(needs), Stop::default());
    let follows = Follows { bus: bus.clone(), clock: clock.clone(), stop: stop.clone(), troubles: Troubles::default() };
    world.spawn(&follows, &topics);
    Rig { _dir: dir, log, bus, clock, topics, publisher, world, follows, stop }
}

impl Flawed {
    /// From now on the catalog's log can be read, or cannot.
    pub(crate) fn let_read(&self, readable: bool) {
        self.unreadable.1.store(!readable, Ordering::Relaxed);
    }
}

impl Rig {
    /// Another process that follows the same log.
    pub(crate) fn other(&self, needs: Needs) -> Arc<World> {
        let world = World::new(needs);
        world.spawn(&self.follows, &self.topics);
        world
    }

    async fn write(&self, topic: Arc<str>, entries: Vec<(String, Option<Vec<u8>>)>) {
        let record = |(key, value): (String, Option<Vec<u8>>)| Output::to_partition(&topic, 0, key.into_bytes(), value);
        self.publisher.publish(entries.into_iter().map(record).collect()).await.unwrap();
    }

    /// Publishes without asking whether it compiles, as a newer release may.
    pub(crate) async fn put(&self, packs: Vec<StoredPack>, bindings: Vec<TriggerBinding>) -> String {
        let mut blobs: Vec<String> = packs.iter().map(|pack| pack.hash().to_string()).collect();
        blobs.sort();
        let revision = petrel_catalog::Content::of(packs.clone()).hash().to_owned();
        let name = revision.clone();
        let record = CatalogRevision { revision: name.clone(), blobs, packs: vec!["disk 1".into()], created_at_ms: 0 };
        let (history, history_until_ms) = (Vec::new(), Vec::new());
        let applied_by = "test".to_owned();
        let head = CatalogHead { revision: name, history, history_until_ms, applied_at_ms: 0, applied_by };
        let blob = |pack: &StoredPack| {
            let blob = CatalogBlob { pack: pack.name().to_owned(), content: pack.archive().to_vec() };
            (format!("blob/{}", pack.hash()), Some(encode(&blob)))
        };
        let mut entries: Vec<_> = packs.iter().map(blob).collect();
        entries.push((format!("revision/{revision}"), Some(encode(&record))));
        entries.extend(bindings.iter().map(|b| (format!("binding/{}", b.trigger), Some(encode(b)))));
        entries.push(("head".to_owned(), Some(encode(&head))));
        self.write(self.topics.catalog(), entries).await;
        self.world.wait_until(|g| g.head().revision == revision).await.unwrap();
        revision
    }

    async fn set(&self, key: &str, value: &str) {
        let entry = KvEntry { value: value.to_owned(), updated_at_ms: 0, updated_by: "test".to_owned() };
        let before = self.world.globals().kv_version();
        self.write(self.topics.kv(), vec![(key.to_owned(), Some(encode(&entry)))]).await;
        self.world.wait_until(|g| g.kv_version() > before).await.unwrap();
    }
}

pub(crate) fn file(path: &str, text: &str) -> PackFile {
    PackFile { path: path.to_owned(), bytes: text.as_bytes().to_vec(), executable: path.ends_with(".sh") }
}

const ACTION: &str = "name: clean\nrunner: command\ncommand: [./clean.sh]\n";

/// The files of a pack with a bound trigger, an action and a rule of that text.
fn disk(rule: &str) -> Vec<PackFile> {
    vec![
        file("actions/clean.sh", "#!/bin/sh\n"),
        file("actions/clean.yaml", ACTION),
        file("pack.yaml", "name: disk\nversion: 1.0.0\n"),
        file("rules/clean.yaml", rule),
        file("triggers/alert.yaml", "name: alert\nsource: { kafka: { topic: alerts } }\n"),
        file("triggers/push.yaml", "name: push\n"),
    ]
}

pub(crate) fn stored(files: Vec<PackFile>) -> StoredPack {
    let blob = CatalogBlob { pack: "disk".to_owned(), content: archive::pack(&files).unwrap() };
    StoredPack::new(&archive::content_hash(&files).unwrap(), Arc::new(blob))
}

fn binding(offsets: Vec<i64>) -> TriggerBinding {
    let (trigger, topic, start) = ("disk.alert".to_owned(), "alerts".to_owned(), "activation".to_owned());
    TriggerBinding { trigger, topic, start, offsets, bound_at_ms: 0 }
}

const GOOD: &str = "name: clean\ntrigger: disk.alert\naction: { ref: disk.clean }\n";
const LATER: &str = "name: clean\ntrigger: disk.alert\nquorum: 3\naction: { ref: disk.clean }\n";

#[tokio::test]
async fn a_head_that_this_release_cannot_compile_decides_nothing_and_says_why() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let decided = |globals: &Globals| globals.plan().why_undecided().map(str::to_owned);
    assert_eq!(decided(&rig.world.globals()), None, "no catalog is no problem");

    // At a start, where nothing was in force before, and while one was.
    for round in 0..2 {
        let broken = rig.put(vec![stored(disk(LATER))], vec![binding(vec![7, 9])]).await;
        let globals = rig.world.globals();
        let why = decided(&globals).unwrap();
        assert!(why.contains(&broken) && why.contains("disk/rules/clean.yaml:3:1"), "{why}");
        assert_eq!(rig.world.problems(), [format!("catalog: {why}")]);
        let inputs = globals.plan().inputs();
        assert_eq!(inputs.len(), 1, "what is bound is still read, and waits");
        assert_eq!(&*inputs[0].name, "alerts");
        assert_eq!(inputs[0].start, petrel_bus::Start::Offsets(vec![7, 9]));
        // Events are still taken in, actions of any revision still run, and pause still works.
        assert!(rig.world.triggers().get("disk.push").is_some());
        assert!(matches!(globals.resolve(&broken, "disk.clean"), Resolution::Ready(_)));
        for paused in [true, false] {
            rig.set(DISPATCH_KEY, &format!("{{\"paused\":{paused}}}")).await;
            assert_eq!(rig.world.globals().is_paused(), paused);
        }

        let good = rig.put(vec![stored(disk(&format!("{GOOD}description: round {round}\n")))], Vec::new()).await;
        let globals = rig.world.globals();
        assert_eq!((decided(&globals), globals.revision()), (None, &*good));
        assert_eq!(rig.world.problems(), [""; 0]);
        assert_eq!(globals.plan().stats().rules, 1);
    }
}

#[tokio::test]
async fn pause_works_while_the_catalog_cannot_be_read() {
    let rig = rig(Needs::Rules, false);
    rig.set(DISPATCH_KEY, "{\"paused\":true}").await;
    let globals = rig.world.globals();
    assert!(globals.is_paused());
    assert!(matches!(globals.resolve("any", "disk.clean"), Resolution::NotYet), "nothing is known to be gone");
    let why = "the catalog's log has not been read to its end";
    assert_eq!(globals.plan().why_undecided(), Some(why), "and no event is taken for one of an unknown trigger");
    assert_eq!(rig.world.triggers().why_incomplete(), Some(why));
}

#[tokio::test]
async fn a_revision_that_was_removed_before_this_process_saw_it_is_told_as_removed() {
    let rig = rig(Needs::Nothing, true);
    rig.world.ready().await;
    let pack = stored(disk(GOOD));
    let revision = petrel_catalog::Content::of([pack.clone()]).hash().to_owned();
    let resolve = |action: &str| rig.world.globals().resolve(&revision, action);
    let version = rig.world.current().version;
    assert!(matches!(resolve("disk.clean"), Resolution::NotYet), "it may be on its way");
    rig.world.wait_until(|g| matches!(g.resolve(&revision, "disk.clean"), Resolution::Removed)).await.unwrap();
    assert!(rig.world.current().version > version, "stages are told to look again");

    // It comes back, by a roll-back say.
    assert_eq!(rig.put(vec![pack], Vec::new()).await, revision);
    assert!(matches!(resolve("disk.clean"), Resolution::Ready(_)));
    assert!(matches!(resolve("disk.wipe"), Resolution::NoSuchAction));
    assert!(matches!(resolve("tape.clean"), Resolution::NoSuchAction));
    assert!(rig.world.globals().head().compiled.is_none(), "nobody here needs the rules");
}

/// What a write makes new is counted, not timed.
#[tokio::test]
async fn a_write_to_the_key_value_store_costs_the_same_with_many_keys_and_rules() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let mut files = disk(GOOD);
    for n in 0..500 {
        let rule = GOOD.replace("clean\ntrigger", &format!("r{n}\ntrigger"));
        files.push(file(&format!("rules/r{n}.yaml"), &rule));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    rig.put(vec![stored(files)], vec![binding(vec![0])]).await;
    let mut set = 0;
    for keys in [10, 5_000] {
        while set < keys {
            let entry = KvEntry { value: "1".to_owned(), updated_at_ms: 0, updated_by: "test".to_owned() };
            let record = |n: i32| (format!("k{n}"), Some(encode(&entry)));
            let more = (keys - set).min(1_000);
            let before = rig.world.globals().kv_version();
            rig.write(rig.topics.kv(), (set..set + more).map(record).collect()).await;
            rig.world.wait_until(|g| g.kv_version() == before + i64::from(more)).await.unwrap();
            set += more;
        }
        let (before, version) = (rig.world.globals(), rig.world.current().version);
        rig.set("k3", "\"changed\"").await;
        let after = rig.world.globals();
        assert_eq!(rig.world.current().version, version, "no partition is told");
        assert!(Arc::ptr_eq(&before.head, &after.head), "rules and plan are those of before");
        let made = after.kv.parts_not_in(&before.kv);
        assert!((1..=30).contains(&made), "{made} parts for one of {keys} keys");
        assert_eq!(after.kv_version(), before.kv_version() + 1);
        let same = before.kv.parts_not_in(&before.kv);
        assert_eq!(same, 0, "the version of before is still there, whole");
    }
}
