//! The log as sessions and tails see it.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use petrel_bus::group::{Counts, Group};
use petrel_bus::{BusError, Clock, Log, SessionError, TopicPartition, Transaction, Waker};

use crate::committer::{Commit, Committer, Job};
use crate::lock::DirectoryLock;
use crate::options::LocalOptions;
use crate::state::Shared;
use crate::store::{Chunk, Store};

/// A handle of an open log; the log closes with the last one.
#[derive(Clone)]
pub(crate) struct LocalLog(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// Taken when the log closes, which ends the committer.
    queue: Option<SyncSender<Job>>,
    committer: Option<JoinHandle<()>>,
    _lock: DirectoryLock,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the committer of the local log panicked");
        }
    }
}

impl LocalLog {
    pub(crate) fn open(options: LocalOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let dir = options.dir.clone();
        let failed = |e: std::io::Error| {
            BusError::Storage(format!("the directory of the local log, {}, cannot be used: {e}", dir.display()))
        };
        std::fs::create_dir_all(&options.dir).map_err(failed)?;
        let lock = DirectoryLock::take(&options.dir)?;
        let (store, loaded) = Store::open(&options.dir)?;
        let commits = store.commits();
        let (queue, jobs) = sync_channel(options.queue_calls_max);
        let shared = Arc::new(Shared::new(options, clock, store, loaded));
        let committer = Committer::new(shared.clone(), jobs, commits);
        let thread = std::thread::Builder::new().name("local-log".into());
        let committer = thread.spawn(move || committer.run()).map_err(failed)?;
        Ok(Self(Arc::new(Inner { shared, queue: Some(queue), committer: Some(committer), _lock: lock })))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(crate) fn queue(&self) -> &SyncSender<Job> {
        // It is taken in `drop` alone, behind which nobody can call this.
        self.0.queue.as_ref().unwrap_or_else(|| unreachable!("the log is open"))
    }

    /// Gives the committer a job and waits for its answer.
    pub(crate) fn ask<T>(&self, job: impl FnOnce(SyncSender<T>) -> Job) -> Option<T> {
        let (answer, answered) = sync_channel(1);
        self.queue().send(job(answer)).ok()?;
        answered.recv().ok()
    }

    pub(crate) fn group_check(&self, positions: &Transaction<'_>) -> Result<(), SessionError> {
        let Transaction { group, member, epoch, positions, .. } = positions;
        let partitions = positions.iter().map(|p| &p.at);
        Ok(self.group(group, |members, _| members.check(member, *epoch, partitions))?)
    }
}

fn ended() -> SessionError {
    SessionError::Rebuild("the local log has closed".into())
}

impl Log for LocalLog {
    type Block = Chunk;

    fn now_ms(&self) -> i64 {
        self.shared().clock.now_ms()
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.shared().lock().count(topic)
    }

    fn incarnation(&self, topic: &str) -> Option<Arc<str>> {
        self.shared().lock().topics.get(topic).map(|topic| topic.id.to_string().into())
    }

    fn bounds(&self, at: &TopicPartition) -> Option<Range<i64>> {
        self.shared().lock().find(at).map(|(_, bounds)| bounds.begin..bounds.end)
    }

    fn read(&self, at: &TopicPartition, from: i64, records_max: usize) -> Result<Vec<Chunk>, SessionError> {
        let Some((slot, bounds)) = self.shared().lock().find(at) else { return Ok(Vec::new()) };
        let store = self.shared().store().map_err(|e| SessionError::Rebuild(e.to_string()))?;
        store.read(slot, from, bounds.end, records_max).map_err(SessionError::Rebuild)
    }

    fn settle(&self, _group: &str, _partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.ask(|answer| Job::Barrier { answer }).unwrap_or_else(|| Err(ended()))
    }

    fn offset(&self, group: &str, at: &TopicPartition) -> Option<(i64, Option<String>)> {
        self.shared().lock().offsets.get(&(group.into(), at.clone())).cloned()
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<(), SessionError> {
        let limit = self.shared().options.record_bytes_max;
        if let Some((output, _)) = transaction.outputs.iter().find(|(output, _)| output.bytes() > limit) {
            let (bytes, topic) = (output.bytes(), &output.topic);
            let why = format!("a record of {bytes} bytes for {topic} is over record_bytes_max, {limit}");
            return Err(SessionError::Halt(why));
        }
        // Fenced again by the committer; here it spares a zombie's records the way there.
        self.group_check(&transaction)?;
        let Transaction { group, member, epoch, outputs, positions, .. } = transaction;
        let bytes = outputs.iter().map(|(output, _)| output.bytes()).sum::<usize>();
        self.shared().queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (group, member, positions) = (group.clone(), member.clone(), positions.to_vec());
        self.ask(|answer| Job::Commit(Commit { group, member, epoch, outputs, bytes, positions, answer }))
            .unwrap_or_else(|| Err(ended()))
    }

    fn group<R>(&self, group: &str, f: impl FnOnce(&mut Group, &Counts<'_>) -> R) -> R {
        let mut state = self.shared().lock();
        let crate::state::State { groups, topics, version, .. } = &mut *state;
        let members = groups.entry(group.into()).or_default();
        let before = members.generation();
        let answer = f(members, &|topic| topics.get(topic).map(|t| t.spec.partitions));
        if members.generation() != before {
            *version += 1;
            self.shared().changed.notify_all();
        }
        answer
    }

    fn crashed(&self, group: &str, member: &str, epoch: u64) {
        // In one process there is nobody else who could notice.
        self.group(group, |members, counts| members.leave(member, epoch, counts));
    }

    fn waker(&self) -> Waker {
        let shared = self.0.shared.clone();
        Arc::new(move || {
            shared.lock().version += 1;
            shared.changed.notify_all();
        })
    }

    fn version(&self) -> u64 {
        self.shared().lock().version
    }

    fn wait(&self, seen: u64, wait: Duration) -> bool {
        let state = self.shared().lock();
        let waited = self.shared().changed.wait_timeout_while(state, wait, |state| state.version == seen);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
