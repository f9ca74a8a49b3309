//! One member of the sink's group: fetch, cut, write, count, commit.

use std::collections::BTreeMap;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use petrel_bus::{Begin, Clock, GroupEvent, Halts, InputTopic, Position, Session, SessionError, Start, TopicPartition};

use super::buffer::{Buffer, CutLimits};
use super::intent::Intent;
use super::round::{Round, Tables};
use super::service::{SinkOptions, SinkTopics};
use super::stats::SinkStats;
use super::writer::Writer;
use crate::client::SqlError;
use crate::rows::Table;

/// Longest single wait for records while ClickHouse is down: the session must be served.
const DOWN_WAIT: Duration = Duration::from_millis(200);

/// How often it is asked whether what cannot be read can be read again, in milliseconds.
pub(super) const LOOK_INTERVAL_MS: i64 = 30_000;

/// Where a test may let the sink crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SinkPoint {
    /// A batch is cut; its range is not recorded.
    Cut,
    /// The range is recorded; nothing is written.
    Recorded,
    /// This table is written, not yet counted.
    Inserted(Table),
    /// This table is written and counted.
    Counted(Table),
    /// Every table is written, the offset is not committed.
    Written,
    /// The offset is committed.
    Committed,
}

/// Answers whether the sink crashes here.
pub(crate) type Crash<'a> = dyn FnMut(SinkPoint) -> bool + 'a;

/// Why a step ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepError {
    /// The session is of no further use.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The test's crash.
    #[error("crashed at {0:?}")]
    Crashed(SinkPoint),
    /// ClickHouse did not take the rows.
    #[error("{0}")]
    ClickHouse(String),
}

impl From<SqlError> for StepError {
    fn from(error: SqlError) -> Self {
        Self::ClickHouse(error.to_string())
    }
}

/// ClickHouse does not take rows.
#[derive(Debug)]
struct Outage {
    /// In milliseconds since the epoch.
    again_ms: i64,
    /// What lies between the failure and that, in milliseconds.
    jittered_ms: u64,
    pause_ms: u64,
}

impl Outage {
    /// How long nothing is tried, in milliseconds; a clock that was set back does not make it longer.
    fn left_ms(&self, now_ms: i64) -> u64 {
        u64::try_from(self.again_ms - now_ms).ok().filter(|left_ms| *left_ms <= self.jittered_ms).unwrap_or(0)
    }
}

/// One session's life.
pub(crate) struct Sink<S, W> {
    session: S,
    writer: W,
    topics: SinkTopics,
    options: SinkOptions,
    clock: Arc<dyn Clock>,
    stats: Arc<SinkStats>,
    buffers: BTreeMap<TopicPartition, Buffer>,
    prepared: bool,
    outage: Option<Outage>,
    /// What could not be read on.
    halts: Halts,
    /// When topics that are missing were asked for last, in milliseconds since the epoch.
    asked_ms: i64,
}

impl<S, W> Sink<S, W>
where
    S: DerefMut<Target: Session>,
    W: DerefMut<Target: Writer>,
{
    /// Subscribes.
    pub(crate) fn new(
        mut session: S,
        writer: W,
        topics: &SinkTopics,
        options: &SinkOptions,
        clock: Arc<dyn Clock>,
        stats: Arc<SinkStats>,
    ) -> Result<Self, StepError> {
        let input = |name: &Arc<str>| InputTopic { name: name.clone(), start: Start::Beginning, with: None };
        session.subscribe(&[input(&topics.audit), input(&topics.dead_letters)])?;
        // What an earlier session could not read, this one will tell again.
        stats.set_blocked(Vec::new());
        Ok(Self {
            session,
            writer,
            topics: topics.clone(),
            options: options.clone(),
            asked_ms: clock.now_ms(),
            clock,
            stats,
            buffers: BTreeMap::new(),
            prepared: false,
            outage: None,
            halts: Halts::default(),
        })
    }

    /// Fetches once and writes what is due. An outage of ClickHouse is no error of a step.
    pub(crate) fn step(&mut self, crash: &mut Crash<'_>) -> Result<(), StepError> {
        self.stats.turn_began(self.clock.now_ms());
        self.look()?;
        self.fetch(self.wait())?;
        if self.outage.as_ref().is_some_and(|outage| outage.left_ms(self.clock.now_ms()) > 0) {
            return Ok(());
        }
        self.write_due(false, crash)
    }

    /// Writes what is there, without waiting for more: the end of an orderly life.
    pub(crate) fn finish(&mut self, crash: &mut Crash<'_>) -> Result<(), StepError> {
        if self.outage.is_none() {
            self.write_due(true, crash)?;
        }
        self.session.close();
        Ok(())
    }

    fn limits(&self) -> CutLimits {
        CutLimits {
            records_max: self.options.batch_rows_max,
            bytes_max: self.options.batch_bytes_max,
            wait: Duration::from_millis(self.options.flush_ms),
        }
    }

    /// Until the first batch is due, the outage may be over, or it is time to look again.
    fn wait(&self) -> Duration {
        let idle = Duration::from_millis(self.options.idle_wait_ms);
        match &self.outage {
            Some(outage) => Duration::from_millis(outage.left_ms(self.clock.now_ms())).min(DOWN_WAIT),
            None => {
                let (limits, now_ms) = (self.limits(), self.clock.now_ms());
                self.buffers.values().filter_map(|b| b.due_in(limits, now_ms)).min().unwrap_or(idle).min(idle)
            }
        }
    }

    /// Asks from time to time for what could not be read.
    fn look(&mut self) -> Result<(), StepError> {
        let now_ms = self.clock.now_ms();
        self.halts.ask_again(&mut *self.session, now_ms, LOOK_INTERVAL_MS)?;
        // Also after a clock was set back.
        let is_time = !(0..LOOK_INTERVAL_MS).contains(&now_ms.saturating_sub(self.asked_ms));
        if is_time && !self.stats.has_all_topics() {
            self.asked_ms = now_ms;
            let SinkTopics { audit, dead_letters } = &self.topics;
            let found = self.session.incarnations(&[audit.clone(), dead_letters.clone()])?;
            self.stats.forget_missing(|topic| found.contains_key(topic));
        }
        Ok(())
    }

    fn fetch(&mut self, wait: Duration) -> Result<(), StepError> {
        let (buffers, stats, clock) = (&mut self.buffers, &self.stats, &self.clock);
        let events = self.session.fetch(wait, self.options.fetch_records_max, &mut |fetched| {
            stats.records.fetch_add(fetched.len() as u64, Ordering::Relaxed);
            for batch in fetched.batches() {
                let at = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
                // Records of a partition that was given up come again to whoever has it now.
                let Some(buffer) = buffers.get_mut(&at) else { continue };
                let now_ms = clock.now_ms();
                batch.records.iter().for_each(|record| buffer.push(record.to_owned(), now_ms));
            }
        })?;
        self.stats.forget_halted(&self.halts.read_again(&*self.session));
        for event in events {
            self.membership(event)?;
        }
        let lag = self.session.lag().and_then(|lag| i64::try_from(lag).ok()).unwrap_or(-1);
        self.stats.lag.store(lag, Ordering::Relaxed);
        Ok(())
    }

    fn membership(&mut self, event: GroupEvent) -> Result<(), StepError> {
        match event {
            GroupEvent::Assigned(partitions) => {
                self.forget_halted(&partitions);
                self.stats.forget_missing(|topic| partitions.iter().any(|at| at.topic == *topic));
                self.assigned(&partitions)?;
            }
            // What is not written stays behind the committed offset, with its recorded range.
            GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => {
                partitions.iter().for_each(|at| drop(self.buffers.remove(at)));
                self.session.release(&partitions)?;
                self.forget_halted(&partitions);
                self.tell_blocked();
            }
            GroupEvent::Halted(at, why) => {
                tracing::error!(topic = %at.topic, partition = at.partition, why, "partition halted");
                self.halts.halted(&at, &*self.session, self.clock.now_ms());
                self.stats.halted(at, why);
            }
            // Petrel's own topics were there when the process began: nobody says so of another one.
            GroupEvent::Missing(topic, why) => {
                tracing::error!(%topic, why, "a topic cannot be read");
                self.stats.missing(topic, why);
            }
        }
        self.stats.assigned.store(self.buffers.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn forget_halted(&mut self, partitions: &[TopicPartition]) {
        self.halts.forget(partitions);
        self.stats.forget_halted(partitions);
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), StepError> {
        let begun = self.session.begin(partitions)?;
        // It asks nobody later whether they can be begun: with the next session it tries again.
        if let Some(Begin { position, refused: Some(why), .. }) = begun.iter().find(|begun| begun.refused.is_some()) {
            let Position { at: TopicPartition { topic, partition }, .. } = position;
            return Err(SessionError::Rebuild(format!("{topic}/{partition} cannot be begun: {why}")).into());
        }
        // A group that the broker forgot begins at the beginning of what is left: long, and harmless, for
        // the rows of a record are known by where it stands.
        let start = |begun: &Begin| (!begun.committed).then(|| begun.position.clone());
        let starts: Vec<Position> = begun.iter().filter_map(start).collect();
        self.session.commit(&starts)?;
        let positions: Vec<Position> = begun.into_iter().map(|begun| begun.position).collect();
        for position in &positions {
            let replay = position.metadata.as_deref().and_then(Intent::decode);
            let dead_letters = position.at.topic == self.topics.dead_letters;
            let buffer = Buffer::new(position.at.clone(), position.offset, replay, dead_letters);
            self.buffers.insert(position.at.clone(), buffer);
        }
        self.session.accept(&positions)?;
        if self.outage.is_some() {
            partitions.iter().try_for_each(|at| self.session.pause(at))?;
        }
        Ok(())
    }

    fn write_due(&mut self, all: bool, crash: &mut Crash<'_>) -> Result<(), StepError> {
        let limits = self.limits();
        let now_ms = self.clock.now_ms();
        let due_within = |within: Duration| {
            let is_due = move |b: &&Buffer| b.due_in(limits, now_ms).is_some_and(|due| due <= within || all);
            self.buffers.values().filter(is_due).map(|b| b.at.clone())
        };
        // One that is due takes along those that soon would be: their ranges are recorded and committed together.
        let within = if due_within(Duration::ZERO).next().is_some() { limits.wait / 2 } else { Duration::ZERO };
        let mut due: Vec<TopicPartition> = due_within(within).collect();
        // Behind, every partition would fill up to the size of a batch before the first one is written.
        let can_be_written = || self.buffers.values().filter(|b| b.due_in(limits, now_ms).is_some());
        let waiting_bytes: usize = can_be_written().map(Buffer::waiting_bytes).sum();
        if due.is_empty() && waiting_bytes > self.options.waiting_bytes_max {
            due.extend(can_be_written().max_by_key(|b| b.waiting_bytes()).map(|b| b.at.clone()));
        }
        if due.is_empty() && self.prepared && self.outage.is_none() {
            return Ok(());
        }
        match self.write_all(&due, crash) {
            Ok(()) => self.outage_over(),
            Err(StepError::ClickHouse(why)) => self.outage_goes_on(why),
            Err(other) => Err(other),
        }
    }

    fn write_all(&mut self, due: &[TopicPartition], crash: &mut Crash<'_>) -> Result<(), StepError> {
        if !self.prepared {
            self.stats.turn_began(self.clock.now_ms());
            self.writer.prepare().map_err(|e| StepError::ClickHouse(e.to_string()))?;
            self.prepared = true;
        }
        let mut due = due;
        while !due.is_empty() {
            let (round, later) = due.split_at(self.length_of_round(due));
            self.write_round(round, crash)?;
            due = later;
        }
        Ok(())
    }

    /// Of how many partitions the batches are written together: they are in memory together, too.
    fn length_of_round(&self, due: &[TopicPartition]) -> usize {
        let mut bytes = 0;
        let fits = |at: &&TopicPartition| {
            bytes += self.buffers.get(at).map_or(0, Buffer::waiting_bytes);
            bytes <= self.options.batch_bytes_max
        };
        due.iter().take_while(fits).count().max(1)
    }

    /// Cuts the batches of these partitions, and writes them.
    fn write_round(&mut self, due: &[TopicPartition], crash: &mut Crash<'_>) -> Result<(), StepError> {
        let (limits, now_ms) = (self.limits(), self.clock.now_ms());
        for at in due {
            let Some(buffer) = self.buffers.get_mut(at) else { continue };
            let was_blocked = buffer.blocked().is_some();
            let is_cut = buffer.cut(limits, now_ms).is_some();
            if !was_blocked {
                self.block(at)?;
            }
            at_point(is_cut, SinkPoint::Cut, crash)?;
        }
        let (session, writer) = (&mut *self.session, &mut *self.writer);
        let tables = Tables { writer, stats: &self.stats, clock: &*self.clock };
        let cut = self.buffers.values_mut().filter(|buffer| due.contains(&buffer.at) && buffer.is_cut());
        Round { session, tables, buffers: cut.collect() }.write(crash)
    }

    /// Stops fetching a partition whose next record this release cannot read, and says so.
    fn block(&mut self, at: &TopicPartition) -> Result<(), StepError> {
        let Some(blocked) = self.buffers.get(at).and_then(Buffer::blocked) else { return Ok(()) };
        let (topic, partition, offset, reason) = (&at.topic, at.partition, blocked.offset, &blocked.reason);
        tracing::error!(%topic, partition, offset, reason, "a partition of the audit trail waits for a newer release");
        self.session.pause(at)?;
        self.tell_blocked();
        Ok(())
    }

    fn tell_blocked(&self) {
        self.stats.set_blocked(self.buffers.values().filter_map(Buffer::blocked).cloned().collect());
    }

    /// Fetches every partition again that does not wait for a newer release.
    fn resume_all(&mut self) -> Result<(), StepError> {
        let able = self.buffers.values().filter(|buffer| buffer.blocked().is_none());
        Ok(able.map(|buffer| &buffer.at).try_for_each(|at| self.session.resume(at))?)
    }

    fn outage_over(&mut self) -> Result<(), StepError> {
        if self.outage.take().is_some() {
            self.resume_all()?;
        }
        // The outage may have begun in an earlier session.
        if self.stats.down_since_ms.load(Ordering::Relaxed) != 0 {
            self.stats.up();
            tracing::info!("clickhouse takes rows again");
        }
        Ok(())
    }

    /// Nothing more is fetched, offsets stay, and the next try is later than the last.
    fn outage_goes_on(&mut self, why: String) -> Result<(), StepError> {
        let (first_ms, max_ms) = self.options.backoff_ms;
        let pause_ms = self.outage.as_ref().map_or(first_ms, |outage| (outage.pause_ms * 2).min(max_ms));
        let jittered_ms = pause_ms / 2 + random_below(pause_ms / 2 + 1);
        if self.outage.is_none() {
            self.buffers.keys().try_for_each(|at| self.session.pause(at))?;
        }
        tracing::warn!(error = why, again_in_ms = jittered_ms, "clickhouse does not take rows");
        self.stats.down(self.clock.now_ms(), why);
        let again_ms = self.clock.now_ms().saturating_add_unsigned(jittered_ms);
        self.outage = Some(Outage { again_ms, jittered_ms, pause_ms });
        Ok(())
    }
}

/// Crashes where the test wants it, if the point was reached.
pub(super) fn at_point(is_reached: bool, point: SinkPoint, crash: &mut Crash<'_>) -> Result<(), StepError> {
    if is_reached && crash(point) { Err(StepError::Crashed(point)) } else { Ok(()) }
}

/// For jitter only: the standard library's hash keys are random.
fn random_below(limit: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() % limit.max(1)
}
