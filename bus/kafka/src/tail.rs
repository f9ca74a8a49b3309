//! Follows a topic from its beginning, outside of any group.

use std::time::{Duration, Instant};

use petrel_bus::{BusError, Record, Tail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::bus::Questions;
use crate::context::Context;
use crate::faults::bus_error;
use crate::lists::number;
use crate::native::{Polled, Poller};
use crate::options::KafkaOptions;

/// Most records handed out by one call, so that its caller gets to look around.
const RECORDS_MAX: usize = 10_000;

pub(crate) struct KafkaTail {
    topic: String,
    poller: Poller,
    /// What is left to read until it is caught up: end at opening, by partition. The high watermark,
    /// not the last stable offset: what was acknowledged before must be seen.
    ends: Vec<Option<i64>>,
}

impl KafkaTail {
    pub(crate) fn open(options: &KafkaOptions, questions: &Questions, topic: &str) -> Result<Self, BusError> {
        let doing = format!("cannot follow {topic}");
        let count = questions.partitions_of(topic)?;
        let mut ends = Vec::new();
        let mut list = TopicPartitionList::new();
        for partition in 0..count {
            let (low, end) = questions.watermarks(topic, partition)?;
            ends.push((end > low).then_some(end));
            let added = list.add_partition_offset(topic, number(partition), Offset::Beginning);
            added.map_err(|e| bus_error(&doing, &e))?;
        }
        let context = Context::new(format!("tail of {topic}"));
        let group = format!("petrel-tail-{}", options.instance_id);
        let consumer: Result<BaseConsumer<Context>, _> = options.reader(&group).create_with_context(context);
        let poller = consumer.and_then(Poller::new).map_err(|e| bus_error(&doing, &e))?;
        poller.consumer().assign(&list).map_err(|e| bus_error(&doing, &e))?;
        Ok(Self { topic: topic.to_owned(), poller, ends })
    }
}

impl Tail for KafkaTail {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        let deadline = Instant::now() + wait;
        let Self { topic, poller, ends } = self;
        let mut reached = |partition: u32, offset: i64| {
            if let Some(end) = ends.get_mut(partition as usize) {
                *end = end.filter(|end| offset < *end);
            }
        };
        let (mut left, mut records) = (wait, 0);
        while records < RECORDS_MAX {
            match poller.poll(left) {
                Polled::Message(message) => {
                    (left, records) = (Duration::ZERO, records + 1);
                    each(message.partition(), message.record());
                    reached(message.partition(), message.offset() + 1);
                }
                Polled::End { partition, offset, .. } => {
                    left = Duration::ZERO;
                    reached(partition, offset);
                }
                Polled::Error { fatal: true, reason, .. } => {
                    return Err(BusError::Unavailable(format!("{topic} cannot be followed: {reason}")));
                }
                Polled::Nothing => break,
                _ if records == 0 => left = deadline.saturating_duration_since(Instant::now()),
                _ => {}
            }
        }
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.ends.iter().all(Option::is_none)
    }
}
