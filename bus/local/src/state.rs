//! What all handles of a log share: topics, offsets and groups in memory, and the way to the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use petrel_bus::group::Group;
use petrel_bus::{BusError, Clock, TopicPartition, TopicSpec};

use crate::options::LocalOptions;
use crate::store::layout::Slot;
use crate::store::{Bounds, Committed, Loaded, Store};

/// A topic; records of `begin..end` are visible.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: u32,
    pub(crate) spec: TopicSpec,
    /// First offset and end, by partition.
    pub(crate) bounds: Vec<Bounds>,
}

/// Everything that changes with a commit. Only the committer changes topics and offsets.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    pub(crate) offsets: HashMap<(Arc<str>, TopicPartition), Committed>,
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// How many sole writers were opened, by name: one process has the log, so nobody else counts.
    pub(crate) sole_writers: HashMap<Arc<str>, u64>,
    pub(crate) version: u64,
}

impl State {
    pub(crate) fn count(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).map(|t| t.spec.partitions)
    }

    /// A partition's place in the store, its first offset and its end.
    pub(crate) fn find(&self, at: &TopicPartition) -> Option<(Slot, i64, i64)> {
        let topic = self.topics.get(&at.topic)?;
        let (begin, end) = *topic.bounds.get(at.partition as usize)?;
        Some((Slot { topic: topic.id, partition: at.partition }, begin, end))
    }

    /// Adds a topic that the store will get with the batch in the making; returns its number.
    pub(crate) fn add_topic(&mut self, spec: &TopicSpec) -> u32 {
        let id = self.topics.values().map(|t| t.id).max().unwrap_or(0) + 1;
        let bounds = vec![(0, 0); spec.partitions as usize];
        self.topics.insert(spec.name.clone(), Topic { id, spec: spec.clone(), bounds });
        self.rebalance();
        id
    }

    /// Replaces topics and offsets by what the store has.
    pub(crate) fn load(&mut self, loaded: Loaded) {
        let topics = loaded.topics.into_iter();
        self.topics = topics.map(|(id, spec, bounds)| (spec.name.clone(), Topic { id, spec, bounds })).collect();
        self.offsets = loaded.offsets.into_iter().map(|(group, at, committed)| ((group, at), committed)).collect();
        self.rebalance();
    }

    fn rebalance(&mut self) {
        let Self { topics, groups, .. } = self;
        for group in groups.values_mut() {
            group.rebalance(&|topic| topics.get(topic).map(|t: &Topic| t.spec.partitions));
        }
        self.version += 1;
    }
}

pub(crate) struct Shared {
    pub(crate) options: LocalOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cluster_id: String,
    pub(crate) disk_free_bytes_min: AtomicU64,
    /// Bytes in the queue before the committer.
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) changed: Condvar,
    state: Mutex<State>,
    /// None while it is opened anew after a failure.
    store: RwLock<Option<Arc<Store>>>,
}

impl Shared {
    pub(crate) fn new(options: LocalOptions, clock: Arc<dyn Clock>, store: Store, loaded: Loaded) -> Self {
        let cluster_id = loaded.cluster_id.clone();
        let mut state = State::default();
        state.load(loaded);
        Self {
            disk_free_bytes_min: AtomicU64::new(options.disk_free_bytes_min),
            options,
            clock,
            cluster_id,
            queued_bytes: AtomicUsize::new(0),
            changed: Condvar::new(),
            state: Mutex::new(state),
            store: RwLock::new(Some(Arc::new(store))),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> Result<Arc<Store>, BusError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        store.ok_or_else(|| BusError::Unavailable("the local log is being opened anew after a failure".into()))
    }

    pub(crate) fn replace_store(&self, store: Option<Store>) -> Option<Arc<Store>> {
        let mut place = self.store.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, store.map(Arc::new))
    }
}
