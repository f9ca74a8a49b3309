//! What all handles of a log share: topics, offsets and groups in memory, and the way to the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use petrel_bus::group::Group;
use petrel_bus::{BusError, Clock, LogUsage, TopicPartition, TopicSpec};

use crate::options::LocalOptions;
use crate::store::layout::Slot;
use crate::store::{Bounds, Committed, Loaded, Store};

/// A topic; records within the bounds are visible.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: u32,
    pub(crate) spec: TopicSpec,
    /// What each partition holds.
    pub(crate) bounds: Vec<Bounds>,
}

/// Everything that changes with a commit. Only the committer changes topics and offsets.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    /// The highest number that a topic was ever given: a topic that is made anew is another one.
    pub(crate) topic_max: u32,
    pub(crate) offsets: HashMap<(Arc<str>, TopicPartition), Committed>,
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// How many sole writers were opened, by name: one process has the log, so nobody else counts.
    pub(crate) sole_writers: HashMap<Arc<str>, u64>,
    pub(crate) version: u64,
    /// Bytes of all partitions.
    pub(crate) bytes: u64,
    /// The last refusal for want of space, until there is enough.
    pub(crate) refused: Option<Refused>,
    /// How often the store was opened anew after a failure.
    pub(crate) reopened: u64,
    /// Partitions that retention cannot read, and why.
    pub(crate) unreadable: BTreeMap<TopicPartition, String>,
}

/// A call that was refused for want of space.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: String,
    /// What it would have taken.
    pub(crate) bytes: u64,
}

impl State {
    pub(crate) fn count(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).map(|t| t.spec.partitions)
    }

    /// A partition's place in the store, and what it holds.
    pub(crate) fn find(&self, at: &TopicPartition) -> Option<(Slot, Bounds)> {
        let topic = self.topics.get(&at.topic)?;
        let bounds = *topic.bounds.get(at.partition as usize)?;
        Some((Slot { topic: topic.id, partition: at.partition }, bounds))
    }

    /// What a partition holds from now on.
    pub(crate) fn set_bounds(&mut self, at: &TopicPartition, bounds: Bounds) {
        let topic = self.topics.get_mut(&at.topic);
        if let Some(place) = topic.and_then(|t| t.bounds.get_mut(at.partition as usize)) {
            self.bytes = self.bytes.saturating_sub(place.bytes).saturating_add(bounds.bytes);
            *place = bounds;
        }
    }

    /// Adds a topic that the store will get with the batch in the making; returns its number.
    pub(crate) fn add_topic(&mut self, spec: &TopicSpec) -> u32 {
        let id = self.topic_max + 1;
        self.topic_max = id;
        let bounds = vec![Bounds::default(); spec.partitions as usize];
        self.topics.insert(spec.name.clone(), Topic { id, spec: spec.clone(), bounds });
        self.rebalance();
        id
    }

    /// Takes a topic out that the batch in the making removes from the store.
    pub(crate) fn remove_topic(&mut self, name: &str) -> Option<Topic> {
        let topic = self.topics.remove(name)?;
        let held: u64 = topic.bounds.iter().map(|bounds| bounds.bytes).sum();
        self.bytes = self.bytes.saturating_sub(held);
        self.unreadable.retain(|at, _| *at.topic != *name);
        self.rebalance();
        Some(topic)
    }

    /// Replaces topics and offsets by what the store has.
    pub(crate) fn load(&mut self, loaded: Loaded) {
        self.topic_max = loaded.topics.iter().map(|(id, ..)| *id).fold(loaded.topic_max, u32::max);
        let topics = loaded.topics.into_iter();
        self.topics = topics.map(|(id, spec, bounds)| (spec.name.clone(), Topic { id, spec, bounds })).collect();
        self.bytes = self.topics.values().flat_map(|t| &t.bounds).map(|b| b.bytes).sum();
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

    /// Why nothing more may be written.
    pub(crate) fn full(&self) -> String {
        let (bytes, most) = (self.lock().bytes, self.options.log_bytes_max);
        format!(
            "the local log is full: it holds {bytes} of log_bytes_max, {most} bytes, and no record is old enough to go"
        )
    }

    /// Bytes that may still be written.
    pub(crate) fn room(&self, state: &State) -> u64 {
        self.options.log_bytes_max.saturating_sub(state.bytes)
    }

    pub(crate) fn usage(&self) -> LogUsage {
        let state = self.lock();
        let refused = state.refused.iter().map(|refused| refused.why.clone());
        let unreadable = state
            .unreadable
            .iter()
            .map(|(at, why)| format!("old records of {}/{} cannot be removed: {why}", at.topic, at.partition));
        let problems = refused.chain(unreadable).collect();
        LogUsage { bytes: state.bytes, bytes_max: self.options.log_bytes_max, problems }
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
