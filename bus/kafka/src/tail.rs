//! Follows a topic from its beginning, outside of any group.
#![expect(clippy::disallowed_methods, reason = "deadlines of calls to the broker")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{BusError, Record, Tail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::bus::Questions;
use crate::context::Context;
use crate::faults::bus_error;
use crate::lists::number;
use crate::native::{Polled, Poller};
use crate::offsets::Which;
use crate::options::KafkaOptions;

/// Most records handed out by one call, so that its caller gets to look around.
const RECORDS_MAX: usize = 10_000;

pub(crate) struct KafkaTail {
    topic: String,
    poller: Poller,
    questions: Arc<Questions>,
    /// What is left to read until it is caught up, by partition.
    left: Vec<Option<Left>>,
    /// What is read next, as far as known, by partition.
    next: Vec<i64>,
    /// Whether the broker has answered a fetch, by partition.
    heard: Vec<bool>,
    /// The high watermarks at the latest mark.
    mark: Option<Vec<i64>>,
    opened: Instant,
    grace: Duration,
}

/// A partition whose records at opening have not all been handed out.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// The high watermark at opening, not the last stable offset: markers of a commit that was
    /// acknowledged before may still be on their way, and its records must be seen.
    end: i64,
    /// Whether nothing more can be read now: a transaction is open, or its markers are to come.
    dry: bool,
}

impl KafkaTail {
    /// From these offsets; a partition that has none from its beginning. One that is `batched` is not woken for each
    /// record.
    pub(crate) fn open(
        options: &KafkaOptions,
        questions: &Arc<Questions>,
        topic: &str,
        from: &[i64],
        batched: bool,
    ) -> Result<Self, BusError> {
        let doing = format!("cannot follow {topic}");
        let begins = questions.of_all(topic, Which::Beginning)?;
        let ends = questions.of_all(topic, Which::End)?;
        let (mut left, mut next) = (Vec::new(), Vec::new());
        let mut list = TopicPartitionList::new();
        for (partition, (begin, end)) in (0..).zip(begins.into_iter().zip(ends)) {
            let first = from.get(partition as usize).map_or(begin, |offset| begin.max(*offset));
            next.push(first);
            left.push((end > first).then_some(Left { end, dry: false }));
            let offset = if first > begin { Offset::Offset(first) } else { Offset::Beginning };
            let added = list.add_partition_offset(topic, number(partition), offset);
            added.map_err(|e| bus_error(&doing, &e))?;
        }
        let context = Context::new(format!("tail of {topic}"));
        let group = format!("petrel-tail-{}", options.instance_id);
        let config = if batched { options.batching_follower(&group) } else { options.follower(&group) };
        let consumer: Result<BaseConsumer<Context>, _> = config.create_with_context(context);
        let poller = consumer.and_then(Poller::new).map_err(|e| bus_error(&doing, &e))?;
        poller.consumer().assign(&list).map_err(|e| bus_error(&doing, &e))?;
        let grace = Duration::from_millis(options.tail_grace_ms);
        let (topic, questions) = (topic.to_owned(), questions.clone());
        let heard = vec![false; next.len()];
        Ok(Self { topic, poller, questions, left, next, heard, mark: None, opened: Instant::now(), grace })
    }
}

/// What keeps the topic from being read until somebody acts; librdkafka would go on without a word.
fn refusal(code: RDKafkaErrorCode, topic: &str, reason: &str) -> Option<BusError> {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, GroupAuthorizationFailed, SaslAuthenticationFailed, TopicAuthorizationFailed,
        UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    match code {
        TopicAuthorizationFailed | GroupAuthorizationFailed | ClusterAuthorizationFailed | SaslAuthenticationFailed => {
            Some(BusError::Configuration(format!("no right to read topic {topic}: {reason}")))
        }
        UnknownTopic | UnknownTopicOrPartition | UnknownPartition => Some(BusError::UnknownTopic(topic.to_owned())),
        _ => None,
    }
}

impl Tail for KafkaTail {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        let deadline = Instant::now() + wait;
        let Self { topic, poller, left, next, heard, .. } = self;
        let mut reached = |partition: u32, offset: i64, dry: bool| {
            if let Some(heard) = heard.get_mut(partition as usize) {
                *heard = true;
            }
            if let Some(next) = next.get_mut(partition as usize) {
                *next = offset.max(*next);
            }
            if let Some(left) = left.get_mut(partition as usize) {
                *left = left.filter(|left| offset < left.end).map(|left| Left { dry, ..left });
            }
        };
        let (mut pause, mut records) = (wait, 0);
        while records < RECORDS_MAX {
            match poller.poll(pause) {
                Polled::Message(message) => {
                    (pause, records) = (Duration::ZERO, records + 1);
                    each(message.partition(), message.record());
                    reached(message.partition(), message.offset() + 1, false);
                }
                Polled::End { partition, offset, .. } => {
                    pause = Duration::ZERO;
                    reached(partition, offset, true);
                }
                Polled::Error { fatal: true, reason, .. } => {
                    return Err(BusError::Unavailable(format!("{topic} cannot be followed: {reason}")));
                }
                Polled::Nothing => break,
                Polled::Error { code, reason, .. } if let Some(error) = refusal(code, topic, &reason) => {
                    return Err(error);
                }
                _ if records == 0 => pause = deadline.saturating_duration_since(Instant::now()),
                _ => {}
            }
        }
        Ok(())
    }

    fn caught_up(&self) -> bool {
        // Somebody else's open transaction is not waited for, only markers.
        let patient = self.opened.elapsed() < self.grace;
        self.left.iter().flatten().all(|left| left.dry && !patient)
    }

    fn mark(&mut self) -> Result<(), BusError> {
        self.mark = Some(self.questions.of_all(&self.topic, Which::End)?);
        Ok(())
    }

    fn passed_mark(&self) -> bool {
        // Where transactions are open, the end that the consumer meets is below the mark.
        self.mark.as_ref().is_some_and(|mark| self.next.iter().zip(mark).all(|(next, mark)| next >= mark))
    }

    fn is_reading(&self) -> bool {
        self.heard.iter().all(|heard| *heard)
    }
}
