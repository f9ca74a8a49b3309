//! The one thread that writes.
#![expect(clippy::disallowed_methods, reason = "paces the syncs of the log to the disk")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use petrel_bus::{Acknowledge, BusError, Output, Position, PublishError, SessionError, TopicSpec, Written};

use crate::disk;
use crate::options::Fsync;
use crate::retention::{Retention, Work};
use crate::stage_batch::Staged;
use crate::state::{Refused, Shared, State};
use crate::store::Store;
use crate::store::layout::is_topic_name;
use crate::store::record_bytes_max;

/// Pause between two attempts to open the store anew.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for a call, so that intervals are kept.
const IDLE_WAIT: Duration = Duration::from_millis(200);

/// A call that waits for the committer.
pub(crate) enum Job {
    Publish {
        outputs: Vec<Output>,
        bytes: usize,
        /// The sole writer that it is of, if it is of one.
        sole: Option<Sole>,
        acknowledge: Acknowledge,
    },
    Commit(Commit),
    Topics {
        specs: Vec<TopicSpec>,
        answer: SyncSender<Result<(), BusError>>,
    },
    /// Removes the offsets of a group.
    Forget {
        group: Arc<str>,
        answer: SyncSender<Result<(), BusError>>,
    },
    /// Removes a topic and what groups have committed there.
    Delete {
        topic: Arc<str>,
        answer: SyncSender<Result<(), BusError>>,
    },
    /// Answered once everything before it is visible.
    Barrier {
        answer: SyncSender<Result<(), SessionError>>,
    },
}

/// A sole writer: its name, and how many there were when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sole {
    pub(crate) name: Arc<str>,
    pub(crate) number: u64,
}

pub(crate) struct Commit {
    pub(crate) group: Arc<str>,
    pub(crate) member: Arc<str>,
    pub(crate) epoch: u64,
    pub(crate) outputs: Vec<(Output, u32)>,
    pub(crate) bytes: usize,
    pub(crate) positions: Vec<Position>,
    pub(crate) answer: SyncSender<Result<(), SessionError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Publish { bytes, .. } => *bytes,
            Self::Commit(commit) => commit.bytes,
            Self::Topics { .. } | Self::Forget { .. } | Self::Delete { .. } | Self::Barrier { .. } => 0,
        }
    }

    /// Most bytes that it adds to the log.
    fn cost(&self) -> u64 {
        let bytes = |output: &Output| record_bytes_max(output.key.as_deref(), output.value.as_deref());
        let total: usize = match self {
            Self::Publish { outputs, .. } => outputs.iter().map(bytes).sum(),
            Self::Commit(commit) => commit.outputs.iter().map(|(output, _)| bytes(output)).sum(),
            Self::Topics { .. } | Self::Forget { .. } | Self::Delete { .. } | Self::Barrier { .. } => 0,
        };
        total as u64
    }

    /// Nothing of it was written.
    fn refuse(self, why: &str) {
        // Whoever asked may have gone; then nobody waits for the answer.
        match self {
            Self::Publish { acknowledge, .. } => drop(acknowledge.send(Err(PublishError::Unavailable(why.into())))),
            Self::Commit(commit) => drop(commit.answer.send(Err(SessionError::Rebuild(why.into())))),
            Self::Topics { answer, .. } | Self::Forget { answer, .. } | Self::Delete { answer, .. } => {
                drop(answer.send(Err(BusError::Storage(why.into()))));
            }
            Self::Barrier { answer } => drop(answer.send(Err(SessionError::Rebuild(why.into())))),
        }
    }
}

/// Who is to be told once the batch is durable.
enum Waiting {
    Publish(Acknowledge, Written),
    Commit(SyncSender<Result<(), SessionError>>),
    Topics(SyncSender<Result<(), BusError>>),
}

impl Waiting {
    fn tell(self, failure: Option<&str>) {
        match (self, failure) {
            (Self::Publish(acknowledge, written), None) => drop(acknowledge.send(Ok(written))),
            (Self::Publish(acknowledge, _), Some(why)) => {
                drop(acknowledge.send(Err(PublishError::OutcomeUnknown(why.into()))));
            }
            (Self::Commit(answer), None) => drop(answer.send(Ok(()))),
            (Self::Commit(answer), Some(why)) => drop(answer.send(Err(SessionError::Rebuild(why.into())))),
            (Self::Topics(answer), None) => drop(answer.send(Ok(()))),
            (Self::Topics(answer), Some(why)) => drop(answer.send(Err(BusError::Storage(why.into())))),
        }
    }
}

pub(crate) struct Committer {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    commits: u64,
    synced: Instant,
    is_dirty: bool,
    retention: Retention,
    /// What was written since retention had its last turn.
    written: Work,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, jobs: Receiver<Job>, commits: u64) -> Self {
        let retention = Retention::new(&shared.options);
        Self { shared, jobs, commits, synced: Instant::now(), is_dirty: false, retention, written: Work::default() }
    }

    /// Works until every handle of the log is gone.
    pub(crate) fn run(mut self) {
        loop {
            match self.jobs.recv_timeout(self.idle_wait()) {
                Ok(first) => self.round(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_house();
        }
        self.sync();
        drop(self.shared.replace_store(None));
    }

    fn idle_wait(&self) -> Duration {
        match self.shared.options.fsync {
            _ if self.retention.is_working() => Duration::ZERO,
            Fsync::Interval(ms) if self.is_dirty => Duration::from_millis(ms).min(IDLE_WAIT),
            _ => IDLE_WAIT,
        }
    }

    /// Takes everything that waits, up to the batch's limit, and commits it.
    fn round(&mut self, first: Job) {
        let mut bytes = first.bytes();
        let mut jobs = VecDeque::from([first]);
        while bytes < self.shared.options.batch_bytes_max {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.bytes();
            jobs.push_back(job);
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (refused, jobs) = self.refusals(jobs, bytes);
        refused.into_iter().for_each(|(job, why)| job.refuse(&why));
        let (mut staged, mut waiting, mut barriers) = (Staged::default(), Vec::new(), Vec::new());
        {
            let mut state = self.shared.lock();
            for job in jobs {
                match job {
                    Job::Barrier { answer } => barriers.push(answer),
                    job => waiting.extend(self.stage(&mut state, &mut staged, job)),
                }
            }
        }
        let tell = |waiting: Vec<Waiting>, failure: Option<&str>| waiting.into_iter().for_each(|w| w.tell(failure));
        match staged.is_empty() {
            true => tell(waiting, None),
            false => self.on_store(|this, store| {
                let written = this.write(store, staged);
                // Before a store that failed is opened anew, which may take any time.
                tell(waiting, written.as_ref().err().map(String::as_str));
                written
            }),
        }
        // Behind the reopening: what a failed batch left behind is known now.
        barriers.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
    }

    /// Splits jobs into those that cannot be written now, each with the reason, and the others.
    fn refusals(&mut self, jobs: VecDeque<Job>, bytes: usize) -> (Vec<(Job, String)>, Vec<Job>) {
        if let Err(e) = self.shared.store() {
            let why = e.to_string();
            return (jobs.into_iter().map(|job| (job, why.clone())).collect(), Vec::new());
        }
        let mut room = self.make_room(jobs.iter().map(Job::cost).sum());
        let min = self.shared.disk_free_bytes_min.load(Ordering::Relaxed).saturating_add(bytes as u64);
        let full = disk::too_full(&self.shared.options.dir, min);
        let (mut refused, mut taken, mut last) = (Vec::new(), Vec::new(), None);
        for job in jobs {
            let cost = job.cost();
            let why = match (&job, &full) {
                (Job::Barrier { .. }, _) => None,
                (_, Some(why)) => Some(why.clone()),
                (_, None) if cost > room => Some(self.shared.full()),
                (_, None) => None,
            };
            match why {
                Some(why) => {
                    last = Some(Refused { why: why.clone(), bytes: cost });
                    refused.push((job, why));
                }
                None => {
                    room -= cost.min(room);
                    taken.push(job);
                }
            }
        }
        if last.is_some() {
            self.shared.lock().refused = last;
        }
        (refused, taken)
    }

    /// Bytes that may be written, after old records were removed if that is less than wanted.
    fn make_room(&mut self, wanted: u64) -> u64 {
        let room = |this: &Self| this.shared.room(&this.shared.lock());
        if wanted > room(self) && self.retention.may_force() {
            self.on_store(|this, store| this.retention.force(&this.shared, store, &mut this.commits, wanted));
            self.is_dirty = true;
        }
        room(self)
    }

    /// Works on the store. One that failed to write takes nothing more: once nobody holds it, it is opened
    /// anew.
    fn on_store(&mut self, work: impl FnOnce(&mut Self, &Store) -> Result<(), String>) {
        let Ok(store) = self.shared.store() else { return };
        let done = work(self, &store);
        // Opening it anew waits until it is let go.
        drop(store);
        if let Err(why) = done {
            self.reopen(&why);
        }
    }

    fn stage(&self, state: &mut State, staged: &mut Staged, job: Job) -> Option<Waiting> {
        let now_ms = self.shared.clock.now_ms();
        match job {
            Job::Publish { sole: Some(Sole { name, number }), acknowledge, .. }
                if state.sole_writers.get(&name) != Some(&number) =>
            {
                // To its writer, "closed" means that another one was opened since.
                drop(acknowledge.send(Err(PublishError::Closed)));
                None
            }
            Job::Publish { outputs, acknowledge, .. } => match self.place(state, staged, &outputs) {
                Ok(partitions) => {
                    let placed = outputs.into_iter().zip(partitions);
                    let written = placed.map(|(output, p)| staged.record(state, output, p, now_ms)).collect();
                    Some(Waiting::Publish(acknowledge, written))
                }
                Err(error) => {
                    drop(acknowledge.send(Err(error)));
                    None
                }
            },
            Job::Commit(Commit { group, member, epoch, outputs, positions, answer, .. }) => {
                if let Err(error) = check(state, &group, &member, epoch, &outputs, &positions) {
                    drop(answer.send(Err(error)));
                    return None;
                }
                for (output, partition) in outputs {
                    staged.record(state, output, partition, now_ms);
                }
                staged.positions(&group, positions);
                Some(Waiting::Commit(answer))
            }
            Job::Topics { specs, answer } => {
                for spec in specs {
                    // Two calls may have asked for the same topic.
                    if state.count(&spec.name).is_none() {
                        staged.topic(state.add_topic(&spec), spec);
                    }
                }
                Some(Waiting::Topics(answer))
            }
            Job::Forget { group, answer } => {
                staged.forget(state, &group);
                Some(Waiting::Topics(answer))
            }
            Job::Delete { topic, answer } => {
                if let Some(removed) = state.remove_topic(&topic) {
                    staged.delete(state, removed.id, &removed.spec);
                }
                Some(Waiting::Topics(answer))
            }
            Job::Barrier { answer } => Some(Waiting::Commit(answer)),
        }
    }

    /// Chooses partitions, making topics that are new, before anything is staged: all or nothing.
    fn place(&self, state: &mut State, staged: &mut Staged, outputs: &[Output]) -> Result<Vec<u32>, PublishError> {
        let options = &self.shared.options;
        let count_of = |state: &State, topic: &str| state.count(topic).unwrap_or(options.topic_partitions_default);
        for output in outputs {
            let is_new = state.count(&output.topic).is_none();
            if is_new && !is_topic_name(&output.topic) {
                return Err(PublishError::UnknownTopic(format!("{:?}: not a topic's name", output.topic)));
            }
            if is_new && state.topics.len() >= options.topics_max {
                return Err(PublishError::Unavailable(format!(
                    "there are {} topics, as many as may be",
                    options.topics_max
                )));
            }
            let (count, topic) = (count_of(state, &output.topic), &output.topic);
            let partition = output.partition(count);
            if partition >= count {
                return Err(PublishError::UnknownTopic(format!("{topic}, partition {partition}")));
            }
        }
        for output in outputs {
            if state.count(&output.topic).is_none() {
                let spec = TopicSpec {
                    name: output.topic.clone(),
                    partitions: options.topic_partitions_default,
                    compacted: false,
                    retention_ms: options.retention_ms_default,
                    delete_retention_ms: None,
                };
                staged.topic(state.add_topic(&spec), spec);
            }
        }
        Ok(outputs.iter().map(|output| output.partition(count_of(state, &output.topic))).collect())
    }

    fn write(&mut self, store: &Store, mut staged: Staged) -> Result<(), String> {
        let to_disk = self.shared.options.fsync == Fsync::Commit;
        let mut batch = store.batch();
        let written = staged.fill(store, &mut batch).map_err(|e| e.to_string())?;
        self.commits += 1;
        batch.write(self.commits, to_disk).map_err(|e| e.to_string())?;
        self.is_dirty = !to_disk;
        self.written.extend(written);
        if to_disk {
            store.note_commits(self.commits);
        }
        staged.apply(&mut self.shared.lock());
        self.shared.changed.notify_all();
        Ok(())
    }

    fn keep_house(&mut self) {
        if let Fsync::Interval(ms) = self.shared.options.fsync
            && self.synced.elapsed() >= Duration::from_millis(ms)
        {
            self.sync();
        }
        let written = std::mem::take(&mut self.written);
        self.on_store(|this, store| {
            this.is_dirty |= this.retention.turn(&this.shared, store, &mut this.commits, written)?;
            Ok(())
        });
        self.forget_refusal();
    }

    /// The last refusal is over once there is space for what was refused.
    fn forget_refusal(&self) {
        let mut state = self.shared.lock();
        let Some(Refused { bytes, .. }) = state.refused else { return };
        let min = self.shared.disk_free_bytes_min.load(Ordering::Relaxed).saturating_add(bytes);
        if bytes <= self.shared.room(&state) && disk::too_full(&self.shared.options.dir, min).is_none() {
            state.refused = None;
        }
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if !std::mem::take(&mut self.is_dirty) {
            return;
        }
        self.on_store(|this, store| {
            store.sync().map_err(|e| e.to_string())?;
            store.note_commits(this.commits);
            Ok(())
        });
    }

    /// A store that failed to write takes nothing more: it is opened anew, and what it has is the truth.
    fn reopen(&mut self, why: &str) {
        tracing::error!(%why, "the local log could not write, it is opened anew");
        if let Some(mut store) = self.shared.replace_store(None) {
            // Readers hold it for the length of one read.
            while let Err(still_read) = Arc::try_unwrap(store) {
                store = still_read;
                std::thread::yield_now();
            }
        }
        loop {
            match Store::open(&self.shared.options.dir) {
                Ok((store, loaded)) => {
                    self.commits = store.commits();
                    // What it has may be in the operating system's hands alone.
                    self.is_dirty = true;
                    {
                        let mut state = self.shared.lock();
                        state.load(loaded);
                        state.reopened += 1;
                    }
                    self.shared.replace_store(Some(store));
                    self.shared.changed.notify_all();
                    tracing::info!("the local log is open again");
                    return;
                }
                Err(error) => tracing::error!(%error, "the local log cannot be opened"),
            }
            match self.jobs.recv_timeout(REOPEN_PAUSE) {
                Ok(job) => {
                    self.shared.queued_bytes.fetch_sub(job.bytes(), Ordering::Relaxed);
                    job.refuse(why);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Whether a transaction may be written.
fn check(
    state: &mut State,
    group: &Arc<str>,
    member: &str,
    epoch: u64,
    outputs: &[(Output, u32)],
    positions: &[Position],
) -> Result<(), SessionError> {
    for (output, partition) in outputs {
        if state.count(&output.topic).is_none_or(|count| *partition >= count) {
            return Err(SessionError::Halt(format!("there is no partition {partition} of topic {}", output.topic)));
        }
    }
    if let Some(position) = positions.iter().find(|position| state.count(&position.at.topic).is_none()) {
        return Err(SessionError::Abort(format!("there is no topic {} to commit a position of", position.at.topic)));
    }
    let members = state.groups.entry(group.clone()).or_default();
    Ok(members.check(member, epoch, positions.iter().map(|p| &p.at))?)
}
