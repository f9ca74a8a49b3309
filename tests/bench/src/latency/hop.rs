//! The anchor: one transactional hop of the plain client, one record at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_bus::Clock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::times::Times;
use crate::clock::SystemClock;
use crate::kafka::{Kafka, STALL, drain, joined, receive, send};
use crate::settings;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A consumer, a transactional producer and whoever reads what it commits.
pub(super) struct Hop {
    source: BaseProducer,
    near: BaseConsumer,
    transactions: BaseProducer,
    far: BaseConsumer,
    topics: [String; 2],
    count: u64,
}

impl Hop {
    pub(super) fn new(kafka: &Kafka) -> Result<Self> {
        let name = format!("hop{}", SystemClock.now_ms());
        let topics = ["in", "out"].map(|end| format!("{name}.{end}"));
        kafka.create_topics(&topics)?;
        let consumer = |end: usize| -> Result<BaseConsumer> {
            let consumer: BaseConsumer = settings::consumer(kafka, &format!("{name}.{end}")).create()?;
            consumer.subscribe(&[&topics[end]])?;
            joined(&consumer)?;
            Ok(consumer)
        };
        let (near, far) = (consumer(0)?, consumer(1)?);
        let transactions: BaseProducer = settings::producer(kafka, &name).set("linger.ms", "0").create()?;
        transactions.init_transactions(TIMEOUT)?;
        let source = kafka.client().set("linger.ms", "0").create()?;
        Ok(Self { source, near, transactions, far, topics, count: 0 })
    }

    /// From a record's write to the read of what was made of it and committed.
    pub(super) fn round(&mut self, records: usize, gap: Duration) -> Result<Times> {
        let mut times = Vec::with_capacity(records);
        let mut next = Instant::now();
        for _ in 0..records {
            self.count += 1;
            let text = self.count.to_string();
            let began = Instant::now();
            send(&self.source, BaseRecord::to(&self.topics[0]).key(text.as_bytes()).payload(text.as_bytes()))?;
            drain(&self.source);
            self.pass(&text)?;
            awaited(&self.far, &text)?;
            times.push(began.elapsed());
            next += gap;
            // The producer's and the consumers' own work goes on meanwhile.
            self.near.poll(next.saturating_duration_since(Instant::now()));
        }
        Ok(Times::of(times))
    }

    fn pass(&self, text: &str) -> Result<()> {
        let message = awaited(&self.near, text)?;
        self.transactions.begin_transaction()?;
        let key = message.key().context("a record without a key")?;
        send(&self.transactions, BaseRecord::to(&self.topics[1]).key(key).payload(text.as_bytes()))?;
        drain(&self.transactions);
        let mut offsets = TopicPartitionList::new();
        let next = Offset::Offset(message.offset() + 1);
        offsets.add_partition_offset(&self.topics[0], message.partition(), next)?;
        let group = self.near.group_metadata().context("no group")?;
        self.transactions.send_offsets_to_transaction(&offsets, &group, TIMEOUT)?;
        self.transactions.commit_transaction(TIMEOUT)?;
        Ok(())
    }
}

fn awaited<'c>(consumer: &'c BaseConsumer, text: &str) -> Result<BorrowedMessage<'c>> {
    let began = Instant::now();
    loop {
        let message = receive(consumer)?;
        if message.payload() == Some(text.as_bytes()) {
            return Ok(message);
        }
        ensure!(began.elapsed() < STALL, "record {text} did not come within {STALL:?}");
    }
}
