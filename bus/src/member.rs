//! The session of a log that lives in one process; [`crate::sim`] and `petrel-bus-local` share it.
//!
//! A [`Log`] offers reading, an atomic commit and its groups; everything else that the driver expects of
//! a session is here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bus::SessionOptions;
use crate::follow::check_followers;
use crate::globals::Waker;
use crate::group::Fenced;
use crate::incarnation::is_of_earlier_topic;
use crate::log::{Block, Log, Transaction};
use crate::record::Output;
use crate::restores::RestoreProgress;
use crate::session::{
    Begin, Fetched, GroupEvent, Position, RESTORE_OUT_OF_RANGE, RestoreFrom, Restored, Session, SessionError,
    TopicPartition,
};
use crate::stage::{InputTopic, Start};

/// Most records read of a changelog or by a tail at once.
pub(crate) const READ_RECORDS_MAX: usize = 4096;

impl From<Fenced> for SessionError {
    fn from(fenced: Fenced) -> Self {
        Self::Rebuild(fenced.to_string())
    }
}

/// Blocks by the index of the cursor that they were read for.
type Read<B> = Vec<(usize, Vec<B>)>;

#[derive(Debug)]
struct Cursor {
    at: TopicPartition,
    next: i64,
    paused: bool,
    halted: bool,
}

/// A member of a consumer group of a [`Log`].
#[derive(Debug)]
pub struct Member<L: Log> {
    log: L,
    options: SessionOptions,
    epoch: u64,
    producer: Option<u64>,
    inputs: Vec<InputTopic>,
    assigned: Vec<TopicPartition>,
    cursors: Vec<Cursor>,
    /// Which cursor is read first, so that a full partition does not starve the others.
    turn: usize,
    /// The version of the log in which these cursors had nothing to read: they have nothing to read in all of it.
    at_rest: Option<u64>,
    events: VecDeque<GroupEvent>,
    /// What the log does not take before the commit.
    outputs: Vec<(Output, u32)>,
    progress: Arc<RestoreProgress>,
    /// Somebody wants the next fetch to end.
    woken: Arc<AtomicBool>,
    /// Whether the log may have a transaction open.
    sent: bool,
    closed: bool,
}

impl<L: Log> Member<L> {
    /// Joins the group.
    pub fn join(log: L, options: SessionOptions) -> Self {
        let producer = options.transactional.then(|| log.init_producer(&options.group, &options.member));
        let epoch = Self::new_epoch(&log, &options);
        Self {
            log,
            options,
            epoch,
            producer,
            inputs: Vec::new(),
            assigned: Vec::new(),
            cursors: Vec::new(),
            turn: 0,
            at_rest: None,
            events: VecDeque::new(),
            outputs: Vec::new(),
            progress: Arc::default(),
            woken: Arc::default(),
            sent: false,
            closed: false,
        }
    }

    fn new_epoch(log: &L, options: &SessionOptions) -> u64 {
        let now_ms = log.now_ms();
        log.group(&options.group, |group, counts| group.join(&options.member, now_ms, counts))
    }

    fn tell_group(&self) -> Result<(), Fenced> {
        let topics: Vec<_> = self.inputs.iter().map(|i| (i.name.clone(), i.with.clone())).collect();
        let (member, epoch) = (&self.options.member, self.epoch);
        self.log.group(&self.options.group, |group, counts| group.subscribe(member, epoch, topics, counts))
    }

    fn check_followers(&self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        check_followers(inputs, |topic| Ok(self.log.partitions(topic)))
    }

    fn poll_group(&mut self) -> Result<Vec<GroupEvent>, SessionError> {
        self.log.reach()?;
        let mut events: Vec<GroupEvent> = self.events.drain(..).collect();
        let (member, epoch, now_ms) = (&self.options.member, self.epoch, self.log.now_ms());
        match self.log.group(&self.options.group, |group, _| group.poll(member, epoch, now_ms)) {
            Ok(event) => events.extend(event),
            Err(Fenced::Expired) => {
                self.epoch = Self::new_epoch(&self.log, &self.options);
                self.tell_group()?;
                events.push(GroupEvent::Lost(std::mem::take(&mut self.assigned)));
            }
            Err(fenced) => return Err(fenced.into()),
        }
        if let Some(GroupEvent::Assigned(partitions)) = events.last() {
            // Topics may have come into being since they were subscribed to.
            self.check_followers(&self.inputs)?;
            self.assigned.extend(partitions.iter().cloned());
        }
        Ok(events)
    }

    /// Reads on from every cursor that may be read, until there are `max` records.
    fn read(&mut self, max: usize) -> Result<Read<L::Block>, SessionError> {
        let Self { log, cursors, turn, events, .. } = self;
        let (count, mut left) = (cursors.len(), max);
        let mut read = Vec::new();
        for step in 0..count {
            if left == 0 {
                break;
            }
            let index = (*turn + step) % count;
            let cursor = &mut cursors[index];
            if cursor.paused || cursor.halted {
                continue;
            }
            let bounds = log.bounds(&cursor.at).unwrap_or(0..0);
            if cursor.next < bounds.start || cursor.next > bounds.end {
                cursor.halted = true;
                let (next, begin, end) = (cursor.next, bounds.start, bounds.end);
                let why = format!("offset {next} is out of range, the log holds {begin} to {end}");
                events.push_back(GroupEvent::Halted(cursor.at.clone(), why));
                continue;
            }
            if cursor.next == bounds.end {
                continue;
            }
            let blocks = log.read(&cursor.at, cursor.next, left)?;
            if log.bounds(&cursor.at).is_some_and(|bounds| bounds.start > cursor.next) {
                // Retention removed what stood here while it was read: the next look tells so.
                continue;
            }
            let records = blocks.iter().map(|b| b.records().filter(|r| r.offset >= cursor.next).count()).sum::<usize>();
            match records {
                // What is left up to the end are gaps.
                0 => cursor.next = bounds.end,
                _ => read.push((index, blocks)),
            }
            left = left.saturating_sub(records);
        }
        *turn = turn.wrapping_add(1) % count.max(1);
        Ok(read)
    }

    fn hand_out(&mut self, read: &[(usize, Vec<L::Block>)], max: usize, each: &mut dyn FnMut(&Fetched<'_>)) {
        let mut fetched = Fetched::with_capacity(max.min(READ_RECORDS_MAX));
        for (index, blocks) in read {
            let cursor = &mut self.cursors[*index];
            let fresh = blocks.iter().flat_map(Block::records).skip_while(|r| r.offset < cursor.next);
            let mut next = cursor.next;
            for record in fresh.take(max - fetched.len()) {
                next = record.offset + 1;
                fetched.push(&cursor.at.topic, cursor.at.partition, record);
            }
            cursor.next = next;
        }
        each(&fetched);
    }

    fn is_read(&self, cursor: &Cursor) -> bool {
        !cursor.halted && self.log.bounds(&cursor.at).is_some_and(|bounds| cursor.next >= bounds.end)
    }

    /// A cursor that is about to change.
    fn cursor(&mut self, at: &TopicPartition) -> Option<&mut Cursor> {
        self.at_rest = None;
        self.cursors.iter_mut().find(|c| c.at == *at)
    }

    fn begin_one(&self, at: &TopicPartition) -> Result<Begin, SessionError> {
        let (at, incarnation) = (at.clone(), self.log.incarnation(&at.topic));
        let committed = self.log.offset(&self.options.group, &at);
        let metadata = committed.as_ref().and_then(|(_, metadata)| metadata.as_deref());
        let is_made_anew = is_of_earlier_topic(metadata, incarnation.as_deref());
        if let Some((offset, metadata)) = committed.filter(|_| !is_made_anew) {
            let position = Position { at, offset, metadata };
            return Ok(Begin { position, committed: true, is_made_anew, incarnation, bounds: None, refused: None });
        }
        let begin = self.log.bounds(&at).map_or(0, |bounds| bounds.start);
        let bounds = Some(begin..self.log.high_watermark(&at)?);
        let offset = if is_made_anew { begin } else { self.start_of(&at, begin) };
        let position = Position { at, offset, metadata: None };
        Ok(Begin { position, committed: false, is_made_anew, incarnation, bounds, refused: None })
    }

    fn start_of(&self, at: &TopicPartition, begin: i64) -> i64 {
        let input = self.inputs.iter().find(|i| i.name == at.topic);
        match input.map(|i| &i.start) {
            Some(Start::Offsets(offsets)) => offsets.get(at.partition as usize).copied().unwrap_or(begin),
            _ => begin,
        }
    }

    fn restore_one(&self, wanted: &RestoreFrom, each: &mut Restored<'_>) -> Result<i64, SessionError> {
        let RestoreFrom { at, from } = wanted;
        let Some(bounds) = self.log.bounds(at) else {
            let TopicPartition { topic, partition } = at;
            return Err(SessionError::Halt(format!("there is no partition {partition} of the changelog {topic}")));
        };
        let end = self.log.high_watermark(at)?;
        let mut next = from.unwrap_or(bounds.start);
        if next < bounds.start || next > end {
            return Ok(RESTORE_OUT_OF_RANGE);
        }
        self.log.stabilise(at, end)?;
        while next < end {
            self.progress.reached(at, next, end);
            let blocks = self.log.read(at, next, READ_RECORDS_MAX)?;
            let begun = next;
            for record in blocks.iter().flat_map(Block::records).filter(|r| r.offset >= begun) {
                next = record.offset + 1;
                each(at.partition, record.offset, record.key.unwrap_or_default(), record.value);
            }
            if next == begun {
                break;
            }
        }
        // What is left up to the end are gaps.
        Ok(next.max(end))
    }

    fn transact(&mut self, outputs: Vec<(Output, u32)>, positions: &[Position]) -> Result<(), SessionError> {
        if outputs.is_empty() && positions.is_empty() && !self.sent {
            return Ok(());
        }
        // Offsets alone open a transaction, too, which stays if they are refused.
        self.sent = true;
        self.log.commit(Transaction { outputs, positions, ..self.transaction() })?;
        self.sent = false;
        Ok(())
    }

    /// Whose transaction it is; nothing is in it.
    fn transaction(&self) -> Transaction<'_> {
        let Self { options, epoch, producer, .. } = self;
        let (group, member) = (&options.group, &options.member);
        Transaction { group, member, epoch: *epoch, producer: *producer, outputs: Vec::new(), positions: &[] }
    }
}

impl<L: Log> Session for Member<L> {
    fn group(&self) -> &Arc<str> {
        &self.options.group
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        self.check_followers(inputs)?;
        self.inputs = inputs.to_vec();
        for topic in inputs.iter().map(|i| &i.name).filter(|topic| self.log.partitions(topic).is_none()) {
            self.events.push_back(GroupEvent::Missing(topic.clone(), "there is no such topic".into()));
        }
        Ok(self.tell_group()?)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the rest of a wait for records; a log under virtual time does not wait"
    )]
    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        let began = Instant::now();
        let mut is_last = wait.is_zero();
        loop {
            let seen = self.log.version();
            let events = self.poll_group()?;
            if !events.is_empty() {
                return Ok(events);
            }
            let read = if self.at_rest == Some(seen) { Vec::new() } else { self.read(max)? };
            match read.is_empty() {
                true => self.at_rest = Some(seen),
                false => self.hand_out(&read, max, each),
            }
            let woken = self.woken.swap(false, Ordering::SeqCst);
            if !read.is_empty() || !self.events.is_empty() || is_last || woken {
                return Ok(self.events.drain(..).collect());
            }
            // Most changes concern others: go on waiting. Then one last look, for the time is up, however much others
            // write.
            let left = wait.saturating_sub(began.elapsed());
            is_last = left.is_zero() || !self.log.wait(seen, left);
        }
    }

    fn waker(&self) -> Waker {
        let (woken, wake) = (self.woken.clone(), self.log.waker());
        Arc::new(move || {
            woken.store(true, Ordering::SeqCst);
            wake();
        })
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        self.log.settle(&self.options.group, assigned)?;
        assigned.iter().map(|at| self.begin_one(at)).collect()
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        let next = wanted.iter().map(|wanted| self.restore_one(wanted, each)).collect();
        self.progress.done();
        next
    }

    fn tell_restores(&mut self, progress: Arc<RestoreProgress>) {
        self.progress = progress;
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.at_rest = None;
        for Position { at, offset, .. } in positions {
            self.cursors.retain(|c| c.at != *at);
            self.cursors.push(Cursor { at: at.clone(), next: *offset, paused: false, halted: false });
        }
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.cursors.retain(|c| !partitions.contains(&c.at));
        self.assigned.retain(|at| !partitions.contains(at));
        let (member, epoch) = (&self.options.member, self.epoch);
        Ok(self.log.group(&self.options.group, |group, _| group.release(member, epoch, partitions))?)
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        if let Some(cursor) = self.cursor(at) {
            cursor.paused = true;
        }
        Ok(())
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        if let Some(cursor) = self.cursor(at) {
            cursor.paused = false;
        }
        Ok(())
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        self.cursors.iter().find(|c| c.at == *at).is_some_and(|c| self.is_read(c))
    }

    fn all_caught_up(&self) -> bool {
        self.cursors.iter().all(|c| c.paused || self.is_read(c))
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.cursors.iter().find(|c| c.at == *at).map_or(0, |c| c.next)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        let end = |at: &TopicPartition| match self.log.high_watermark(at) {
            Err(SessionError::Rebuild(_)) => Ok(None),
            end => end.map(Some),
        };
        partitions.iter().map(end).collect()
    }

    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        self.log.reach()?;
        let known = |topic: &Arc<str>| Some((topic.clone(), Some(self.log.incarnation(topic)?)));
        Ok(topics.iter().filter_map(known).collect())
    }

    fn lag(&mut self) -> Option<u64> {
        let ahead = |c: &Cursor| self.log.bounds(&c.at).map_or(0, |b| b.end.saturating_sub(c.next));
        Some(self.cursors.iter().map(ahead).filter_map(|lag| u64::try_from(lag).ok()).sum())
    }

    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        self.log.partitions(topic).ok_or_else(|| SessionError::Halt(format!("there is no topic {topic}")))
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        if !self.options.transactional {
            return Err(SessionError::Halt("a session without transactions cannot write".into()));
        }
        let kept = self.log.send(&self.transaction(), output, partition)?;
        self.sent |= kept.is_none();
        self.outputs.extend(kept);
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let outputs = std::mem::take(&mut self.outputs);
        self.transact(outputs, positions)
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.outputs.clear();
        if std::mem::take(&mut self.sent) {
            self.log.abort(&self.transaction())?;
        }
        for Position { at, offset, .. } in rewind {
            if let Some(cursor) = self.cursor(at) {
                cursor.next = *offset;
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.closed = true;
        let (member, epoch) = (&self.options.member, self.epoch);
        self.log.group(&self.options.group, |group, counts| group.leave(member, epoch, counts));
    }
}

impl<L: Log> Drop for Member<L> {
    fn drop(&mut self) {
        if !self.closed {
            self.log.crashed(&self.options.group, &self.options.member, self.epoch);
        }
    }
}
