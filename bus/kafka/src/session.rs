//! One member of one consumer group, with the transactions of one producer.
#![expect(clippy::disallowed_methods, reason = "deadlines of calls to the broker")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{
    Begin, Fetched, GroupEvent, InputTopic, Output, Position, RestoreFrom, RestoreProgress, Restored, Session,
    SessionError, SessionOptions, TopicPartition, Waker, check_followers, with_followers,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::bus::Questions;
use crate::context::{Context, UNNUMBERED};
use crate::faults::{Fault, rebuild};
use crate::native::{Message, Polled, Poller};
use crate::options::KafkaOptions;
use crate::slots::Slots;
use crate::transactions::Transactions;
use crate::{lists, remade, restore};

/// How old the answer about lag may be.
const LAG_AGE_MAX: Duration = Duration::from_secs(1);
/// Pause before a commit that met a rebalance is made again.
const COMMIT_RETRY_PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct KafkaSession {
    pub(crate) options: Arc<KafkaOptions>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) group: Arc<str>,
    pub(crate) inputs: Vec<InputTopic>,
    pub(crate) slots: Slots,
    /// Told with the next fetch.
    events: Vec<GroupEvent>,
    partitions: HashMap<Arc<str>, u32>,
    lag: Option<(Instant, u64)>,
    transactions: Option<Transactions>,
    pub(crate) restorer: Option<Poller>,
    pub(crate) progress: Arc<RestoreProgress>,
    pub(crate) poller: Poller,
}

impl KafkaSession {
    pub(crate) fn new(
        options: &Arc<KafkaOptions>,
        questions: &Arc<Questions>,
        session: &SessionOptions,
        transactions: Option<Transactions>,
    ) -> Result<Self, KafkaError> {
        let name = format!("consumer {} of {}", session.member, session.group);
        // Without transactions a session is one of the audit sink, which gathers its own batches.
        let config = match &transactions {
            Some(_) => options.member(&session.group),
            None => options.batching_member(&session.group),
        };
        let consumer: BaseConsumer<Context> = remade::watched(config).create_with_context(Context::new(name))?;
        Ok(Self {
            options: options.clone(),
            questions: questions.clone(),
            group: session.group.clone(),
            inputs: Vec::new(),
            slots: Slots::default(),
            events: Vec::new(),
            partitions: HashMap::new(),
            lag: None,
            transactions,
            restorer: None,
            progress: Arc::default(),
            poller: Poller::new(consumer)?,
        })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<Context> {
        self.poller.consumer()
    }

    /// Names as they stand in the inputs, so that no other copies are about.
    fn named(&self, partitions: Vec<(String, u32)>) -> Vec<TopicPartition> {
        let shared = |name: &str| self.inputs.iter().map(|i| &i.name).find(|n| &***n == name).cloned();
        let named = |(topic, partition): (String, u32)| TopicPartition {
            topic: shared(&topic).unwrap_or_else(|| topic.into()),
            partition,
        };
        partitions.into_iter().map(named).collect()
    }

    fn rebalanced(&mut self, assigned: bool, partitions: Vec<(String, u32)>) {
        // The group knows nothing of the followers; one that it names all the same comes once.
        let partitions = with_followers(&self.inputs, self.named(partitions));
        let lost = self.consumer().assignment_lost();
        tracing::info!(group = %self.group, assigned, lost, partitions = partitions.len(), "group rebalanced");
        self.events.push(match (assigned, lost) {
            (true, _) => GroupEvent::Assigned(partitions),
            (false, false) => GroupEvent::Revoked(partitions),
            (false, true) => GroupEvent::Lost(partitions),
        });
    }

    fn failed(
        &mut self,
        code: RDKafkaErrorCode,
        at: Option<(String, u32)>,
        fatal: bool,
        reason: String,
    ) -> Result<(), SessionError> {
        if fatal {
            return Err(SessionError::Rebuild(reason));
        }
        match (code, at) {
            (RDKafkaErrorCode::GroupAuthorizationFailed, _) => Err(SessionError::Halt(reason)),
            (
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed,
                Some(at),
            ) => {
                let is_read = self.slots.named_mut(&at.0, at.1).map(|slot| slot.ended = false).is_some();
                let event = |at: TopicPartition| match is_read {
                    true => GroupEvent::Halted(at, reason),
                    // It is subscribed to, and nothing of it is assigned.
                    false => GroupEvent::Missing(at.topic, reason),
                };
                self.events.extend(self.named(vec![at]).pop().map(event));
                Ok(())
            }
            // librdkafka tries again by itself; the context has logged it.
            _ => Ok(()),
        }
    }

    fn transactions(&mut self) -> Result<&mut Transactions, SessionError> {
        self.transactions
            .as_mut()
            .ok_or_else(|| SessionError::Halt("this session was opened without transactions".into()))
    }

    fn commit_positions(&self, positions: &[Position]) -> Result<(), SessionError> {
        let list = lists::of_positions(positions).map_err(|e| rebuild("cannot commit", &e))?;
        let deadline = Instant::now() + self.options.request_timeout();
        loop {
            match self.consumer().commit(&list, CommitMode::Sync) {
                Ok(()) => return Ok(()),
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress)) if Instant::now() < deadline => {
                    std::thread::sleep(COMMIT_RETRY_PAUSE);
                }
                Err(error) => return Err(rebuild("cannot commit", &error)),
            }
        }
    }

    fn commit_transaction(&mut self, positions: &[Position]) -> Result<(), Fault> {
        let Some(transactions) = &mut self.transactions else { return Ok(()) };
        transactions.begin()?;
        let offsets = match positions {
            [] => None,
            _ => {
                let list = lists::of_positions(positions).map_err(|e| Fault::Rebuild(e.to_string()))?;
                let group = self.poller.consumer().group_metadata();
                Some((list, group.ok_or_else(|| Fault::Rebuild("not a member of the group".into()))?))
            }
        };
        transactions.prepare(offsets.as_ref().map(|(list, group)| (list, group)))?;
        transactions.finish()
    }
}

impl Session for KafkaSession {
    fn group(&self) -> &Arc<str> {
        &self.group
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        let mut counts = HashMap::new();
        for input in inputs {
            let found = self.questions.partitions(&input.name).map_err(|e| SessionError::Rebuild(e.to_string()))?;
            if found.is_none() {
                self.events.push(GroupEvent::Missing(input.name.clone(), "there is no such topic".into()));
            }
            counts.insert(input.name.clone(), found);
        }
        check_followers(inputs, |topic| Ok(counts.get(topic).copied().flatten()))?;
        self.inputs = inputs.to_vec();
        let leaders = inputs.iter().filter(|input| input.with.is_none());
        let names: Vec<&str> = leaders.map(|input| &*input.name).collect();
        if names.is_empty() {
            self.consumer().unsubscribe();
            return Ok(());
        }
        self.consumer().subscribe(&names).map_err(|e| rebuild("cannot subscribe", &e))
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        if let Some(transactions) = &self.transactions {
            transactions.serve();
        }
        if !self.events.is_empty() {
            return Ok(std::mem::take(&mut self.events));
        }
        // An error met behind records is told after they have been handed out: they count as delivered.
        let mut failure = Ok(());
        {
            let Self { poller, slots, .. } = self;
            let mut messages: Vec<(usize, Message<'_>)> = Vec::new();
            let told = collect(poller, slots, wait, max, &mut messages);
            if !messages.is_empty() {
                let mut fetched = Fetched::with_capacity(messages.len());
                for (index, message) in &messages {
                    let at = &slots.at(*index).at;
                    fetched.push(&at.topic, at.partition, message.record());
                }
                each(&fetched);
            }
            drop(messages);
            match told {
                Told::Nothing => {}
                Told::Rebalance(assigned, partitions) => self.rebalanced(assigned, partitions),
                Told::Error(code, at, fatal, reason) => failure = self.failed(code, at, fatal, reason),
            }
        }
        failure?;
        // What was handed out with this is not committed.
        match self.consumer().context().remade() {
            Some(topic) if self.slots.iter().any(|slot| *slot.at.topic == *topic) => {
                Err(SessionError::Rebuild(format!("the topic {topic} was made anew while it was read")))
            }
            _ => Ok(std::mem::take(&mut self.events)),
        }
    }

    fn waker(&self) -> Waker {
        self.poller.waker()
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        self.begin_at(assigned)
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        let next = restore::restore(self, wanted, each);
        self.progress.done();
        next
    }

    fn tell_restores(&mut self, progress: Arc<RestoreProgress>) {
        self.progress = progress;
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.accept_at(positions)
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.give_up(partitions)
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.set_paused(at, true)
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.set_paused(at, false)
    }

    fn read_again(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.seek_in_place(at)
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.ended)
    }

    fn all_caught_up(&self) -> bool {
        self.slots.iter().all(|slot| slot.paused || slot.ended)
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.slots.get(at).map_or(0, |slot| slot.next)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        // The client that asks questions sees what is not committed.
        Ok(self.questions.ends_now(partitions))
    }

    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        let ids = self.questions.topic_ids_now(topics);
        Ok(ids.into_iter().map(|(topic, id)| (topic, id.map(Arc::from))).collect())
    }

    fn lag(&mut self) -> Option<u64> {
        if let Some((when, lag)) = self.lag
            && when.elapsed() < LAG_AGE_MAX
        {
            return Some(lag);
        }
        let mut lag = 0;
        for slot in self.slots.iter().filter(|slot| !slot.ended) {
            let (_, high) = self.poller.known_watermarks(&slot.topic, lists::number(slot.at.partition))?;
            lag += u64::try_from(high - slot.next).unwrap_or(0);
        }
        self.lag = Some((Instant::now(), lag));
        Some(lag)
    }

    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        if let Some(count) = self.partitions.get(topic) {
            return Ok(*count);
        }
        let found = self.questions.partitions(topic).map_err(|e| SessionError::Rebuild(e.to_string()))?;
        let count = found.ok_or_else(|| SessionError::Halt(format!("there is no topic {topic}")))?;
        self.partitions.insert(topic.clone(), count);
        Ok(count)
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        let (bytes, bytes_max) = (output.bytes(), self.options.record_bytes_max);
        if bytes > bytes_max {
            let topic = &output.topic;
            return Err(SessionError::Halt(format!("a record of {bytes} bytes for {topic} is over {bytes_max}")));
        }
        let transactions = self.transactions()?;
        let sent = transactions.begin().and_then(|()| transactions.send(&output, partition, UNNUMBERED));
        sent.map_err(Fault::into_session_error)
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let open = self.transactions.as_ref().is_some_and(Transactions::is_open);
        if positions.is_empty() && !open {
            return Ok(());
        }
        if self.transactions.is_none() {
            return self.commit_positions(positions);
        }
        self.commit_transaction(positions).map_err(Fault::into_session_error)
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        if let Some(transactions) = &mut self.transactions {
            transactions.abort().map_err(Fault::into_session_error)?;
        }
        self.rewind(rewind)
    }

    fn close(&mut self) {
        if let Some(transactions) = &mut self.transactions
            && let Err(fault) = transactions.abort()
        {
            tracing::warn!(group = %self.group, why = fault.why(), "an open transaction could not be aborted");
        }
        // Giving the partitions up and leaving the group is what dropping the consumer does.
    }
}

/// What ended a collection, beside records.
enum Told {
    Nothing,
    Rebalance(bool, Vec<(String, u32)>),
    Error(RDKafkaErrorCode, Option<(String, u32)>, bool, String),
}

/// Waits for the first record or event, then takes what is there.
fn collect<'p>(
    poller: &'p Poller,
    slots: &mut Slots,
    wait: Duration,
    max: usize,
    messages: &mut Vec<(usize, Message<'p>)>,
) -> Told {
    let deadline = Instant::now() + wait;
    let mut left = wait;
    while messages.len() < max {
        match poller.poll(left) {
            Polled::Message(message) => {
                left = Duration::ZERO;
                // Not accepted, or given up since: librdkafka should not hand it out.
                let Some(index) = slots.index_of(&message) else { continue };
                let slot = slots.at_mut(index);
                (slot.next, slot.ended) = (message.offset() + 1, false);
                messages.push((index, message));
            }
            Polled::End { topic, partition, offset } => {
                left = Duration::ZERO;
                if let Some(slot) = slots.named_mut(&topic, partition) {
                    slot.ended = offset >= slot.next;
                    // What stands between the last record and here is aborted, or markers.
                    slot.next = slot.next.max(offset);
                }
            }
            Polled::Rebalance { assigned, partitions } => return Told::Rebalance(assigned, partitions),
            Polled::Error { code, at, fatal, reason } => return Told::Error(code, at, fatal, reason),
            Polled::Other if messages.is_empty() => left = deadline.saturating_duration_since(Instant::now()),
            Polled::Other => {}
            Polled::Nothing => break,
        }
    }
    Told::Nothing
}
