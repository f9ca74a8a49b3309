//! Random histories of a partition against a model: commits, aborts, crashes between commit and apply,
//! restores that are broken off, processes that end and come back, another member that has the partition
//! meanwhile, compaction that removes tombstones, clocks that run on. After every step, state, scans and
//! timers are what the changelog says, over whatever store.

use std::collections::{BTreeMap, BTreeSet};

use petrel_bus::{
    DueTimer, MemoryStores, PartitionState, StateStores, StoreName, Timer,
    TimerKind::{self, Silence, Time},
};
use petrel_bus_cache::{CacheOptions, DiskStores};
use proptest::prelude::*;
use tempfile::TempDir;

/// How long the log keeps tombstones, and how old a cache may be.
const TOMBSTONE_MS: i64 = 1_000;
const AGE_MS_MAX: i64 = TOMBSTONE_MS / 2;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Set(u8, TimerKind, i8),
    Cancel(u8),
    TakeDue(TimerKind, i8, usize),
    Commit,
    /// The process ends after the commit, before the store has it.
    CommitAndCrash,
    Abort,
    /// The store is told where the changelog ends.
    Note,
    /// The process ends; another one opens what it left.
    Restart,
    /// So does the session; the process stays.
    Rebuild,
    /// The session ends in the middle of its restore, after so many records.
    BrokenRestore(usize),
    /// The other member takes over; each has a cache of its own.
    Move,
    /// The log drops what is superseded, and tombstones that are old enough.
    Compact,
    Pass(i64),
    /// The other member has the partition for that long and removes a key; then the log is compacted.
    Away(u8, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, value, instant) = (0..6_u8, any::<u8>(), -4..12_i8);
    let kind = prop_oneof![Just(Time), Just(Silence)];
    let step = prop_oneof![
        8 => (key.clone(), value).prop_map(|(k, v)| Step::Put(k, v)),
        4 => key.clone().prop_map(Step::Delete),
        6 => (key.clone(), kind.clone(), instant.clone()).prop_map(|(k, kind, at)| Step::Set(k, kind, at)),
        2 => key.clone().prop_map(Step::Cancel),
        2 => (key, prop_oneof![Just(400), Just(1_100)]).prop_map(|(k, ms)| Step::Away(k, ms)),
        3 => (kind, instant, 1..4_usize).prop_map(|(kind, at, max)| Step::TakeDue(kind, at, max)),
        8 => Just(Step::Commit),
        3 => Just(Step::CommitAndCrash),
        2 => Just(Step::Abort),
        2 => Just(Step::Note),
        2 => Just(Step::Restart),
        2 => Just(Step::Rebuild),
        2 => (0..20_usize).prop_map(Step::BrokenRestore),
        2 => Just(Step::Move),
        2 => Just(Step::Compact),
        3 => prop_oneof![Just(10), Just(300), Just(700)].prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..60)
}

type Values = BTreeMap<Vec<u8>, Vec<u8>>;
type Timers = BTreeMap<Vec<u8>, Timer>;

/// Offset, instant, key, value.
type Record = (i64, i64, Vec<u8>, Option<Vec<u8>>);

/// A changelog's partition.
#[derive(Default)]
struct Changelog {
    records: Vec<Record>,
    end: i64,
}

impl Changelog {
    fn append(&mut self, now_ms: i64, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.records.push((self.end, now_ms, key, value));
        // A gap behind it, as a transaction's marker is.
        self.end += 2;
    }

    fn compact(&mut self, now_ms: i64) {
        let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        last.extend(self.records.iter().map(|(offset, _, key, _)| (key.clone(), *offset)));
        let is_old = |at_ms: i64| now_ms - at_ms > TOMBSTONE_MS;
        self.records.retain(|(offset, at_ms, key, value)| last[key] == *offset && (value.is_some() || !is_old(*at_ms)));
    }
}

/// A member's process and where its cache is.
struct Place<S> {
    stores: Option<S>,
    open: Box<dyn Fn() -> S>,
}

struct World<S> {
    places: [Place<S>; 2],
    at: usize,
    state: Option<PartitionState>,
    log: Changelog,
    committed: (Values, Timers),
    open: (Values, Timers),
    now_ms: i64,
}

impl<S: StateStores> World<S> {
    fn new(open: [Box<dyn Fn() -> S>; 2]) -> Self {
        let places = open.map(|open| Place { stores: Some(open()), open });
        let (committed, open) = Default::default();
        let mut world = Self { places, at: 0, state: None, log: Changelog::default(), committed, open, now_ms: 0 };
        world.assign(None);
        world
    }

    /// What the driver does on assignment; `records_max` breaks it off.
    fn assign(&mut self, records_max: Option<usize>) {
        self.open = self.committed.clone();
        let name = StoreName { stage: "owner".into(), changelog: "executions".into(), partition: 3 };
        let place = &mut self.places[self.at];
        let stores = place.stores.get_or_insert_with(&place.open);
        let mut state = PartitionState::new(stores.open(&name, self.now_ms).unwrap(), 1_000);
        let from = state.position().unwrap_or(0);
        let records = self.log.records.iter().filter(|(offset, ..)| *offset >= from);
        for (_, _, key, value) in records.take(records_max.unwrap_or(usize::MAX)) {
            state.restore(key, value.as_deref());
        }
        if records_max.is_some() {
            return self.assign(None);
        }
        state.restored(self.log.end, self.now_ms).unwrap();
        self.state = Some(state);
    }

    fn state(&mut self) -> &mut PartitionState {
        self.state.as_mut().expect("assigned")
    }

    fn commit(&mut self, is_applied: bool) {
        let changes: Vec<_> = self.state().changes().map(|(key, value)| (key.into_owned(), value)).collect();
        for (key, value) in changes {
            self.log.append(self.now_ms, key, value);
        }
        self.committed = self.open.clone();
        let now_ms = self.now_ms;
        match is_applied {
            true => self.state().commit(now_ms).unwrap(),
            false => self.state = None,
        }
    }

    fn take(&mut self, step: Step) {
        let (values, timers) = &mut self.open;
        match step {
            Step::Put(key, value) => {
                values.insert(vec![key], vec![value; 3]);
                self.state().put(&[key], vec![value; 3]).unwrap();
            }
            Step::Delete(key) => {
                values.remove(&[key][..]);
                self.state().delete(&[key]);
            }
            Step::Set(key, kind, at) => {
                timers.insert(vec![key], Timer { kind, due_ms: at.into() });
                self.state().set_timer(&[key], kind, at.into());
            }
            Step::Cancel(key) => {
                timers.remove(&[key][..]);
                self.state().cancel_timer(&[key]);
            }
            Step::TakeDue(kind, at, max) => {
                let is_due = |t: &&DueTimer| t.due_ms <= at.into();
                let due: Vec<DueTimer> = in_order(timers, kind).iter().filter(is_due).take(max).cloned().collect();
                timers.retain(|key, _| due.iter().all(|timer| timer.key != *key));
                assert_eq!(self.state().take_due(kind, at.into(), max), due);
            }
            Step::Commit => self.commit(true),
            Step::CommitAndCrash => self.commit(false),
            Step::Abort => {
                self.open = self.committed.clone();
                self.state().abort();
            }
            Step::Note => {
                self.commit(true);
                let (end, now_ms) = (self.log.end, self.now_ms);
                self.state().note(end, now_ms).unwrap();
            }
            Step::Restart => {
                self.state = None;
                self.places[self.at].stores = None;
                self.assign(None);
            }
            Step::Rebuild => {
                self.state = None;
                self.assign(None);
            }
            Step::BrokenRestore(records) => {
                self.state = None;
                self.assign(Some(records));
            }
            Step::Move => {
                self.state = None;
                self.at = 1 - self.at;
                self.assign(None);
            }
            Step::Compact => self.log.compact(self.now_ms),
            Step::Pass(ms) => self.now_ms += ms,
            Step::Away(key, ms) => {
                let steps = [Step::Move, Step::Delete(key), Step::Commit, Step::Pass(ms), Step::Compact, Step::Move];
                steps.into_iter().for_each(|step| self.take(step));
            }
        }
        if self.state.is_none() {
            self.assign(None);
        }
    }

    fn check(&mut self) {
        let (values, timers) = self.open.clone();
        let state = self.state();
        assert_eq!(state.failure(), None);
        let found: Values = state.scan(b"").map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        assert_eq!(found, values);
        let from_2: Vec<Vec<u8>> = state.scan(&[2]).map(|(k, _)| k.into_owned()).collect();
        assert_eq!(from_2, values.keys().filter(|k| k[0] >= 2).cloned().collect::<Vec<_>>());
        for key in 0..6_u8 {
            assert_eq!(state.get(&[key]).as_deref(), values.get(&[key][..]).map(Vec::as_slice));
        }
        for kind in TimerKind::ALL {
            let first = in_order(&timers, kind).first().map(|t| t.due_ms);
            assert_eq!(state.next_due_ms(kind), first);
        }
    }
}

fn in_order(timers: &Timers, kind: TimerKind) -> BTreeSet<DueTimer> {
    let of_kind = timers.iter().filter(|(_, timer)| timer.kind == kind);
    of_kind.map(|(key, timer)| DueTimer { due_ms: timer.due_ms, key: key.clone() }).collect()
}

fn run<S: StateStores>(mut world: World<S>, steps: Vec<Step>) {
    for step in steps {
        world.take(step);
        world.check();
    }
    // What is there at the end is what a member without any cache restores.
    world.take(Step::Commit);
    let (values, timers) = world.committed.clone();
    let mut fresh = PartitionState::default();
    for (_, _, key, value) in &world.log.records {
        fresh.restore(key, value.as_deref());
    }
    fresh.restored(world.log.end, 0).unwrap();
    assert_eq!(fresh.scan(b"").map(|(k, v)| (k.into_owned(), v.into_owned())).collect::<Values>(), values);
    for kind in TimerKind::ALL {
        let all: Vec<DueTimer> = in_order(&timers, kind).into_iter().collect();
        assert_eq!(fresh.take_due(kind, i64::MAX, usize::MAX), all);
        assert_eq!(world.state().take_due(kind, i64::MAX, usize::MAX), all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_memory_every_history_ends_in_what_the_changelog_says(steps in steps()) {
        let open = || -> Box<dyn Fn() -> MemoryStores> {
            let stores = MemoryStores::with_age_ms_max(AGE_MS_MAX);
            Box::new(move || stores.clone())
        };
        run(World::new([open(), open()]), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_disk_every_history_ends_in_what_the_changelog_says(steps in steps()) {
        let dirs: [TempDir; 2] = std::array::from_fn(|_| TempDir::new().unwrap());
        let open = |dir: &TempDir| -> Box<dyn Fn() -> DiskStores> {
            let options = CacheOptions { age_ms_max: AGE_MS_MAX, ..CacheOptions::new(dir.path(), "cluster") };
            Box::new(move || DiskStores::open(options.clone()).unwrap())
        };
        run(World::new([open(&dirs[0]), open(&dirs[1])]), steps);
    }
}
