//! Partitions of a session: where they begin, taking them, giving them up, rewinding.
#![expect(clippy::disallowed_methods, reason = "deadlines of calls to the broker")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{Begin, Position, SessionError, Start, TopicPartition, is_of_earlier_topic};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;

use crate::describe;
use crate::faults::rebuild;
use crate::lists;
use crate::offsets::Which;
use crate::session::KafkaSession;

/// Pause before offsets that a transaction still may change are asked for again.
const UNSTABLE_PAUSE: Duration = Duration::from_millis(20);
/// How long a topic that no broker describes is asked for before nobody begins on it, and the pause in between.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(2);
const UNKNOWN_PAUSE: Duration = Duration::from_millis(50);
/// Pause before a seek that came too early is made again.
const SEEK_PAUSE: Duration = Duration::from_millis(20);

/// Offset and text that the group committed, if it did.
type Committed = Option<(i64, Option<String>)>;

/// The same, or why the broker does not tell, for people.
type Answer = Result<Committed, String>;

/// Ids of topics; an error says why nobody can begin on one, for people.
type Ids = BTreeMap<Arc<str>, Result<Option<Arc<str>>, String>>;

/// What the group knows of a partition.
struct Found {
    at: TopicPartition,
    /// If it is of this topic.
    committed: Committed,
    is_made_anew: bool,
    incarnation: Option<Arc<str>>,
    /// Why nobody can begin there, for people.
    refused: Option<String>,
}

impl Found {
    fn new(at: TopicPartition, committed: Answer, ids: &Ids) -> Self {
        let incarnation = ids.get(&at.topic).cloned().and_then(Result::ok).flatten();
        let (committed, refused) = match committed {
            Ok(committed) => (committed, None),
            Err(why) => (None, Some(why)),
        };
        let metadata = committed.as_ref().and_then(|(_, metadata)| metadata.as_deref());
        let is_made_anew = is_of_earlier_topic(metadata, incarnation.as_deref());
        Self { at, committed: committed.filter(|_| !is_made_anew), is_made_anew, incarnation, refused }
    }

    /// Nothing that the broker would refuse to tell.
    fn of_undescribed(at: &TopicPartition, ids: &Ids) -> Option<Self> {
        let why = ids.get(&at.topic)?.as_ref().err()?;
        Some(Self::new(at.clone(), Err(why.clone()), ids))
    }

    fn begin(self, bounds: Option<Range<i64>>, start: impl FnOnce(&TopicPartition, i64) -> i64) -> Begin {
        let Self { at, committed, is_made_anew, incarnation, refused } = self;
        let is_committed = committed.is_some();
        let (offset, metadata) = committed.unwrap_or_else(|| {
            let begin = bounds.as_ref().map_or(0, |bounds| bounds.start);
            (if is_made_anew { begin } else { start(&at, begin) }, None)
        });
        let position = Position { at, offset, metadata };
        Begin { position, committed: is_committed, is_made_anew, incarnation, bounds, refused }
    }
}

impl KafkaSession {
    pub(crate) fn begin_at(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        if assigned.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self.topic_ids(assigned)?;
        let is_described = |at: &&TopicPartition| ids.get(&at.topic).is_some_and(Result::is_ok);
        let described: Vec<TopicPartition> = assigned.iter().filter(is_described).cloned().collect();
        let found = self.stable_offsets(&described)?.into_iter();
        let mut found: Vec<Found> = found.map(|(at, committed)| Found::new(at, committed, &ids)).collect();
        found.extend(assigned.iter().filter_map(|at| Found::of_undescribed(at, &ids)));
        let is_unknown = |found: &Found| found.committed.is_none() && found.refused.is_none();
        let unknown: Vec<TopicPartition> =
            found.iter().filter(|found| is_unknown(found)).map(|found| found.at.clone()).collect();
        let mut bounds = self.bounds(&unknown)?.into_iter();
        let begin = |found: Found| {
            let bounds = if is_unknown(&found) { bounds.next() } else { None };
            found.begin(bounds, |at, begin| self.start_of(at, begin))
        };
        Ok(found.into_iter().map(begin).collect())
    }

    /// The ids of the topics of partitions. One that a broker has not heard of yet is asked for again for a while: a
    /// position that is kept without its id would be believed of a topic made anew.
    fn topic_ids(&self, assigned: &[TopicPartition]) -> Result<Ids, SessionError> {
        let topics: BTreeSet<Arc<str>> = assigned.iter().map(|at| at.topic.clone()).collect();
        let topics: Vec<Arc<str>> = topics.into_iter().collect();
        let deadline = Instant::now() + UNKNOWN_TIMEOUT;
        loop {
            let mut ids = self.questions.topic_ids(&topics).map_err(|e| SessionError::Rebuild(e.to_string()))?;
            let may_come = |id: &describe::Id| {
                id.as_ref().is_err_and(|refused| refused.code != RDKafkaErrorCode::TopicAuthorizationFailed)
            };
            let is_complete = topics.iter().all(|topic| ids.get(topic).is_some_and(|id| !may_come(id)));
            if !is_complete && Instant::now() < deadline {
                std::thread::sleep(UNKNOWN_PAUSE);
                continue;
            }
            let id = |topic: Arc<str>| {
                let id = ids.remove(&topic).map(|id| id.map(|id| id.map(Arc::from)).map_err(|refused| refused.why));
                (topic, id.unwrap_or_else(|| Err("the brokers tell nothing of the topic".into())))
            };
            return Ok(topics.into_iter().map(id).collect());
        }
    }

    /// What partitions hold, what is not committed included.
    fn bounds(&self, partitions: &[TopicPartition]) -> Result<Vec<Range<i64>>, SessionError> {
        let asked = |which| self.questions.offsets(partitions, which).map_err(|e| SessionError::Rebuild(e.to_string()));
        let (begins, ends) = (asked(Which::Beginning)?, asked(Which::End)?);
        Ok(begins.into_iter().zip(ends).map(|(begin, end)| begin..end).collect())
    }

    /// Committed offsets that no open transaction can change any more. With `read_committed`,
    /// librdkafka asks the broker for stable ones; it answers with an error for each that is not.
    fn stable_offsets(&self, assigned: &[TopicPartition]) -> Result<Vec<(TopicPartition, Answer)>, SessionError> {
        if assigned.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + self.options.stable_timeout();
        let mut told = false;
        'again: loop {
            let list = lists::of_partitions(assigned);
            let timeout = self.options.request_timeout();
            let list =
                self.consumer().committed_offsets(list, timeout).map_err(|e| rebuild("no committed offsets", &e))?;
            let mut found = Vec::with_capacity(assigned.len());
            for at in assigned {
                let element = list.find_partition(&at.topic, lists::number(at.partition));
                let Some(element) = element else {
                    return Err(SessionError::Rebuild(format!("no committed offset of {}", at.topic)));
                };
                match element.error().map_err(|e| (e.rdkafka_error_code(), e)) {
                    Ok(()) => {}
                    Err((Some(RDKafkaErrorCode::UnstableOffsetCommit), _)) if Instant::now() < deadline => {
                        if !std::mem::replace(&mut told, true) {
                            tracing::info!(group = %self.group, topic = %at.topic, partition = at.partition,
                                "waiting for an open transaction of the last owner");
                        }
                        std::thread::sleep(UNSTABLE_PAUSE);
                        continue 'again;
                    }
                    Err((Some(RDKafkaErrorCode::TopicAuthorizationFailed), error)) => {
                        found.push((at.clone(), Err(error.to_string())));
                        continue;
                    }
                    Err((_, error)) => return Err(rebuild("no committed offset", &error)),
                }
                let committed = match element.offset() {
                    Offset::Offset(offset) => {
                        let metadata = Some(element.metadata().to_owned()).filter(|text| !text.is_empty());
                        Some((offset, metadata))
                    }
                    _ => None,
                };
                found.push((at.clone(), Ok(committed)));
            }
            return Ok(found);
        }
    }

    fn start_of(&self, at: &TopicPartition, begin: i64) -> i64 {
        match self.inputs.iter().find(|input| input.name == at.topic).map(|input| &input.start) {
            Some(Start::Offsets(offsets)) => offsets.get(at.partition as usize).copied().unwrap_or(begin),
            _ => begin,
        }
    }

    pub(crate) fn accept_at(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let list = lists::of_positions(positions).map_err(|e| rebuild("cannot take partitions", &e))?;
        self.consumer().incremental_assign(&list).map_err(|e| rebuild("cannot take partitions", &e))?;
        for position in positions {
            self.slots.add(position);
        }
        Ok(())
    }

    pub(crate) fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        // librdkafka remembers a pause beyond the assignment: what comes back would never be fetched.
        for at in partitions {
            self.set_paused(at, false)?;
        }
        self.slots.remove(partitions);
        let list = lists::of_partitions(partitions);
        self.consumer().incremental_unassign(&list).map_err(|e| rebuild("cannot give partitions up", &e))
    }

    pub(crate) fn set_paused(&mut self, at: &TopicPartition, paused: bool) -> Result<(), SessionError> {
        let list = lists::of_partitions([at]);
        match self.slots.get_mut(at) {
            Some(slot) if slot.paused != paused => slot.paused = paused,
            _ => return Ok(()),
        }
        let done = if paused { self.consumer().pause(&list) } else { self.consumer().resume(&list) };
        done.map_err(|e| rebuild("cannot pause or resume", &e))
    }

    /// Reads on from where a partition stands as if it had just been taken: librdkafka tells an end once, and an error
    /// of the same kind once, until it is sought.
    pub(crate) fn seek_in_place(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        slot.ended = false;
        let position = Position { at: at.clone(), offset: slot.next, metadata: None };
        let list = lists::of_positions(&[position]).map_err(|e| rebuild("cannot read again", &e))?;
        let timeout = self.options.request_timeout();
        // One that is late would take back what is handed out meanwhile.
        let sought = self.consumer().seek_partitions(list, timeout).map_err(|e| rebuild("cannot read again", &e))?;
        let element = sought.find_partition(&at.topic, lists::number(at.partition));
        if let Some(Err(error)) = element.map(|element| element.error()) {
            // It is not fetched at all (its offset is out of range, say), and stays as it was told.
            tracing::debug!(group = %self.group, topic = %at.topic, partition = at.partition, %error,
                "a halted partition cannot be read again");
        }
        Ok(())
    }

    /// Reads on at these positions and drops what was fetched ahead.
    pub(crate) fn rewind(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let moved = |p: &&Position| self.slots.get(&p.at).is_some_and(|slot| slot.next != p.offset);
        let mut left: Vec<Position> =
            positions.iter().filter(moved).map(|p| Position { metadata: None, ..p.clone() }).collect();
        for position in &left {
            if let Some(slot) = self.slots.get_mut(&position.at) {
                (slot.next, slot.ended) = (position.offset, false);
            }
        }
        let deadline = Instant::now() + self.options.request_timeout();
        while !left.is_empty() {
            let list = lists::of_positions(&left).map_err(|e| rebuild("cannot rewind", &e))?;
            let timeout = self.options.request_timeout();
            let sought = self.consumer().seek_partitions(list, timeout).map_err(|e| rebuild("cannot rewind", &e))?;
            let failed = |p: &Position| {
                let element = sought.find_partition(&p.at.topic, lists::number(p.at.partition));
                element.and_then(|element| element.error().err())
            };
            let error = left.iter().find_map(failed);
            left.retain(|p| failed(p).is_some());
            if let Some(error) = error {
                // A partition that is only about to be fetched cannot be sought on yet.
                if Instant::now() >= deadline {
                    return Err(rebuild("cannot rewind", &error));
                }
                std::thread::sleep(SEEK_PAUSE);
            }
        }
        Ok(())
    }
}
