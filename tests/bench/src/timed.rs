//! Where a stage's thread spends its time: a bus, its sessions and a stage that measure what they pass on.
//!
//! Whole fetches, batches and commits are timed, never single records of the input.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use petrel_bus::{
    Batch, Begin, Bus, BusError, Context, DueTimer, Fetched, GroupEvent, InputTopic, Output, Position, Publisher,
    RestoreFrom, RestoreProgress, Restored, Session, SessionError, SessionOptions, Stage, StageSpec, Tail, Taken,
    TopicPartition, TopicSpec,
};

use crate::cell::Written;
use crate::cost::{Cost, Meters};

/// Wall and CPU time of one kind of work, in nanoseconds.
#[derive(Debug, Default)]
struct Spent {
    wall_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

/// What the wrappers have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Waiting for and taking over records, the steps apart.
    fetch: Spent,
    /// What the driver does with fetched records, the stage's step included.
    take: Spent,
    step: Spent,
    send: Spent,
    commit: Spent,
    commits: AtomicU64,
    written: Mutex<Written>,
    /// When partitions were accepted and fetching began.
    began: Mutex<Option<(Meters, Duration)>>,
}

/// From the begin of fetching to the last commit.
#[derive(Debug)]
pub(crate) struct Finished {
    pub cost: Cost,
    pub split: Vec<(&'static str, f64, f64)>,
    pub commits: u64,
    pub commit_s: f64,
}

impl Seen {
    fn commits(&self) -> (u64, f64) {
        (self.commits.load(Ordering::Relaxed), self.commit.seconds().0)
    }

    pub(crate) fn written(&self) -> Written {
        lock(&self.written).clone()
    }

    /// Name, wall seconds, CPU seconds; together the whole of the thread.
    fn split(&self, wall_s: f64, cpu_s: f64) -> Vec<(&'static str, f64, f64)> {
        let ((take_wall, take_cpu), step) = (self.take.seconds(), self.step.seconds());
        let (fetch, send, commit) = (self.fetch.seconds(), self.send.seconds(), self.commit.seconds());
        let rest_wall = wall_s - fetch.0 - take_wall - send.0 - commit.0;
        let rest_cpu = cpu_s - fetch.1 - take_cpu - send.1 - commit.1;
        vec![
            ("fetch", fetch.0, fetch.1),
            ("step", step.0, step.1),
            ("send", send.0, send.1),
            ("commit", commit.0, commit.1),
            ("driver", rest_wall + take_wall - step.0, rest_cpu + take_cpu - step.1),
        ]
    }

    /// Counts from here on, once.
    fn begin(&self) {
        let mut began = lock(&self.began);
        if began.is_some() {
            return;
        }
        for spent in [&self.fetch, &self.take, &self.step, &self.send, &self.commit] {
            spent.wall_ns.store(0, Ordering::Relaxed);
            spent.cpu_ns.store(0, Ordering::Relaxed);
        }
        self.commits.store(0, Ordering::Relaxed);
        // Meters that cannot be read now cannot be read at the end either, which is reported there.
        *began = Meters::read().ok().map(|meters| (meters, thread_cpu()));
    }
}

impl Spent {
    fn add(&self, from: Mark) {
        let (wall, cpu) = (from.wall.elapsed(), thread_cpu().saturating_sub(from.cpu));
        self.wall_ns.fetch_add(wall.as_nanos() as u64, Ordering::Relaxed);
        self.cpu_ns.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Takes time away that was counted here and belongs elsewhere.
    fn subtract(&self, wall_ns: u64, cpu_ns: u64) {
        self.wall_ns.fetch_sub(wall_ns, Ordering::Relaxed);
        self.cpu_ns.fetch_sub(cpu_ns, Ordering::Relaxed);
    }

    fn ns(&self) -> (u64, u64) {
        (self.wall_ns.load(Ordering::Relaxed), self.cpu_ns.load(Ordering::Relaxed))
    }

    fn seconds(&self) -> (f64, f64) {
        let (wall, cpu) = self.ns();
        (wall as f64 / 1e9, cpu as f64 / 1e9)
    }
}

#[derive(Clone, Copy)]
struct Mark {
    wall: Instant,
    cpu: Duration,
}

fn mark() -> Mark {
    Mark { wall: Instant::now(), cpu: thread_cpu() }
}

/// CPU time of the calling thread; nothing where the system cannot tell.
pub(crate) fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The values are replaced or added to, so a panic elsewhere cannot leave them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bus whose sessions are timed.
pub(crate) struct TimedBus {
    pub inner: Arc<dyn Bus>,
    pub seen: Arc<Seen>,
}

impl Bus for TimedBus {
    fn cluster_id(&self) -> Result<String, BusError> {
        self.inner.cluster_id()
    }
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.inner.ensure_topics(topics)
    }
    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        self.inner.partitions(topic)
    }
    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.inner.end_offsets(topic)
    }
    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.inner.beginning_offsets(topic)
    }
    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.inner.offsets_at(topic, time_ms)
    }
    fn publisher(&self, name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        self.inner.publisher(name)
    }
    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        self.inner.tail(topic)
    }
    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        Ok(Box::new(TimedSession { inner: self.inner.session(options)?, seen: self.seen.clone() }))
    }
}

struct TimedSession {
    inner: Box<dyn Session>,
    seen: Arc<Seen>,
}

impl Session for TimedSession {
    fn group(&self) -> &Arc<str> {
        self.inner.group()
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        self.inner.subscribe(inputs)
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        let seen = self.seen.clone();
        let from = mark();
        let mut taken = (0, 0);
        let events = self.inner.fetch(wait, max, &mut |fetched| {
            let before = seen.take.ns();
            let take = mark();
            each(fetched);
            seen.take.add(take);
            let after = seen.take.ns();
            taken = (after.0 - before.0, after.1 - before.1);
        })?;
        self.seen.fetch.add(from);
        self.seen.fetch.subtract(taken.0, taken.1);
        Ok(events)
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        self.inner.begin(assigned)
    }
    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        self.inner.restore(wanted, each)
    }
    fn tell_restores(&mut self, progress: Arc<RestoreProgress>) {
        self.inner.tell_restores(progress);
    }
    fn all_caught_up(&self) -> bool {
        self.inner.all_caught_up()
    }
    fn position(&self, at: &TopicPartition) -> i64 {
        self.inner.position(at)
    }
    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        self.inner.high_watermarks(partitions)
    }
    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.seen.begin();
        self.inner.accept(positions)
    }
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.inner.release(partitions)
    }
    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.pause(at)
    }
    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.resume(at)
    }
    fn read_again(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.read_again(at)
    }
    fn caught_up(&self, at: &TopicPartition) -> bool {
        self.inner.caught_up(at)
    }
    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        self.inner.incarnations(topics)
    }
    fn lag(&mut self) -> Option<u64> {
        self.inner.lag()
    }
    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        self.inner.partitions(topic)
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        let from = mark();
        {
            let mut written = lock(&self.seen.written);
            let bytes = output.bytes() as u64;
            match written.get_mut(&*output.topic) {
                Some(sum) => *sum = (sum.0 + 1, sum.1 + bytes),
                None => drop(written.insert(output.topic.to_string(), (1, bytes))),
            }
        }
        let sent = self.inner.send(output, partition);
        self.seen.send.add(from);
        sent
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let from = mark();
        self.inner.commit(positions)?;
        self.seen.commit.add(from);
        self.seen.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.inner.abort(rewind)
    }
    fn close(&mut self) {
        self.inner.close();
    }
}

/// A stage that is timed, and that tells when so many records of one topic are committed.
pub(crate) struct TimedStage<S> {
    inner: S,
    seen: Arc<Seen>,
    topic: Arc<str>,
    events: u64,
    finished: Sender<Finished>,
    committed: u64,
    /// Records of the open transaction.
    open: u64,
}

impl<S> TimedStage<S> {
    /// Tells `finished` once `events` records of `topic` are committed.
    pub(crate) fn new(inner: S, seen: &Arc<Seen>, topic: &str, events: u64, finished: Sender<Finished>) -> Self {
        Self { inner, seen: seen.clone(), topic: topic.into(), events, finished, committed: 0, open: 0 }
    }

    fn finish(&self) {
        let Some((began, cpu)) = *lock(&self.seen.began) else { return };
        let Ok(ended) = Meters::read() else { return };
        let cost = began.until(&ended);
        let split = self.seen.split(cost.wall_s, thread_cpu().saturating_sub(cpu).as_secs_f64());
        let (commits, commit_s) = self.seen.commits();
        // Nobody listens any more if the benchmark has given up.
        let _ = self.finished.send(Finished { cost, split, commits, commit_s });
    }
}

impl<S: Stage> Stage for TimedStage<S> {
    type Globals = S::Globals;

    fn spec(&self) -> &StageSpec {
        self.inner.spec()
    }

    fn inputs(&self, globals: &Self::Globals) -> Vec<InputTopic> {
        self.inner.inputs(globals)
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Self::Globals>) -> Taken {
        if *batch.topic == self.topic {
            self.open += batch.records.len() as u64;
        }
        let from = mark();
        let taken = self.inner.records(batch, context);
        self.seen.step.add(from);
        taken
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, Self::Globals>) {
        self.inner.timers(due, context);
    }

    fn globals_changed(&mut self, context: &mut Context<'_, Self::Globals>) {
        self.inner.globals_changed(context);
    }

    fn told(&mut self, globals: &Self::Globals, mine: &[u32]) -> Vec<u32> {
        self.inner.told(globals, mine)
    }

    fn take_told(&mut self, context: &mut Context<'_, Self::Globals>) {
        self.inner.take_told(context);
    }

    fn committed(&mut self) {
        self.inner.committed();
        let open = std::mem::take(&mut self.open);
        self.committed += open;
        if open > 0 && self.committed == self.events {
            self.finish();
        }
    }

    fn aborted(&mut self) {
        self.inner.aborted();
        self.open = 0;
    }

    fn revoked(&mut self, partition: u32) {
        self.inner.revoked(partition);
    }
}
